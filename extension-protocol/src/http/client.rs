//! The graph's side: one picture at a time, an answer or the reason why there is none.
//!
//! | file | what |
//! |---|---|
//! | `options` | everything that is known before |
//! | `connection` | sockets, TLS, one exchange with its limits |
//! | `hears_out` | a socket that is read on after the server has closed |
//! | `error`, `stats` | what went wrong, what was counted |

mod connection;
mod error;
mod hears_out;
mod options;
mod stats;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};

pub use error::HttpError;
pub use options::HttpClientOptions;
pub use stats::HttpClientStats;

use self::connection::{Connection, Connector, Reply};
use self::stats::{Counters, count};
use super::answer::HttpContent;
use super::auth::Authenticator;
use super::pause::{Pause, retry_after};
use super::tls::HttpTlsError;

/// Requests that may wait for their turn; each holds a picture.
const MAX_WAITING: usize = 4;

/// Longest part of a server's own words in an error, in characters.
const MAX_WORDS: usize = 200;

/// An extension's answer to one picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HttpAnswer {
    /// What it says.
    pub content: HttpContent,
    /// From the first byte of the request to the last one of the answer, challenges and connecting included.
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
/// **One request is under way at a time.** Further ones wait a bounded while for their turn, a handful of them at most,
/// and are refused after that: whoever has newer pictures keeps the newest and asks again. After a 503, and while the
/// server cannot be reached, requests are refused without being sent until the pause is over.
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
///     println!("{body}"); // what is published
/// }
/// # Ok(())
/// # }
/// ```
pub struct HttpClient {
    options: HttpClientOptions,
    connector: Connector,
    places: Semaphore,
    turn: Mutex<Turn>,
    counters: Counters,
}

/// What only the request whose turn it is may touch.
#[derive(Debug)]
struct Turn {
    /// Taken out while it is used, so that a request that is dropped half-way takes its connection along.
    connection: Option<Connection>,
    authenticator: Authenticator,
    pause: Pause,
}

impl HttpClient {
    /// A client that has not connected yet. Reads the machine's trusted certificates where the address is `https` and
    /// none were given.
    ///
    /// # Errors
    ///
    /// [`HttpTlsError`].
    pub fn new(options: HttpClientOptions) -> Result<Self, HttpTlsError> {
        let turn = Turn {
            connection: None,
            authenticator: Authenticator::new(options.credentials.clone()),
            pause: Pause::new(options.backoff, options.longest_pause),
        };
        Ok(Self {
            connector: Connector::new(&options)?,
            places: Semaphore::new(1 + MAX_WAITING),
            turn: Mutex::new(turn),
            counters: Counters::default(),
            options,
        })
    }

    /// Posts a picture, a whole file or bare pixels as the options' encoding says, and reads the answer. Dropping the
    /// future gives the request up.
    ///
    /// # Errors
    ///
    /// [`HttpError`]; each is counted under its name.
    pub async fn ask(&self, picture: impl Into<Bytes>) -> Result<HttpAnswer, HttpError> {
        self.ask_at(picture, Instant::now(), SystemTime::now()).await
    }

