use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::error::ClientTlsError;

/// A client's certificate with its key, by which servers that ask for one recognise it. `Debug` does not show the key.
#[derive(Clone)]
pub struct ClientCertificate(Arc<CertifiedKey>);

impl ClientCertificate {
    /// A certificate, followed by those between it and its authority, and its private key, both in PEM. The key is in PKCS #8,
    /// PKCS #1 or SEC 1, and not encrypted.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError::ClientCertificate`]. No message holds a part of the key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ClientTlsError> {
        let failed = |message: String| ClientTlsError::ClientCertificate { message };
        let read = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = read.map_err(|error| failed(format!("the certificate is not PEM ({error})")))?;
        if chain.is_empty() {
            return Err(failed("there is no -----BEGIN CERTIFICATE----- block".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            failed(format!(
                "the key is not an unencrypted private key in PEM ({error})"
            ))
        })?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
        match certified {
            Ok(certified) => Ok(Self(Arc::new(certified))),
            Err(error) => Err(failed(format!("the key does not belong to it ({error})"))),
        }
    }

    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.0.cert.len();
        f.debug_struct("ClientCertificate")
            .field("certificates", &certificates)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["device".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_belong_together() {
        let ((certificate, key), (_, other)) = (made(), made());
        let own = ClientCertificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(format!("{own:?}"), "ClientCertificate { certificates: 1, .. }");
        for (certificate, key, words) in [
            (&certificate, &other, "does not belong"),
            (&certificate, &certificate, "private key in PEM"),
            (&key, &key, "BEGIN CERTIFICATE"),
        ] {
            let error = ClientCertificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
