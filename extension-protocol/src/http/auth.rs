//! Credentials: Basic and Digest after a challenge, or a header of the operator's.

use std::fmt;

use http_auth::{PasswordClient, PasswordParams};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// Challenges in a row that are answered: the first, and one more for a Digest nonce that has become stale.
const CHALLENGES: u32 = 2;

/// As whom a client asks. Neither `Debug` nor any error shows what is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCredentials(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Password { user: String, password: String },
    Header { name: HeaderName, value: HeaderValue },
}

impl HttpCredentials {
    /// A topology's `UsernamePasswordCredentials`: nothing is sent until the server asks for it by a 401, then Basic
    /// (RFC 7617) or Digest (RFC 7616: MD5, SHA-256, SHA-512/256, with `auth` or `auth-int`), Digest where it offers
    /// both. Later requests carry it at once.
    ///
    /// Basic over plain HTTP shows the password to the network: use TLS.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Kind::Password {
            user: user.into(),
            password: password.into(),
        })
    }

    /// A topology's `HttpHeaderCredentials`: this header goes with every request.
    ///
    /// `None` where the name or the value cannot stand in a header, or the name is one that every request has already
    /// (`Host`, `Content-Length`, `Transfer-Encoding`, `Connection`).
    pub fn header(name: &str, value: &str) -> Option<Self> {
        use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
        let name: HeaderName = name.trim().parse().ok()?;
        if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(&name) {
            return None;
        }
        let mut value: HeaderValue = value.trim().parse().ok()?;
        value.set_sensitive(true);
        Some(Self(Kind::Header { name, value }))
    }
}

impl fmt::Debug for HttpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Password { .. } => "HttpCredentials(password, hidden)",
            Kind::Header { .. } => "HttpCredentials(header, hidden)",
        })
    }
}

/// What a client has learnt about how a server wants to be answered.
pub(super) struct Authenticator {
    credentials: Option<HttpCredentials>,
    challenge: Option<PasswordClient>,
    /// In a row, without an answer in between that was not 401.
    challenges: u32,
}

impl Authenticator {
    pub(super) fn new(credentials: Option<HttpCredentials>) -> Self {
        Self {
            credentials,
            challenge: None,
            challenges: 0,
        }
    }

