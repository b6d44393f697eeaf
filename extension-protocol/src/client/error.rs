//! Why a session was not established, or ended.

use std::fmt;
use std::time::Duration;

use lva_media_types::clean_text;
use tonic::Code;

use crate::SharedMemoryError;
use crate::causes::root_cause;

/// The status with which an extension ended a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The gRPC status.
    pub code: Code,
    /// The extension's message, or why the connection broke; at most 1000 characters of it.
    pub message: String,
    /// What it usually means, if known.
    pub hint: Option<&'static str>,
    /// The status does not come from the extension: the connection broke.
    pub is_broken_connection: bool,
}

/// How frames were sent, for the hints.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentForm {
    pub(super) shared_memory: bool,
    pub(super) largest_frame: usize,
}

/// The default message limit of most gRPC implementations.
const COMMON_MESSAGE_LIMIT: usize = 4 << 20;

impl PeerStatus {
    pub(super) fn new(status: &tonic::Status, sent: SentForm) -> Self {
        // A status that the transport made: its message names the layer, its cause what happened.
        let broke = std::error::Error::source(status).map(|cause| root_cause(cause).to_string());
        let message = broke.as_deref().unwrap_or_else(|| status.message());
        let message = clean_text(message, 1000);
        let hint = hint(status.code(), &message, sent);
        Self {
            code: status.code(),
            message,
            hint,
            is_broken_connection: broke.is_some(),
        }
    }

    /// Whether the same session may succeed later: the server was unreachable or busy or failed internally, and did not
    /// refuse the stream itself.
    pub fn is_transient(&self) -> bool {
        match self.code {
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented => false,
            // A frame that is too large stays too large; a lack of sessions passes.
            Code::ResourceExhausted => self.hint != Some(TOO_LARGE),
            _ => true,
        }
    }
}

impl fmt::Display for PeerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_broken_connection {
            true => write!(f, "the connection broke: {}", self.message)?,
            false => write!(f, "{:?}: {}", self.code, self.message)?,
        }
        match self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

const NO_SUCH_FILE: &str = "the extension cannot open the shared memory: do both containers share an IPC \
     namespace (IpcMode host on both, or shareable and container:…)?";
const TOO_LARGE: &str =
    "most gRPC servers accept 4 MiB per message: use shared memory, JPEG, or smaller frames";

/// A client without TLS sees a server with TLS only as a connection that breaks during the handshake.
pub(super) const BROKE_AT_ONCE: &str =
    "the connection broke during the handshake: if the endpoint uses TLS, write https:// or tls://";

fn hint(code: Code, message: &str, sent: SentForm) -> Option<&'static str> {
    let no_file = message.contains("No such file") || code == Code::NotFound;
    match code {
        _ if sent.shared_memory && no_file => Some(NO_SUCH_FILE),
        Code::ResourceExhausted
            if !sent.shared_memory && sent.largest_frame > COMMON_MESSAGE_LIMIT - 1024 =>
        {
            Some(TOO_LARGE)
        }
        Code::OutOfRange => Some("does the extension support this encoding, pixel format and size?"),
        Code::Unauthenticated | Code::PermissionDenied => {
            Some("check the user name and password of the endpoint")
        }
        Code::Unimplemented => Some("is this the port of a media graph extension?"),
        _ => None,
    }
}

/// Why a session could not be established.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The options contradict each other.
    #[error("invalid client options: {0}")]
    Options(&'static str),
    /// The client's shared memory could not be created.
    #[error(transparent)]
    SharedMemory(#[from] SharedMemoryError),
    /// No connection.
    #[error("the extension at {url} cannot be reached: {}", root_cause(cause))]
    Unreachable {
        /// The extension's address.
        url: String,
        /// The error of the transport.
        cause: tonic::transport::Error,
    },
    /// What answers there does not speak TLS.
    #[error(
        "the extension at {url} does not speak TLS on this port: write tcp://, or give the extension a certificate and a key"
    )]
    PeerWithoutTls {
        /// The extension's address.
        url: String,
        /// The error of the transport.
        cause: tonic::transport::Error,
    },
    /// The TLS handshake failed: an untrusted certificate, or one for another host name.
    #[error(
        "TLS to the extension at {url} failed ({reason}): its certificate must be signed by one of the trusted roots \
         and contain the host name of the URL"
    )]
    Tls {
        /// The extension's address.
        url: String,
        /// The reason, as TLS reports it.
        reason: String,
        /// The error of the transport.
        cause: tonic::transport::Error,
    },
    /// Connected, but the extension did not answer the descriptor. Servers with a fixed number of workers do not answer
    /// further streams.
    #[error(
        "the extension at {url} did not answer within {} s: it may still be starting, or already serve as many \
         streams as it can",
        waited.as_secs_f32()
    )]
    HandshakeTimeout {
        /// The extension's address.
        url: String,
        /// How long the client waited.
        waited: Duration,
    },
    /// The extension answered with an error.
    #[error("the extension at {url} refused the stream: {status}")]
    Refused {
        /// The extension's address.
        url: String,
        /// Its status.
        status: PeerStatus,
    },
    /// The extension closed the stream without a message.
    #[error("the extension at {url} closed the stream before it sent a descriptor")]
    Closed {
        /// The extension's address.
        url: String,
    },
    /// The first message was not a descriptor.
    #[error(
        "the first message of the extension at {url} is not a descriptor: does this port serve another protocol?"
    )]
    NotADescriptor {
        /// The extension's address.
        url: String,
    },
}

