//! The simulator's certificate.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Certificate and key with which the simulator speaks TLS. `Debug` does not show the key.
#[derive(Clone)]
pub struct SimulatorTls {
    config: Arc<ServerConfig>,
    certificate_pem: String,
}

/// Why the simulator cannot speak TLS with what it was given. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorTlsError {
    /// Certificate or key cannot be read.
    #[error("the {0} is no readable PEM: it begins with '-----BEGIN'")]
    Pem(&'static str, #[source] rustls::pki_types::pem::Error),
    /// The two do not belong together, or are of a kind that is not known.
    #[error("the certificate and the key cannot be used: do they belong together?")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("no certificate can be made for these names")]
    SelfSigned(#[from] rcgen::Error),
}

impl SimulatorTls {
    /// A chain of certificates, the server's own first, and its private key, both PEM.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, SimulatorTlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| SimulatorTlsError::Pem("certificate", error))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| SimulatorTlsError::Pem("private key", error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self {
            config: Arc::new(config),
            certificate_pem: certificates.to_owned(),
        })
    }

    /// A new certificate that signs itself, for these host names and IP addresses. Clients have to be given
    /// [`certificate_pem`](Self::certificate_pem) to trust it.
    pub fn self_signed(names: &[&str]) -> Result<Self, SimulatorTlsError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names)?;
        Self::from_pem(&made.cert.pem(), &made.signing_key.serialize_pem())
    }

    /// The certificates, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
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
    fn what_is_no_pem_is_named() {
        let made = SimulatorTls::self_signed(&["localhost"]).unwrap();
        let error = SimulatorTls::from_pem(made.certificate_pem(), "nonsense").unwrap_err();
        assert!(error.to_string().contains("private key"), "{error}");
        let error = SimulatorTls::from_pem("", "").unwrap_err();
        assert!(matches!(error, SimulatorTlsError::Pem(..)), "{error}");
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }
}
