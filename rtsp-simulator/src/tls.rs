//! The simulator's certificate.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The certificate and key of a simulator. `Debug` does not print the key.
#[derive(Clone)]
pub struct SimulatorTls {
    config: Arc<ServerConfig>,
    certificate_pem: String,
}

/// Why a certificate or key cannot be used; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorTlsError {
    /// The certificate or key is not valid PEM.
    #[error("the {0} is not valid PEM, which begins with '-----BEGIN' ({1})")]
    Pem(&'static str, rustls::pki_types::pem::Error),
    /// The two do not match, or are of an unsupported kind.
    #[error("cannot use the certificate and the key: {0}; check that they match")]
    Unusable(rustls::Error),
    /// No certificate can be generated.
    #[error("cannot generate a certificate for these names: {0}")]
    SelfSigned(rcgen::Error),
}

impl SimulatorTls {
    /// A certificate chain, the server's certificate first, and its private key, both in PEM.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, SimulatorTlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| SimulatorTlsError::Pem("certificate", error))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| SimulatorTlsError::Pem("private key", error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(SimulatorTlsError::Unusable)?;
        Ok(Self {
            config: Arc::new(config),
            certificate_pem: certificates.to_owned(),
        })
    }

    /// A new self-signed certificate for these host names and IP addresses. Clients must trust
    /// [`certificate_pem`](Self::certificate_pem).
    pub fn self_signed(names: &[&str]) -> Result<Self, SimulatorTlsError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).map_err(SimulatorTlsError::SelfSigned)?;
        Self::from_pem(&made.cert.pem(), &made.signing_key.serialize_pem())
    }

    /// The certificates, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for SimulatorTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorTls")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_pem_is_named() {
        let made = SimulatorTls::self_signed(&["localhost"]).unwrap();
        let error = SimulatorTls::from_pem(made.certificate_pem(), "nonsense").unwrap_err();
        assert!(error.to_string().contains("private key"), "{error}");
        let error = SimulatorTls::from_pem("", "").unwrap_err();
        assert!(matches!(error, SimulatorTlsError::Pem(..)), "{error}");
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }
}