impl ConnectError {
    /// Whether a retry may succeed without a change of the configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::HandshakeTimeout { .. } | Self::Closed { .. } => true,
            Self::Refused { status, .. } => status.is_transient(),
            Self::SharedMemory(error) => matches!(error, SharedMemoryError::NoSpace { .. }),
            Self::Options(_)
            | Self::NotADescriptor { .. }
            | Self::PeerWithoutTls { .. }
            | Self::Tls { .. } => false,
        }
    }
}

/// Why a session ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The extension ended it with an error, or the connection broke.
    #[error("{}", ended(.0))]
    Status(PeerStatus),
    /// The extension closed it without an error, before the client finished.
    #[error("the extension closed the session without an error")]
    ClosedByPeer,
    /// An answer is late, and nothing shows that the extension still works.
    #[error(
        "the extension did not answer message {sequence} within {} s: is it overloaded, or does it not know this encoding, \
         pixel format or size?",
        waited.as_secs_f32()
    )]
    AnswerTimeout {
        /// The number of the unanswered message.
        sequence: u64,
        /// Time since it was sent.
        waited: Duration,
    },
}

/// Where the connection broke, the extension sent no message.
fn ended(status: &PeerStatus) -> String {
    match status.is_broken_connection {
        true => status.to_string(),
        false => format!("the extension ended the session: {status}"),
    }
}

impl SessionError {
    /// Whether a new session may succeed without a change of the configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => status.is_transient(),
            Self::ClosedByPeer | Self::AnswerTimeout { .. } => true,
        }
    }
}

/// Why no slot is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSlot {
    /// The window is full. Keep the newest frame and try again after the next answer.
    #[error("the window of frames without an answer is full")]
    WindowFull,
    /// The shared memory has no free range of this size until an answer releases one.
    #[error("no free shared memory for the frame until another one is acknowledged")]
    NoSpace,
    /// The frame would never fit.
    #[error("a frame of {bytes} bytes is larger than the {limit} bytes that fit")]
    TooLarge {
        /// Requested size.
        bytes: usize,
        /// Largest possible size.
        limit: usize,
    },
    /// The session has ended; [`Answers::next`](crate::client::Answers::next) returns the reason.
    #[error("the session has ended")]
    Ended,
}

/// The session ended before the frame was sent; the frame's context is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session ended before the frame was sent")]
pub struct SendError<C> {
    /// The caller's value.
    pub context: C,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMBEDDED: SentForm = SentForm {
        shared_memory: false,
        largest_frame: 6_220_800,
    };
    const SHARED: SentForm = SentForm {
        shared_memory: true,
        largest_frame: 6_220_800,
    };

    fn status(code: Code, message: &str, sent: SentForm) -> PeerStatus {
        PeerStatus::new(&tonic::Status::new(code, message), sent)
    }

    #[test]
    fn a_missing_shared_memory_file_of_a_python_server_gets_the_ipc_hint() {
        let text = "Exception iterating responses: [Errno 2] No such file or directory: '/dev/shm/x'";
        let status = status(Code::Unknown, text, SHARED);
        assert!(
            status.to_string().contains(text) && status.to_string().contains("IpcMode"),
            "{status}"
        );
    }

    #[test]
    fn a_frame_over_the_limit_of_a_default_server_is_not_retried() {
        let text = "Received message larger than max (6220819 vs. 4194304)";
        let too_large = status(Code::ResourceExhausted, text, EMBEDDED);
        assert!(!too_large.is_transient() && too_large.to_string().contains("shared memory"));
        assert!(status(Code::ResourceExhausted, "busy", SHARED).is_transient());
    }

    #[test]
    fn refusals_are_permanent_and_failures_are_transient() {
        let code = |code| status(code, "", SHARED).is_transient();
        assert!(!code(Code::InvalidArgument) && !code(Code::OutOfRange) && !code(Code::Unauthenticated));
        assert!(code(Code::Unavailable) && code(Code::Unknown) && code(Code::Internal));
    }

    #[test]
    fn a_servers_message_is_truncated() {
        assert_eq!(
            status(Code::Internal, &"x".repeat(100_000), SHARED).message.len(),
            1000
        );
    }
}
