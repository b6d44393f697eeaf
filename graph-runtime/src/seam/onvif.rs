//! An endpoint of `onvifDeviceGet`, as its device is asked.

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use lva_extension_protocol::http::HttpTls;
use lva_graph_model::nodes::{Endpoint, EndpointCredentials as ModelCredentials};

use crate::onvif::{AddressError, Credentials, Device, DeviceUrl, OnvifError, Password};

/// Address, credentials and trust.
pub(crate) fn onvif_device(endpoint: &Endpoint) -> Result<Device, OnvifError> {
    let tls = match endpoint.tls.as_ref() {
        None => HttpTls::platform(),
        Some(tls) => {
            let checks = match &tls.trusted_certificates {
                None => HttpTls::platform(),
                Some(texts) => HttpTls::with_roots(texts).map_err(OnvifError::Certificates)?,
            };
            checks
                .dangerous_ignore_hostname(tls.ignore_hostname)
                .dangerous_ignore_signature(tls.ignore_signature)
        }
    };
    let url = DeviceUrl::parse(endpoint.url.as_str())?;
    if endpoint.tls.is_some() && !url.is_tls() {
        return Err(AddressError::NotTls.into());
    }
    Ok(Device {
        url,
        credentials: endpoint.credentials.as_ref().map(credentials).transpose()?,
        tls,
    })
}

fn credentials(credentials: &ModelCredentials) -> Result<Credentials, OnvifError> {
    match credentials {
        ModelCredentials::UsernamePassword(credentials) => Ok(Credentials::Password(Password {
            user: credentials.username().to_owned(),
            password: credentials.password().to_owned(),
        })),
        ModelCredentials::HttpHeader { name, value } => {
            let name: HeaderName = name
                .as_str()
                .trim()
                .parse()
                .map_err(|_| OnvifError::Credentials)?;
            let taken = [HOST, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, CONNECTION];
            let value: Result<HeaderValue, _> = value.expose().trim().parse();
            match value {
                Ok(mut value) if !taken.contains(&name) => {
                    value.set_sensitive(true);
                    Ok(Credentials::Header(name, value))
                }
                _ => Err(OnvifError::Credentials),
            }
        }
        ModelCredentials::SymmetricKey(_) => Err(OnvifError::Credentials),
    }
}
