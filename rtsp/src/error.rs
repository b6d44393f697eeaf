//! Why an attempt failed or a session was lost.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::{CameraUrl, TimeoutKind};

/// The kind of an error, as the diagnostic events of a graph distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection, a broken one, or one that TLS could not protect.
    Network,
    /// 401: missing or wrong credentials.
    Authentication,
    /// 403: this user has no access.
    Authorization,
    /// The camera violated the protocol, or answered with an error status.
    Protocol,
    /// A time limit elapsed.
    Timeout,
    /// The camera offers no usable stream.
    MediaFormat,
}

/// Why an attempt failed or a session was lost. The camera retries after all of them; the message includes the remedy
/// where an operator can help. No message contains user names or passwords.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// No connection, or a broken one.
    #[error("{url}: {message}: is the camera on, and are host and port right?")]
    Network {
        /// The camera.
        url: CameraUrl,
        /// The cause, in one line.
        message: String,
        /// The client library's error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The camera closed the connection.
    #[error("{url}: the camera closed the connection")]
    Closed {
        /// The camera.
        url: CameraUrl,
    },
    /// The camera answered with an error status.
    #[error("{url}: the camera answered {status}: {}", advice(*status, *had_credentials))]
    Status {
        /// The camera.
        url: CameraUrl,
        /// RTSP status code (RFC 2326 section 7.1.1).
        status: u16,
        /// Whether credentials were configured.
        had_credentials: bool,
        /// The client library's error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The camera's responses or packets violate the protocol.
    #[error("{url}: the camera violates the RTSP protocol: {message}")]
    Protocol {
        /// The camera.
        url: CameraUrl,
        /// The violation, in one line.
        message: String,
        /// The client library's error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// A time limit elapsed.
    #[error("{url}: {kind} within {after:?}")]
    Timeout {
        /// The camera.
        url: CameraUrl,
        /// Which one.
        kind: TimeoutKind,
        /// The limit.
        after: Duration,
    },
    /// The TLS handshake failed, most often because the camera's certificate was rejected.
    #[error("{url}: TLS failed: {message}")]
    Tls {
        /// The camera.
        url: CameraUrl,
        /// The cause and the remedy, in one line.
        message: String,
        /// The TLS library's error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The camera does not offer an RTSP tunnel over HTTP on this port.
    #[error("{url}: no RTSP tunnel over HTTP ({}): check that this is the camera's HTTP port, or use the transport tcp", answered(*status))]
    Tunnel {
        /// The camera.
        url: CameraUrl,
        /// HTTP status of its response; 0 if the response was not HTTP.
        status: u16,
    },
    /// The options contradict each other.
    #[error("{url}: {what}")]
    Unsupported {
        /// The camera.
        url: CameraUrl,
        /// The contradiction and the remedy.
        what: &'static str,
    },
    /// The camera offers no usable stream.
    #[error("{url}: the camera offers no usable stream (only {offered}): choose H.264 in its settings")]
    NoUsableStream {
        /// The camera.
        url: CameraUrl,
        /// The media types and encodings that it offers.
        offered: String,
    },
}

fn answered(status: u16) -> String {
    match status {
        0 => "its response is not HTTP".to_owned(),
        status => format!("it answered {status}"),
    }
}

fn advice(status: u16, had_credentials: bool) -> &'static str {
    match status {
        401 if had_credentials => "it does not accept the user name or the password",
        401 => "it asks for a user name and a password, but none are configured",
        403 => "this user has no access to the stream",
        404 => "it has no stream at this path",
        453 => "it has no bandwidth or connections left: disconnect other clients",
        454 => "it no longer knows the session",
        461 => "it does not support this transport: try another one of tcp, udp and http",
        503 => "it is overloaded or starting up",
        500..=599 => "it reports an internal error",
        _ => "it rejects the request",
    }
}

impl CameraError {
    /// The kind of the error.
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

    /// The RTSP status that the camera answered with, if it did.
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

    /// Classifies an error of the client library. The error is opaque except for its status, so the first line of its
    /// message decides; a test over real sockets notices when those messages change.
    pub(crate) fn from_retina(url: &CameraUrl, had_credentials: bool, error: retina::Error) -> Self {
        let url = url.clone();
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim().to_owned();
        let status = error.status_code().filter(|status| *status >= 300);
        let source: Option<Arc<dyn Error + Send + Sync>> = Some(Arc::new(error));
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
