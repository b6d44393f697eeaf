//! One table from the kinds of failure to the events that report them and the status that a method would answer with.

use std::fmt;
use std::time::Duration;

use lva_extension_protocol::GrpcCode;
use lva_extension_protocol::client::{ConnectError, PeerStatus, SessionError};
use lva_extension_protocol::http::HttpError;
use lva_inference_schema::EventName;
use lva_inference_schema::body::{
    CodedError, EventBody, MediaFormatError, ProtocolError, RuntimeError, StorageError,
};
use lva_media_types::VideoCodec;
use lva_recording::ClipError;
use lva_rtsp::{CameraError, ErrorKind, NoPictures};

/// The longest message of a custom node in an event, in characters.
const MAX_MESSAGE: usize = 500;

/// A kind of failure in a running graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::VariantArray)]
#[non_exhaustive]
pub enum FailureKind {
    /// A camera or an extension cannot be reached, or the connection failed.
    Unreachable,
    /// The peer closed the connection.
    Closed,
    /// The peer did not answer in time, or stopped sending.
    Timeout,
    /// The peer answered with an error status of its protocol; for a camera also 401 and 403, as in the contract.
    Refused,
    /// The peer's response is invalid in the protocol.
    InvalidResponse,
    /// An extension did not accept the credentials.
    Unauthenticated,
    /// An extension denied access to this client.
    PermissionDenied,
    /// The TLS handshake failed: the certificate is not trusted, is for another name, or the peer has no TLS.
    Untrusted,
    /// An extension reported that it is overloaded.
    Overloaded,
    /// The camera sends video that cannot be decoded or recorded.
    UnusableVideo,
    /// The camera sends audio that cannot be recorded.
    UnusableAudio,
    /// No key frame came for several lengths of a segment, so that the recording cannot be cut.
    NoKeyframes,
    /// A recording could not be created or completed.
    Storage,
    /// The disk is full.
    StorageFull,
    /// This process has no permission to write to the directory of recordings.
    StorageDenied,
    /// Another recording, perhaps of another process, writes into the same directory.
    StorageInUse,
    /// A playlist's name is taken by a file of another origin, which is kept; the recording is not listed.
    ForeignPlaylist,
    /// Shared memory could not be allocated.
    SharedMemory,
    /// Options contradict each other, or a picture cannot be rendered with the node's settings.
    Configuration,
    /// A custom node failed on a frame, or could not be created again.
    NodeFailed,
    /// A custom node panicked.
    NodePanicked,
    /// A custom node exceeded the time for a frame.
    NodeTimeout,
    /// A panic of this program or of a library interrupted a node, which restarts.
    InternalError,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The table: the event that reports it, its code in the event's body where the peer gave none, and the HTTP status.
    ///
    /// | kind | event | code | status |
    /// |---|---|---|---|
    /// | `Unreachable` | `NetworkError` | `unreachable` | 502 |
    /// | `Closed` | `NetworkError` | `connectionClosed` | 502 |
    /// | `Timeout` | `NetworkError` | `timeout` | 504 |
    /// | `Refused` | `ProtocolError` | the peer's | 502 |
    /// | `InvalidResponse` | `ProtocolError` | `invalidResponse` | 502 |
    /// | `Unauthenticated` | `AuthenticationError` | `unauthenticated` | 401 |
    /// | `PermissionDenied` | `AuthorizationError` | `permissionDenied` | 403 |
    /// | `Untrusted` | `AuthenticationError` | `tlsFailed` | 502 |
    /// | `Overloaded` | `ProtocolError` | `overloaded` | 503 |
    /// | `UnusableVideo` | `MediaFormatError` | `unsupportedVideoFormat` | 415 |
    /// | `UnusableAudio` | `MediaFormatError` | `unsupportedAudioFormat` | 415 |
    /// | `NoKeyframes` | `MediaFormatError` | `noKeyFrames` | 415 |
    /// | `Storage` | `StorageError` | `storageFailed` | 500 |
    /// | `StorageFull` | `StorageError` | `storageFull` | 507 |
    /// | `StorageDenied` | `StorageError` | `storageDenied` | 403 |
    /// | `StorageInUse` | `StorageError` | `storageInUse` | 409 |
    /// | `ForeignPlaylist` | `StorageError` | `playlistNotOurs` | 409 |
    /// | `SharedMemory` | `RuntimeError` | `sharedMemory` | 500 |
    /// | `Configuration` | `RuntimeError` | `configuration` | 400 |
    /// | `NodeFailed` | `RuntimeError` | `nodeFailed`, with the node's own `message` | 500 |
    /// | `NodePanicked` | `RuntimeError` | `nodePanicked` | 500 |
    /// | `NodeTimeout` | `RuntimeError` | `nodeHung` | 504 |
    /// | `InternalError` | `RuntimeError` | `internalError` | 500 |
    ///
    /// A `ProtocolError`, `RuntimeError`, `StorageError` or `MediaFormatError` also has a `message` with what happened and the
    /// remedy, of at most 500 characters; that of a `ProtocolError` has the peer's own words where it gave some. A
    /// `MediaFormatError` has the `codec` where that is the cause.
    pub fn row(self) -> (EventName, &'static str, u16) {
        match self {
            Self::Unreachable => (EventName::NetworkError, "unreachable", 502),
            Self::Closed => (EventName::NetworkError, "connectionClosed", 502),
            Self::Timeout => (EventName::NetworkError, "timeout", 504),
            Self::Refused => (EventName::ProtocolError, "refused", 502),
            Self::InvalidResponse => (EventName::ProtocolError, "invalidResponse", 502),
            Self::Unauthenticated => (EventName::AuthenticationError, "unauthenticated", 401),
            Self::PermissionDenied => (EventName::AuthorizationError, "permissionDenied", 403),
            Self::Untrusted => (EventName::AuthenticationError, "tlsFailed", 502),
            Self::Overloaded => (EventName::ProtocolError, "overloaded", 503),
            Self::UnusableVideo => (EventName::MediaFormatError, "unsupportedVideoFormat", 415),
            Self::UnusableAudio => (EventName::MediaFormatError, "unsupportedAudioFormat", 415),
            Self::NoKeyframes => (EventName::MediaFormatError, "noKeyFrames", 415),
            Self::Storage => (EventName::StorageError, "storageFailed", 500),
            Self::StorageFull => (EventName::StorageError, "storageFull", 507),
            Self::StorageDenied => (EventName::StorageError, "storageDenied", 403),
            Self::StorageInUse => (EventName::StorageError, "storageInUse", 409),
            Self::ForeignPlaylist => (EventName::StorageError, "playlistNotOurs", 409),
            Self::SharedMemory => (EventName::RuntimeError, "sharedMemory", 500),
            Self::Configuration => (EventName::RuntimeError, "configuration", 400),
            Self::NodeFailed => (EventName::RuntimeError, "nodeFailed", 500),
            Self::NodePanicked => (EventName::RuntimeError, "nodePanicked", 500),
            Self::NodeTimeout => (EventName::RuntimeError, "nodeHung", 504),
            Self::InternalError => (EventName::RuntimeError, "internalError", 500),
        }
    }

