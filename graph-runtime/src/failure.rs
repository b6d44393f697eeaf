//! What an error means to the outside: one table from the kinds of failure to the event that says it and the status
//! that a method would answer with.

use lva_extension_protocol::GrpcCode;
use lva_extension_protocol::client::{ConnectError, PeerStatus, SessionError};
use lva_extension_protocol::http::HttpError;
use lva_inference_schema::EventName;
use lva_inference_schema::body::{
    CodedError, EventBody, MediaFormatError, ProtocolError, RuntimeError, StorageError,
};
use lva_recording::ClipError;
use lva_rtsp::{CameraError, ErrorKind};

use crate::event::now_90k;

/// Most characters of a node's own message in an event.
const MOST: usize = 500;

/// A kind of failure in a running graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// A camera or an extension cannot be reached, or the connection broke.
    Unreachable,
    /// The peer closed the connection by itself.
    Closed,
    /// The peer did not answer in time, or stopped sending.
    Timeout,
    /// The peer refused with a status of its protocol; for a camera also 401 and 403, as the contract has it.
    Refused,
    /// The peer does not speak the protocol.
    NotTheProtocol,
    /// An extension did not accept the credentials.
    Unauthenticated,
    /// An extension does not let this client in.
    NotAllowed,
    /// TLS did not come about: the certificate is not trusted, is for another name, or there is no TLS.
    Untrusted,
    /// An extension has too much to do, and said so.
    Overloaded,
    /// The camera sends video that cannot be used, or not be recorded.
    UnusableVideo,
    /// The camera sends sound that cannot be recorded.
    UnusableAudio,
    /// A recording could not be made or completed.
    Storage,
    /// The disk has no room for recordings.
    StorageFull,
    /// This process may not write where recordings are to lie.
    StorageDenied,
    /// Somebody else, perhaps another process, records into the same folder.
    StorageInUse,
    /// A playlist's name is taken by a file of somebody else, which stays; what is recorded is not listed.
    PlaylistNotOurs,
    /// Shared memory could not be had.
    SharedMemory,
    /// Options contradict each other, or a picture cannot be made as the node asks.
    Configuration,
    /// A node of the program's own could not look at a frame, or could not be made anew.
    NodeFailed,
    /// A node of the program's own panicked.
    NodePanicked,
    /// A node of the program's own does not come back from a frame.
    NodeHung,
    /// A defect of this program, or of a library, ended a piece of a node's work; the node begins anew.
    Defect,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 22] = [
        Self::Unreachable,
        Self::Closed,
        Self::Timeout,
        Self::Refused,
        Self::NotTheProtocol,
        Self::Unauthenticated,
        Self::NotAllowed,
        Self::Untrusted,
        Self::Overloaded,
        Self::UnusableVideo,
        Self::UnusableAudio,
        Self::Storage,
        Self::StorageFull,
        Self::StorageDenied,
        Self::StorageInUse,
        Self::PlaylistNotOurs,
        Self::SharedMemory,
        Self::Configuration,
        Self::NodeFailed,
        Self::NodePanicked,
        Self::NodeHung,
        Self::Defect,
    ];

    /// The table: the event that says it, its code in the event's body where the peer gave none, and the status in the
    /// manner of HTTP.
    ///
    /// | kind | event | code | status |
    /// |---|---|---|---|
    /// | `Unreachable` | `NetworkError` | `unreachable` | 502 |
    /// | `Closed` | `NetworkError` | `connectionClosed` | 502 |
    /// | `Timeout` | `NetworkError` | `timeout` | 504 |
    /// | `Refused` | `ProtocolError` | the peer's | 502 |
    /// | `NotTheProtocol` | `ProtocolError` | `invalidResponse` | 502 |
    /// | `Unauthenticated` | `AuthenticationError` | `unauthenticated` | 401 |
    /// | `NotAllowed` | `AuthorizationError` | `permissionDenied` | 403 |
    /// | `Untrusted` | `AuthenticationError` | `tlsFailed` | 502 |
    /// | `Overloaded` | `ProtocolError` | `overloaded` | 503 |
    /// | `UnusableVideo` | `MediaFormatError` | `unsupportedVideoFormat` | 415 |
    /// | `UnusableAudio` | `MediaFormatError` | `unsupportedAudioFormat` | 415 |
    /// | `Storage` | `StorageError` | `storageFailed` | 500 |
    /// | `StorageFull` | `StorageError` | `storageFull` | 507 |
    /// | `StorageDenied` | `StorageError` | `storageDenied` | 403 |
    /// | `StorageInUse` | `StorageError` | `storageInUse` | 409 |
    /// | `PlaylistNotOurs` | `StorageError` | `playlistNotOurs` | 409 |
    /// | `SharedMemory` | `RuntimeError` | `sharedMemory` | 500 |
    /// | `Configuration` | `RuntimeError` | `configuration` | 400 |
    /// | `NodeFailed` | `RuntimeError` | `nodeFailed`, with the node's own `message` | 500 |
    /// | `NodePanicked` | `RuntimeError` | `nodePanicked` | 500 |
    /// | `NodeHung` | `RuntimeError` | `nodeHung` | 504 |
    /// | `Defect` | `RuntimeError` | `internalError` | 500 |
    ///
    /// A `StorageError` has a `message` besides, which names the file or folder and what to do about it.
    pub fn row(self) -> (EventName, &'static str, u16) {
        match self {
            Self::Unreachable => (EventName::NetworkError, "unreachable", 502),
            Self::Closed => (EventName::NetworkError, "connectionClosed", 502),
            Self::Timeout => (EventName::NetworkError, "timeout", 504),
            Self::Refused => (EventName::ProtocolError, "refused", 502),
            Self::NotTheProtocol => (EventName::ProtocolError, "invalidResponse", 502),
            Self::Unauthenticated => (EventName::AuthenticationError, "unauthenticated", 401),
            Self::NotAllowed => (EventName::AuthorizationError, "permissionDenied", 403),
            Self::Untrusted => (EventName::AuthenticationError, "tlsFailed", 502),
            Self::Overloaded => (EventName::ProtocolError, "overloaded", 503),
            Self::UnusableVideo => (EventName::MediaFormatError, "unsupportedVideoFormat", 415),
            Self::UnusableAudio => (EventName::MediaFormatError, "unsupportedAudioFormat", 415),
            Self::Storage => (EventName::StorageError, "storageFailed", 500),
            Self::StorageFull => (EventName::StorageError, "storageFull", 507),
            Self::StorageDenied => (EventName::StorageError, "storageDenied", 403),
            Self::StorageInUse => (EventName::StorageError, "storageInUse", 409),
            Self::PlaylistNotOurs => (EventName::StorageError, "playlistNotOurs", 409),
            Self::SharedMemory => (EventName::RuntimeError, "sharedMemory", 500),
            Self::Configuration => (EventName::RuntimeError, "configuration", 400),
            Self::NodeFailed => (EventName::RuntimeError, "nodeFailed", 500),
            Self::NodePanicked => (EventName::RuntimeError, "nodePanicked", 500),
            Self::NodeHung => (EventName::RuntimeError, "nodeHung", 504),
            Self::Defect => (EventName::RuntimeError, "internalError", 500),
        }
    }

    /// The event that says it.
    pub fn event(self) -> EventName {
        self.row().0
    }

    /// The status in the manner of HTTP.
    pub fn status(self) -> u16 {
        self.row().2
    }
}