    /// The same at a moment of the caller's: what decides about pauses, and nothing else, goes by these clocks.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_at(
        &self,
        picture: impl Into<Bytes>,
        now: Instant,
        wall: SystemTime,
    ) -> Result<HttpAnswer, HttpError> {
        let result = self.try_ask(picture.into(), now, wall).await;
        if let Err(error) = &result {
            self.counters.failed(error);
        }
        result
    }

    async fn try_ask(&self, picture: Bytes, now: Instant, wall: SystemTime) -> Result<HttpAnswer, HttpError> {
        if picture.is_empty() {
            return Err(HttpError::EmptyPicture);
        }
        let called = Instant::now();
        let _place = self.places.try_acquire().map_err(|_| HttpError::Busy)?;
        let mut turn = tokio::time::timeout(self.options.turn_timeout, self.turn.lock())
            .await
            .map_err(|_| HttpError::Busy)?;
        if let Some(remaining) = turn.pause.remaining(now + called.elapsed()) {
            return Err(HttpError::Paused { remaining });
        }
        count(&self.counters.sent);
        let began = Instant::now();
        let exchange = self.exchange(&mut turn, &picture);
        let reply = match tokio::time::timeout(self.options.answer_timeout, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(HttpError::TimedOut {
                url: self.options.url.to_string(),
                waited: self.options.answer_timeout,
            }),
        };
        let round_trip = began.elapsed();
        let (now, wall) = (now + called.elapsed(), wall + called.elapsed());
        let content = match reply {
            Ok(reply) => self.read(&reply, &mut turn, now, wall)?,
            Err(error) => {
                if error.is_unreachable() {
                    turn.pause.unnamed(now, random());
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

    /// A request and its answer, with those that a challenge asks for in between.
    async fn exchange(&self, turn: &mut Turn, picture: &Bytes) -> Result<Reply, HttpError> {
        loop {
            let path = self.options.url.path_and_query();
            let header = turn.authenticator.header(path, picture);
            let request = self.connector.request(&self.options, header, picture)?;
            let held = turn.connection.take();
            let reused = held.is_some();
            let (reply, connection) = self.connector.exchange(held, request).await?;
            if !reused {
                count(&self.counters.connections);
            }
            turn.connection = connection;
            if reply.status != 401 {
                turn.authenticator.accepted();
                return Ok(reply);
            }
            count(&self.counters.challenges);
            if !turn
                .authenticator
                .challenged(reply.challenges.iter().map(String::as_str))
            {
                return Ok(reply);
            }
        }
    }

    fn read(
        &self,
        reply: &Reply,
        turn: &mut Turn,
        now: Instant,
        wall: SystemTime,
    ) -> Result<HttpContent, HttpError> {
        let url = || self.options.url.to_string();
        if matches!(reply.status, 503 | 429) {
            let named = reply
                .retry_after
                .as_deref()
                .and_then(|text| retry_after(text, wall));
            let pause = match named {
                Some(wait) => turn.pause.named(now, wait),
                None => turn.pause.unnamed(now, random()),
            };
            return Err(HttpError::Overloaded {
                url: url(),
                status: reply.status,
                pause,
            });
        }
        turn.pause.over();
        match reply.status {
            204 => Ok(HttpContent::Nothing),
            200..=299 => {
                if let Some(encoding) = &reply.content_encoding {
                    return Err(HttpError::ContentEncoding {
                        url: url(),
                        encoding: words(encoding.as_bytes()),
                    });
                }
                HttpContent::read(reply.content_type.as_deref(), &reply.body)
                    .map_err(|source| HttpError::NotJson { url: url(), source })
            }
            300..=399 => Err(HttpError::Redirected {
                url: url(),
                status: reply.status,
                to: reply
                    .location
                    .as_deref()
                    .and_then(|to| to.parse::<super::HttpUrl>().ok())
                    .map(|to| to.to_string()),
            }),
            401 | 403 => Err(HttpError::Unauthorized {
                url: url(),
                status: reply.status,
                with_credentials: self.options.credentials.is_some(),
            }),
            status => Err(HttpError::Rejected {
                url: url(),
                status,
                message: words(&reply.body),
            }),
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> HttpClientStats {
        self.counters.snapshot()
    }

    /// What it was made with.
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

/// Each state of the standard library's hasher is seeded by the system: random enough for jitter.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A server's own words: one line, bounded.
fn words(bytes: &[u8]) -> String {
    let start = bytes.get(..MAX_WORDS * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_WORDS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_one_bounded_line() {
        assert_eq!(words(b" a\r\nb\x1b[31m "), "a  b [31m");
        assert_eq!(words(&[0xff; 10_000]).chars().count(), MAX_WORDS);
    }
}
