//! User name and password as the contract sends them: `x-ms-authentication: Basic …` in the metadata of the call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lva_media_types::Credentials;
use subtle::ConstantTimeEq as _;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

const HEADER: &str = "x-ms-authentication";

/// The message to a caller without them.
pub(crate) const MISSING: &str =
    "x-ms-authentication is missing or wrong: send Basic and the base64 of user:password";

/// Adds the credentials to the metadata of a call.
pub(crate) fn write(credentials: &Credentials, metadata: &mut MetadataMap) {
    // Base64 and a space are always valid in a header.
    if let Ok(mut value) = basic(credentials).parse::<MetadataValue<Ascii>>() {
        value.set_sensitive(true);
        metadata.insert(HEADER, value);
    }
}

/// Whether the caller sent these credentials.
pub(crate) fn verify(credentials: &Credentials, metadata: &MetadataMap) -> bool {
    metadata
        .get(HEADER)
        .is_some_and(|sent| verify_header(credentials, sent.as_encoded_bytes()))
}

/// The same for the value of a header; `Authorization` with Basic has the same form. Takes the same time wherever the
/// first difference is.
pub(crate) fn verify_header(credentials: &Credentials, sent: &[u8]) -> bool {
    sent.ct_eq(basic(credentials).as_bytes()).into()
}

fn basic(credentials: &Credentials) -> String {
    let pair = format!("{}:{}", credentials.username(), credentials.password());
    format!("Basic {}", STANDARD.encode(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_contracts() {
        let mut metadata = MetadataMap::new();
        let credentials = Credentials::new("testuser", "testpassword");
        write(&credentials, &mut metadata);
        assert_eq!(
            metadata.get("x-ms-authentication").unwrap(),
            "Basic dGVzdHVzZXI6dGVzdHBhc3N3b3Jk"
        );
        assert!(verify(&credentials, &metadata));
    }

    #[test]
    fn other_credentials_are_rejected() {
        let wanted = Credentials::new("user", "password");
        assert!(!verify(&wanted, &MetadataMap::new()));
        for other in [
            Credentials::new("user", "passwore"),
            Credentials::new("user", "pass"),
            Credentials::new("", ""),
        ] {
            let mut metadata = MetadataMap::new();
            write(&other, &mut metadata);
            assert!(!verify(&wanted, &metadata));
        }
    }
}
