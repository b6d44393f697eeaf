use std::fmt;

use http::header::{self, HeaderName};
use http::{HeaderValue, Method};
use http_auth::{PasswordClient, PasswordParams};
use lva_media_types::Credentials;

/// How many challenges in a row are answered: the first, and one more for a Digest nonce that has become stale.
const MAX_CHALLENGES: u32 = 2;

/// Headers that every request has already.
const RESERVED: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

/// What a client identifies itself with. Neither `Debug` nor any error shows what is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCredentials(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Password(Credentials),
    Header(HeaderName, HeaderValue),
}

impl HttpCredentials {
    /// A user and a password, sent only after the server asks for them by a 401: by Basic (RFC 7617) or Digest (RFC 7616:
    /// MD5, SHA-256, SHA-512/256, with `auth` or `auth-int`), by Digest where the server offers both.
    ///
    /// Basic over plain HTTP shows the password to the network: use TLS.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Kind::Password(Credentials::new(user, password.into())))
    }

    /// A header that goes with every request.
    ///
    /// `None` where name or value cannot stand in a header, or every request has a header of that name already (`Host`,
    /// `Content-Length`, `Content-Type`, `Transfer-Encoding`, `Connection`).
    pub fn header(name: &str, value: &str) -> Option<Self> {
        let name: HeaderName = name.trim().parse().ok()?;
        if RESERVED.contains(&name) {
            return None;
        }
        let mut value: HeaderValue = value.trim().parse().ok()?;
        value.set_sensitive(true);
        Some(Self(Kind::Header(name, value)))
    }

    /// User and password, unless it is a header.
    pub fn as_password(&self) -> Option<&Credentials> {
        match &self.0 {
            Kind::Password(credentials) => Some(credentials),
            Kind::Header(..) => None,
        }
    }
}

impl From<Credentials> for HttpCredentials {
    fn from(credentials: Credentials) -> Self {
        Self(Kind::Password(credentials))
    }
}

impl fmt::Debug for HttpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Password(_) => "HttpCredentials(password, ***)",
            Kind::Header(..) => "HttpCredentials(header, ***)",
        })
    }
}

/// Adds credentials to requests, and answers the challenges of one server.
///
/// A challenge is answered once; a second time only where the server reports a stale nonce, because some devices
/// lock users out after a few wrong passwords. Later requests carry the answer at once.
pub struct HttpAuthenticator {
    credentials: Option<HttpCredentials>,
    challenge: Option<PasswordClient>,
    /// In a row, without an accepted request in between.
    challenges: u32,
    max_challenges: u32,
    allows_basic: bool,
    /// The last challenge was Basic, and not answered for that.
    wants_basic: bool,
}

impl HttpAuthenticator {
    /// With these credentials, or none.
    pub fn new(credentials: Option<HttpCredentials>) -> Self {
        Self {
            credentials,
            challenge: None,
            challenges: 0,
            max_challenges: MAX_CHALLENGES,
            allows_basic: true,
            wants_basic: false,
        }
    }

    /// Whether Basic challenges are answered, which sends the password as it is. Default true; see
    /// [`BasicAuthentication`](lva_media_types::BasicAuthentication).
    #[must_use]
    pub fn with_basic(mut self, allowed: bool) -> Self {
        self.allows_basic = allowed;
        self
    }

    /// How many challenges in a row are answered at most. Default 2.
    #[must_use]
    pub fn with_max_challenges(mut self, max: u32) -> Self {
        self.max_challenges = max;
        self
    }

    /// The credentials.
    pub fn credentials(&self) -> Option<&HttpCredentials> {
        self.credentials.as_ref()
    }

    /// The header for the next request.
    pub fn header(
        &mut self,
        method: &Method,
        path_and_query: &str,
        body: &[u8],
    ) -> Option<(HeaderName, HeaderValue)> {
        match &self.credentials.as_ref()?.0 {
            Kind::Header(name, value) => Some((name.clone(), value.clone())),
            Kind::Password(credentials) => {
                let params = PasswordParams {
                    username: credentials.username(),
                    password: credentials.password(),
                    uri: path_and_query,
                    method: method.as_str(),
                    body: Some(body),
                };
                let answer = self.challenge.as_mut()?.respond(&params).ok()?;
                let mut value: HeaderValue = answer.parse().ok()?;
                value.set_sensitive(true);
                Some((header::AUTHORIZATION, value))
            }
        }
    }

