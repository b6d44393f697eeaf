//! Why a session did not come to be, or ended.

use std::fmt;
use std::time::Duration;

use tonic::Code;

use crate::SharedMemoryError;

/// What an extension said when it ended a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The gRPC status.
    pub code: Code,
    /// The extension's own words, at most 1000 characters of them.
    pub message: String,
    /// What it usually means, where that is known.
    pub hint: Option<&'static str>,
    /// The extension did not say it: this side concluded it from a connection that broke.
    pub is_broken_connection: bool,
}

/// What was sent, for the hints.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentForm {
    pub(super) shared_memory: bool,
    pub(super) largest_frame: usize,
}

/// What servers of most gRPC implementations take in one message unless told otherwise.
const COMMON_MESSAGE_LIMIT: usize = 4 << 20;

impl PeerStatus {
    pub(super) fn new(status: &tonic::Status, sent: SentForm) -> Self {
        let message: String = status.message().chars().take(1000).collect();
        let hint = hint(status.code(), &message, sent);
        Self {
            code: status.code(),
            message,
            hint,
            is_broken_connection: std::error::Error::source(status).is_some(),
        }
    }

    /// Whether the same session may well succeed later: the server was away, busy or failed by itself, and did not
    /// refuse what it was offered.
    pub fn is_transient(&self) -> bool {
        match self.code {
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented => false,
            // A frame too large for the server stays too large; being out of sessions passes.
            Code::ResourceExhausted => self.hint != Some(TOO_LARGE),
            _ => true,
        }
    }
}

impl fmt::Display for PeerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)?;
        match self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

const NO_SUCH_FILE: &str = "the extension does not see the shared memory: do both containers share an IPC \
     namespace (IpcMode host on both, or shareable and container:…)?";
const TOO_LARGE: &str =
    "most gRPC servers take 4 MiB in one message: use shared memory, or JPEG, or smaller frames";

/// For a connection that broke during the handshake, which is all that a client without TLS sees of a server with it.
pub(super) const BROKE_AT_ONCE: &str =
    "the connection broke at once: if the endpoint speaks TLS, write https:// or tls://";

fn hint(code: Code, message: &str, sent: SentForm) -> Option<&'static str> {
    let no_file = message.contains("No such file") || code == Code::NotFound;
    match code {
        _ if sent.shared_memory && no_file => Some(NO_SUCH_FILE),
        Code::ResourceExhausted
            if !sent.shared_memory && sent.largest_frame > COMMON_MESSAGE_LIMIT - 1024 =>
        {
            Some(TOO_LARGE)
        }
        Code::OutOfRange => Some("does the extension take this encoding, pixel format and size?"),
        Code::Unauthenticated | Code::PermissionDenied => Some("check user and password of the endpoint"),
        Code::Unimplemented => Some("is this the port of a media graph extension?"),
        _ => None,
    }
}

/// Why no session came to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The options contradict each other.
    #[error("the client's options cannot be used: {0}")]
    Options(&'static str),
    /// This side's shared memory.
    #[error(transparent)]
    SharedMemory(#[from] SharedMemoryError),
    /// Nobody there.
    #[error("the extension at {url} cannot be reached")]
    Unreachable {
        /// Where.
        url: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
    /// Somebody is there, but TLS did not come about: a certificate of somebody else's making, one for another name,
    /// or no TLS on that port.
    #[error(
        "TLS to the extension at {url} failed ({reason}): its certificate must be signed by one of the trusted roots \
         and hold the host of the URL"
    )]
    Tls {
        /// Where.
        url: String,
        /// What TLS says.
        reason: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
    /// Connected, but the extension did not answer the descriptor. Servers with a fixed number of workers leave
    /// further streams without a word.
    #[error(
        "the extension at {url} did not answer within {} s: it may still be starting, or serve as many streams as \
         it can",
        waited.as_secs_f32()
    )]
    HandshakeTimeout {
        /// Where.
        url: String,
        /// For how long.
        waited: Duration,
    },
    /// The extension answered with an error.
    #[error("the extension at {url} refused the stream: {status}")]
    Refused {
        /// Where.
        url: String,
        /// What it said.
        status: PeerStatus,
    },
    /// The extension ended the stream without a message.
    #[error("the extension at {url} ended the stream before its descriptor")]
    Closed {
        /// Where.
        url: String,
    },
    /// The first message was something else.
    #[error(
        "the first message of the extension at {url} is not a descriptor: is it one of another contract?"
    )]
    NotADescriptor {
        /// Where.
        url: String,
    },
}

impl ConnectError {
    /// Whether trying again later may help without anybody changing the configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::HandshakeTimeout { .. } | Self::Closed { .. } => true,
            Self::Refused { status, .. } => status.is_transient(),
            Self::SharedMemory(error) => matches!(error, SharedMemoryError::NoSpace { .. }),
            Self::Options(_) | Self::NotADescriptor { .. } | Self::Tls { .. } => false,
        }
    }
}

/// Why a session ended before it was finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The extension ended it with an error, or the connection broke.
    #[error("the extension ended the session: {0}")]
    Status(PeerStatus),
    /// The extension ended it without an error though frames were still to come.
    #[error("the extension ended the session by itself")]
    ClosedByPeer,
    /// An answer did not come in time, and nothing shows that the extension still works.
    #[error("the extension did not answer message {sequence} within {} s", waited.as_secs_f32())]
    AnswerTimeout {
        /// The message that waits.
        sequence: u64,
        /// Since it was sent.
        waited: Duration,
    },
}

impl SessionError {
    /// Whether a new session may well succeed without anybody changing the configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => status.is_transient(),
            Self::ClosedByPeer | Self::AnswerTimeout { .. } => true,
        }
    }
}

/// Why there is no slot right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSlot {
    /// As many frames are on their way as the window admits. Keep the newest frame and try after the next answer.
    #[error("the window of frames without an answer is full")]
    WindowFull,
    /// The shared memory has no gap of this size until an answer gives one back.
    #[error("no place for the frame in shared memory until another one is acknowledged")]
    NoSpace,
    /// The frame would never fit.
    #[error("a frame of {bytes} bytes is larger than the {limit} bytes that fit")]
    TooLarge {
        /// Asked for.
        bytes: usize,
        /// What fits.
        limit: usize,
    },
    /// The session is over; [`Answers::next`](crate::client::Answers::next) says why.
    #[error("the session is over")]
    Ended,
}

/// The session ended before the frame could be sent; the frame's context comes back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session ended before the frame was sent")]
pub struct SendError<C> {
    /// What was given with the frame.
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
    fn a_frame_over_the_limit_of_a_default_server_is_not_tried_again() {
        let text = "Received message larger than max (6220819 vs. 4194304)";
        let too_large = status(Code::ResourceExhausted, text, EMBEDDED);
        assert!(!too_large.is_transient() && too_large.to_string().contains("shared memory"));
        assert!(status(Code::ResourceExhausted, "busy", SHARED).is_transient());
    }

    #[test]
    fn refusals_are_not_tried_for_ever_and_failures_are() {
        let code = |code| status(code, "", SHARED).is_transient();
        assert!(!code(Code::InvalidArgument) && !code(Code::OutOfRange) && !code(Code::Unauthenticated));
        assert!(code(Code::Unavailable) && code(Code::Unknown) && code(Code::Internal));
    }

    #[test]
    fn a_servers_words_are_bounded() {
        assert_eq!(
            status(Code::Internal, &"x".repeat(100_000), SHARED).message.len(),
            1000
        );
    }
}
