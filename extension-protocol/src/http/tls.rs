//! Whom a client trusts: the platform's authorities or given ones, and the contract's two switches.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// How the certificate of an `https` server is checked: a topology's `TlsEndpoint`.
///
/// TLS 1.2 and 1.3, by rustls with ring. Whatever the switches say, the server has to prove that it holds the key of the
/// certificate that it shows.
#[derive(Debug, Clone, Default)]
pub struct HttpTls {
    /// `None`: the platform's.
    roots: Option<Arc<RootCertStore>>,
    ignore_hostname: bool,
    ignore_signature: bool,
}

impl HttpTls {
    /// Trusts the authorities that this machine trusts (in Debian, the package `ca-certificates`; `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name others).
    pub fn platform() -> Self {
        Self::default()
    }

    /// Trusts these authorities, and no other: `trustedCertificates`, PEM texts of one or several certificates each.
    ///
    /// # Errors
    ///
    /// A text that is no PEM, a certificate that cannot be read, or none at all.
    pub fn with_roots<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, HttpTlsError> {
        let mut roots = RootCertStore::empty();
        for text in texts {
            for certificate in CertificateDer::pem_slice_iter(text.as_ref().as_bytes()) {
                let certificate = certificate.map_err(|error| HttpTlsError::Pem(error.to_string()))?;
                roots.add(certificate).map_err(HttpTlsError::Root)?;
            }
        }
        if roots.is_empty() {
            return Err(HttpTlsError::NoCertificate);
        }
        Ok(Self {
            roots: Some(Arc::new(roots)),
            ..Self::default()
        })
    }

    /// `ignoreHostname`. Dangerous: takes a certificate for another host, as long as a trusted authority signed it.
    #[must_use]
    pub fn dangerous_ignore_hostname(mut self, ignore: bool) -> Self {
        self.ignore_hostname = ignore;
        self
    }

    /// `ignoreSignature`. Dangerous: takes a certificate whoever signed it and however old it is, as long as it is for
    /// this host. Anybody on the way can make one.
    #[must_use]
    pub fn dangerous_ignore_signature(mut self, ignore: bool) -> Self {
        self.ignore_signature = ignore;
        self
    }

    /// The same for a client of one's own that speaks HTTP/1.1. Reads the platform's authorities where they are needed: a
    /// few milliseconds.
    ///
    /// # Errors
    ///
    /// [`HttpTlsError::NoPlatformRoots`], where the machine has no authorities and they are asked for.
    pub fn client_config(&self) -> Result<ClientConfig, HttpTlsError> {
        let roots = match &self.roots {
            Some(roots) => Arc::clone(roots),
            None if self.ignore_signature => Arc::new(RootCertStore::empty()),
            None => platform_roots()?,
        };
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier {
            roots,
            provider: Arc::clone(&provider),
            ignore_hostname: self.ignore_hostname,
            ignore_signature: self.ignore_signature,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(HttpTlsError::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn platform_roots() -> Result<Arc<RootCertStore>, HttpTlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Platforms hold certificates here and there that nobody can read; the others count all the same.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let errors = found.errors.iter().map(ToString::to_string);
        return Err(HttpTlsError::NoPlatformRoots {
            errors: errors.collect::<Vec<_>>().join("; "),
        });
    }
    Ok(Arc::new(roots))
}

/// The usual checks, each of the two apart from the other. rustls has one verifier for both, which cannot leave one out.
struct Verifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    ignore_hostname: bool,
    ignore_signature: bool,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("ignore_hostname", &self.ignore_hostname)
            .field("ignore_signature", &self.ignore_signature)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !self.ignore_signature {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if !self.ignore_hostname {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Trust that cannot be set up. Whoever configured it is at fault, or the machine has no authorities.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpTlsError {
    /// A text that is no PEM.
    #[error("a trusted certificate is no PEM text: {0}")]
    Pem(String),
    /// PEM texts without a certificate in them.
    #[error(
        "the list of trusted certificates has no certificate: each begins with -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate,
    /// A certificate that cannot be an authority's.
    #[error("a trusted certificate cannot be read")]
    Root(#[source] rustls::Error),
    /// The machine trusts nobody.
    #[error(
        "this machine has no trusted certificates: install ca-certificates, or configure them ({errors})"
    )]
    NoPlatformRoots {
        /// What was in the way, where anything was.
        errors: String,
    },
    /// The address of the server is no name that a certificate could have.
    #[error("the host of the HTTP extension's URL is no name that a certificate could be for")]
    HostName,
    /// The cryptography does not fit together: a fault of this crate.
    #[error("TLS cannot be set up")]
    Provider(#[source] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_are_none_are_refused_with_a_reason() {
        let none: [&str; 0] = [];
        assert_eq!(
            HttpTls::with_roots(none).unwrap_err(),
            HttpTlsError::NoCertificate
        );
        assert_eq!(
            HttpTls::with_roots(["not PEM"]).unwrap_err(),
            HttpTlsError::NoCertificate
        );
        let broken = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
        assert!(matches!(HttpTls::with_roots([broken]), Err(HttpTlsError::Pem(_))));
        let nothing_in_it = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            HttpTls::with_roots([nothing_in_it]),
            Err(HttpTlsError::Root(_))
        ));
    }

    #[test]
    fn several_certificates_may_stand_in_one_text() {
        let pem = |name: &str| {
            rcgen::generate_simple_self_signed([name.to_owned()])
                .unwrap()
                .cert
                .pem()
        };
        let both = format!("{}\n{}", pem("a"), pem("b"));
        let tls = HttpTls::with_roots([both]).unwrap();
        assert_eq!(tls.roots.as_ref().unwrap().len(), 2);
        assert!(tls.client_config().is_ok());
    }
}
