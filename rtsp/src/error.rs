//! Why an attempt failed or a session was lost.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::{CameraUrl, LoginFailure, TimeoutKind, Transport};

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
        /// The system's error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The connection broke.
    #[error("{url}: the connection to the camera broke ({message})")]
    Broken {
        /// The camera.
        url: CameraUrl,
        /// The cause, in one line.
        message: String,
    },
    /// The camera closed the connection.
    #[error("{url}: the camera closed the connection")]
    Closed {
        /// The camera.
        url: CameraUrl,
    },
    /// The camera answered with an error status.
    #[error("{url}: the camera answered {status}: {}", advice(*status, login.as_ref()))]
    Status {
        /// The camera.
        url: CameraUrl,
        /// RTSP status code (RFC 2326 section 7.1.1).
        status: u16,
        /// For a 401: why logging in failed.
        login: Option<LoginFailure>,
    },
    /// The camera redirects to another address, or again after a redirect that was followed.
    #[error("{url}: the camera redirects ({status}) to {location}: use that address if it is right")]
    Redirect {
        /// The camera.
        url: CameraUrl,
        /// RTSP status code.
        status: u16,
        /// Where to, without secrets.
        location: String,
    },
    /// The camera answered SETUP with another transport of RTP packets than the one that was asked for.
    #[error("{url}: the camera answered the transport {asked} with another one: use the transport {instead}")]
    Transport {
        /// The camera.
        url: CameraUrl,
        /// The one that was asked for.
        asked: Transport,
        /// What to try instead.
        instead: Transport,
    },
    /// The camera's responses violate the protocol, and nothing plausible came.
    #[error("{url}: the camera violates the RTSP protocol: {message}")]
    Protocol {
        /// The camera.
        url: CameraUrl,
        /// The violation, in one line.
        message: String,
    },
    /// A time limit elapsed.
    #[error("{url}: {kind} within {after:?}{}", remedy(*kind, *transport))]
    Timeout {
        /// The camera.
        url: CameraUrl,
        /// Which one.
        kind: TimeoutKind,
        /// The limit.
        after: Duration,
        /// The transport of RTP packets.
        transport: Transport,
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
    /// A defect of this crate or of a library, which something in the session triggered.
    #[error("{url}: internal error (a panic, please report it): {message}")]
    Internal {
        /// The camera.
        url: CameraUrl,
        /// The message of the panic.
        message: String,
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
    #[error(
        "{url}: the camera offers no usable stream (only {offered}): {}",
        codec_advice(offered)
    )]
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

/// What to do about a stream of which nothing comes.
fn remedy(kind: TimeoutKind, transport: Transport) -> &'static str {
    match (kind, transport) {
        (TimeoutKind::Stall, Transport::Udp) => ": does a firewall drop UDP? try the transport tcp",
        (TimeoutKind::Stall, Transport::Multicast) => {
            ": does a switch or firewall drop multicast? try the transport tcp"
        }
        _ => "",
    }
}

fn codec_advice(offered: &str) -> &'static str {
    if offered.contains("video/") {
        "choose H.264 in its settings"
    } else {
        "use the address of one of its video streams"
    }
}

fn advice(status: u16, login: Option<&LoginFailure>) -> String {
    if let Some(login) = login {
        return login.to_string();
    }
    let text = match status {
        401 => "it does not let this user in",
        403 => "this user has no access to the stream",
        404 => "it has no stream at this path",
        453 => "it has no bandwidth or connections left: disconnect other clients",
        454 => "it no longer knows the session",
        461 => "it does not support this transport: try another one of tcp, udp, multicast and http",
        503 => "it is overloaded or starting up",
        500..=599 => "it reports an internal error",
        _ => "it rejects the request",
    };
    text.to_owned()
}

impl CameraError {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Network { .. } | Self::Broken { .. } | Self::Closed { .. } | Self::Tls { .. } => {
                ErrorKind::Network
            }
            Self::Status { status: 401, .. } => ErrorKind::Authentication,
            Self::Status { status: 403, .. } => ErrorKind::Authorization,
            Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Transport { .. }
            | Self::Protocol { .. }
            | Self::Tunnel { .. }
            | Self::Internal { .. }
            | Self::Unsupported { .. } => ErrorKind::Protocol,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::NoUsableStream { .. } => ErrorKind::MediaFormat,
        }
    }

    /// The RTSP status that the camera answered with, if it did.
    pub fn status_code(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Redirect { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The camera's address, without user info.
    pub fn url(&self) -> &CameraUrl {
        match self {
            Self::Network { url, .. }
            | Self::Broken { url, .. }
            | Self::Closed { url }
            | Self::Status { url, .. }
            | Self::Redirect { url, .. }
            | Self::Transport { url, .. }
            | Self::Protocol { url, .. }
            | Self::Timeout { url, .. }
            | Self::Tls { url, .. }
            | Self::Tunnel { url, .. }
            | Self::Internal { url, .. }
            | Self::Unsupported { url, .. }
            | Self::NoUsableStream { url, .. } => url,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, login: Option<LoginFailure>) -> CameraError {
        let url = CameraUrl::parse("rtsp://user:geheim@cam:8554/a?pwd=geheim").unwrap();
        CameraError::Status { url, status, login }
    }

    #[test]
    fn messages_name_camera_cause_and_remedy_and_no_secret() {
        let text = status(401, Some(LoginFailure::Refused)).to_string();
        assert_eq!(
            text,
            "rtsp://cam:8554/a?pwd=***: the camera answered 401: it does not accept the user name or the password"
        );
        assert!(
            status(401, Some(LoginFailure::NotConfigured))
                .to_string()
                .contains("none are configured")
        );
        assert!(!format!("{:?}", status(404, None)).contains("geheim"));
    }

    #[test]
    fn kinds_follow_the_status() {
        assert_eq!(status(401, None).kind(), ErrorKind::Authentication);
        assert_eq!(status(403, None).kind(), ErrorKind::Authorization);
        assert_eq!(status(404, None).kind(), ErrorKind::Protocol);
        assert_eq!(status(404, None).status_code(), Some(404));
    }
}
