//! TLS of the gRPC transport: whom a client believes, and who a server is.
//!
//! rustls with ring, TLS 1.2 and 1.3, HTTP/2 by ALPN. A client always checks the certificate and its name against the
//! host of the URL. The contract's switches for leaving a check out are for HTTP endpoints alone; gRPC ignores them.

use std::fmt;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// Whose certificates a client believes.
///
/// | URL | roots |
/// |---|---|
/// | `https://host:port`, `tls://host:port` | those given with [`ClientOptions::with_tls`](crate::client::ClientOptions::with_tls), else the system's |
/// | `tcp://host:port` with [`ClientOptions::with_tls`](crate::client::ClientOptions::with_tls) | the same: topologies write `tcp://` into TLS endpoints too |
/// | `tcp://host:port`, `http://host:port` | no TLS |
///
/// The name is always checked: the certificate must hold the URL's host, as a DNS name or as an address.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// `None`: the system's.
    roots: Option<Vec<u8>>,
}

impl ClientTls {
    /// The certificates that the operating system trusts.
    pub fn system_roots() -> Self {
        Self { roots: None }
    }

    /// These certificates alone, in PEM: one or more `CERTIFICATE` blocks, such as a topology's trusted certificates.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: no certificate in it, or one that cannot be a root.
    pub fn from_pem(pem: impl Into<Vec<u8>>) -> Result<Self, TlsError> {
        let pem = pem.into();
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&pem)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Certificate(error.to_string()))?;
        }
        Ok(Self { roots: Some(pem) })
    }

    /// For the transport; `host` as in the URL.
    pub(crate) fn config(&self, host: &str) -> ClientTlsConfig {
        // An IPv6 address stands in brackets in a URL, and without them in a certificate.
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let config = ClientTlsConfig::new().domain_name(name);
        match &self.roots {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_native_roots(),
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.roots {
            Some(_) => f.write_str("ClientTls(own roots)"),
            None => f.write_str("ClientTls(system roots)"),
        }
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
    /// [`TlsError`]: one of the two is missing or no PEM, or they do not belong together.
    pub fn from_pem(
        certificates_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Result<Self, TlsError> {
        let (chain_pem, key_pem) = (certificates_pem.into(), key_pem.into());
        let chain = certificates(&chain_pem)?;
        // The reason may quote what it read, so it is not passed on.
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| TlsError::NoKey)?;
        use_a_provider();
        rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| TlsError::Identity(error.to_string()))?;
        Ok(Self {
            certificates: chain_pem,
            key: key_pem,
        })
    }

    pub(crate) fn config(&self) -> ServerTlsConfig {
        use_a_provider();
        ServerTlsConfig::new().identity(Identity::from_pem(&self.certificates, &self.key))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(..)")
    }
}

/// The transport's server takes the process's provider of cryptography and panics where there are two to choose from;
/// so one is named, unless the program named its own.
fn use_a_provider() {
    if CryptoProvider::get_default().is_none() {
        // Fails only when another thread was faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsError::Certificate(error.to_string()))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(found)
}

/// Certificates or keys that cannot be used. Whoever configured them is at fault. None of the texts holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No `CERTIFICATE` block.
    #[error("there is no certificate: give PEM with at least one -----BEGIN CERTIFICATE----- block")]
    NoCertificate,
    /// A block that is no certificate, or one that cannot be a root.
    #[error("a certificate cannot be used: {0}")]
    Certificate(String),
    /// No private key.
    #[error("there is no private key: give PEM with one -----BEGIN PRIVATE KEY----- block")]
    NoKey,
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("certificate and private key cannot be used together: {0}")]
    Identity(String),
}

/// Whether an error of the transport is one of TLS: then the other side is there, and trying again helps nobody.
pub(crate) fn failed_in_tls(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let direct = error.downcast_ref::<rustls::Error>();
        let inside = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
            .and_then(|error| error.downcast_ref::<rustls::Error>());
        if let Some(error) = direct.or(inside) {
            return Some(error.to_string());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn pem_without_what_is_needed_is_refused_by_name() {
        let (certificate, key) = made("localhost");
        assert_eq!(ClientTls::from_pem("").unwrap_err(), TlsError::NoCertificate);
        assert_eq!(
            ClientTls::from_pem(key.clone()).unwrap_err(),
            TlsError::NoCertificate
        );
        let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            ClientTls::from_pem(noise),
            Err(TlsError::Certificate(_))
        ));
        assert!(ClientTls::from_pem(certificate.clone()).is_ok());

        assert_eq!(
            ServerTls::from_pem("", key.clone()).unwrap_err(),
            TlsError::NoCertificate
        );
        let no_key = ServerTls::from_pem(certificate.clone(), certificate.clone());
        assert_eq!(no_key.unwrap_err(), TlsError::NoKey);
        let (_, other) = made("localhost");
        let mixed = ServerTls::from_pem(certificate.clone(), other);
        assert!(matches!(mixed, Err(TlsError::Identity(_))), "{mixed:?}");
        assert!(ServerTls::from_pem(certificate, key).is_ok());
    }

    #[test]
    fn debug_shows_no_key() {
        let (certificate, key) = made("localhost");
        let tls = ServerTls::from_pem(certificate, key).unwrap();
        assert_eq!(format!("{tls:?}"), "ServerTls(..)");
    }
}
