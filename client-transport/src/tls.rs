use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::certificate::ClientCertificate;
use crate::error::ClientTlsError;
use crate::roots::TrustedRoots;

/// How a server's certificate is checked. By default as a browser does it: signed by a trusted authority, for the host in
/// the address, and not expired.
///
/// TLS 1.2 and 1.3, by rustls with ring. Clones share the configuration once it is made.
#[derive(Clone, Default)]
pub struct ClientTls {
    roots: TrustedRoots,
    certificate: Option<ClientCertificate>,
    ignore_hostname: bool,
    ignore_signature: bool,
    /// Made once: reading the platform's certificates takes a few milliseconds.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl ClientTls {
    /// Trusts the authorities of this machine.
    pub fn platform() -> Self {
        Self::default()
    }

    /// Trusts these certificates.
    pub fn new(roots: TrustedRoots) -> Self {
        Self {
            roots,
            ..Self::default()
        }
    }

    /// Trusts only the certificates in these PEM documents; see [`TrustedRoots::from_pem`].
    ///
    /// # Errors
    ///
    /// As [`TrustedRoots::from_pem`].
    pub fn from_pem<T: AsRef<[u8]>>(documents: impl IntoIterator<Item = T>) -> Result<Self, ClientTlsError> {
        TrustedRoots::from_pem(documents).map(Self::new)
    }

    /// Shows this certificate to servers that ask for one. Default none.
    #[must_use]
    pub fn with_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.certificate = Some(certificate);
        self.config = Arc::default();
        self
    }

    /// Accepts a certificate for another host, as long as a trusted authority signed it: `ignoreHostname` of the
    /// contract. Default false. Anyone with a certificate of a trusted authority can then pose as the server.
    #[must_use]
    pub fn dangerous_ignore_hostname(mut self, ignore: bool) -> Self {
        self.ignore_hostname = ignore;
        self.config = Arc::default();
        self
    }

    /// Accepts a certificate without a trusted signature, or an expired one: `ignoreSignature` of the contract. Default
    /// false. Anyone on the network path can then pose as the server and read the password: the name in the
    /// certificate is still checked, but anyone can write any name into one.
    #[must_use]
    pub fn dangerous_ignore_signature(mut self, ignore: bool) -> Self {
        self.ignore_signature = ignore;
        self.config = Arc::default();
        self
    }

    /// The configuration for rustls, offering these protocols by ALPN (none: without ALPN). The first call may block for a
    /// few milliseconds while it reads the platform's certificates.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError::NoPlatformRoots`] when the machine trusts no authority and they are needed.
    pub fn config(&self, alpn: &[&str]) -> Result<Arc<ClientConfig>, ClientTlsError> {
        let config = match self.config.get() {
            Some(config) => config,
            None => {
                let made = Arc::new(self.make()?);
                self.config.get_or_init(|| made)
            }
        };
        if alpn.is_empty() {
            return Ok(Arc::clone(config));
        }
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn make(&self) -> Result<ClientConfig, ClientTlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(ClientTlsError::Provider)?;
        let builder = match !self.ignore_hostname && !self.ignore_signature {
            true => builder.with_root_certificates(self.roots.load()?),
            false => {
                let verifier = RelaxedVerifier {
                    roots: match self.ignore_signature {
                        true => None,
                        false => Some(self.roots.load()?),
                    },
                    ignore_hostname: self.ignore_hostname,
                    provider,
                };
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        Ok(match &self.certificate {
            Some(certificate) => builder.with_client_cert_resolver(certificate.resolver()),
            None => builder.with_no_client_auth(),
        })
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("roots", &self.roots)
            .field("certificate", &self.certificate)
            .field("ignore_hostname", &self.ignore_hostname)
            .field("ignore_signature", &self.ignore_signature)
            .finish_non_exhaustive()
    }
}

/// The usual checks, less those that a switch turns off. rustls's own verifier cannot leave one of them out.
#[derive(Debug)]
struct RelaxedVerifier {
    /// `None`: any signature is accepted.
    roots: Option<Arc<RootCertStore>>,
    ignore_hostname: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for RelaxedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if let Some(roots) = &self.roots {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
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
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The name that a certificate must hold for a host as written in an address, with or without the brackets of IPv6.
///
/// # Errors
///
/// [`ClientTlsError::HostName`].
pub fn server_name(host: &str) -> Result<ServerName<'static>, ClientTlsError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| ClientTlsError::HostName {
        host: host.to_owned(),
    })
}

/// What an operator can do about a rejected certificate. `None` for an error that is not about a certificate.
pub fn certificate_advice(error: &rustls::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return None;
    };
    let advice = match certificate {
        // `BadSignature`: a self-signed certificate with the name of a trusted authority.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no trusted authority signed its certificate: add it, or its authority's, to the trusted certificates"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host: use the host that it names"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: renew it, or check this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: check this machine's clock and the server's"
        }
        _ => return Some(format!("its certificate is rejected ({error})")),
    };
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_all_kinds_have_names() {
        for host in ["camera.local", "192.168.1.20", "[fe80::1]"] {
            server_name(host).unwrap();
        }
        assert!(server_name("a b").is_err());
    }

    #[test]
    fn a_configuration_is_made_once_and_anew_when_options_change() {
        let tls = ClientTls::platform().dangerous_ignore_signature(true);
        let first = tls.config(&[]).unwrap();
        assert!(Arc::ptr_eq(&first, &tls.clone().config(&[]).unwrap()));
        assert_eq!(tls.config(&["h2"]).unwrap().alpn_protocols, [b"h2"]);
        let other = tls.dangerous_ignore_hostname(true);
        assert!(!Arc::ptr_eq(&first, &other.config(&[]).unwrap()));
    }

    #[test]
    fn advice_names_a_remedy() {
        let advice = |error| certificate_advice(&rustls::Error::InvalidCertificate(error)).unwrap();
        assert!(advice(CertificateError::UnknownIssuer).contains("trusted certificates"));
        assert!(advice(CertificateError::Expired).contains("renew"));
        assert!(certificate_advice(&rustls::Error::DecryptError).is_none());
    }
}
