//! TLS of the gRPC transport: the roots that a client trusts, and the identity of a server.
//!
//! rustls with ring, TLS 1.2 and 1.3, HTTP/2 by ALPN. A client always checks the certificate and that its name is the host
//! of the URL. The contract's switches that turn a check off apply to HTTP endpoints only; gRPC ignores them.

use std::fmt;

use lva_client_transport::TrustedRoots;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tonic::transport::{ClientTlsConfig, Identity, ServerTlsConfig};

use crate::causes::chain;

/// The transport's configuration for a host as written in a URL.
pub(crate) fn client_config(roots: &TrustedRoots, host: &str) -> ClientTlsConfig {
    // An IPv6 address has brackets in a URL, but not in a certificate.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let config = ClientTlsConfig::new().domain_name(name);
    match roots.given() {
        None => config.with_native_roots(),
        Some(given) => config.trust_anchors(given.roots.clone()),
    }
}

/// A server's certificate and private key. Its `Debug` shows neither.
#[derive(Clone)]
pub struct ServerTls {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl ServerTls {
    /// A chain of certificates in PEM, the server's own first, and its private key in PEM (PKCS #8, PKCS #1 or SEC 1).
    /// Clients compare the host of their URL with the names in the first certificate.
    ///
    /// # Errors
    ///
    /// [`ServerTlsError`] if one of the two is missing or invalid, or they do not belong together.
    pub fn from_pem(
        certificates_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Result<Self, ServerTlsError> {
        let (chain_pem, key_pem) = (certificates_pem.into(), key_pem.into());
        let chain = certificates(&chain_pem)?;
        // The reason is dropped because it may quote the key.
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| ServerTlsError::NoKey)?;
        install_provider();
        rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| ServerTlsError::Identity(error.to_string()))?;
        Ok(Self {
            certificates: chain_pem,
            key: key_pem,
        })
    }

    pub(crate) fn config(&self) -> ServerTlsConfig {
        install_provider();
        ServerTlsConfig::new().identity(Identity::from_pem(&self.certificates, &self.key))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(..)")
    }
}

/// The transport's server uses the process's cryptography provider and panics if several are compiled in and none is
/// installed. Keeps the program's own provider.
fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Fails only if another thread has just installed one.
        let _ = ring::default_provider().install_default();
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| ServerTlsError::Certificate(error.to_string()))?;
    if found.is_empty() {
        return Err(ServerTlsError::NoCertificate);
    }
    Ok(found)
}

/// Why a server's certificate or key cannot be used. The configuration is wrong. No message holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerTlsError {
    /// No `CERTIFICATE` block.
    #[error("there is no certificate: give PEM with at least one -----BEGIN CERTIFICATE----- block")]
    NoCertificate,
    /// An invalid block.
    #[error("a certificate cannot be used: {0}")]
    Certificate(String),
    /// No private key.
    #[error("there is no private key: give PEM with one -----BEGIN PRIVATE KEY----- block")]
    NoKey,
    /// Key and certificate do not belong together, or their kind is not supported.
    #[error("certificate and private key cannot be used together: {0}")]
    Identity(String),
}

/// The error of TLS that is the cause of another one.
pub(crate) fn tls_failure<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(|error| {
        let direct = error.downcast_ref::<rustls::Error>();
        let inside = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
            .and_then(|error| error.downcast_ref::<rustls::Error>());
        direct.or(inside)
    })
}

/// Whether the peer answered the handshake with something that is not TLS.
pub(crate) fn peer_has_no_tls(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidMessage(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn incomplete_pem_is_rejected_with_a_reason() {
        let (certificate, key) = made("localhost");
        assert_eq!(
            ServerTls::from_pem("", key.clone()).unwrap_err(),
            ServerTlsError::NoCertificate
        );
        let no_key = ServerTls::from_pem(certificate.clone(), certificate.clone());
        assert_eq!(no_key.unwrap_err(), ServerTlsError::NoKey);
        let (_, other) = made("localhost");
        let mixed = ServerTls::from_pem(certificate.clone(), other);
        assert!(matches!(mixed, Err(ServerTlsError::Identity(_))), "{mixed:?}");
        assert!(ServerTls::from_pem(certificate, key).is_ok());
    }

    #[test]
    fn debug_shows_no_key() {
        let (certificate, key) = made("localhost");
        let tls = ServerTls::from_pem(certificate, key).unwrap();
        assert_eq!(format!("{tls:?}"), "ServerTls(..)");
    }
}
