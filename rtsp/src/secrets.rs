//! Keeps what must not be shown out of foreign text: header values, descriptions, reasons that a camera gives.

use lva_media_types::Credentials;
use percent_encoding::percent_decode_str;

use crate::url::secret_values;

/// Shorter values are not masked on their own: they would tear ordinary words apart.
const MIN_LEN: usize = 3;
const MASK: &str = "***";

/// The secrets that a session knows.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// The password of the log-in, and the values in the address that look like one.
    pub(crate) fn new(address: &str, credentials: Option<&Credentials>) -> Self {
        let mut secrets = Self::default();
        if let Some(credentials) = credentials {
            secrets.add(credentials.password());
        }
        for value in secret_values(address) {
            secrets.add(value);
        }
        secrets
    }

    fn add(&mut self, value: &str) {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

        let decoded = percent_decode_str(value).decode_utf8_lossy().into_owned();
        let encoded = utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string();
        for form in [value.to_owned(), decoded, encoded] {
            if form.len() >= MIN_LEN && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // Longer ones first: a short secret may be part of a long one.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without these secrets, without user and password of any address in it, and without values that look like
    /// secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut masked = without_user_info(text);
        masked = without_secret_values(&masked);
        for secret in &self.0 {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK);
            }
        }
        masked
    }
}

/// Replaces the values of members whose names look like secrets.
pub(crate) fn without_secret_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    for value in secret_values(text).filter(|value| !value.is_empty()) {
        if let Some((before, after)) = rest.split_once(value) {
            out.push_str(before);
            out.push_str(MASK);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Replaces `user:password@` behind each `://`.
fn without_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'))
            .unwrap_or(after.len());
        let address = after.get(..end).unwrap_or_default();
        // A password may have slashes that nobody escaped, so it ends at the last `@` of this address.
        let address = address
            .get(..address.find("://").unwrap_or(end))
            .unwrap_or_default();
        match address.rfind('@') {
            Some(user) => {
                out.push_str(MASK);
                out.push_str(address.get(user..).unwrap_or_default());
            }
            None => out.push_str(address),
        }
        rest = after.get(address.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_session_knows_is_masked_in_each_of_its_spellings() {
        let credentials = Credentials::new("admin", "p@ss wörd");
        let secrets = Secrets::new(
            "rtsp://h/user=a_password=GEHEIM_ch=1?pwd=Ver%2Bsteckt",
            Some(&credentials),
        );
        for text in [
            "p@ss wörd",
            "p%40ss%20w%C3%B6rd",
            "GEHEIM",
            "Ver%2Bsteckt",
            "Ver+steckt",
        ] {
            assert_eq!(secrets.mask(&format!("a=x:{text}!")), "a=x:***!", "{text}");
        }
        assert!(!format!("{secrets:?}").contains("GEHEIM"));
    }

    #[test]
    fn users_and_passwords_of_any_address_are_masked() {
        let secrets = Secrets::default();
        for (text, masked) in [
            (
                "a=control:rtsp://u:p@h/s\r\na=x",
                "a=control:rtsp://***@h/s\r\na=x",
            ),
            (
                "rtsp://u:a/b#c@h/s and rtsp://h/t",
                "rtsp://***@h/s and rtsp://h/t",
            ),
            (
                "rtsp://h/s?password=Abc123&x=1 Abc123",
                "rtsp://h/s?password=***&x=1 Abc123",
            ),
            ("rtsp://h:554/stream1", "rtsp://h:554/stream1"),
        ] {
            assert_eq!(secrets.mask(text), masked);
        }
    }

    proptest! {
        #[test]
        fn a_password_never_shows(before in "[ -~]{0,20}", password in "[A-Z]{6}[0-9]{6}", after in "[ -~]{0,20}") {
            let secrets = Secrets::new("rtsp://h/", Some(&Credentials::new("u", password.clone())));
            let masked = secrets.mask(&format!("{before}{password}{after} rtsp://x:{password}@h"));
            prop_assert!(!masked.contains(&password));
        }
    }
}
