use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::ClientTlsError;

/// The certificates a client trusts: those of the platform, or given ones and no other.
#[derive(Clone, Default)]
pub struct TrustedRoots(Option<Given>);

#[derive(Clone)]
struct Given {
    roots: Arc<RootCertStore>,
    /// The same as they were given: a server that presents one of them is trusted too.
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Given {
    fn new(roots: RootCertStore, certificates: Vec<CertificateDer<'static>>) -> Self {
        Self {
            roots: Arc::new(roots),
            certificates: certificates.into(),
        }
    }
}

impl TrustedRoots {
    /// The authorities that this machine trusts. Debian installs them with the package `ca-certificates`; the variables
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    pub fn platform() -> Self {
        Self(None)
    }

    /// Only the certificates in these PEM documents, each with one or more: those of authorities, or a server's own. To
    /// [`ClientTls`](crate::ClientTls) a server that presents one of them byte for byte is trusted as long as the certificate is
    /// valid and names the host, whoever signed it.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError`] for a document without certificates, an unusable certificate, or no documents.
    pub fn from_pem<T: AsRef<[u8]>>(documents: impl IntoIterator<Item = T>) -> Result<Self, ClientTlsError> {
        let (mut roots, mut certificates) = (RootCertStore::empty(), Vec::new());
        for (index, document) in documents.into_iter().enumerate() {
            let position = index + 1;
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(document.as_ref()) {
                // The reason may quote what was read, which may be a private key.
                let certificate = certificate.map_err(|_| ClientTlsError::Pem { position })?;
                let added = roots.add(certificate.clone());
                added.map_err(|cause| ClientTlsError::Certificate { position, cause })?;
                certificates.push(certificate);
            }
            if roots.len() == before {
                return Err(ClientTlsError::Pem { position });
            }
        }
        if roots.is_empty() {
            return Err(ClientTlsError::NoCertificates);
        }
        Ok(Self(Some(Given::new(roots, certificates))))
    }

    /// Only the certificates in a bundle that someone else keeps, in PEM: those that cannot be used are left out. Returns
    /// how many that are.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError`] for a bundle without a usable certificate: that of the first one.
    pub fn from_pem_bundle(bundle: impl AsRef<[u8]>) -> Result<(Self, usize), ClientTlsError> {
        let position = 1;
        let (mut roots, mut certificates) = (RootCertStore::empty(), Vec::new());
        let mut first = None;
        let mut left_out = 0;
        for certificate in CertificateDer::pem_slice_iter(bundle.as_ref()) {
            let added = match certificate {
                Ok(certificate) => roots
                    .add(certificate.clone())
                    .map(|()| certificates.push(certificate))
                    .map_err(|cause| ClientTlsError::Certificate { position, cause }),
                Err(_) => Err(ClientTlsError::Pem { position }),
            };
            if let Err(error) = added {
                left_out += 1;
                first.get_or_insert(error);
            }
        }
        if roots.is_empty() {
            return Err(first.unwrap_or(ClientTlsError::Pem { position }));
        }
        Ok((Self(Some(Given::new(roots, certificates))), left_out))
    }

    /// The given certificates; `None` for those of the platform.
    pub fn given(&self) -> Option<&RootCertStore> {
        self.0.as_ref().map(|given| given.roots.as_ref())
    }

    /// The given certificates as they are.
    pub(crate) fn certificates(&self) -> Arc<[CertificateDer<'static>]> {
        self.0
            .as_ref()
            .map_or_else(Default::default, |given| Arc::clone(&given.certificates))
    }

    /// The certificates for rustls. Reads the platform's each time, which takes a few milliseconds.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError::NoPlatformRoots`] when the machine trusts no authority.
    pub fn load(&self) -> Result<Arc<RootCertStore>, ClientTlsError> {
        if let Some(given) = &self.0 {
            return Ok(Arc::clone(&given.roots));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Platforms ship a few certificates that cannot be parsed; the others are still good.
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            let errors = errors.join("; ");
            return Err(ClientTlsError::NoPlatformRoots { errors });
        }
        Ok(Arc::new(roots))
    }
}

impl PartialEq for TrustedRoots {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => a.certificates == b.certificates,
            _ => false,
        }
    }
}

impl Eq for TrustedRoots {}

impl fmt::Debug for TrustedRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("TrustedRoots(platform)"),
            Some(given) => write!(f, "TrustedRoots({} given)", given.certificates.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_certificates_are_rejected_with_their_position() {
        let none: [&str; 0] = [];
        let rejected = |documents: &[&str]| TrustedRoots::from_pem(documents).unwrap_err();
        assert!(matches!(rejected(&none), ClientTlsError::NoCertificates));
        let error = rejected(&["not PEM"]);
        assert!(error.to_string().contains("certificate 1"), "{error}");
        let not_base64 = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            rejected(&[not_base64]),
            ClientTlsError::Pem { position: 1 }
        ));
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let not_der = rejected(&[not_der]);
        assert!(matches!(not_der, ClientTlsError::Certificate { position: 1, .. }));
    }

    #[test]
    fn a_bundle_is_used_as_far_as_it_can_be() {
        let made = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let good = made.cert.pem();
        let not_base64 = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let bundle = format!("{not_base64}{not_der}{good}{not_der}");
        let (roots, left_out) = TrustedRoots::from_pem_bundle(bundle).unwrap();
        assert_eq!(roots.load().unwrap().len(), 1);
        assert_eq!(left_out, 3);
        let (roots, left_out) = TrustedRoots::from_pem_bundle(&good).unwrap();
        assert_eq!((roots.load().unwrap().len(), left_out), (1, 0));
        for none in ["", "not PEM", not_base64, not_der] {
            TrustedRoots::from_pem_bundle(none).unwrap_err();
        }
    }

    #[test]
    fn a_document_may_hold_several_certificates() {
        let pem = |name: &str| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            made.cert.pem()
        };
        let roots = TrustedRoots::from_pem([format!("{}\n{}", pem("a"), pem("b"))]).unwrap();
        assert_eq!(roots.load().unwrap().len(), 2);
        assert_eq!(roots, roots.clone());
        assert_ne!(roots, TrustedRoots::platform());
        assert_eq!(format!("{roots:?}"), "TrustedRoots(2 given)");
    }
}
