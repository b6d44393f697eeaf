//! Keeps what must not be shown out of foreign text: header values, descriptions, reasons that a camera gives.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lva_media_types::{Credentials, clean_text, masked_address};
use percent_encoding::percent_decode_str;

/// Shorter values are not masked on their own: they would tear ordinary words apart.
const MIN_LEN: usize = 3;
/// The same for values of the address that do not look like secrets.
const MIN_LEN_OF_ANY: usize = 6;
const MASK: &str = "***";
/// Characters of a foreign name in an error.
const MAX_NAME: usize = 64;
/// Characters of it that are looked at: a secret at its end is whole then.
const MAX_FOREIGN: usize = 4096;

/// Members of a query or path whose values are never printed. Several vendors put the password there, some of them in the
/// path: `user=admin_password=…_channel=1_stream=0.sdp`.
const SECRET_MEMBERS: [&str; 4] = ["psw", "pw", "psk", "sig"];
/// The same where something may stand in front of them: `userpwd`, `apikey`, `accessToken`.
const SECRET_ENDINGS: [&str; 11] = [
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "token",
    "auth",
    "secret",
    "key",
    "signature",
];

/// The secrets that a session knows.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// The password of the log-in, the values in the address that look like one, and all others that are not short.
    pub(crate) fn new(address: &str, credentials: Option<&Credentials>) -> Self {
        let mut secrets = Self::default();
        if let Some(credentials) = credentials {
            secrets.add(credentials.password());
            let both = format!("{}:{}", credentials.username(), credentials.password());
            // As Basic has it.
            secrets.add(&STANDARD.encode(both));
        }
        for value in secret_values(address) {
            secrets.add(value);
        }
        let (_, query) = address.split_once('?').unwrap_or_default();
        for member in query.split(['&', ';', '#']) {
            let value = member.split_once('=').map_or(member, |(_, value)| value);
            if value.len() >= MIN_LEN_OF_ANY {
                secrets.add(value);
            }
        }
        secrets
    }

    fn add(&mut self, value: &str) {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

        let decoded = percent_decode_str(value).decode_utf8_lossy().into_owned();
        let encoded = utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string();
        // Names of encodings come in lower case.
        let lower = decoded.to_ascii_lowercase();
        for form in [value.to_owned(), decoded, encoded, lower] {
            if form.len() >= MIN_LEN && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // Longer ones first: a short secret may be part of a long one.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// `text` without these secrets, with every address in it masked, and without values that look like secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut masked = with_masked_addresses(text);
        masked = without_secret_values(&masked);
        for secret in &self.0 {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK);
            }
        }
        masked
    }

    /// A foreign name for an error: masked, on one line, and short.
    pub(crate) fn mask_name(&self, text: &str) -> String {
        clean_text(&self.mask(&clean_text(text, MAX_FOREIGN)), MAX_NAME)
    }
}

/// Replaces the values of members whose names look like secrets.
pub(crate) fn without_secret_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for value in secret_ranges(text).filter(|value| !value.is_empty()) {
        out.push_str(text.get(at..value.start).unwrap_or_default());
        out.push_str(MASK);
        at = value.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The values of all members of queries and paths in `text` whose names look like secrets, in their order.
fn secret_values(text: &str) -> impl Iterator<Item = &str> {
    secret_ranges(text).filter_map(|range| text.get(range))
}

fn is_secret(word: &str) -> bool {
    let ends = |ending: &&str| {
        let start = word.len().checked_sub(ending.len());
        start
            .and_then(|start| word.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    SECRET_MEMBERS.iter().any(|name| word.eq_ignore_ascii_case(name)) || SECRET_ENDINGS.iter().any(ends)
}

/// Where these values stand.
fn secret_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (before, after) = rest.split_once('=')?;
            let word = before
                .rsplit(|c: char| !c.is_ascii_alphanumeric())
                .next()
                .unwrap_or_default();
            rest = after;
            if is_secret(word) {
                let (value, behind) = after.split_at(end_of_value(after));
                rest = behind;
                let end = text.len() - behind.len();
                return Some(end - value.len()..end);
            }
        }
    })
}

