//! The graph's side: one picture at a time, answered or failed with a reason.
//!
//! | file | what |
//! |---|---|
//! | `options` | everything that is known before the first request |
//! | `error`, `stats` | what went wrong, what was counted |

mod error;
mod options;
mod stats;

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request};
use lva_client_transport::ClientTlsError;
use lva_client_transport::http::{HttpAuthenticator, HttpConnection, HttpLimits, HttpResponse};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};

pub use error::HttpError;
pub use options::HttpClientOptions;
pub use stats::HttpClientStats;

use self::stats::Counters;
use super::answer::HttpContent;
use super::picture::media_type;
use super::retry_after::{RetryAfter, retry_after};
use crate::counters::{count, count_many};

/// Requests that may wait for their turn; each holds a picture.
const MAX_WAITING: usize = 4;

/// Most characters of a server's message in an error.
const MAX_MESSAGE_CHARS: usize = 200;

/// An extension's answer to one picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HttpAnswer {
    /// The answer's content.
    pub content: HttpContent,
    /// From the first byte of the request to the last byte of the answer, including connecting and challenges.
    pub round_trip: Duration,
}

impl HttpAnswer {
    /// The body of the event to publish; see [`HttpContent::event_body`].
    pub fn event_body(&self, timestamp_90k: u64) -> Option<Value> {
        self.content.event_body(timestamp_90k)
    }
}

/// A client of one HTTP extension. It keeps its connection between requests.
///
/// **One request is in flight at a time.** At most four more wait for their turn, for a bounded time, and fail with
/// [`HttpError::Busy`] after it: callers should keep the newest picture and send it next. After a 503, and while the
/// server cannot be reached, requests fail without being sent until the pause is over.
///
/// ```no_run
/// use lva_extension_protocol::{FrameEncoding, http::{HttpClient, HttpClientOptions, HttpContent}};
///
/// # async fn ask(jpeg: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// let options = HttpClientOptions::new("http://yolov3/score".parse()?, FrameEncoding::Jpg);
/// let client = HttpClient::new(options)?;
/// let answer = client.ask(jpeg).await?;
/// for found in answer.content.inferences() {
///     println!("{found:?}");
/// }
/// if let Some(body) = answer.event_body(143_810_610_210_090) {
///     println!("{body}"); // the event to publish
/// }
/// # Ok(())
/// # }
/// ```
pub struct HttpClient {
    options: HttpClientOptions,
    places: Semaphore,
    turn: Mutex<Turn>,
    counters: Counters,
}

/// What only the request in flight uses.
#[derive(Debug)]
struct Turn {
    connection: HttpConnection,
    authenticator: HttpAuthenticator,
    retry_after: RetryAfter,
}

impl HttpClient {
    /// Connects with the first request. Reads the machine's trusted certificates if the address is `https` and none were
    /// given.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError`].
    pub fn new(options: HttpClientOptions) -> Result<Self, ClientTlsError> {
        let limits = HttpLimits {
            connect_timeout: options.connect_timeout,
            exchange_timeout: options.answer_timeout,
            max_body_bytes: options.max_answer_bytes,
            ..HttpLimits::default()
        };
        let turn = Turn {
            connection: HttpConnection::new(options.url.origin(), &options.tls, limits)?,
            authenticator: HttpAuthenticator::new(options.credentials.clone()),
            retry_after: RetryAfter::new(options.backoff, options.max_pause),
        };
        Ok(Self {
            places: Semaphore::new(1 + MAX_WAITING),
            turn: Mutex::new(turn),
            counters: Counters::default(),
            options,
        })
    }

    /// Posts a picture in the encoding of the options, a whole file or raw pixels, and reads the answer. Dropping the
    /// future cancels the request.
    ///
    /// # Errors
    ///
    /// [`HttpError`]; each is counted under its name.
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime with I/O and time.
    pub async fn ask(&self, picture: impl Into<Bytes>) -> Result<HttpAnswer, HttpError> {
        self.ask_at(picture, Instant::now(), SystemTime::now()).await
    }