    /// The event that reports it.
    pub fn event(self) -> EventName {
        self.row().0
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().2
    }
}

/// A failure, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// The peer's own code, where it gave one.
    code: Option<String>,
    /// The peer's address without user info, or the directory of a recording.
    target: String,
    protocol: &'static str,
    /// What happened and what to do, for operators.
    message: Option<String>,
    /// How the media are encoded.
    codec: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.as_deref().unwrap_or(self.code()))
    }
}

impl Failure {
    fn new(kind: FailureKind, target: impl Into<String>, protocol: &'static str) -> Self {
        Self {
            kind,
            code: None,
            target: target.into(),
            protocol,
            message: None,
            codec: None,
        }
    }

    /// With a message for operators.
    fn saying(mut self, message: impl fmt::Display) -> Self {
        self.message = Some(message.to_string().chars().take(MAX_MESSAGE).collect());
        self
    }

    pub(crate) fn configuration(target: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::new(FailureKind::Configuration, target, "").saying(message)
    }

    pub(crate) fn node_failed(message: &str) -> Self {
        Self::new(FailureKind::NodeFailed, "", "").saying(message)
    }

    pub(crate) fn node_panicked() -> Self {
        let text = "the custom node panicked and is created again: its log has the place";
        Self::new(FailureKind::NodePanicked, "", "").saying(text)
    }

