use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::SymmetricKey;
use crate::properties::decode;

/// The scheme of HTTP's `Authorization`, and the beginning of a password.
const SCHEME: &str = "SharedAccessSignature";

/// A token that a caller presents, for a server that has the key.
///
/// ```
/// use lva_hub::sas::{PresentedToken, SymmetricKey, TokenRefusal, UnsignedToken};
///
/// let key = SymmetricKey::from_base64(&"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into())?;
/// let token = UnsignedToken::new("contoso.azure-devices.net", 1_700_000_000);
/// let sent = token.with_signature(&key.sign(token.text_to_sign()));
/// let presented = PresentedToken::parse(sent.expose())?;
/// assert_eq!(presented.resource(), "contoso.azure-devices.net");
/// assert_eq!(presented.check(&key, 1_699_999_999), Ok(()));
/// assert_eq!(presented.check(&key, 1_700_000_000), Err(TokenRefusal::Expired));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PresentedToken<'a> {
    /// As it was sent, since that is what was signed.
    signed_resource: &'a str,
    resource: Cow<'a, str>,
    signature: Vec<u8>,
    /// Likewise.
    signed_expiry: &'a str,
    expires_unix_s: u64,
    policy: Option<Cow<'a, str>>,
}

/// Why a presented token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// Not a token.
    #[error("the token is malformed: it has the form SharedAccessSignature sr=…&sig=…&se=…")]
    Malformed,
    /// Signed with another key, or for something else.
    #[error("the signature of the token is not of the key that is configured here")]
    Signature,
    /// Its time is over.
    #[error("the token has expired: make a new one, and check the clocks of both machines")]
    Expired,
}

impl<'a> PresentedToken<'a> {
    /// Whether this is meant as such a token, right or wrong.
    pub fn is_meant(text: &str) -> bool {
        after_scheme(text).is_some()
    }

    /// Reads a token: its fields in any order, each once; others are ignored.
    ///
    /// # Errors
    ///
    /// [`TokenRefusal::Malformed`].
    pub fn parse(text: &'a str) -> Result<Self, TokenRefusal> {
        let fields = after_scheme(text).ok_or(TokenRefusal::Malformed)?;
        let (mut resource, mut signature, mut expiry, mut policy) = (None, None, None, None);
        for field in fields.split('&') {
            let (name, value) = field.split_once('=').ok_or(TokenRefusal::Malformed)?;
            let slot = match name {
                "sr" => &mut resource,
                "sig" => &mut signature,
                "se" => &mut expiry,
                "skn" => &mut policy,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(TokenRefusal::Malformed);
            }
        }
        let needed = |value: Option<&'a str>| value.ok_or(TokenRefusal::Malformed);
        let decoded = |value: &'a str| decode(value).map_err(|_| TokenRefusal::Malformed);
        let (signed_resource, signed_expiry) = (needed(resource)?, needed(expiry)?);
        let signature = decoded(needed(signature)?)?;
        Ok(Self {
            signed_resource,
            resource: decoded(signed_resource)?,
            signature: STANDARD
                .decode(&*signature)
                .map_err(|_| TokenRefusal::Malformed)?,
            signed_expiry,
            expires_unix_s: signed_expiry.parse().map_err(|_| TokenRefusal::Malformed)?,
            policy: policy.map(decoded).transpose()?,
        })
    }

    /// For what it was made: a host, perhaps with a path. **Not to be trusted before [`check`](Self::check).**
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The policy whose key it claims to be signed with. The signature does not cover this name.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// Whether it was signed with this key, in constant time, and is valid still. What it was made for is the server's to
    /// compare.
    ///
    /// # Errors
    ///
    /// [`TokenRefusal`].
    pub fn check(&self, key: &SymmetricKey, now_unix_s: u64) -> Result<(), TokenRefusal> {
        let text = format!("{}\n{}", self.signed_resource, self.signed_expiry);
        hmac::verify(&key.key, text.as_bytes(), &self.signature).map_err(|_| TokenRefusal::Signature)?;
        match now_unix_s < self.expires_unix_s {
            true => Ok(()),
            false => Err(TokenRefusal::Expired),
        }
    }
}

/// Names of schemes have no case (RFC 9110 section 11.1).
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest.trim_start())
}

impl std::fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresentedToken")
            .field("resource", &self.resource)
            .field("expires_unix_s", &self.expires_unix_s)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// Made by `azure-iot-hub` 2.7.0 for the host `localhost:8443`, the policy `service`, and this key.
    const OF_PYTHON: &str = "SharedAccessSignature sr=localhost%3A8443&sig=hmHVxQnu/qRJqi7kaiI97bG%2BDobgYyUY5bUQJI3nSFk%3D&se=1700000000&skn=service";

    fn key() -> SymmetricKey {
        SymmetricKey::from_base64(&KEY.into()).unwrap()
    }

    #[test]
    fn a_token_of_the_service_sdk_is_taken_until_it_expires() {
        let token = PresentedToken::parse(OF_PYTHON).unwrap();
        assert_eq!(
            (token.resource(), token.policy()),
            ("localhost:8443", Some("service"))
        );
        assert_eq!(token.check(&key(), 1_699_999_999), Ok(()));
        assert_eq!(token.check(&key(), 1_700_000_000), Err(TokenRefusal::Expired));
        assert!(!format!("{token:?}").contains("sig"));
    }

    #[test]
    fn whatever_was_signed_cannot_be_changed() {
        let other =
            SymmetricKey::from_base64(&"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh4=".into()).unwrap();
        let token = PresentedToken::parse(OF_PYTHON).unwrap();
        assert_eq!(token.check(&other, 0), Err(TokenRefusal::Signature));
        for changed in [
            OF_PYTHON.replace("localhost", "localhosu"),
            OF_PYTHON.replace("se=17", "se=18"),
            OF_PYTHON.replace("%3A", "%3a"),
            OF_PYTHON.replace("se=1", "se=01"),
        ] {
            let token = PresentedToken::parse(&changed).unwrap();
            assert_eq!(token.check(&key(), 0), Err(TokenRefusal::Signature), "{changed}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        for text in [
            "",
            "Bearer abc",
            "SharedAccessSignature",
            "SharedAccessSignature sr=a&sig=AA%3D%3D",
            "SharedAccessSignature sr=a&sig=AA%3D%3D&se=soon",
            "SharedAccessSignature sr=a&sig=?&se=1",
            "SharedAccessSignature sr=a&sig=AA%3D%3D&se=-1",
            "SharedAccessSignature sr=a&sr=b&sig=AA%3D%3D&se=1",
            "SharedAccessSignature sr=%ff&sig=AA%3D%3D&se=1",
        ] {
            assert_eq!(
                PresentedToken::parse(text).unwrap_err(),
                TokenRefusal::Malformed,
                "{text}"
            );
        }
        assert!(PresentedToken::is_meant("sharedaccesssignature sr="));
        assert!(!PresentedToken::is_meant("Bearer abc"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(SharedAccessSignature )?[a-z=&%0-9]{0,40}") {
            let _ = PresentedToken::parse(&text);
        }
    }
}