    /// Takes the `WWW-Authenticate` headers of a 401. Returns whether to send the request once more.
    pub fn challenged<'a>(&mut self, headers: impl IntoIterator<Item = &'a str>) -> bool {
        self.challenges += 1;
        let answered_before = self.challenge.take().is_some();
        if self
            .credentials
            .as_ref()
            .and_then(HttpCredentials::as_password)
            .is_none()
        {
            return false;
        }
        let mut builder = PasswordClient::builder();
        for header in headers {
            builder = builder.challenges(header);
        }
        self.challenge = builder.build().ok();
        let is_basic = matches!(self.challenge, Some(PasswordClient::Basic(_)));
        self.wants_basic = is_basic && !self.allows_basic;
        if self.wants_basic {
            self.challenge = None;
        }
        let may_help = match &self.challenge {
            None => false,
            Some(PasswordClient::Digest(digest)) => !answered_before || digest.stale(),
            // Basic, which has no nonce.
            Some(_) => !answered_before,
        };
        may_help && self.challenges <= self.max_challenges
    }

    /// A request was not challenged.
    pub fn accepted(&mut self) {
        self.challenges = 0;
    }

    /// Whether a challenge was taken that requests answer.
    pub fn has_challenge(&self) -> bool {
        self.challenge.is_some()
    }

    /// Whether the last challenge was not answered because it asks for Basic, which is not allowed.
    pub fn wants_basic(&self) -> bool {
        self.wants_basic
    }

    /// Whether requests carry the password itself, as Basic does.
    pub fn sends_password(&self) -> bool {
        matches!(self.challenge, Some(PasswordClient::Basic(_)))
    }
}

impl fmt::Debug for HttpAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAuthenticator")
            .field("credentials", &self.credentials)
            .field("has_challenge", &self.has_challenge())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_password() -> HttpAuthenticator {
        HttpAuthenticator::new(Some(HttpCredentials::password("user", "secret")))
    }

    fn sent(authenticator: &mut HttpAuthenticator) -> Option<String> {
        let (_, value) = authenticator.header(&Method::POST, "/score?id=1", b"picture")?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_password_waits_for_the_challenge_and_then_goes_at_once() {
        let mut authenticator = with_password();
        assert_eq!(sent(&mut authenticator), None);
        assert!(authenticator.challenged([r#"Basic realm="cameras""#]));
        assert!(authenticator.sends_password());
        assert_eq!(sent(&mut authenticator).unwrap(), "Basic dXNlcjpzZWNyZXQ=");
        authenticator.accepted();
        assert_eq!(sent(&mut authenticator).unwrap(), "Basic dXNlcjpzZWNyZXQ=");
        // Rejected with it: not again.
        assert!(!authenticator.challenged([r#"Basic realm="cameras""#]));
    }

    #[test]
    fn where_basic_is_not_allowed_the_password_stays_here() {
        let mut authenticator = with_password().with_basic(false);
        assert!(!authenticator.challenged([r#"Basic realm="x""#]));
        assert!(authenticator.wants_basic());
        assert_eq!(sent(&mut authenticator), None);
        let mut authenticator = with_password().with_basic(false);
        let both = [r#"Basic realm="x""#, r#"Digest realm="x", nonce="n", qop="auth""#];
        assert!(authenticator.challenged(both) && !authenticator.wants_basic());
        assert!(sent(&mut authenticator).unwrap().starts_with("Digest "));
    }

    #[test]
    fn digest_is_preferred_counts_its_uses_and_names_the_query() {
        let mut authenticator = with_password();
        let offers = [
            r#"Basic realm="x""#,
            r#"Digest realm="x", nonce="n1", qop="auth", algorithm=SHA-256"#,
        ];
        assert!(authenticator.challenged(offers));
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
        assert!(authenticator.challenged([wrong]));
        assert!(sent(&mut authenticator).is_some());
        authenticator.accepted();
        assert!(authenticator.challenged([stale]));
        assert!(sent(&mut authenticator).unwrap().contains("n2"));
        // Stale every time is as good as wrong.
        assert!(authenticator.challenged([stale]));
        assert!(!authenticator.challenged([stale]));
        let mut authenticator = with_password();
        assert!(authenticator.challenged([wrong]));
        assert!(!authenticator.challenged([wrong]));
    }

    #[test]
    fn without_a_password_or_a_known_scheme_there_is_no_answer() {
        assert!(!HttpAuthenticator::new(None).challenged([r#"Basic realm="x""#]));
        assert!(!with_password().challenged(["Negotiate"]));
        assert!(!with_password().challenged([]));
        let header = HttpCredentials::header("x-functions-key", "k").unwrap();
        assert!(!HttpAuthenticator::new(Some(header)).challenged([r#"Basic realm="x""#]));
    }

    #[test]
    fn a_header_goes_with_every_request() {
        let credentials = HttpCredentials::header(" X-Functions-Key ", " k1 ").unwrap();
        let mut authenticator = HttpAuthenticator::new(Some(credentials));
        let (name, value) = authenticator.header(&Method::GET, "/", b"").unwrap();
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
    fn no_secret_is_shown() {
        let mut authenticator = with_password();
        authenticator.challenged([r#"Digest realm="x", nonce="n", qop="auth""#]);
        let header = HttpCredentials::header("x-key", "secret").unwrap();
        let (_, value) = authenticator.header(&Method::POST, "/", b"").unwrap();
        assert!(!format!("{authenticator:?} {header:?} {value:?}").contains("secret"));
        assert!(!format!("{value:?}").contains("Digest"));
    }

    proptest! {
        #[test]
        fn no_challenge_makes_it_panic(headers in proptest::collection::vec("(Digest |Basic )?[ -~]{0,80}", 0..4)) {
            let mut authenticator = with_password();
            for _ in 0..4 {
                authenticator.challenged(headers.iter().map(String::as_str));
                let _ = authenticator.header(&Method::POST, "/", b"x");
            }
        }
    }
}