/// Where a member's value ends: at a separator, or at the next member of a path.
fn end_of_value(text: &str) -> usize {
    // `_channel=1` is the next member; a value may have underlines itself.
    let mut next_member = None;
    for (at, letter) in text.char_indices() {
        match letter {
            '&' | '/' | '?' | '#' | ';' | '"' | '\'' | '<' | '>' | ',' => return at,
            _ if letter.is_whitespace() => return at,
            '_' => next_member = Some(at),
            '=' => match next_member.take() {
                Some(member) if member + 1 < at => return member,
                _ => {}
            },
            _ if letter.is_ascii_alphanumeric() => {}
            _ => next_member = None,
        }
    }
    text.len()
}

/// Masks each address with a scheme.
fn with_masked_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, _) = rest.split_at(at);
        let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
        let scheme = before.trim_end_matches(is_scheme).len();
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        let end = rest
            .get(at..)
            .and_then(|rest| rest.find(ends))
            .map_or(rest.len(), |end| at + end);
        out.push_str(rest.get(..scheme).unwrap_or_default());
        out.push_str(&masked_address(rest.get(scheme..end).unwrap_or_default()));
        rest = rest.get(end..).unwrap_or_default();
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
            "YWRtaW46cEBzcyB3w7ZyZA==",
        ] {
            assert_eq!(secrets.mask(&format!("a=x:{text}!")), "a=x:***!", "{text}");
        }
        assert!(!format!("{secrets:?}").contains("GEHEIM"));
    }

    #[test]
    fn users_and_passwords_of_any_address_are_masked() {
        let secrets = Secrets::default();
        for (text, masked) in [
            ("a=control:rtsp://u:p@h/s\r\na=x", "a=control:rtsp://h/s\r\na=x"),
            ("rtsp://u:a/b#c@h/s and rtsp://h/t", "rtsp://h/s and rtsp://h/t"),
            (
                "rtsp://h/s?password=Abc123&x=1 Abc123",
                "rtsp://h/s?password=***&x=*** Abc123",
            ),
            ("rtsp://h:554/stream1", "rtsp://h:554/stream1"),
            (
                "rtsp://h/s?userPwd=a1&apikey=b2&access_token=c3&pw=d4&channel=1&keyframe=1",
                "rtsp://h/s?userPwd=***&apikey=***&access_token=***&pw=***&channel=***&keyframe=***",
            ),
            // Without an address, by their names.
            (
                "a=control:user=admin_password=x_y_channel=1/?token=b",
                "a=control:user=admin_password=***_channel=1/?token=***",
            ),
            (
                "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QA==,aO4=",
                "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QA==,aO4=",
            ),
            (
                "\"http://u:p@h/a?b=c\", <rtsp://h/d#e>",
                "\"http://h/a?b=***\", <rtsp://h/d#***>",
            ),
        ] {
            assert_eq!(secrets.mask(text), masked);
        }
    }

    #[test]
    fn large_hostile_texts_are_masked_in_one_pass() {
        let secrets = Secrets::default();
        for (piece, masked) in [("://", "://"), ("password=x_", "password=***_")] {
            let text = piece.repeat((1 << 20) / piece.len());
            assert!(secrets.mask(&text).starts_with(&masked.repeat(3)), "{piece}");
        }
        let underlines = format!("a=password={}", "_".repeat(1 << 20));
        assert_eq!(secrets.mask(&underlines), "a=password=***");
    }

    #[test]
    fn a_value_that_also_stands_in_front_of_its_member_is_masked() {
        let secrets = Secrets::default();
        assert_eq!(
            secrets.mask("rtsp://cam/x?password=cam"),
            "rtsp://cam/x?password=***"
        );
    }

    #[test]
    fn foreign_names_are_masked_short_and_on_one_line() {
        let secrets = Secrets::new("rtsp://h/", Some(&Credentials::new("u", "geheim")));
        let name = secrets.mask_name(&format!("x\r\n\x1b[31mgeheim{}", "y".repeat(100)));
        assert!(name.starts_with("x   [31m***y") && name.len() == 64, "{name}");
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
