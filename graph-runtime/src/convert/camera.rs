//! A graph's RTSP source as `lva-rtsp` connects to it.

use lva_graph_model::nodes::{EndpointCredentials as ModelCredentials, RtspSource, RtspTransport};
use lva_rtsp::{CameraOptions, CameraUrl, Credentials, Transport};

use crate::convert::Unsupported;
use crate::convert::tls::client_tls;

/// Address, credentials and transport.
pub(crate) fn camera_options(source: &RtspSource) -> Result<CameraOptions, Unsupported> {
    let endpoint = &source.endpoint;
    let tls = endpoint.tls.as_ref().map(client_tls).transpose();
    let tls = tls
        .map_err(|error| Unsupported::new(error.to_string(), "correct the endpoint's trustedCertificates"))?;
    let (url, in_url) = CameraUrl::parse_with_credentials(endpoint.url.as_str())
        .map_err(|error| Unsupported::new(error.to_string(), "correct the endpoint's url"))?;
    let credentials = match &endpoint.credentials {
        None => in_url,
        Some(ModelCredentials::UsernamePassword(credentials)) => {
            Some(Credentials::new(credentials.username(), credentials.password()))
        }
        Some(ModelCredentials::HttpHeader { .. } | ModelCredentials::SymmetricKey(_)) => {
            return Err(Unsupported::new(
                "a camera takes a user name and a password only",
                "use UsernamePasswordCredentials",
            ));
        }
    };
    let transport = match source.transport {
        None => Transport::Auto,
        Some(RtspTransport::Tcp) => Transport::Tcp,
        Some(RtspTransport::Http) => Transport::Http,
    };
    Ok(CameraOptions::new(url)
        .with_credentials(credentials)
        .with_transport(transport)
        .with_tls(tls))
}