/// A failure, ready to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// The peer's own code, where it gave one.
    code: Option<String>,
    /// The peer's address without user info, or the place of a recording.
    target: String,
    protocol: &'static str,
    /// What happened and what to do, for people. Of storage and of the program's own nodes only: other errors may quote a
    /// peer.
    message: Option<String>,
}

impl Failure {
    fn new(kind: FailureKind, target: impl Into<String>, protocol: &'static str) -> Self {
        Self {
            kind,
            code: None,
            target: target.into(),
            protocol,
            message: None,
        }
    }

    pub(crate) fn configuration(target: impl Into<String>) -> Self {
        Self::new(FailureKind::Configuration, target, "")
    }

    pub(crate) fn node_failed(message: &str) -> Self {
        Self {
            message: Some(message.chars().take(MOST).collect()),
            ..Self::new(FailureKind::NodeFailed, "", "")
        }
    }

    pub(crate) fn node_panicked() -> Self {
        Self::new(FailureKind::NodePanicked, "", "")
    }

    pub(crate) fn node_hung() -> Self {
        Self::new(FailureKind::NodeHung, "", "")
    }

    pub(crate) fn defect(target: impl Into<String>) -> Self {
        Self::new(FailureKind::Defect, target, "")
    }

    pub(crate) fn unusable_video(target: impl Into<String>) -> Self {
        Self::new(FailureKind::UnusableVideo, target, "rtsp")
    }

