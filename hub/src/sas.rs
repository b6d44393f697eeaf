//! Shared-access signatures: the password of a hub connection, valid for a limited time.

mod presented;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lva_media_types::SecretString;
use ring::hmac;

use crate::properties::encode;
pub use presented::{PresentedToken, TokenRefusal};

/// Share of a token's life after which a new one is made.
const RENEW_AT_PERCENT: u32 = 80;

/// A symmetric key of a device, a module or a shared access policy. `Debug` hides it.
#[derive(Clone)]
pub struct SymmetricKey {
    key: hmac::Key,
    length: usize,
}

impl SymmetricKey {
    /// A key as connection strings have it: base64.
    ///
    /// # Errors
    ///
    /// [`SasError::Key`] when it is not base64.
    pub fn from_base64(key: &SecretString) -> Result<Self, SasError> {
        let bytes = STANDARD.decode(key.expose().trim()).map_err(|_| SasError::Key)?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
            length: bytes.len(),
        })
    }

    /// Bytes that it has; hubs make keys of 16 to 64.
    pub fn length(&self) -> usize {
        self.length
    }

    /// HMAC-SHA256 of a string, in base64.
    pub fn sign(&self, text: &str) -> String {
        STANDARD.encode(hmac::sign(&self.key, text.as_bytes()))
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(***)")
    }
}

/// A token before it is signed: for what, and until when.
///
/// ```
/// use lva_hub::sas::{SymmetricKey, UnsignedToken};
///
/// let key = SymmetricKey::from_base64(&"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into())?;
/// let token = UnsignedToken::new("contoso.azure-devices.net/devices/dev1/modules/lvaEdge", 1_700_000_000);
/// let password = token.with_signature(&key.sign(token.text_to_sign()));
/// assert!(password.expose().ends_with("&sig=7f%2FdX2CrJD3gHfSHxuijBj15xWvUc4rjkNet5I%2FF5zY%3D&se=1700000000"));
/// # Ok::<(), lva_hub::sas::SasError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedToken {
    text: String,
    expires_unix_s: u64,
}

impl UnsignedToken {
    /// For this resource ([`Identity::resource`](crate::Identity::resource)), valid until `expires_unix_s`, in seconds
    /// since 1970.
    pub fn new(resource: &str, expires_unix_s: u64) -> Self {
        Self {
            text: format!("{}\n{expires_unix_s}", encode(resource)),
            expires_unix_s,
        }
    }

    /// The string whose HMAC-SHA256 is the signature.
    pub fn text_to_sign(&self) -> &str {
        &self.text
    }

    /// The complete token, given the signature in base64.
    pub fn with_signature(&self, signature: &str) -> SecretString {
        let resource = self.text.split('\n').next().unwrap_or_default();
        let (signature, expiry) = (encode(signature), self.expires_unix_s);
        format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}").into()
    }
}

/// How long after a token was made its successor is due, for a token with this life: at 80 % of it.
pub fn renewal_after(life: Duration) -> Duration {
    life * RENEW_AT_PERCENT / 100
}

/// Why a token cannot be made. The configuration is wrong; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SasError {
    /// A key that is not base64.
    #[error("the shared access key is not base64: copy it again from the hub")]
    Key,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the Python SDK, with the vector of the contract.
    #[test]
    fn the_token_equals_that_of_the_reference() {
        let key = SymmetricKey::from_base64(&"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into()).unwrap();
        let token = UnsignedToken::new(
            "contoso.azure-devices.net/devices/dev1/modules/lvaEdge",
            1_700_000_000,
        );
        let password = token.with_signature(&key.sign(token.text_to_sign()));
        assert_eq!(
            password.expose(),
            "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev1%2Fmodules%2FlvaEdge\
             &sig=7f%2FdX2CrJD3gHfSHxuijBj15xWvUc4rjkNet5I%2FF5zY%3D&se=1700000000"
        );
    }

    #[test]
    fn keys_are_checked_and_hidden() {
        assert_eq!(
            SymmetricKey::from_base64(&"no base64!".into()).unwrap_err(),
            SasError::Key
        );
        let key = SymmetricKey::from_base64(&" AAEC \n".into()).unwrap();
        assert_eq!(format!("{key:?}"), "SymmetricKey(***)");
    }

    #[test]
    fn renewal_is_due_at_four_fifths_of_the_life() {
        assert_eq!(
            renewal_after(Duration::from_secs(3600)),
            Duration::from_secs(2880)
        );
        assert_eq!(renewal_after(Duration::from_secs(10)), Duration::from_secs(8));
    }
}
