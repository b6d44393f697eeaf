use std::io;
use std::time::Duration;

use lva_client_transport::http::HttpTransportError;
use lva_client_transport::{ClientTlsError, peer_has_no_tls};

use crate::soap::SoapError;

/// Why a device could not be described, or none be discovered. No text holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnvifError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(ClientTlsError),
    /// Credentials are missing or wrong.
    #[error(
        "the device rejects {}{}",
        if *with_credentials { "the endpoint's credentials" } else { "requests without credentials: add them to the endpoint" },
        if reason.is_empty() { String::new() } else { format!(" ({reason})") }
    )]
    Unauthorized {
        /// Whether the request carried credentials.
        with_credentials: bool,
        /// The device's reason, one line of at most 256 characters; may be empty.
        reason: String,
    },
    /// The device asks for the password as it is, which
    /// [`with_basic_authentication`](crate::DeviceEndpoint::with_basic_authentication) does not allow.
    #[error(
        "the device asks for the password as it is (Basic), which is not allowed here: enable Digest on it, use https if that \
         is allowed, or allow Basic"
    )]
    BasicNotAllowed,
    /// No connection to the device.
    #[error("the device cannot be reached at {url}: {cause}")]
    Unreachable {
        /// Where, without the query.
        url: String,
        /// Why.
        cause: io::Error,
    },
    /// The device's certificate was rejected, or it does not speak TLS on this port.
    #[error("{}", tls_failure(.0))]
    Untrusted(io::Error),
    /// The connection broke in the middle of a response, or the response is not HTTP.
    #[error("the device broke off its response: {0}")]
    Broken(HttpTransportError),
    /// The response is too long.
    #[error("the device's response is longer than {limit} bytes")]
    TooLarge {
        /// Most bytes of this response.
        limit: usize,
    },
    /// The device redirects to another address.
    #[error(
        "the device responds with a redirection (status {status}), which is not followed: configure the new address"
    )]
    Redirected {
        /// 300 to 399.
        status: u16,
    },
    /// The response is not SOAP.
    #[error(
        "the endpoint is not an ONVIF device: status {status}, {content_type}{}; does the URL name the device service?",
        cause.as_ref().map(|cause| format!(", {cause}")).unwrap_or_default()
    )]
    NotSoap {
        /// Status of the response.
        status: u16,
        /// Its content type, one line of at most 256 characters.
        content_type: String,
        /// What is wrong with its body; `None` where it is empty.
        cause: Option<SoapError>,
    },
    /// The response to another request.
    #[error("the device responded to {request} with '{response}'")]
    WrongResponse {
        /// Name of the request.
        request: &'static str,
        /// Name of the response's element.
        response: String,
    },
    /// The device does not carry out a request that is needed.
    #[error("the device does not answer {request}: {reason}")]
    Fault {
        /// Name of the request.
        request: &'static str,
        /// The device's reason.
        reason: String,
    },
    /// The device was too slow.
    #[error("the device took more than {} s", waited.as_secs_f32())]
    TimedOut {
        /// How long this crate waited.
        waited: Duration,
    },
    /// No socket for a discovery.
    #[error("this machine has no network interface for a discovery: {0}")]
    NoInterface(io::Error),
    /// The operating system returns no random bytes.
    #[error("this machine has no source of random numbers")]
    Random,
}

/// Who has to act on an [`OnvifError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnvifErrorKind {
    /// The device wants other credentials.
    Unauthorized,
    /// Something on this machine: its certificates, interfaces, randomness.
    Local,
    /// The device cannot be reached, or its responses are not ONVIF.
    BadResponse,
    /// The device was too slow. A retry may help.
    TimedOut,
}

fn tls_failure(cause: &io::Error) -> String {
    match peer_has_no_tls(cause) {
        true => "the device does not speak TLS on this port: check the port, or write http://".to_owned(),
        false => format!(
            "the device's certificate is not trusted: {cause}; add it to the endpoint's trusted certificates"
        ),
    }
}

impl OnvifError {
    /// Who has to act.
    pub fn kind(&self) -> OnvifErrorKind {
        match self {
            Self::Unauthorized { .. } | Self::BasicNotAllowed => OnvifErrorKind::Unauthorized,
            Self::Tls(_) | Self::NoInterface(_) | Self::Random => OnvifErrorKind::Local,
            Self::Unreachable { .. }
            | Self::Untrusted(_)
            | Self::Broken(_)
            | Self::TooLarge { .. }
            | Self::Redirected { .. }
            | Self::NotSoap { .. }
            | Self::WrongResponse { .. }
            | Self::Fault { .. } => OnvifErrorKind::BadResponse,
            Self::TimedOut { .. } => OnvifErrorKind::TimedOut,
        }
    }
}