    pub(crate) fn unusable_audio(target: impl Into<String>) -> Self {
        Self::new(FailureKind::UnusableAudio, target, "rtsp")
    }

    pub(crate) fn camera(error: &CameraError) -> Self {
        let target = error.url().to_string();
        if let Some(status) = error.status_code() {
            return Self {
                code: Some(status.to_string()),
                ..Self::new(FailureKind::Refused, target, "rtsp")
            };
        }
        let kind = match (error, error.kind()) {
            (CameraError::Closed { .. }, _) => FailureKind::Closed,
            (_, ErrorKind::Network) => FailureKind::Unreachable,
            (_, ErrorKind::Timeout) => FailureKind::Timeout,
            (_, ErrorKind::MediaFormat) => FailureKind::UnusableVideo,
            (_, ErrorKind::Protocol) => FailureKind::NotTheProtocol,
            // Statuses were taken out above, and `ErrorKind` may grow.
            (_, _) => FailureKind::NotTheProtocol,
        };
        Self::new(kind, target, "rtsp")
    }

    pub(crate) fn connect(error: &ConnectError, url: &str) -> Self {
        let kind = match error {
            ConnectError::Unreachable { .. } => FailureKind::Unreachable,
            ConnectError::HandshakeTimeout { .. } => FailureKind::Timeout,
            ConnectError::Closed { .. } => FailureKind::Closed,
            ConnectError::Refused { status, .. } => return Self::peer(status, url),
            ConnectError::Tls { .. } => FailureKind::Untrusted,
            ConnectError::SharedMemory(_) => FailureKind::SharedMemory,
            ConnectError::Options(_) => FailureKind::Configuration,
            // `NotADescriptor`, and what may be added.
            _ => FailureKind::NotTheProtocol,
        };
        Self::new(kind, url, "grpc")
    }

    pub(crate) fn session(error: &SessionError, url: &str) -> Self {
        let kind = match error {
            SessionError::Status(status) => return Self::peer(status, url),
            SessionError::AnswerTimeout { .. } => FailureKind::Timeout,
            // `ClosedByPeer`, and what may be added.
            _ => FailureKind::Closed,
        };
        Self::new(kind, url, "grpc")
    }

    pub(crate) fn http(error: &HttpError, url: &str) -> Self {
        let kind = match error {
            HttpError::Unreachable { .. } | HttpError::Paused { .. } => FailureKind::Unreachable,
            HttpError::Broken { .. } => FailureKind::Closed,
            HttpError::TimedOut { .. } | HttpError::Busy => FailureKind::Timeout,
            HttpError::Untrusted { .. } => FailureKind::Untrusted,
            HttpError::Overloaded { .. } => FailureKind::Overloaded,
            HttpError::Unauthorized { status: 403, .. } => FailureKind::NotAllowed,
            HttpError::Unauthorized { .. } => FailureKind::Unauthenticated,
            HttpError::EmptyPicture => FailureKind::Configuration,
            HttpError::Rejected { status, .. } | HttpError::Redirected { status, .. } => {
                return Self {
                    code: Some(status.to_string()),
                    ..Self::new(FailureKind::Refused, url, "http")
                };
            }
            // `NotJson`, `TooLarge`, `ContentEncoding`, and what may be added.
            _ => FailureKind::NotTheProtocol,
        };
        Self::new(kind, url, "http")
    }

