//! How a device wants to be convinced: a token in the envelope, or an answer to a challenge of HTTP.

use std::fmt;
use std::time::SystemTime;

use http_auth::{PasswordClient, PasswordParams};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::soap::{security, words};
use super::token::{ClockOffset, Password};

/// Refusals in a row that are answered: one by each way, and a nonce that has become stale.
const MAX_REFUSALS: u32 = 3;

/// As whom a device is asked. `Debug` shows nothing of it.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// By a token or by HTTP, as the device likes.
    Password(Password),
    /// A header that goes with every request, for a gateway before the device.
    Header(HeaderName, HeaderValue),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Credentials(password, hidden)",
            Self::Header(..) => "Credentials(header, hidden)",
        })
    }
}

/// What was learnt about a device's wishes.
///
/// Requests begin with a token. A challenge of HTTP is answered in its place, by Digest where it is offered, else by
/// Basic; a device that then refuses the message itself gets both.
pub(super) struct Login {
    credentials: Option<Credentials>,
    challenge: Option<PasswordClient>,
    token: bool,
    refusals: u32,
}

impl Login {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            challenge: None,
            token: true,
            refusals: 0,
        }
    }

    fn password(&self) -> Option<&Password> {
        match &self.credentials {
            Some(Credentials::Password(password)) => Some(password),
            _ => None,
        }
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// What goes into the envelope's header.
    pub(super) fn security(&self, offset: ClockOffset, now: SystemTime, nonce: [u8; 16]) -> String {
        match self.password().filter(|_| self.token) {
            Some(password) => security(&password.user, &password.token(offset, now, nonce)),
            None => String::new(),
        }
    }

    /// The header of the request that posts `body` to `path`.
    pub(super) fn header(&mut self, path: &str, body: &[u8]) -> Option<(HeaderName, HeaderValue)> {
        match self.credentials.as_ref()? {
            Credentials::Header(name, value) => Some((name.clone(), value.clone())),
            Credentials::Password(Password { user, password }) => {
                let params = PasswordParams {
                    username: user,
                    password,
                    uri: path,
                    method: "POST",
                    body: Some(body),
                };
                let answer = self.challenge.as_mut()?.respond(&params).ok()?;
                let mut value: HeaderValue = answer.parse().ok()?;
                value.set_sensitive(true);
                Some((AUTHORIZATION, value))
            }
        }
    }

    /// A request was refused, by HTTP with these challenges, or by a fault without any. Whether it may be sent again.
    pub(super) fn refused(&mut self, challenges: &[String]) -> bool {
        self.refusals += 1;
        if self.password().is_none() || self.refusals > MAX_REFUSALS {
            return false;
        }
        if challenges.is_empty() {
            // A fault after a challenge was answered: the message wants a token of its own.
            let again = self.challenge.is_some() && !self.token;
            self.token = true;
            return again;
        }
        let mut builder = PasswordClient::builder();
        for challenge in challenges {
            builder = builder.challenges(challenge);
        }
        let before = self.challenge.take();
        self.challenge = builder.build().ok();
        if before.is_none() {
            self.token = false;
        }
        // The same password a second time helps only where the device says that the nonce alone was the matter.
        match &self.challenge {
            None => false,
            Some(PasswordClient::Digest(digest)) => before.is_none() || digest.stale(),
            Some(_) => before.is_none(),
        }
    }

    /// Whether the password itself is sent.
    pub(super) fn is_basic(&self) -> bool {
        matches!(self.challenge, Some(PasswordClient::Basic(_)))
    }

    /// A request was not refused.
    pub(super) fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// A device's words for an error: one line, bounded, and without the password, which a device that was told it could
    /// repeat.
    pub(super) fn words(&self, text: &str) -> String {
        match self.password().filter(|password| !password.password.is_empty()) {
            Some(password) => words(&text.replace(&password.password, "***")),
            None => words(text),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("credentials", &self.credentials)
            .field("challenged", &self.challenge.is_some())
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = r#"Digest realm="x", nonce="n", qop="auth""#;
    const STALE: &str = r#"Digest realm="x", nonce="m", qop="auth", stale=true"#;
    const BASIC: &str = r#"Basic realm="x""#;

    fn login() -> Login {
        Login::new(Some(Credentials::Password(Password {
            user: "user".to_owned(),
            password: "hunter2".to_owned(),
        })))
    }

    fn refused(login: &mut Login, challenges: &[&str]) -> bool {
        let challenges: Vec<String> = challenges.iter().map(|text| (*text).to_owned()).collect();
        login.refused(&challenges)
    }

    fn sent(login: &mut Login) -> (bool, Option<String>) {
        let token = login.security(ClockOffset::default(), SystemTime::UNIX_EPOCH, [0; 16]);
        let header = login.header("/x?y", b"body");
        (
            !token.is_empty(),
            header.map(|(_, value)| value.to_str().unwrap().to_owned()),
        )
    }

    #[test]
    fn a_token_is_tried_first_then_digest_then_both() {
        let mut login = login();
        assert_eq!(sent(&mut login), (true, None));
        assert!(refused(&mut login, &[BASIC, DIGEST]));
        let (token, header) = sent(&mut login);
        assert!(!token && header.unwrap().contains(r#"uri="/x?y""#));
        assert!(refused(&mut login, &[]));
        let (token, header) = sent(&mut login);
        assert!(token && header.unwrap().starts_with("Digest "));
        assert!(!refused(&mut login, &[]));
    }

    #[test]
    fn a_wrong_password_is_sent_once_and_a_stale_nonce_is_answered() {
        for offer in [DIGEST, BASIC] {
            let mut login = login();
            assert!(refused(&mut login, &[offer]));
            assert!(!refused(&mut login, &[offer]));
        }
        let mut login = login();
        assert!(refused(&mut login, &[DIGEST]));
        login.accepted();
        for again in [true, true, true, false] {
            assert_eq!(refused(&mut login, &[STALE]), again);
        }
        let mut login = self::login();
        assert!(!refused(&mut login, &["Negotiate"]));
        assert!(!refused(&mut login, &[]));
    }

    #[test]
    fn nobody_and_a_header_answer_no_challenge() {
        let value = HeaderValue::from_static("k");
        let header = Credentials::Header(HeaderName::from_static("x-key"), value);
        for credentials in [None, Some(header)] {
            let mut login = Login::new(credentials);
            let (token, _) = sent(&mut login);
            assert!(!token && !refused(&mut login, &[BASIC]));
        }
    }

    #[test]
    fn nothing_is_shown() {
        let mut login = login();
        assert!(refused(&mut login, &[BASIC]));
        let (_, value) = login.header("/", b"").unwrap();
        let shown = format!("{login:?} {value:?} {:?}", login.credentials);
        assert!(
            !shown.contains("hunter2") && !shown.contains("user") && !shown.contains("Basic"),
            "{shown}"
        );
        assert_eq!(login.words("user\nhunter2?"), "user ***?");
    }
}
