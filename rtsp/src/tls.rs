//! TLS to a camera: which certificates are good enough.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore,
    SignatureScheme,
};

/// How a camera's certificate is judged. By default as a browser does it: signed by an authority that the machine
/// trusts, for the host in the address, in its time.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// `None`: those of the machine.
    roots: Option<Vec<CertificateDer<'static>>>,
    ignore_hostname: bool,
    ignore_signature: bool,
    /// Made once: to read the machine's authorities takes a while.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// Why TLS cannot be set up at our end. The operator's to mend.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A text holds no certificate that can be read.
    #[error("trusted certificate {place} is no readable PEM: it begins with '-----BEGIN CERTIFICATE-----'")]
    Pem {
        /// Which of the texts, from 1.
        place: usize,
    },
    /// A certificate is none of an authority.
    #[error("a trusted certificate cannot be used")]
    Certificate(#[source] RustlsError),
    /// The machine's authorities cannot be read.
    #[error(
        "this machine has no trusted certificate authorities: install the package ca-certificates, or give the \
         camera's certificate as a trusted one"
    )]
    NoAuthorities,
    /// The library refused the settings.
    #[error("TLS cannot be set up")]
    Setup(#[from] RustlsError),
    /// The host is neither a name nor an IP address.
    #[error("'{host}' is no host name that a certificate could be for")]
    Host {
        /// The host in the address.
        host: String,
    },
}

impl TlsOptions {
    /// Trusts the certificates in these PEM texts, each of one or more, instead of the machine's authorities: those of
    /// authorities, or a camera's own.
    pub fn with_trusted_certificates<T: AsRef<str>>(
        mut self,
        pem: impl IntoIterator<Item = T>,
    ) -> Result<Self, TlsError> {
        let mut roots = Vec::new();
        for (index, text) in pem.into_iter().enumerate() {
            let place = index + 1;
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(text.as_ref().as_bytes()) {
                roots.push(certificate.map_err(|_| TlsError::Pem { place })?);
            }
            if roots.len() == before {
                return Err(TlsError::Pem { place });
            }
        }
        self.roots = Some(roots);
        self.config = Arc::default();
        Ok(self)
    }

    /// Accepts a certificate that is for another host, as `ignoreHostname` of the contract says. Default false.
    /// Whoever has any certificate of a trusted authority can then pose as the camera.
    pub fn dangerous_ignore_hostname(mut self, ignore: bool) -> Self {
        self.ignore_hostname = ignore;
        self.config = Arc::default();
        self
    }

    /// Accepts a certificate that nobody trusted has signed, or whose time is over, as `ignoreSignature` of the
    /// contract says. Default false. Anybody on the way can then pose as the camera and read the password; the name
    /// in the certificate is still checked, but anybody can write any name.
    pub fn dangerous_ignore_signature(mut self, ignore: bool) -> Self {
        self.ignore_signature = ignore;
        self.config = Arc::default();
        self
    }

    /// What the library needs. Blocks for some milliseconds the first time.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = if self.ignore_hostname || self.ignore_signature {
            let judge = match self.ignore_signature {
                true => None,
                false => Some(
                    WebPkiServerVerifier::builder_with_provider(
                        Arc::new(self.store()?),
                        Arc::clone(&provider),
                    )
                    .build()
                    .map_err(|error| TlsError::Setup(RustlsError::General(error.to_string())))?,
                ),
            };
            let lenient = Lenient {
                judge,
                ignore_hostname: self.ignore_hostname,
                provider,
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(lenient))
                .with_no_client_auth()
        } else {
            builder
                .with_root_certificates(self.store()?)
                .with_no_client_auth()
        };
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }

    fn store(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        match &self.roots {
            Some(roots) => {
                for root in roots {
                    store.add(root.clone()).map_err(TlsError::Certificate)?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                if store.add_parsable_certificates(found.certs).0 == 0 {
                    return Err(TlsError::NoAuthorities);
                }
            }
        }
        Ok(store)
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("trusted_certificates", &self.roots.as_ref().map(Vec::len))
            .field("ignore_hostname", &self.ignore_hostname)
            .field("ignore_signature", &self.ignore_signature)
            .finish_non_exhaustive()
    }
}

/// The name in the certificate for a host as it stands in an address.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::Host {
        host: host.to_owned(),
    })
}

/// What to do about a handshake that failed, for people.
pub(crate) fn advice(error: &RustlsError) -> String {
    let what = match error {
        RustlsError::InvalidCertificate(certificate) => match certificate {
            // The second: by somebody with the name of somebody trusted, as self-signed ones often are.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is signed by nobody who is trusted here: give it, or its authority's, as a trusted \
                 certificate"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another host: use the host that it names"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: renew it, or check this machine's clock"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: check this machine's clock and the camera's"
            }
            _ => return format!("its certificate is refused ({error})"),
        },
        RustlsError::InvalidMessage(_) => "it does not speak TLS on this port: does it offer RTSPS here?",
        _ => return error.to_string(),
    };
    what.to_owned()
}

/// Judges with an eye closed.
#[derive(Debug)]
struct Lenient {
    /// `None`: any signature will do.
    judge: Option<Arc<WebPkiServerVerifier>>,
    ignore_hostname: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        let Some(judge) = &self.judge else {
            if !self.ignore_hostname {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        };
        match judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last, when everything else is in order.
            Err(RustlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.ignore_hostname => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_named_by_its_place() {
        let error = TlsOptions::default()
            .with_trusted_certificates(["no certificate"])
            .unwrap_err();
        assert!(error.to_string().contains("certificate 1"), "{error}");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let options = TlsOptions::default().with_trusted_certificates([broken]).unwrap();
        assert!(matches!(options.config().unwrap_err(), TlsError::Certificate(_)));
    }

    #[test]
    fn hosts_of_all_kinds_have_names() {
        for host in ["camera.local", "192.168.1.20", "[fe80::1]"] {
            server_name(host).unwrap();
        }
        assert!(server_name("a b").is_err());
    }

    #[test]
    fn a_configuration_is_made_once_and_anew_when_options_change() {
        let options = TlsOptions::default().dangerous_ignore_signature(true);
        let first = options.config().unwrap();
        assert!(Arc::ptr_eq(&first, &options.clone().config().unwrap()));
        let other = options.dangerous_ignore_hostname(true);
        assert!(!Arc::ptr_eq(&first, &other.config().unwrap()));
    }
}
