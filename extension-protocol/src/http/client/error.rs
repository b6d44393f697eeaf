//! Why there is no answer to a picture.

use std::io;
use std::time::Duration;

use crate::BoxError;
use crate::http::AnswerError;

/// Why a picture has no result. It goes on without one; the client stays usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Another request is under way, and its turn did not come in time. Keep the newest picture.
    #[error("the HTTP extension is still busy with the picture before")]
    Busy,
    /// The server asked for a pause, or could not be reached a moment ago. Nothing was sent.
    #[error("the HTTP extension is not asked for another {} s", remaining.as_secs_f32())]
    Paused {
        /// How long still.
        remaining: Duration,
    },
    /// A picture without bytes. The caller is at fault.
    #[error("a picture without bytes was not sent")]
    EmptyPicture,
    /// Nobody there, or not in time.
    #[error("the HTTP extension at {url} cannot be reached")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS handshake failed, or the server's certificate was not accepted.
    #[error(
        "TLS with the HTTP extension at {url} failed: check trustedCertificates and the host's name ({source})"
    )]
    Untrusted {
        /// Where.
        url: String,
        /// What was wrong.
        source: io::Error,
    },
    /// Not answered in time.
    #[error("the HTTP extension at {url} did not answer within {} s", waited.as_secs_f32())]
    TimedOut {
        /// Where.
        url: String,
        /// For how long.
        waited: Duration,
    },
    /// The connection broke in the middle, or the answer was no HTTP.
    #[error("the connection to the HTTP extension at {url} broke")]
    Broken {
        /// Where.
        url: String,
        /// What the transport says.
        source: BoxError,
    },
    /// Credentials are missing or wrong.
    #[error(
        "the HTTP extension at {url} answered {status}: {}",
        if *with_credentials { "check user and password (or the header) of the endpoint" } else { "the endpoint needs credentials" }
    )]
    Unauthorized {
        /// Where.
        url: String,
        /// 401 or 403.
        status: u16,
        /// Whether the endpoint has any.
        with_credentials: bool,
    },
    /// A redirection. It is not followed: pictures and credentials go where the operator sent them, and nowhere that a
    /// server points to. Configure the new address.
    #[error(
        "the HTTP extension at {url} answered {status} and points to {}; redirections are not followed: configure that address",
        to.as_deref().unwrap_or("another address")
    )]
    Redirected {
        /// Where.
        url: String,
        /// 300 to 399.
        status: u16,
        /// The address it names, without user and query, where it names a whole one.
        to: Option<String>,
    },
    /// Overloaded (503, 429). Until the pause is over, pictures are refused without being sent.
    #[error("the HTTP extension at {url} is overloaded ({status}); not asked for {} s", pause.as_secs_f32())]
    Overloaded {
        /// Where.
        url: String,
        /// 503 or 429.
        status: u16,
        /// The server's `Retry-After` within limits, or a time of the client's where it names none.
        pause: Duration,
    },
    /// Another status that is no result; 400 and 500 in the contract.
    #[error("the HTTP extension at {url} answered {status}: {message}")]
    Rejected {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// Its own words, one line of at most 200 characters.
        message: String,
    },
    /// The answer calls itself JSON and is not.
    #[error("the HTTP extension at {url} answered nonsense")]
    NotJson {
        /// Where.
        url: String,
        /// What is wrong with it.
        source: AnswerError,
    },
    /// The answer's body is larger than the limit.
    #[error("the HTTP extension at {url} answered more than {limit} bytes")]
    TooLarge {
        /// Where.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The answer is compressed though nobody asked for that.
    #[error("the HTTP extension at {url} answered with content encoding '{encoding}', which is not taken")]
    ContentEncoding {
        /// Where.
        url: String,
        /// Its name.
        encoding: String,
    },
}

impl HttpError {
    /// Whether the next picture may well be answered without anybody changing the configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy
            | Self::Paused { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::Overloaded { .. }
            | Self::NotJson { .. }
            | Self::TooLarge { .. } => true,
            Self::Rejected { status, .. } => *status >= 500 || *status == 408,
            Self::EmptyPicture
            | Self::Untrusted { .. }
            | Self::Unauthorized { .. }
            | Self::Redirected { .. }
            | Self::ContentEncoding { .. } => false,
        }
    }

    /// Whether the server was not even reached: it is given a pause then, as after a 503.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Untrusted { .. })
    }
}
