//! Why there is no answer, and with which status that is said.

use std::io;
use std::time::Duration;

use lva_extension_protocol::http::HttpTlsError;
use lva_graph_model::methods::DeviceFault;

use super::address::AddressError;
use super::soap::SoapError;

/// Why a device could not be described, or none be looked for. No text holds what is secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OnvifError {
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error(
        "the endpoint's credentials cannot go to an ONVIF device: use UsernamePasswordCredentials, or \
         HttpHeaderCredentials with a header's name and a value of one line"
    )]
    Credentials,
    #[error("{0}: correct the endpoint's trustedCertificates")]
    Certificates(#[source] HttpTlsError),
    #[error("{0}")]
    Tls(#[source] HttpTlsError),
    #[error(
        "the device refuses {}{}",
        if *with_credentials { "the endpoint's credentials" } else { "questions without credentials: give the endpoint some" },
        if reason.is_empty() { String::new() } else { format!(" ({reason})") }
    )]
    Refused { with_credentials: bool, reason: String },
    #[error("the device cannot be reached at {url}: {source}")]
    Unreachable { url: String, source: io::Error },
    #[error("the device's certificate is not trusted: {0}; give it as one of trustedCertificates")]
    Untrusted(#[source] io::Error),
    #[error("the device broke off its answer: {0}")]
    Broken(#[source] hyper::Error),
    #[error("the device's answer is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error(
        "the device answers with a redirection (status {status}), which is not followed: write the address that it leads to"
    )]
    Redirected { status: u16 },
    #[error(
        "what answers is no ONVIF device: status {status}, {content_type}{}; does the endpoint's url name its device service?",
        source.as_ref().map(|source| format!(", {source}")).unwrap_or_default()
    )]
    NotSoap {
        status: u16,
        content_type: String,
        source: Option<SoapError>,
    },
    #[error("the device answered {question} with '{answer}'")]
    OtherAnswer { question: &'static str, answer: String },
    #[error("the device does not answer {question}: {reason}")]
    Fault { question: &'static str, reason: String },
    #[error("the device took more than {} s", waited.as_secs_f32())]
    TimedOut { waited: Duration },
    #[error("no interface of this machine can be asked on: {0}")]
    NoInterface(#[source] io::Error),
    #[error("this machine gives no random numbers")]
    Random,
}

impl OnvifError {
    /// The status to answer with.
    pub(crate) fn fault(&self) -> DeviceFault {
        match self {
            Self::Address(_) | Self::Credentials | Self::Certificates(_) => DeviceFault::InvalidEndpoint,
            Self::Refused { .. } => DeviceFault::Refused,
            Self::Tls(_) | Self::NoInterface(_) | Self::Random => DeviceFault::Internal,
            Self::Unreachable { .. }
            | Self::Untrusted(_)
            | Self::Broken(_)
            | Self::TooLarge { .. }
            | Self::Redirected { .. }
            | Self::NotSoap { .. }
            | Self::OtherAnswer { .. }
            | Self::Fault { .. } => DeviceFault::BadAnswer,
            Self::TimedOut { .. } => DeviceFault::TimedOut,
        }
    }
}
