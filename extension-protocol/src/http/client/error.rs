use std::io;
use std::time::Duration;

use lva_client_transport::http::HttpTransportError;

use crate::BoxError;
use crate::http::{AnswerError, HttpUrl};
use crate::tls::{peer_has_no_tls, tls_failure};

/// Why a picture has no result. The client stays usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Another request is in flight, and this one's turn did not come in time. Keep the newest picture.
    #[error("the HTTP extension is still busy with the previous picture")]
    Busy,
    /// The server asked for a pause, or could not be reached a moment ago. Nothing was sent.
    #[error("requests to the HTTP extension are paused for another {} s", remaining.as_secs_f32())]
    Paused {
        /// The rest of the pause.
        remaining: Duration,
    },
    /// A picture without bytes, which was not sent. The caller is at fault.
    #[error("the picture is empty")]
    EmptyPicture,
    /// No connection, or not in time.
    #[error("the HTTP extension at {url} cannot be reached: {cause}")]
    Unreachable {
        /// The server, without the query.
        url: String,
        /// The cause.
        cause: io::Error,
    },
    /// The TLS handshake failed, or the server's certificate was not accepted.
    #[error(
        "TLS with the HTTP extension at {url} failed: {} ({cause})",
        tls_advice(cause)
    )]
    Untrusted {
        /// The server, without the query.
        url: String,
        /// The cause.
        cause: io::Error,
    },
    /// No answer in time.
    #[error("the HTTP extension at {url} did not answer within {} s", waited.as_secs_f32())]
    TimedOut {
        /// The server, without the query.
        url: String,
        /// How long the client waited.
        waited: Duration,
    },
    /// The connection closed in the middle of an answer, or the answer is not HTTP.
    #[error("the connection to the HTTP extension at {url} broke: {cause}")]
    Broken {
        /// The server, without the query.
        url: String,
        /// The cause.
        cause: BoxError,
    },
    /// Credentials are missing or wrong.
    #[error(
        "the HTTP extension at {url} answered {status}: {}",
        if *with_credentials { "check user and password (or the header) of the endpoint" } else { "the endpoint needs credentials" }
    )]
    Unauthorized {
        /// The server, without the query.
        url: String,
        /// 401 or 403.
        status: u16,
        /// Whether the request carried credentials.
        with_credentials: bool,
    },
    /// A redirection. It is not followed, because pictures and credentials go only to the configured address. Configure
    /// the new one.
    #[error(
        "the HTTP extension at {url} answered {status} and points to {}; redirections are not followed: configure that address",
        to.as_deref().unwrap_or("another address")
    )]
    Redirected {
        /// The server, without the query.
        url: String,
        /// 300 to 399.
        status: u16,
        /// The new address, without user and query, if it is absolute.
        to: Option<String>,
    },
    /// Overloaded (503, 429). Until the pause is over, requests fail without being sent.
    #[error("the HTTP extension at {url} is overloaded ({status}); requests are paused for {} s", pause.as_secs_f32())]
    Overloaded {
        /// The server, without the query.
        url: String,
        /// 503 or 429.
        status: u16,
        /// The server's `Retry-After` within limits, else the client's back-off.
        pause: Duration,
    },
    /// Another status without a result; 400 and 500 in the contract.
    #[error("the HTTP extension at {url} answered {status}: {message}")]
    Rejected {
        /// The server, without the query.
        url: String,
        /// The status.
        status: u16,
        /// The server's message, one line of at most 200 characters.
        message: String,
    },
    /// The content type is JSON and the body is not.
    #[error("the HTTP extension at {url}: {cause}")]
    NotJson {
        /// The server, without the query.
        url: String,
        /// The cause.
        cause: AnswerError,
    },
    /// The answer's body is larger than the limit.
    #[error("the HTTP extension at {url} answered more than {limit} bytes")]
    TooLarge {
        /// The server, without the query.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The answer is compressed, which the request did not allow.
    #[error(
        "the HTTP extension at {url} answered with content encoding '{encoding}', which is not supported"
    )]
    ContentEncoding {
        /// The server, without the query.
        url: String,
        /// Its name.
        encoding: String,
    },
}

/// What to do about a handshake that failed.
fn tls_advice(cause: &io::Error) -> &'static str {
    if tls_failure(cause).is_some_and(peer_has_no_tls) {
        "it does not speak TLS on this port, so write http://"
    } else {
        "check trustedCertificates and the host's name"
    }
}

impl HttpError {
    pub(super) fn transport(url: &HttpUrl, error: HttpTransportError) -> Self {
        let url = url.to_string();
        match error {
            HttpTransportError::Unreachable(cause) => Self::Unreachable { url, cause },
            HttpTransportError::Untrusted(cause) => Self::Untrusted { url, cause },
            HttpTransportError::TooLarge { limit } => Self::TooLarge { url, limit },
            HttpTransportError::TimedOut { waited } => Self::TimedOut { url, waited },
            HttpTransportError::Broken(cause) => Self::Broken {
                url,
                cause: cause.into(),
            },
            other => Self::Broken {
                url,
                cause: other.into(),
            },
        }
    }

    /// Whether the next picture may be answered without a change of the configuration.
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

    /// Whether the server was not reached. A pause follows then, as after a 503.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Untrusted { .. })
    }
}