    pub(crate) fn node_timeout() -> Self {
        let text = "the custom node did not finish a frame in time: frames pass it by until it does";
        Self::new(FailureKind::NodeTimeout, "", "").saying(text)
    }

    pub(crate) fn internal_error(target: impl Into<String>) -> Self {
        let text =
            "a fault of this program interrupted the node, which restarts: please report it with the log";
        Self::new(FailureKind::InternalError, target, "").saying(text)
    }

    /// The video comes, but nothing can be made of it.
    pub(crate) fn no_pictures(target: impl Into<String>, cause: &NoPictures) -> Self {
        Self {
            message: Some(cause.to_string()),
            ..Self::new(FailureKind::UnusableVideo, target, "rtsp")
        }
    }

    pub(crate) fn unusable_video(target: impl Into<String>, codec: &str) -> Self {
        Self {
            message: Some(format!(
                "the camera's video is {codec}, which is not supported: choose H.264 or H.265 in its settings"
            )),
            codec: Some(codec.to_owned()),
            ..Self::new(FailureKind::UnusableVideo, target, "rtsp")
        }
    }

    pub(crate) fn undecodable_video(target: impl Into<String>, codec: VideoCodec) -> Self {
        Self {
            message: Some(format!(
                "the camera's {codec} cannot be decoded here: choose another profile or codec in its settings"
            )),
            codec: Some(codec.to_string()),
            ..Self::new(FailureKind::UnusableVideo, target, "rtsp")
        }
    }

    pub(crate) fn unusable_audio(target: impl Into<String>, codec: &str) -> Self {
        Self {
            message: Some(format!(
                "the camera's audio is {codec}, which recordings in MP4 do not hold: they are without audio; \
                 choose AAC or Opus in its settings"
            )),
            codec: Some(codec.to_owned()),
            ..Self::new(FailureKind::UnusableAudio, target, "rtsp")
        }
    }

    pub(crate) fn no_keyframes(target: impl Into<String>, missing: Duration) -> Self {
        Self {
            message: Some(format!(
                "no key frame came for {} s: the segment goes on until one comes; set a key-frame interval of 1 to 2 s in \
                 the camera",
                missing.as_secs()
            )),
            ..Self::new(FailureKind::NoKeyframes, target, "rtsp")
        }
    }

    pub(crate) fn camera(error: &CameraError) -> Self {
        let target = error.url().to_string();
        if let Some(status) = error.status_code() {
            let refused = Self {
                code: Some(status.to_string()),
                ..Self::new(FailureKind::Refused, target, "rtsp")
            };
            return refused.saying(error);
        }
        let kind = match (error, error.kind()) {
            (CameraError::Closed { .. }, _) => FailureKind::Closed,
            (_, ErrorKind::Network) => FailureKind::Unreachable,
            (_, ErrorKind::Timeout) => FailureKind::Timeout,
            (_, ErrorKind::MediaFormat) => FailureKind::UnusableVideo,
            (_, ErrorKind::Protocol) => FailureKind::InvalidResponse,
            // Statuses are handled above, and `ErrorKind` may grow.
            (_, _) => FailureKind::InvalidResponse,
        };
        Self::new(kind, target, "rtsp").saying(error)
    }

    pub(crate) fn connect(error: &ConnectError, url: &str) -> Self {
        let kind = match error {
            ConnectError::Unreachable { .. } => FailureKind::Unreachable,
            ConnectError::HandshakeTimeout { .. } => FailureKind::Timeout,
            ConnectError::Closed { .. } => FailureKind::Closed,
            ConnectError::Refused { status, .. } => return Self::peer(status, url).saying(error),
            ConnectError::Tls { .. } | ConnectError::PeerWithoutTls { .. } => FailureKind::Untrusted,
            ConnectError::SharedMemory(_) => FailureKind::SharedMemory,
            ConnectError::Options(_) => FailureKind::Configuration,
            // `NotADescriptor`, and what may be added.
            _ => FailureKind::InvalidResponse,
        };
        Self::new(kind, url, "grpc").saying(error)
    }

    pub(crate) fn session(error: &SessionError, url: &str) -> Self {
        let kind = match error {
            SessionError::Status(status) => return Self::peer(status, url).saying(error),
            SessionError::AnswerTimeout { .. } => FailureKind::Timeout,
            // `ClosedByPeer`, and what may be added.
            _ => FailureKind::Closed,
        };
        Self::new(kind, url, "grpc").saying(error)
    }

