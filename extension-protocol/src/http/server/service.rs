//! One request: who may, what came, what is answered.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use lva_inference_schema::{AnalyticsBody, Inference, JsonStyle};

use super::options::HttpServerOptions;
use super::sessions::{NoSession, Open, Place, Sessions, Taken, parameter};
use super::stats::{Counters, count, count_many};
use crate::convert::TIMESCALE;
use crate::credentials;
use crate::http::picture_format;
use crate::server::{Extension, ExtensionOpenError, Sample, SessionInfo, StreamError};
use crate::{FrameFormat, GraphIdentity};

/// Failures of an extension in a row after which its session is opened anew.
const FAILURES_IN_A_ROW: u32 = 3;

/// Longest text of an answer that is no result, in characters.
const MAX_WORDS: usize = 1000;

/// Ticks of a second in every timestamp.

pub(super) type Answer = Response<Full<Bytes>>;

/// What all connections of a server share.
pub(super) struct Common<E> {
    pub(super) extension: E,
    pub(super) options: HttpServerOptions,
    pub(super) counters: Arc<Counters>,
    pub(super) sessions: Sessions,
    pub(super) clock: ArrivalClock,
}

/// Time of arrival in media time: the wall clock at the beginning, and monotonic from there on, so that nobody's tracker
/// sees time jump when the machine's clock is set.
pub(super) struct ArrivalClock {
    began: Instant,
    began_90k: u64,
}

impl ArrivalClock {
    pub(super) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            began: Instant::now(),
            began_90k: ticks(since_1970),
        }
    }

    fn now_90k(&self) -> u64 {
        self.began_90k.saturating_add(ticks(self.began.elapsed()))
    }
}

fn ticks(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros() * 9 / 100).unwrap_or(u64::MAX)
}

/// Why a request has no result.
struct Refusal {
    status: StatusCode,
    text: String,
    /// The rest of the body will not be read.
    closes: bool,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            closes: false,
        }
    }

    fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    fn busy(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    fn failed() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the extension failed")
    }

    fn closing(mut self) -> Self {
        self.closes = true;
        self
    }
}

impl<E: Extension> Common<E> {
    /// Answers a request of the connection whose own session is at `own`.
    pub(super) async fn answer(self: Arc<Self>, own: Place, request: Request<Incoming>) -> Answer {
        count(&self.counters.requests);
        match Arc::clone(&self).result(own, request).await {
            Ok(inferences) => {
                count(&self.counters.answers);
                count_many(&self.counters.inferences, inferences.len() as u64);
                found(inferences)
            }
            Err(refusal) => {
                let counters = &self.counters;
                count(match refusal.status {
                    StatusCode::UNAUTHORIZED => &counters.unauthorized,
                    StatusCode::PAYLOAD_TOO_LARGE => &counters.too_large,
                    StatusCode::SERVICE_UNAVAILABLE => &counters.busy,
                    StatusCode::INTERNAL_SERVER_ERROR => &counters.failures,
                    _ => &counters.refused,
                });
                tracing::debug!(
                    status = refusal.status.as_u16(),
                    reason = refusal.text,
                    "a request has no result"
                );
                self.refused(refusal)
            }
        }
    }