    /// The header for the next request, which posts `body` to `path_and_query`.
    pub(super) fn header(&mut self, path_and_query: &str, body: &[u8]) -> Option<(HeaderName, HeaderValue)> {
        match &self.credentials.as_ref()?.0 {
            Kind::Header { name, value } => Some((name.clone(), value.clone())),
            Kind::Password { user, password } => {
                let params = PasswordParams {
                    username: user,
                    password,
                    uri: path_and_query,
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

    /// A 401 came with these `WWW-Authenticate` headers. Whether the request may be sent once more.
    pub(super) fn challenged<'a>(&mut self, headers: impl Iterator<Item = &'a str>) -> bool {
        self.challenges += 1;
        let answered_before = self.challenge.take();
        let Some(HttpCredentials(Kind::Password { .. })) = &self.credentials else {
            return false;
        };
        let mut builder = PasswordClient::builder();
        for header in headers {
            builder = builder.challenges(header);
        }
        self.challenge = builder.build().ok();
        // The same password a second time helps only where the server says that the nonce alone was the matter.
        let worth_it = match &self.challenge {
            None => false,
            Some(PasswordClient::Digest(digest)) => answered_before.is_none() || digest.stale(),
            // Basic, which has no nonce.
            Some(_) => answered_before.is_none(),
        };
        worth_it && self.challenges <= CHALLENGES
    }

    /// An answer came that is not 401.
    pub(super) fn accepted(&mut self) {
        self.challenges = 0;
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("credentials", &self.credentials)
            .field("challenged", &self.challenge.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_password() -> Authenticator {
        Authenticator::new(Some(HttpCredentials::password("user", "secret")))
    }

    fn sent(authenticator: &mut Authenticator) -> Option<String> {
        let (_, value) = authenticator.header("/score?id=1", b"picture")?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_password_waits_for_the_challenge_and_then_goes_at_once() {
        let mut authenticator = with_password();
        assert_eq!(sent(&mut authenticator), None);
        assert!(authenticator.challenged([r#"Basic realm="cameras""#].into_iter()));
        assert_eq!(sent(&mut authenticator).unwrap(), "Basic dXNlcjpzZWNyZXQ=");
        authenticator.accepted();
        assert_eq!(sent(&mut authenticator).unwrap(), "Basic dXNlcjpzZWNyZXQ=");
        // Refused with it: not again.
        assert!(!authenticator.challenged([r#"Basic realm="cameras""#].into_iter()));
    }

    #[test]
    fn digest_is_preferred_counts_its_uses_and_names_the_query() {
        let mut authenticator = with_password();
        let offers = [
            r#"Basic realm="x""#,
            r#"Digest realm="x", nonce="n1", qop="auth", algorithm=SHA-256"#,
        ];
        assert!(authenticator.challenged(offers.into_iter()));
        let first = sent(&mut authenticator).unwrap();
        assert!(
            first.starts_with("Digest ") && first.contains(r#"uri="/score?id=1""#),
            "{first}"
        );
        assert!(
            first.contains("nc=00000001") && !first.contains("secret"),
            "{first}"
        );
        assert!(sent(&mut authenticator).unwrap().contains("nc=00000002"));
    }

    #[test]
    fn a_stale_nonce_is_answered_once_more_and_a_wrong_password_is_not() {
        let stale = r#"Digest realm="x", nonce="n2", qop="auth", stale=true"#;
        let wrong = r#"Digest realm="x", nonce="n2", qop="auth""#;
        let mut authenticator = with_password();
        assert!(authenticator.challenged([wrong].into_iter()));
        assert!(sent(&mut authenticator).is_some());
        authenticator.accepted();
        assert!(authenticator.challenged([stale].into_iter()));
        assert!(sent(&mut authenticator).unwrap().contains("n2"));
        // For ever stale is as good as wrong.
        assert!(authenticator.challenged([stale].into_iter()));
        assert!(!authenticator.challenged([stale].into_iter()));
        let mut authenticator = with_password();
        assert!(authenticator.challenged([wrong].into_iter()));
        assert!(!authenticator.challenged([wrong].into_iter()));
    }

    #[test]
    fn without_a_password_or_a_known_scheme_there_is_no_answer() {
        assert!(!Authenticator::new(None).challenged([r#"Basic realm="x""#].into_iter()));
        assert!(!with_password().challenged(["Negotiate"].into_iter()));
        assert!(!with_password().challenged([].into_iter()));
        let header = HttpCredentials::header("x-functions-key", "k").unwrap();
        assert!(!Authenticator::new(Some(header)).challenged([r#"Basic realm="x""#].into_iter()));
    }

    #[test]
    fn a_header_goes_with_every_request() {
        let credentials = HttpCredentials::header(" X-Functions-Key ", " k1 ").unwrap();
        let mut authenticator = Authenticator::new(Some(credentials));
        let (name, value) = authenticator.header("/", b"").unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("x-functions-key", "k1")
        );
        for (name, value) in [
            ("Host", "x"),
            ("content-length", "1"),
            ("a b", "x"),
            ("x", "a\nb"),
        ] {
            assert_eq!(HttpCredentials::header(name, value), None, "{name}");
        }
    }

    #[test]
    fn nothing_is_shown() {
        let mut authenticator = with_password();
        authenticator.challenged([r#"Digest realm="x", nonce="n", qop="auth""#].into_iter());
        let header = HttpCredentials::header("x-key", "secret").unwrap();
        let (_, value) = authenticator.header("/", b"").unwrap();
        assert!(!format!("{authenticator:?} {header:?} {value:?}").contains("secret"));
        assert!(!format!("{value:?}").contains("Digest"));
    }

    proptest! {
        #[test]
        fn no_challenge_makes_it_panic(headers in proptest::collection::vec("(Digest |Basic )?[ -~]{0,80}", 0..4)) {
            let mut authenticator = with_password();
            for _ in 0..4 {
                authenticator.challenged(headers.iter().map(String::as_str));
                let _ = authenticator.header("/", b"x");
            }
        }
    }
}
