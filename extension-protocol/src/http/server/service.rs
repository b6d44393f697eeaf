//! One request: authorization, picture, answer.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use lva_inference_schema::{AnalyticsBody, Inference, JsonStyle};
use lva_media_types::MediaTime;
use lva_server_transport::Connection;

use super::options::HttpServerOptions;
use super::sessions::{NoSession, OpenSession, SessionSlot, Sessions, SlotGuard, parameter};
use super::stats::Counters;
use crate::convert::TIMESCALE;
use crate::counters::{count, count_many};
use crate::credentials;
use crate::http::picture_format;
use crate::server::{Extension, ExtensionOpenError, Sample, SessionInfo, StreamError, next_number};
use crate::{FrameFormat, GraphIdentity};

/// Failures of an extension in a row after which its session restarts.
const MAX_FAILURES_IN_A_ROW: u32 = 3;

/// Most characters of the reason in a rejection.
const MAX_REASON_CHARS: usize = 1000;

pub(super) type Answer = Response<Full<Bytes>>;

/// Shared by all connections of a server.
pub(super) struct ServerState<E> {
    pub(super) extension: E,
    pub(super) options: HttpServerOptions,
    pub(super) counters: Arc<Counters>,
    pub(super) sessions: Sessions,
    pub(super) clock: ArrivalClock,
}

/// Time of arrival in media time: starts at the system time and is monotonic after that, so that trackers see no jump when
/// the machine's clock is set.
pub(super) struct ArrivalClock {
    start: Instant,
    start_90k: u64,
}

impl ArrivalClock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            start_90k: MediaTime::from_system_time(SystemTime::now()).ticks_90k(),
        }
    }

    fn now_90k(&self) -> u64 {
        self.start_90k
            .saturating_add(MediaTime::ticks_in(self.start.elapsed()))
    }
}

/// Why a request has no result.
struct HttpRejection {
    status: StatusCode,
    reason: String,
    /// The rest of the body is not read.
    closes: bool,
}

impl HttpRejection {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            closes: false,
        }
    }

    fn bad(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    fn busy(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }

    fn failed() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the extension failed")
    }

    fn closing(mut self) -> Self {
        self.closes = true;
        self
    }
}

impl<E: Extension> ServerState<E> {
    /// Answers a request. `own` holds the session of its connection.
    pub(super) async fn answer(
        self: Arc<Self>,
        own: SessionSlot,
        peer: &Connection,
        request: Request<Incoming>,
    ) -> Answer {
        count(&self.counters.requests);
        match Arc::clone(&self).result(own, request).await {
            Ok(inferences) => {
                peer.vouch();
                count(&self.counters.answers);
                count_many(&self.counters.inferences, inferences.len() as u64);
                with_inferences(inferences)
            }
            Err(rejection) => {
                let counters = &self.counters;
                if rejection.status == StatusCode::UNAUTHORIZED {
                    peer.refuse();
                }
                count(match rejection.status {
                    StatusCode::UNAUTHORIZED => &counters.unauthorized,
                    StatusCode::PAYLOAD_TOO_LARGE => &counters.too_large,
                    StatusCode::SERVICE_UNAVAILABLE => &counters.busy,
                    StatusCode::INTERNAL_SERVER_ERROR => &counters.failures,
                    _ => &counters.refused,
                });
                tracing::debug!(
                    status = rejection.status.as_u16(),
                    reason = rejection.reason,
                    "rejected a request"
                );
                self.reject(rejection)
            }
        }
    }