    async fn result(
        self: Arc<Self>,
        own: Place,
        request: Request<Incoming>,
    ) -> Result<Vec<Inference>, Refusal> {
        if let Err(refusal) = self.admit(&request) {
            return Err(self.after_its_picture(request.into_body(), refusal).await);
        }
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok().map(str::to_owned));
        let name = parameter(request.uri().query(), &self.options.stream_parameter).map(str::to_owned);
        let picture = self.read(request.into_body()).await?;
        let format = picture_format(content_type.as_deref(), &picture, self.options.raw_format)
            .map_err(|error| Refusal::bad(error.to_string()))?;
        let place = match &name {
            None => own,
            Some(name) => self
                .sessions
                .named(name, Instant::now())
                .map_err(|error| match error {
                    NoSession::Name => Refusal::bad("the name of the stream is too long"),
                    NoSession::Full => Refusal::busy("as many streams as may be are open"),
                })?,
        };
        let turn = place
            .try_lock_owned()
            .map_err(|_| Refusal::busy("the stream's picture before is still looked at"))?;
        // A task of its own: an extension's work is not cut off in the middle because its client has left, and its
        // panic is an answer like any other failure.
        let arrived_90k = self.clock.now_90k();
        let work = tokio::spawn(self.work(turn, name, format, picture, arrived_90k));
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the extension panicked");
            Err(Refusal::failed())
        })
    }

    fn admit(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        if let Some(credentials) = &self.options.credentials {
            let sent = request.headers().get(AUTHORIZATION);
            if !sent.is_some_and(|sent| credentials::verify_header(credentials, sent.as_bytes())) {
                let text = "user and password are missing or wrong";
                return Err(Refusal::new(StatusCode::UNAUTHORIZED, text));
            }
        }
        let path = self.options.path.as_deref();
        if path.is_some_and(|path| path != request.uri().path()) {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "pictures are taken at another path",
            ));
        }
        if request.method() != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "POST a picture"));
        }
        Ok(())
    }

    /// A refusal that the client will read: one that is still writing its picture when the connection closes often sees
    /// the closed connection alone. So the picture is read and dropped first, in the time and up to the size of any other.
    async fn after_its_picture(&self, mut body: Incoming, refusal: Refusal) -> Refusal {
        let limit = self.options.max_frame_bytes as u64;
        if body.size_hint().lower() > limit {
            return refusal.closing();
        }
        let dropping = async {
            let mut dropped = 0;
            while let Some(Ok(frame)) = body.frame().await {
                dropped += frame.data_ref().map_or(0, Bytes::len) as u64;
                if dropped > limit {
                    return false;
                }
            }
            body.is_end_stream()
        };
        match tokio::time::timeout(self.options.body_timeout, dropping).await {
            Ok(true) => refusal,
            Ok(false) | Err(_) => refusal.closing(),
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Refusal> {
        let limit = self.options.max_frame_bytes;
        let too_large = || {
            let text = format!("a picture may have {limit} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text).closing()
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let reading = Limited::new(body, limit).collect();
        match tokio::time::timeout(self.options.body_timeout, reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => {
                count(&self.counters.left);
                Err(Refusal::bad("the picture broke off").closing())
            }
            Err(_) => {
                let text = "the picture did not arrive in time";
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text).closing())
            }
        }
    }

    /// Looks at a picture. The session is out of its place meanwhile, so that a panic takes it along.
    async fn work(
        self: Arc<Self>,
        mut turn: Taken,
        name: Option<String>,
        format: FrameFormat,
        picture: Bytes,
        arrived_90k: u64,
    ) -> Result<Vec<Inference>, Refusal> {
        let mut open = match turn.take() {
            Some(open) if open.format == format => open,
            other => {
                // Pictures of another kind are another session; the old one goes first, for it may hold a model.
                drop(other);
                self.open(name, format).await?
            }
        };
        open.sequence += 1;
        let sample = Sample::new(&picture, arrived_90k, TIMESCALE, open.sequence, &[]);
        match open.session.process(sample).await {
            Ok(inferences) => {
                open.failures_in_a_row = 0;
                *turn = Some(open);
                Ok(inferences)
            }
            // The picture is at fault. A gRPC stream would end here, and so does the session.
            Err(error) if error.is::<StreamError>() => Err(Refusal::bad(error.to_string())),
            Err(error) => {
                tracing::warn!(session = open.number, picture = open.sequence, %error, "the extension failed on a picture");
                open.failures_in_a_row += 1;
                if open.failures_in_a_row < FAILURES_IN_A_ROW {
                    *turn = Some(open);
                }
                Err(Refusal::failed())
            }
        }
    }

    async fn open(&self, name: Option<String>, format: FrameFormat) -> Result<Open, Refusal> {
        let number = self.sessions.next_number();
        let mut info = SessionInfo::new(format).with_configuration(&*self.options.configuration);
        info.number = number;
        info.identity = GraphIdentity::new(name.unwrap_or_default(), "");
        match self.extension.open(&info).await {
            Ok(session) => Ok(Open::new(session, format, number, Arc::clone(&self.counters))),
            Err(ExtensionOpenError::UnsupportedFormat(text)) => Err(Refusal::bad(text)),
            Err(ExtensionOpenError::Busy(text)) => Err(Refusal::busy(text)),
            // The configuration is this server's, not the client's.
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(session = number, %error, cause, "the extension failed to begin a session");
                Err(Refusal::failed())
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Answer {
        let text: String = refusal.text.chars().take(MAX_WORDS).collect();
        let mut answer = with_body(refusal.status, "text/plain; charset=utf-8", text.into());
        let headers = answer.headers_mut();
        match refusal.status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static(r#"Basic realm="extension", charset="UTF-8""#);
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, retry_after(&self.options).into());
            }
            _ => {}
        }
        if refusal.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Whole seconds, at least one: nought would be an invitation.
pub(super) fn retry_after(options: &HttpServerOptions) -> u64 {
    options.retry_after.as_secs().max(1)
}

/// The contract's answer: 204 where there is nothing, for the schema asks for one inference at least.
fn found(inferences: Vec<Inference>) -> Answer {
    if inferences.is_empty() {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        return answer;
    }
    let body = AnalyticsBody {
        inferences,
        ..AnalyticsBody::default()
    };
    // The style that the published schema accepts.
    let json = body.to_json(JsonStyle::VideoAnalyzer).to_string();
    with_body(StatusCode::OK, "application/json", json.into())
}

fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