    /// The same with the caller's clocks, which only the pauses use.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_at(
        &self,
        picture: impl Into<Bytes>,
        now: Instant,
        wall_clock: SystemTime,
    ) -> Result<HttpAnswer, HttpError> {
        let result = self.try_ask(picture.into(), now, wall_clock).await;
        if let Err(error) = &result {
            self.counters.failed(error);
        }
        result
    }

    async fn try_ask(
        &self,
        picture: Bytes,
        now: Instant,
        wall_clock: SystemTime,
    ) -> Result<HttpAnswer, HttpError> {
        if picture.is_empty() {
            return Err(HttpError::EmptyPicture);
        }
        let called = Instant::now();
        let _place = self.places.try_acquire().map_err(|_| HttpError::Busy)?;
        let mut turn = tokio::time::timeout(self.options.turn_timeout, self.turn.lock())
            .await
            .map_err(|_| HttpError::Busy)?;
        if let Some(remaining) = turn.retry_after.remaining(now + called.elapsed()) {
            return Err(HttpError::Paused { remaining });
        }
        count(&self.counters.sent);
        let began = Instant::now();
        let exchange = self.exchange(&mut turn, &picture);
        let response = match tokio::time::timeout(self.options.answer_timeout, exchange).await {
            Ok(response) => response,
            Err(_) => Err(HttpError::TimedOut {
                url: self.options.url.to_string(),
                waited: self.options.answer_timeout,
            }),
        };
        let round_trip = began.elapsed();
        let (now, wall_clock) = (now + called.elapsed(), wall_clock + called.elapsed());
        let content = match response {
            Ok(response) => self.read(&response, &mut turn, now, wall_clock)?,
            Err(error) => {
                if error.is_unreachable() {
                    turn.retry_after.back_off(now, random());
                }
                return Err(error);
            }
        };
        count(&self.counters.answered);
        if content == HttpContent::Nothing {
            count(&self.counters.empty);
        }
        Ok(HttpAnswer { content, round_trip })
    }

    /// A request and its answer, including the requests that answer a challenge.
    async fn exchange(&self, turn: &mut Turn, picture: &Bytes) -> Result<HttpResponse, HttpError> {
        loop {
            let path = self.options.url.path_and_query();
            let credentials = turn.authenticator.header(&Method::POST, path, picture);
            let request = self.request(credentials, picture)?;
            let opened = turn.connection.opened();
            let response = turn.connection.exchange(request).await;
            let response = response.map_err(|error| HttpError::transport(&self.options.url, error))?;
            if turn.connection.opened() != opened {
                count(&self.counters.connections);
            }
            if response.status.as_u16() != 401 {
                turn.authenticator.accepted();
                return Ok(response);
            }
            count(&self.counters.challenges);
            if !turn.authenticator.challenged(response.challenges()) {
                return Ok(response);
            }
        }
    }

    /// The contract's request.
    fn request(
        &self,
        credentials: Option<(HeaderName, HeaderValue)>,
        picture: &Bytes,
    ) -> Result<Request<Bytes>, HttpError> {
        let url = &self.options.url;
        // A random identifier for the server's log. A poor one does no harm.
        let mut random = [0; 16];
        let _ = getrandom::fill(&mut random);
        let id = uuid::Builder::from_random_bytes(random).into_uuid();
        let mut request = Request::post(url.path_and_query())
            .header(header::HOST, url.authority())
            .header(header::CONTENT_TYPE, media_type(self.options.encoding))
            .header(header::ACCEPT, "application/json, */*")
            .header("x-ms-client-request-id", id.to_string());
        if let Ok(name) = HeaderValue::from_str(&self.options.user_agent) {
            request = request.header(header::USER_AGENT, name);
        }
        if let (Some((name, value)), Some(headers)) = (credentials, request.headers_mut()) {
            headers.insert(name, value);
        }
        request.body(picture.clone()).map_err(|error| HttpError::Broken {
            url: url.to_string(),
            cause: error.into(),
        })
    }

    fn read(
        &self,
        response: &HttpResponse,
        turn: &mut Turn,
        now: Instant,
        wall_clock: SystemTime,
    ) -> Result<HttpContent, HttpError> {
        let url = || self.options.url.to_string();
        let status = response.status.as_u16();
        if matches!(status, 503 | 429) {
            let requested = response.header(header::RETRY_AFTER);
            let requested = requested.and_then(|text| retry_after(text, wall_clock));
            let pause = match requested {
                Some(wait) => turn.retry_after.requested(now, wait),
                None => turn.retry_after.back_off(now, random()),
            };
            return Err(HttpError::Overloaded {
                url: url(),
                status,
                pause,
            });
        }
        turn.retry_after.reset();
        match status {
            204 => Ok(HttpContent::Nothing),
            200..=299 => {
                let encoding = response.header(header::CONTENT_ENCODING).map(str::trim);
                match encoding.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity")) {
                    Some(encoding) => Err(HttpError::ContentEncoding {
                        url: url(),
                        encoding: one_line(encoding.as_bytes()),
                    }),
                    None => {
                        let name = response.header(header::CONTENT_TYPE);
                        let (content, left_out) = HttpContent::read_and_count(name, &response.body)
                            .map_err(|cause| HttpError::NotJson { url: url(), cause })?;
                        count_many(&self.counters.inferences_left_out, left_out.inferences);
                        count_many(&self.counters.parts_left_out, left_out.parts);
                        Ok(content)
                    }
                }
            }
            300..=399 => Err(HttpError::Redirected {
                url: url(),
                status,
                to: response
                    .header(header::LOCATION)
                    .and_then(|to| to.parse::<super::HttpUrl>().ok())
                    .map(|to| to.to_string()),
            }),
            401 | 403 => Err(HttpError::Unauthorized {
                url: url(),
                status,
                with_credentials: self.options.credentials.is_some(),
            }),
            status => Err(HttpError::Rejected {
                url: url(),
                status,
                message: one_line(&response.body),
            }),
        }
    }

    /// The counts so far.
    pub fn stats(&self) -> HttpClientStats {
        self.counters.snapshot()
    }

    /// The options.
    pub fn options(&self) -> &HttpClientOptions {
        &self.options
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("options", &self.options)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// For jitter. Without randomness from the system, half the jitter is as good as any.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}

/// A server's message as one line of bounded length.
fn one_line(bytes: &[u8]) -> String {
    let start = bytes.get(..MAX_MESSAGE_CHARS * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    lva_media_types::clean_text(&text, MAX_MESSAGE_CHARS)
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_message_is_one_bounded_line() {
        assert_eq!(one_line(b" a\r\nb\x1b[31m "), "a  b [31m");
        assert_eq!(one_line(&[0xff; 10_000]).chars().count(), MAX_MESSAGE_CHARS);
    }
}
