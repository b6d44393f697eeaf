//! User and password as the contract sends them: `x-ms-authentication: Basic …` in the metadata of the call.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::metadata::MetadataMap;
use tonic::metadata::{Ascii, MetadataValue};

const HEADER: &str = "x-ms-authentication";

/// User and password. Neither `Debug` nor any error shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    header: String,
}

impl Credentials {
    /// As in a topology's `UsernamePasswordCredentials`.
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            header: format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
        }
    }

    pub(crate) fn write(&self, metadata: &mut MetadataMap) {
        // Base64 and a blank are always valid in a header.
        if let Ok(mut value) = self.header.parse::<MetadataValue<Ascii>>() {
            value.set_sensitive(true);
            metadata.insert(HEADER, value);
        }
    }

    /// Whether the caller sent these. Takes the same time wherever the first difference is.
    pub(crate) fn admit(&self, metadata: &MetadataMap) -> bool {
        metadata
            .get(HEADER)
            .is_some_and(|sent| self.admit_header(sent.as_encoded_bytes()))
    }

    /// The same for the bare value of a header; that of `Authorization` with Basic is of the same form.
    pub(crate) fn admit_header(&self, sent: &[u8]) -> bool {
        let own = self.header.as_bytes();
        let different = sent
            .iter()
            .zip(own)
            .fold(0, |different, (a, b)| different | (a ^ b));
        sent.len() == own.len() && different == 0
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_contracts() {
        let mut metadata = MetadataMap::new();
        let credentials = Credentials::new("testuser", "testpassword");
        credentials.write(&mut metadata);
        assert_eq!(
            metadata.get("x-ms-authentication").unwrap(),
            "Basic dGVzdHVzZXI6dGVzdHBhc3N3b3Jk"
        );
        assert!(credentials.admit(&metadata));
        assert!(!format!("{metadata:?}").contains("dGVz"));
    }

    #[test]
    fn others_are_not_admitted() {
        let wanted = Credentials::new("user", "password");
        assert!(!wanted.admit(&MetadataMap::new()));
        for other in [
            Credentials::new("user", "passwore"),
            Credentials::new("user", "pass"),
            Credentials::new("", ""),
        ] {
            let mut metadata = MetadataMap::new();
            other.write(&mut metadata);
            assert!(!wanted.admit(&metadata));
        }
    }

    #[test]
    fn nothing_is_shown() {
        assert_eq!(
            format!("{:?}", Credentials::new("user", "password")),
            "Credentials(hidden)"
        );
    }
}