    fn peer(status: &PeerStatus, url: &str) -> Self {
        let kind = match status.code {
            GrpcCode::Unauthenticated => FailureKind::Unauthenticated,
            GrpcCode::PermissionDenied => FailureKind::NotAllowed,
            _ if status.is_broken_connection => FailureKind::Closed,
            // A proxy before the extension says so, or a server that goes down.
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
            ClipError::ForeignPlaylist { .. } => FailureKind::PlaylistNotOurs,
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

    /// The event's name and body.
    pub(crate) fn said(&self) -> (EventName, EventBody) {
        let code = self.code();
        let event = self.kind.event();
        let body = match event {
            EventName::ProtocolError => {
                let mut body = ProtocolError::rtsp(0, &self.target);
                body.code = code.to_owned();
                body.protocol = self.protocol.to_owned();
                EventBody::ProtocolError(body)
            }
            EventName::MediaFormatError if self.kind == FailureKind::UnusableAudio => {
                EventBody::MediaFormatError(MediaFormatError::unsupported_audio(now_90k()))
            }
            EventName::MediaFormatError => {
                EventBody::MediaFormatError(MediaFormatError::unsupported_video(now_90k()))
            }
            EventName::StorageError => {
                let mut body = StorageError::new(self.target.clone());
                body.extra.insert("errorCode".to_owned(), code.into());
                let message = self.message.clone();
                body.extra
                    .extend(message.map(|message| ("message".to_owned(), message.into())));
                EventBody::StorageError(body)
            }
            EventName::RuntimeError => {
                let mut body = RuntimeError::new(code);
                if let Some(message) = &self.message {
                    body.extra.insert("message".to_owned(), message.as_str().into());
                }
                EventBody::RuntimeError(body)
            }
            _ => EventBody::CodedError(CodedError::new(code, &self.target)),
        };
        (event, body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lva_inference_schema::{EventClass, JsonStyle};
    use lva_rtsp::{CameraUrl, TimeoutKind};

    use super::*;

    fn url() -> CameraUrl {
        CameraUrl::parse("rtsp://user:geheim@cam:8554/a").unwrap()
    }

    fn said(failure: &Failure) -> String {
        let (name, body) = failure.said();
        format!("{name} {}", body.to_json(JsonStyle::Lva))
    }

    #[test]
    fn every_kind_is_a_diagnostic_event_with_a_code_and_an_error_status() {
        for kind in FailureKind::ALL {
            let (event, code, status) = kind.row();
            assert_eq!(event.class(), EventClass::Diagnostics, "{kind:?}");
            assert!(!code.is_empty() && (400..600).contains(&status), "{kind:?}");
            let (name, body) = Failure::new(kind, "tcp://u:geheim@h:1", "grpc").said();
            let json = body.to_json(JsonStyle::Lva);
            assert_eq!(name, event);
            EventBody::from_json(Some(name), json.clone()).unwrap();
            if kind.event() != EventName::StorageError {
                assert!(!json.to_string().contains("geheim"), "{json}");
            }
        }
        let codes: std::collections::BTreeSet<_> = FailureKind::ALL.iter().map(|kind| kind.row().1).collect();
        assert_eq!(codes.len(), FailureKind::ALL.len());
    }

    #[test]
    fn a_camera_s_status_is_a_protocol_error_as_published() {
        let error = CameraError::Status {
            url: url(),
            status: 401,
            had_credentials: true,
            source: None,
        };
        assert_eq!(
            said(&Failure::camera(&error)),
            r#"ProtocolError {"code":"401","target":"rtsp://cam:8554/a","protocol":"rtsp"}"#
        );
    }

    #[test]
    fn each_error_of_a_camera_has_its_row() {
        let network = CameraError::Network {
            url: url(),
            message: String::new(),
            source: None,
        };
        let protocol = CameraError::Protocol {
            url: url(),
            message: String::new(),
            source: None,
        };
        let timeout = CameraError::Timeout {
            url: url(),
            kind: TimeoutKind::Stall,
            after: Duration::from_secs(1),
        };
        let unusable = CameraError::NoUsableStream {
            url: url(),
            offered: String::new(),
        };
        for (error, kind) in [
            (network, FailureKind::Unreachable),
            (CameraError::Closed { url: url() }, FailureKind::Closed),
            (protocol, FailureKind::NotTheProtocol),
            (timeout, FailureKind::Timeout),
            (unusable, FailureKind::UnusableVideo),
        ] {
            assert_eq!(Failure::camera(&error).kind, kind);
        }
    }

    #[test]
    fn each_error_of_an_extension_has_its_row() {
        let status = |code| PeerStatus {
            code,
            message: "geheim".into(),
            hint: None,
            is_broken_connection: false,
        };
        let url = "tcp://ext:1";
        for (code, kind) in [
            (GrpcCode::Unauthenticated, FailureKind::Unauthenticated),
            (GrpcCode::PermissionDenied, FailureKind::NotAllowed),
            (GrpcCode::Unavailable, FailureKind::Closed),
            (GrpcCode::InvalidArgument, FailureKind::Refused),
            (GrpcCode::OutOfRange, FailureKind::Refused),
            // An exception in a Python server.
            (GrpcCode::Unknown, FailureKind::Refused),
            (GrpcCode::DeadlineExceeded, FailureKind::Timeout),
        ] {
            let refused = ConnectError::Refused {
                url: url.into(),
                status: status(code),
            };
            assert_eq!(Failure::connect(&refused, url).kind, kind);
            let failure = Failure::session(&SessionError::Status(status(code)), url);
            assert_eq!(failure.kind, kind);
            assert!(!said(&failure).contains("geheim"));
        }
        let broken = PeerStatus {
            is_broken_connection: true,
            ..status(GrpcCode::Unknown)
        };
        let failure = Failure::session(&SessionError::Status(broken), url);
        assert_eq!(failure.kind, FailureKind::Closed);
        let waited = Duration::from_secs(1);
        for (error, kind) in [
            (ConnectError::Options("x"), FailureKind::Configuration),
            (
                ConnectError::HandshakeTimeout {
                    url: url.into(),
                    waited,
                },
                FailureKind::Timeout,
            ),
            (ConnectError::Closed { url: url.into() }, FailureKind::Closed),
            (
                ConnectError::NotADescriptor { url: url.into() },
                FailureKind::NotTheProtocol,
            ),
        ] {
            assert_eq!(Failure::connect(&error, url).kind, kind);
        }
        assert_eq!(
            Failure::session(&SessionError::ClosedByPeer, url).kind,
            FailureKind::Closed
        );
        let hung = SessionError::AnswerTimeout { sequence: 1, waited };
        assert_eq!(Failure::session(&hung, url).kind, FailureKind::Timeout);
    }

    #[test]
    fn each_error_of_an_http_extension_has_its_row() {
        let url = || "http://ext/score".to_owned();
        let rejected = |status| HttpError::Rejected {
            url: url(),
            status,
            message: "geheim".to_owned(),
        };
        let unauthorized = |status| HttpError::Unauthorized {
            url: url(),
            status,
            with_credentials: true,
        };
        let broken = HttpError::Broken {
            url: url(),
            source: "geheim".into(),
        };
        let overloaded = HttpError::Overloaded {
            url: url(),
            status: 503,
            pause: Duration::from_secs(1),
        };
        for (error, kind) in [
            (rejected(500), FailureKind::Refused),
            (unauthorized(401), FailureKind::Unauthenticated),
            (unauthorized(403), FailureKind::NotAllowed),
            (broken, FailureKind::Closed),
            (overloaded, FailureKind::Overloaded),
            (HttpError::Busy, FailureKind::Timeout),
        ] {
            let failure = Failure::http(&error, &url());
            assert_eq!(failure.kind, kind);
            assert!(!said(&failure).contains("geheim"));
        }
        assert_eq!(Failure::http(&rejected(500), &url()).code(), "500");
    }

    #[test]
    fn a_full_disk_is_told_from_one_that_is_not_ours_and_from_a_broken_one() {
        let write = |kind: std::io::ErrorKind| ClipError::Write {
            path: "x".into(),
            source: kind.into(),
        };
        let full = Failure::clip(&write(std::io::ErrorKind::StorageFull), "asset");
        assert_eq!(full.kind, FailureKind::StorageFull);
        let denied = Failure::clip(&write(std::io::ErrorKind::PermissionDenied), "asset");
        assert_eq!(denied.kind, FailureKind::StorageDenied);
        let broken = Failure::clip(&write(std::io::ErrorKind::Other), "asset");
        assert_eq!(broken.kind, FailureKind::Storage);
    }

    #[test]
    fn who_records_elsewhere_at_the_same_time_is_told_what_to_do() {
        let in_use = ClipError::InUse {
            path: "/r/door".into(),
        };
        assert_eq!(
            said(&Failure::clip(&in_use, "/r")),
            r#"StorageError {"storageAccountName":"/r","errorCode":"storageInUse","message":"another recording writes to /r/door; use a separate directory for each, for example with ${System.InstanceName} in its name"}"#
        );
        let foreign = ClipError::ForeignPlaylist {
            path: "/r/door/index.m3u8".into(),
        };
        let failure = Failure::clip(&foreign, "/r");
        assert_eq!(failure.kind, FailureKind::PlaylistNotOurs);
        assert!(said(&failure).contains("move it away"), "{}", said(&failure));
    }
}
