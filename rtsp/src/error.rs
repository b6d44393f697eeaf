//! Why a session could not be had or was lost.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{CameraUrl, TimeoutKind};

/// What kind of trouble, as the diagnostic events of a graph tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection, it broke, or it could not be protected as asked for.
    Network,
    /// 401: no credentials, or wrong ones.
    Authentication,
    /// 403: who we are is not allowed this.
    Authorization,
    /// The camera answered, but not as RTSP wants, or with an error status.
    Protocol,
    /// Nothing came within the time that was given.
    Timeout,
    /// Nothing that the camera offers can be used.
    MediaFormat,
}

/// Why a session could not be had or was lost. Each is retried by the camera's supervisor; which of them an operator
/// can mend, the message says. No message holds user names or passwords.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// No connection, or it broke.
    #[error("{url}: {message}: is the camera on, and are host and port right?")]
    Network {
        /// The camera.
        url: CameraUrl,
        /// What happened, in a line.
        message: String,
        /// What the client said, at length.
        source: Option<SharedError>,
    },
    /// The camera closed the connection.
    #[error("{url}: the camera closed the connection")]
    Closed {
        /// The camera.
        url: CameraUrl,
    },
    /// The camera refused with a status.
    #[error("{url}: the camera answered {status}: {}", advice(*status, *had_credentials))]
    Status {
        /// The camera.
        url: CameraUrl,
        /// RTSP status code (RFC 2326 section 7.1.1).
        status: u16,
        /// Whether credentials were configured.
        had_credentials: bool,
        /// What the client said, at length.
        source: Option<SharedError>,
    },
    /// The camera's answers or packets make no sense.
    #[error("{url}: the camera does not speak RTSP as expected: {message}")]
    Protocol {
        /// The camera.
        url: CameraUrl,
        /// What was wrong, in a line.
        message: String,
        /// What the client said, at length.
        source: Option<SharedError>,
    },
    /// Nothing came in time.
    #[error("{url}: {kind} within {after:?}")]
    Timeout {
        /// The camera.
        url: CameraUrl,
        /// What was waited for.
        kind: TimeoutKind,
        /// The limit.
        after: Duration,
    },
    /// TLS could not be agreed on: most often the camera's certificate is refused.
    #[error("{url}: no protected connection: {message}")]
    Tls {
        /// The camera.
        url: CameraUrl,
        /// What was wrong, and the remedy, in a line.
        message: String,
        /// What the library said, at length.
        source: Option<SharedError>,
    },
    /// The camera has no RTSP tunnel over HTTP where one was looked for.
    #[error("{url}: no RTSP tunnel over HTTP ({}): is this the camera's HTTP port, or else, does it offer the transport tcp?", answered(*status))]
    Tunnel {
        /// The camera.
        url: CameraUrl,
        /// HTTP status of its answer; 0 where it answered with something else.
        status: u16,
    },
    /// What is asked for cannot be had together.
    #[error("{url}: {what}")]
    Unsupported {
        /// The camera.
        url: CameraUrl,
        /// What, and the remedy.
        what: &'static str,
    },
    /// None of the streams can be used.
    #[error(
        "{url}: none of the camera's streams can be used (it offers {offered}): choose H.264 in its settings"
    )]
    NoUsableStream {
        /// The camera.
        url: CameraUrl,
        /// Media types and encodings that it offers.
        offered: String,
    },
}

fn answered(status: u16) -> String {
    match status {
        0 => "its answer is no HTTP".to_owned(),
        status => format!("it answered {status}"),
    }
}

fn advice(status: u16, had_credentials: bool) -> &'static str {
    match status {
        401 if had_credentials => "it does not accept the user name or the password",
        401 => "it asks for a user name and a password, and none are configured",
        403 => "this user is not allowed to see the stream",
        404 => "there is no stream under this path",
        453 => "it has no bandwidth or connections left: how many clients does it serve?",
        454 => "it has forgotten the session",
        461 => "it does not offer this transport: try another one of tcp, udp and http",
        503 => "it is overloaded or starting",
        500..=599 => "it has an error of its own",
        _ => "it refuses the request",
    }
}

/// An error of a library, kept for [`Error::source`] and cheap to clone.
#[derive(Clone)]
pub struct SharedError(Arc<dyn Error + Send + Sync>);

impl fmt::Debug for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SharedError {
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl Error for SharedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl CameraError {
    /// The kind of trouble.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Network { .. } | Self::Closed { .. } | Self::Tls { .. } => ErrorKind::Network,
            Self::Status { status: 401, .. } => ErrorKind::Authentication,
            Self::Status { status: 403, .. } => ErrorKind::Authorization,
            Self::Status { .. } | Self::Protocol { .. } | Self::Tunnel { .. } | Self::Unsupported { .. } => {
                ErrorKind::Protocol
            }
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::NoUsableStream { .. } => ErrorKind::MediaFormat,
        }
    }

    /// The RTSP status with which the camera refused, if it did.
    pub fn status_code(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The camera's address, without user info.
    pub fn url(&self) -> &CameraUrl {
        match self {
            Self::Network { url, .. }
            | Self::Closed { url }
            | Self::Status { url, .. }
            | Self::Protocol { url, .. }
            | Self::Timeout { url, .. }
            | Self::Tls { url, .. }
            | Self::Tunnel { url, .. }
            | Self::Unsupported { url, .. }
            | Self::NoUsableStream { url, .. } => url,
        }
    }

    /// Sorts an error of the client library. It is opaque but for its status, so its first line decides: the
    /// library's own text is what there is, and a test over real sockets holds it in place.
    pub(crate) fn from_retina(url: &CameraUrl, had_credentials: bool, error: retina::Error) -> Self {
        let url = url.clone();
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim().to_owned();
        let status = error.status_code().filter(|status| *status >= 300);
        let source = Some(SharedError::new(error));
        const NETWORK: [&str; 4] = [
            "Unable to connect to",
            "Error reading from",
            "Error writing to",
            "Error receiving UDP",
        ];
        if let Some(status) = status {
            Self::Status {
                url,
                status,
                had_credentials,
                source,
            }
        } else if NETWORK.iter().any(|start| message.starts_with(start)) {
            Self::Network { url, message, source }
        } else {
            Self::Protocol { url, message, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, had_credentials: bool) -> CameraError {
        let url = CameraUrl::parse("rtsp://user:geheim@cam:8554/a?pwd=geheim").unwrap();
        CameraError::Status {
            url,
            status,
            had_credentials,
            source: None,
        }
    }

    #[test]
    fn messages_name_camera_cause_and_remedy_and_no_secret() {
        let text = status(401, true).to_string();
        assert_eq!(
            text,
            "rtsp://cam:8554/a?pwd=***: the camera answered 401: it does not accept the user name or the password"
        );
        assert!(status(401, false).to_string().contains("none are configured"));
        assert!(!format!("{:?}", status(404, true)).contains("geheim"));
    }

    #[test]
    fn kinds_follow_the_status() {
        assert_eq!(status(401, false).kind(), ErrorKind::Authentication);
        assert_eq!(status(403, false).kind(), ErrorKind::Authorization);
        assert_eq!(status(404, false).kind(), ErrorKind::Protocol);
        assert_eq!(status(404, false).status_code(), Some(404));
    }
}
