//! How a device authenticates the caller: by a username token in the envelope, or by a challenge of HTTP.

use std::fmt;
use std::time::SystemTime;

use http::{HeaderName, HeaderValue, Method};
use lva_client_transport::http::{HttpAuthenticator, HttpCredentials};
use lva_media_types::Credentials;

use crate::soap::{one_line, security};
use crate::token::{ClockOffset, Token};

/// Rejections in a row after which a request is sent again: one for each scheme, and one for a stale nonce.
const MAX_REJECTIONS: u32 = 3;

/// The scheme that a device has asked for so far.
///
/// Requests start with a token. After an HTTP challenge they answer it instead, by Digest where it is offered, else by
/// Basic. A device that then still rejects the SOAP message gets both.
pub(crate) struct Authenticator {
    http: HttpAuthenticator,
    sends_token: bool,
    rejections: u32,
}

impl Authenticator {
    pub(crate) fn new(credentials: Option<HttpCredentials>, allows_basic: bool) -> Self {
        Self {
            http: HttpAuthenticator::new(credentials)
                .with_max_challenges(MAX_REJECTIONS)
                .with_basic(allows_basic),
            sends_token: true,
            rejections: 0,
        }
    }

    fn password(&self) -> Option<&Credentials> {
        self.http.credentials()?.as_password()
    }

    pub(crate) fn has_credentials(&self) -> bool {
        self.http.credentials().is_some()
    }

    /// The header of the envelope; empty without a token.
    pub(crate) fn security(&self, offset: ClockOffset, now: SystemTime, nonce: [u8; 16]) -> String {
        match self.password().filter(|_| self.sends_token) {
            Some(password) => security(password.username(), &Token::new(password, offset, now, nonce)),
            None => String::new(),
        }
    }

    /// The header of the HTTP request that posts `body` to `path`.
    pub(crate) fn header(&mut self, path: &str, body: &[u8]) -> Option<(HeaderName, HeaderValue)> {
        self.http.header(&Method::POST, path, body)
    }

    /// A request was rejected: by HTTP with these challenges, or by a fault without any. Returns whether to send it again.
    pub(crate) fn rejected(&mut self, challenges: &[String]) -> bool {
        self.rejections += 1;
        if self.password().is_none() || self.rejections > MAX_REJECTIONS {
            return false;
        }
        if challenges.is_empty() {
            // A fault after a challenge was answered: the device wants a token as well.
            let again = self.http.has_challenge() && !self.sends_token;
            self.sends_token = true;
            return again;
        }
        if !self.http.has_challenge() {
            self.sends_token = false;
        }
        self.http.challenged(challenges.iter().map(String::as_str))
    }

    /// Whether the device asked for Basic, which is not allowed.
    pub(crate) fn wants_basic(&self) -> bool {
        self.http.wants_basic()
    }

    /// Whether requests carry the password itself.
    pub(crate) fn sends_password(&self) -> bool {
        self.http.sends_password()
    }

    /// A request was not rejected.
    pub(crate) fn accepted(&mut self) {
        self.rejections = 0;
        self.http.accepted();
    }

    /// A device's string for an error: one line of bounded length, without the password, which a device that received it by
    /// Basic could repeat.
    pub(crate) fn redact(&self, text: &str) -> String {
        match self.password().map(Credentials::password) {
            Some(password) if !password.is_empty() => one_line(&text.replace(password, "***")),
            _ => one_line(text),
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("http", &self.http)
            .field("sends_token", &self.sends_token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = r#"Digest realm="x", nonce="n", qop="auth""#;
    const STALE: &str = r#"Digest realm="x", nonce="m", qop="auth", stale=true"#;
    const BASIC: &str = r#"Basic realm="x""#;

    fn with_password() -> Authenticator {
        Authenticator::new(Some(HttpCredentials::password("user", "hunter2")), true)
    }

    fn rejected(authenticator: &mut Authenticator, challenges: &[&str]) -> bool {
        let challenges: Vec<String> = challenges.iter().map(|text| (*text).to_owned()).collect();
        authenticator.rejected(&challenges)
    }

    fn sent(authenticator: &mut Authenticator) -> (bool, Option<String>) {
        let token = authenticator.security(ClockOffset::default(), SystemTime::UNIX_EPOCH, [0; 16]);
        let header = authenticator.header("/x?y", b"body");
        (
            !token.is_empty(),
            header.map(|(_, value)| value.to_str().unwrap().to_owned()),
        )
    }

    #[test]
    fn a_token_is_tried_first_then_digest_then_both() {
        let mut authenticator = with_password();
        assert_eq!(sent(&mut authenticator), (true, None));
        assert!(rejected(&mut authenticator, &[BASIC, DIGEST]));
        let (token, header) = sent(&mut authenticator);
        assert!(!token && header.unwrap().contains(r#"uri="/x?y""#));
        assert!(rejected(&mut authenticator, &[]));
        let (token, header) = sent(&mut authenticator);
        assert!(token && header.unwrap().starts_with("Digest "));
        assert!(!rejected(&mut authenticator, &[]));
    }

    #[test]
    fn a_wrong_password_is_sent_once_and_a_stale_nonce_is_answered() {
        for offer in [DIGEST, BASIC] {
            let mut authenticator = with_password();
            assert!(rejected(&mut authenticator, &[offer]));
            assert!(!rejected(&mut authenticator, &[offer]));
        }
        let mut authenticator = with_password();
        assert!(rejected(&mut authenticator, &[DIGEST]));
        authenticator.accepted();
        for again in [true, true, true, false] {
            assert_eq!(rejected(&mut authenticator, &[STALE]), again);
        }
        let mut authenticator = with_password();
        assert!(!rejected(&mut authenticator, &["Negotiate"]));
        assert!(!rejected(&mut authenticator, &[]));
    }

    #[test]
    fn no_credentials_and_a_header_answer_no_challenge() {
        for credentials in [None, HttpCredentials::header("x-key", "k")] {
            let mut authenticator = Authenticator::new(credentials, true);
            let (token, _) = sent(&mut authenticator);
            assert!(!token && !rejected(&mut authenticator, &[BASIC]));
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let mut authenticator = with_password();
        assert!(rejected(&mut authenticator, &[BASIC]));
        let (_, value) = authenticator.header("/", b"").unwrap();
        let shown = format!("{authenticator:?} {value:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("user") && !shown.contains("Basic"),
            "{shown}"
        );
        assert_eq!(authenticator.redact("user\nhunter2?"), "user ***?");
    }
}