    pub(crate) fn http(error: &HttpError, url: &str) -> Self {
        let kind = match error {
            HttpError::Unreachable { .. } | HttpError::Paused { .. } => FailureKind::Unreachable,
            HttpError::Broken { .. } => FailureKind::Closed,
            HttpError::TimedOut { .. } | HttpError::Busy => FailureKind::Timeout,
            HttpError::Untrusted { .. } => FailureKind::Untrusted,
            HttpError::Overloaded { .. } => FailureKind::Overloaded,
            HttpError::Unauthorized { status: 403, .. } => FailureKind::PermissionDenied,
            HttpError::Unauthorized { .. } => FailureKind::Unauthenticated,
            HttpError::EmptyPicture => FailureKind::Configuration,
            HttpError::Rejected { status, .. } | HttpError::Redirected { status, .. } => {
                let refused = Self {
                    code: Some(status.to_string()),
                    ..Self::new(FailureKind::Refused, url, "http")
                };
                return refused.saying(error);
            }
            // `NotJson`, `TooLarge`, `ContentEncoding`, and what may be added.
            _ => FailureKind::InvalidResponse,
        };
        Self::new(kind, url, "http").saying(error)
    }

    fn peer(status: &PeerStatus, url: &str) -> Self {
        let kind = match status.code {
            GrpcCode::Unauthenticated => FailureKind::Unauthenticated,
            GrpcCode::PermissionDenied => FailureKind::PermissionDenied,
            _ if status.is_broken_connection => FailureKind::Closed,
            // From a proxy before the extension, or from a server that shuts down.
            GrpcCode::Unavailable | GrpcCode::Cancelled => FailureKind::Closed,
            GrpcCode::DeadlineExceeded => FailureKind::Timeout,
            _ => FailureKind::Refused,
        };
        Self {
            code: (kind == FailureKind::Refused).then(|| (status.code as i32).to_string()),
            ..Self::new(kind, url, "grpc")
        }
    }

    pub(crate) fn clip(error: &ClipError, place: impl Into<String>) -> Self {
        let kind = match error {
            ClipError::InUse { .. } => FailureKind::StorageInUse,
            ClipError::ForeignPlaylist { .. } => FailureKind::ForeignPlaylist,
            error if error.is_disk_full() => FailureKind::StorageFull,
            error if error.is_permission_denied() => FailureKind::StorageDenied,
            // `ClipError` may grow.
            _ => FailureKind::Storage,
        };
        Self {
            message: Some(error.to_string()),
            ..Self::new(kind, place, "")
        }
    }

    /// The code that the event's body carries.
    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or(self.kind.row().1)
    }

    /// The event's name and body, at this wall-clock time.
    pub(crate) fn to_event(&self, now_90k: u64) -> (EventName, EventBody) {
        let code = self.code();
        let event = self.kind.event();
        let body = match event {
            EventName::ProtocolError => {
                let mut body = ProtocolError::rtsp(0, &self.target);
                body.code = code.to_owned();
                body.protocol = self.protocol.to_owned();
                body.message = self.message.clone();
                EventBody::ProtocolError(body)
            }
            EventName::MediaFormatError => {
                let mut body = match self.kind {
                    FailureKind::UnusableAudio => MediaFormatError::unsupported_audio(now_90k),
                    _ => MediaFormatError::unsupported_video(now_90k),
                };
                body.code = code.to_owned();
                let members = [("codec", &self.codec), ("message", &self.message)];
                for (name, value) in members {
                    let value = value.as_deref().map(|value| (name.to_owned(), value.into()));
                    body.extra.extend(value);
                }
                EventBody::MediaFormatError(body)
            }
            EventName::StorageError => {
                let mut body = StorageError::new(self.target.clone());
                body.error_code = Some(code.to_owned());
                body.message = self.message.clone();
                EventBody::StorageError(body)
            }
            EventName::RuntimeError => {
                let mut body = RuntimeError::new(code);
                body.message = self.message.clone();
                EventBody::RuntimeError(body)
            }
            _ => EventBody::CodedError(CodedError::new(code, &self.target)),
        };
        (event, body)
    }
}

#[cfg(test)]
mod tests;
