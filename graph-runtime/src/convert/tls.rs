//! How an endpoint's certificate is checked, for cameras, HTTP extensions and ONVIF devices.

use lva_client_transport::{ClientTls, ClientTlsError};
use lva_graph_model::nodes::EndpointTls;

/// The endpoint's trusted certificates and its two switches.
pub(crate) fn client_tls(tls: &EndpointTls) -> Result<ClientTls, ClientTlsError> {
    let checks = match &tls.trusted_certificates {
        // Without a check of signatures they are not read.
        Some(pem) if !tls.ignore_signature => ClientTls::from_pem(pem)?,
        _ => ClientTls::platform(),
    };
    Ok(checks
        .dangerous_ignore_hostname(tls.ignore_hostname)
        .dangerous_ignore_signature(tls.ignore_signature))
}