    async fn result(
        self: Arc<Self>,
        own: SessionSlot,
        request: Request<Incoming>,
    ) -> Result<Vec<Inference>, HttpRejection> {
        if let Err(rejection) = self.verify(&request) {
            return Err(self.after_its_picture(request.into_body(), rejection).await);
        }
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok().map(str::to_owned));
        let name = parameter(request.uri().query(), &self.options.stream_parameter).map(str::to_owned);
        let picture = self.read(request.into_body()).await?;
        let format = picture_format(content_type.as_deref(), &picture, self.options.raw_format)
            .map_err(|error| HttpRejection::bad(error.to_string()))?;
        let slot = match &name {
            None => own,
            Some(name) => self
                .sessions
                .named(name, Instant::now())
                .map_err(|error| match error {
                    NoSession::Name => HttpRejection::bad("the name of the stream is too long"),
                    NoSession::Full => HttpRejection::busy("too many streams are open"),
                })?,
        };
        let slot = slot
            .try_lock_owned()
            .map_err(|_| HttpRejection::busy("the stream's previous picture is still in progress"))?;
        // In a separate task, so that a client that disconnects does not interrupt the extension, and a panic is an
        // answer like any other failure.
        let arrived_90k = self.clock.now_90k();
        let work = tokio::spawn(self.process(slot, name, format, picture, arrived_90k));
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the extension panicked");
            Err(HttpRejection::failed())
        })
    }

    fn verify(&self, request: &Request<Incoming>) -> Result<(), HttpRejection> {
        if let Some(credentials) = &self.options.credentials {
            let sent = request.headers().get(AUTHORIZATION);
            if !sent.is_some_and(|sent| credentials::verify_header(credentials, sent.as_bytes())) {
                let text = "missing or wrong user and password";
                return Err(HttpRejection::new(StatusCode::UNAUTHORIZED, text));
            }
        }
        let path = self.options.path.as_deref();
        if path.is_some_and(|path| path != request.uri().path()) {
            return Err(HttpRejection::new(
                StatusCode::NOT_FOUND,
                "pictures are accepted at another path",
            ));
        }
        if request.method() != Method::POST {
            return Err(HttpRejection::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "POST a picture",
            ));
        }
        Ok(())
    }

    /// Reads and drops the picture before a rejection, within the usual limits: a client that is still sending when the
    /// connection closes often sees only the closed connection.
    async fn after_its_picture(&self, mut body: Incoming, rejection: HttpRejection) -> HttpRejection {
        let limit = self.options.max_frame_bytes as u64;
        if body.size_hint().lower() > limit {
            return rejection.closing();
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
            Ok(true) => rejection,
            Ok(false) | Err(_) => rejection.closing(),
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, HttpRejection> {
        let limit = self.options.max_frame_bytes;
        let too_large = || {
            let text = format!("a picture may have at most {limit} bytes");
            HttpRejection::new(StatusCode::PAYLOAD_TOO_LARGE, text).closing()
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
                Err(HttpRejection::bad("the picture is incomplete").closing())
            }
            Err(_) => {
                let text = "the picture did not arrive in time";
                Err(HttpRejection::new(StatusCode::REQUEST_TIMEOUT, text).closing())
            }
        }
    }

    /// Processes a picture. The session is taken out of its slot meanwhile, so that a panic drops it.
    async fn process(
        self: Arc<Self>,
        mut slot: SlotGuard,
        name: Option<String>,
        format: FrameFormat,
        picture: Bytes,
        arrived_90k: u64,
    ) -> Result<Vec<Inference>, HttpRejection> {
        let mut open = match slot.take() {
            Some(open) if open.format == format => open,
            other => {
                // Another format needs another session. The old one is dropped first because it may hold a model.
                drop(other);
                self.open(name, format).await?
            }
        };
        open.sequence += 1;
        let sample = Sample::new(&picture, arrived_90k, TIMESCALE, open.sequence, &[]);
        match open.session.process(sample).await {
            Ok(inferences) => {
                open.failures_in_a_row = 0;
                *slot = Some(open);
                Ok(inferences)
            }
            // Over gRPC the stream would end, so the session ends here.
            Err(error) if error.is::<StreamError>() => Err(match error.downcast_ref() {
                Some(StreamError::Withdrawn(reason)) => HttpRejection::busy(reason),
                _ => HttpRejection::bad(error.to_string()),
            }),
            Err(error) => {
                tracing::warn!(session = open.number, picture = open.sequence, %error, "the extension failed on a picture");
                open.failures_in_a_row += 1;
                if open.failures_in_a_row < MAX_FAILURES_IN_A_ROW {
                    *slot = Some(open);
                }
                Err(HttpRejection::failed())
            }
        }
    }

    async fn open(&self, name: Option<String>, format: FrameFormat) -> Result<OpenSession, HttpRejection> {
        let number = next_number();
        let mut info = SessionInfo::new(format).with_configuration(&*self.options.configuration);
        info.number = number;
        info.identity = GraphIdentity::new(name.unwrap_or_default(), "");
        match self.extension.open(&info).await {
            Ok(session) => Ok(OpenSession::new(
                session,
                format,
                number,
                Arc::clone(&self.counters),
            )),
            Err(ExtensionOpenError::UnsupportedFormat(text)) => Err(HttpRejection::bad(text)),
            Err(ExtensionOpenError::Busy(text)) => Err(HttpRejection::busy(text)),
            // The configuration comes from this server, so the client is not at fault.
            Err(error) => {
                tracing::error!(session = number, %error, "the extension failed to open a session");
                Err(HttpRejection::failed())
            }
        }
    }

    fn reject(&self, rejection: HttpRejection) -> Answer {
        let text: String = rejection.reason.chars().take(MAX_REASON_CHARS).collect();
        let mut answer = with_body(rejection.status, "text/plain; charset=utf-8", text.into());
        let headers = answer.headers_mut();
        match rejection.status {
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
        if rejection.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// In seconds, at least 1: with 0, clients would retry at once.
pub(super) fn retry_after(options: &HttpServerOptions) -> u64 {
    options.retry_after.as_secs().max(1)
}

/// The contract's answer: 204 without inferences, because the schema requires at least one.
fn with_inferences(inferences: Vec<Inference>) -> Answer {
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
