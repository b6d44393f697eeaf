use std::fmt;
use std::io;
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
        let relaxed = self.ignore_hostname || self.ignore_signature;
        let builder = match relaxed || self.roots.given().is_some() {
            false => builder.with_root_certificates(self.roots.load()?),
            true => {
                let verifier = self.verifier(provider)?;
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

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier, ClientTlsError> {
        Ok(Verifier {
            roots: match self.ignore_signature {
                true => None,
                false => Some(self.roots.load()?),
            },
            pinned: self.roots.certificates(),
            ignore_hostname: self.ignore_hostname,
            provider,
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

/// The usual checks, less those that a switch turns off and those that a server's own certificate, given as a trusted one,
/// makes needless. rustls's own verifier cannot leave one of them out.
#[derive(Debug)]
struct Verifier {
    /// `None`: any signature is accepted.
    roots: Option<Arc<RootCertStore>>,
    /// Servers that present one of these, byte for byte, are trusted: it need not be signed by another one, nor say that it is
    /// no authority. Cameras sign theirs themselves and call it one.
    pinned: Arc<[CertificateDer<'static>]>,
    ignore_hostname: bool,
    provider: Arc<CryptoProvider>,
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
        if let Some(roots) = &self.roots {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let signed = verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            );
            // The dates are checked first, so every other fault leaves them checked.
            let is_pinned = || self.pinned.iter().any(|pinned| pinned == end_entity);
            match signed {
                Err(error) if is_about_time(&error) || !is_pinned() => return Err(error),
                _ => {}
            }
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

fn is_about_time(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};

    let rustls::Error::InvalidCertificate(error) = error else {
        return false;
    };
    matches!(
        error,
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
    )
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

fn tls_failure(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether a handshake failed because the peer answered something that is not TLS.
pub fn peer_has_no_tls(error: &io::Error) -> bool {
    matches!(tls_failure(error), Some(rustls::Error::InvalidMessage(_)))
}

/// What an operator can do about a handshake that failed: about a rejected certificate, or a port without TLS. `None` for other
/// errors.
pub fn tls_advice(error: &io::Error) -> Option<String> {
    if peer_has_no_tls(error) {
        return Some(
            "it does not speak TLS on this port: check the port, or use an address without TLS".to_owned(),
        );
    }
    certificate_advice(tls_failure(error)?)
}

fn certificate_advice(error: &rustls::Error) -> Option<String> {
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
    use std::time::Duration;

    use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    /// Of a camera: valid from 2020 to 2030, for `camera.local`.
    fn own(is_ca: IsCa) -> CertificateParams {
        let mut params = CertificateParams::new(["camera.local".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        params.is_ca = is_ca;
        params
    }

    fn judged(tls: &ClientTls, shown: &Certificate, host: &str, year: u64) -> Result<(), rustls::Error> {
        let verifier = tls.verifier(Arc::new(ring::default_provider())).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600));
        let name = server_name(host).unwrap();
        let verified = verifier.verify_server_cert(shown.der(), &[], &name, &[], now);
        verified.map(|_| ())
    }

    #[test]
    fn a_given_certificate_is_trusted_for_its_host_while_it_is_valid_whoever_signed_it() {
        let key = KeyPair::generate().unwrap();
        let authority = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(own(authority), KeyPair::generate().unwrap()).unwrap();
        for given in [
            own(IsCa::NoCa).self_signed(&key).unwrap(),
            // As many cameras have it.
            own(authority).self_signed(&key).unwrap(),
            own(IsCa::ExplicitNoCa).signed_by(&key, &issuer).unwrap(),
        ] {
            let tls = ClientTls::from_pem([given.pem()]).unwrap();
            judged(&tls, &given, "camera.local", 2025).unwrap();
            for (host, year) in [
                ("other.local", 2025),
                ("camera.local", 2019),
                ("camera.local", 2031),
            ] {
                judged(&tls, &given, host, year).unwrap_err();
                // By these switches no more is left out than they say.
                let any_host = tls.clone().dangerous_ignore_hostname(true);
                assert_eq!(judged(&any_host, &given, host, year).is_ok(), year == 2025);
            }
            // Another one of the same name and key.
            let another = own(authority).self_signed(&key).unwrap();
            judged(&tls, &another, "camera.local", 2025).unwrap_err();
        }
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
        let tls = ClientTls::platform().dangerous_ignore_signature(true);
        let first = tls.config(&[]).unwrap();
        assert!(Arc::ptr_eq(&first, &tls.clone().config(&[]).unwrap()));
        assert_eq!(tls.config(&["h2"]).unwrap().alpn_protocols, [b"h2"]);
        let other = tls.dangerous_ignore_hostname(true);
        assert!(!Arc::ptr_eq(&first, &other.config(&[]).unwrap()));
    }

    #[test]
    fn advice_names_a_remedy() {
        let of = |error| tls_advice(&io::Error::other(error));
        let advice = |error| of(rustls::Error::InvalidCertificate(error)).unwrap();
        assert!(advice(CertificateError::UnknownIssuer).contains("trusted certificates"));
        assert!(advice(CertificateError::Expired).contains("renew"));
        assert!(of(rustls::Error::DecryptError).is_none());
        let plain = of(rustls::Error::InvalidMessage(
            rustls::InvalidMessage::InvalidContentType,
        ))
        .unwrap();
        assert!(
            plain.contains("TLS on this port") && !plain.contains("certificate"),
            "{plain}"
        );
    }
}
