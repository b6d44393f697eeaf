//! Answers to the challenges of cameras: Basic and Digest (RFC 7616, RFC 2617, RFC 2069).

use http_auth::{BasicClient, ChallengeRef, DigestClient, PasswordParams};
use lva_media_types::Credentials;

use super::message::Message;
use crate::secrets::Secrets;

/// Why a 401 is final. `Display` is the cause and the remedy for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginFailure {
    /// The camera asks for a log-in, but none is configured.
    NotConfigured,
    /// The camera does not accept the user name or the password.
    Refused,
    /// The camera accepted the same user name and password before: cameras answer 401 when they run out of connections.
    AcceptedBefore,
    /// The camera sends no challenge that could be answered.
    NoChallenge,
    /// The camera asks for the password as it is, which
    /// [`with_basic_authentication`](crate::CameraOptions::with_basic_authentication) does not allow on this connection.
    BasicNotAllowed,
    /// The camera asks for schemes that this crate does not speak.
    Unsupported {
        /// Their names.
        schemes: String,
    },
}

impl std::fmt::Display for LoginFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConfigured => {
                f.write_str("it asks for a user name and a password, but none are configured")
            }
            Self::Refused => f.write_str("it does not accept the user name or the password"),
            Self::AcceptedBefore => f.write_str(
                "it accepted the same user name and password before: has it too many clients, or was the password changed?",
            ),
            Self::NoChallenge => f.write_str(
                "it refuses without a challenge (WWW-Authenticate), so there is nothing to log in to: check the path",
            ),
            Self::BasicNotAllowed => f.write_str(
                "it asks for the password as it is (Basic), which is not allowed here: choose Digest in its settings, use TLS \
                 (rtsps://) if that is allowed, or allow Basic",
            ),
            Self::Unsupported { schemes } => write!(
                f,
                "it asks for a log-in by {schemes}, which is not supported: choose Digest with SHA-256 or MD5 in its settings"
            ),
        }
    }
}

/// The log-in of one connection.
pub(crate) struct Authentication {
    credentials: Option<Credentials>,
    /// The one in use, and those that the camera offered beside it, best first.
    scheme: Option<Scheme>,
    others: Vec<Scheme>,
    /// The camera has accepted the credentials.
    accepted: bool,
    /// The camera has offered Digest, so it gets no Basic any more.
    digest_offered: bool,
    allows_basic: bool,
}

/// The rank of Basic.
const BASIC: u8 = 9;

enum Scheme {
    Basic(BasicClient),
    Digest {
        client: DigestClient,
        /// As the camera wrote it: it may want to read it again (RFC 7616 section 3.4).
        algorithm: Option<String>,
    },
}

/// What a 401 asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same request again, with the answer to the new challenge.
    Again {
        /// The credentials were accepted before: the nonce had expired.
        renewed: bool,
    },
    GiveUp(LoginFailure),
}

impl Authentication {
    /// Basic is answered only where it is allowed.
    pub(crate) fn new(credentials: Option<Credentials>, allows_basic: bool) -> Self {
        Self {
            allows_basic,
            credentials,
            scheme: None,
            others: Vec::new(),
            accepted: false,
            digest_offered: false,
        }
    }

    /// The value of `Authorization`, once the camera has asked for it.
    pub(crate) fn respond(&mut self, method: &str, uri: &str) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        match self.scheme.as_mut()? {
            Scheme::Basic(client) => Some(client.respond(credentials.username(), credentials.password())),
            Scheme::Digest { client, algorithm } => {
                let params = PasswordParams {
                    username: credentials.username(),
                    password: credentials.password(),
                    uri,
                    method,
                    body: Some(&[]),
                };
                let mut answer = client.respond(&params).ok()?;
                if let Some(algorithm) = algorithm
                    && !answer.contains("algorithm=")
                {
                    answer.push_str(", algorithm=");
                    answer.push_str(algorithm);
                }
                Some(answer)
            }
        }
    }

    /// The camera let in a request that carried the credentials.
    pub(crate) fn accepted(&mut self) {
        self.accepted = true;
    }

    /// Takes a 401; `tries` counts how often its request went out with credentials.
    pub(crate) fn refused(&mut self, answer: &Message, tries: u8) -> Next {
        if self.credentials.is_none() {
            return Next::GiveUp(LoginFailure::NotConfigured);
        }
        let challenges: Vec<_> = answer.headers("www-authenticate").flat_map(challenges).collect();
        if challenges.is_empty() {
            return Next::GiveUp(match (tries, self.accepted) {
                (0, _) => LoginFailure::NoChallenge,
                (_, true) => LoginFailure::AcceptedBefore,
                (_, false) => LoginFailure::Refused,
            });
        }
        let stale = challenges.iter().any(Challenge::is_stale);
        let mut schemes: Vec<_> = challenges.iter().filter_map(Challenge::scheme).collect();
        schemes.sort_by_key(|(rank, _)| *rank);
        // One of each strength; the password itself goes to no camera that has offered Digest.
        schemes.dedup_by_key(|(rank, _)| *rank);
        self.digest_offered |= schemes.iter().any(|(rank, _)| *rank < BASIC);
        let digest_offered = self.digest_offered;
        schemes.retain(|(rank, _)| *rank < BASIC || !digest_offered);
        if schemes.first().is_some_and(|(rank, _)| *rank == BASIC) && !self.allows_basic {
            return Next::GiveUp(LoginFailure::BasicNotAllowed);
        }
        let mut schemes: Vec<_> = schemes.into_iter().map(|(_, scheme)| scheme).collect();
        if schemes.is_empty() {
            let names: Vec<_> = challenges.iter().map(Challenge::name).collect();
            let secrets = Secrets::new("", self.credentials.as_ref());
            return Next::GiveUp(LoginFailure::Unsupported {
                schemes: secrets.mask_name(&names.join(", ")),
            });
        }
        // A password that was never accepted is tried once with each scheme: many cameras lock an account after a few.
        let renewed = tries > 0 && (self.accepted || stale);
        if tries == 0 || renewed && tries < 3 {
            self.scheme = Some(schemes.remove(0));
            self.others = schemes;
            return Next::Again { renewed };
        }
        if self.accepted {
            return Next::GiveUp(LoginFailure::AcceptedBefore);
        }
        let tried = usize::from(tries);
        if self.others.is_empty() || schemes.len() <= tried {
            return Next::GiveUp(LoginFailure::Refused);
        }
        self.scheme = Some(schemes.remove(tried));
        self.others.remove(0);
        Next::Again { renewed: false }
    }
}

/// One challenge, its syntax read forgivingly.
#[derive(Debug)]
struct Challenge {
    scheme: String,
    params: Vec<(String, String)>,
}

impl Challenge {
    fn param(&self, name: &str) -> Option<&str> {
        let mut named = self.params.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    fn is_stale(&self) -> bool {
        self.param("stale")
            .is_some_and(|stale| stale.eq_ignore_ascii_case("true"))
    }

    fn name(&self) -> String {
        self.param("algorithm").unwrap_or(&self.scheme).to_owned()
    }

    /// A client for it, with a rank: the lower the better. Basic sends the password itself, so it is the last.
    fn scheme(&self) -> Option<(u8, Scheme)> {
        if self.scheme.eq_ignore_ascii_case("basic") {
            let text = format!("Basic realm={}", quoted(self.param("realm").unwrap_or_default()));
            let client = parsed(&text, |challenge| BasicClient::try_from(challenge).ok())?;
            return Some((BASIC, Scheme::Basic(client)));
        }
        if !self.scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut text = format!(
            "Digest realm={}, nonce={}",
            quoted(self.param("realm").unwrap_or_default()),
            quoted(self.param("nonce")?)
        );
        for name in ["qop", "opaque"] {
            if let Some(value) = self.param(name).filter(|value| !value.is_empty()) {
                text.push_str(&format!(", {name}={}", quoted(value)));
            }
        }
        let algorithm = self.param("algorithm").filter(|name| !name.is_empty());
        if let Some(name) = algorithm {
            let known = name.to_ascii_uppercase().replace("-SESS", "-sess");
            text.push_str(&format!(", algorithm={known}"));
        }
        let client = parsed(&text, |challenge| DigestClient::try_from(challenge).ok())?;
        let sha = algorithm.is_some_and(|name| name.to_ascii_uppercase().starts_with("SHA"));
        let algorithm = algorithm.map(str::to_owned);
        Some((if sha { 1 } else { 2 }, Scheme::Digest { client, algorithm }))
    }
}

fn parsed<T>(text: &str, client: impl FnOnce(&ChallengeRef<'_>) -> Option<T>) -> Option<T> {
    let challenges = http_auth::parse_challenges(text).ok()?;
    client(challenges.first()?)
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The challenges in a header's value. Parameters may be separated by anything, names and values come in any case and
/// quoting, and one that comes twice counts once.
fn challenges(value: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = value.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',', '\t']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let after = behind.trim_start();
        if let Some(value) = after.strip_prefix('=') {
            let (value, behind) = parameter_value(value.trim_start());
            if let Some(challenge) = found.last_mut() {
                challenge.params.push((word.to_ascii_lowercase(), value));
            }
            rest = behind;
        } else {
            if !word.is_empty() {
                found.push(Challenge {
                    scheme: word.to_owned(),
                    params: Vec::new(),
                });
            }
            rest = behind;
        }
        rest = rest.trim_start_matches([' ', ',', ';', '\t']);
        if rest.starts_with('=') {
            rest = rest.trim_start_matches('=');
        }
    }
    found
}

/// A value, quoted or not, and what is behind it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', ';']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, letter) in quoted.char_indices() {
        match letter {
            _ if escaped => {
                value.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::repairs::Repairs;
    use super::*;

    fn refusal(challenges: &[&str]) -> Message {
        let headers: String = challenges
            .iter()
            .map(|c| format!("WWW-Authenticate: {c}\r\n"))
            .collect();
        let head = format!("RTSP/1.0 401 No\r\n{headers}\r\n");
        Message::parse(head.as_bytes(), &mut Repairs::default())
    }

    fn login() -> Authentication {
        Authentication::new(Some(Credentials::new("admin", "geheim")), true)
    }

    #[test]
    fn the_algorithm_is_repeated_wherever_the_challenge_had_it() {
        for (challenge, expected) in [
            (
                r#"Digest realm="r", nonce="n", algorithm="SHA-256", stale="FALSE""#,
                "algorithm=SHA-256",
            ),
            (r#"digest realm="r",nonce="n",algorithm=md5"#, "algorithm=md5"),
            (r#"Digest realm="r", nonce="n", algorithm=MD5"#, "algorithm=MD5"),
            (
                r#"Digest realm="r", qop="auth", nonce="n", algorithm=MD5"#,
                "algorithm=MD5",
            ),
        ] {
            let mut login = login();
            assert_eq!(
                login.refused(&refusal(&[challenge]), 0),
                Next::Again { renewed: false }
            );
            let answer = login.respond("DESCRIBE", "rtsp://h/").unwrap();
            assert_eq!(answer.matches("algorithm=").count(), 1, "{answer}");
            assert!(
                answer.contains(expected) && !answer.contains("geheim"),
                "{answer}"
            );
        }
        let mut login = login();
        login.refused(&refusal(&[r#"Digest realm="r", nonce="n""#]), 0);
        assert!(!login.respond("PLAY", "rtsp://h/").unwrap().contains("algorithm"));
    }

    #[test]
    fn the_response_is_that_of_rfc_2069() {
        let mut login = Authentication::new(Some(Credentials::new("Mufasa", "CircleOfLife")), true);
        let challenge =
            r#"Digest realm="testrealm@host.com" nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", OPAQUE=x"#;
        login.refused(&refusal(&[challenge]), 0);
        let answer = login.respond("GET", "/dir/index.html").unwrap();
        assert!(
            answer.contains(r#"response="1949323746fe6a43ef61f9606e7febea""#),
            "{answer}"
        );
    }

    #[test]
    fn basic_is_the_last_choice_and_comes_only_when_nothing_else_is_offered() {
        let digest = r#"Digest realm="a", nonce="n""#;
        let mut login = login();
        login.refused(&refusal(&[r#"Basic realm="a""#, digest]), 0);
        assert!(login.respond("PLAY", "x").unwrap().starts_with("Digest"));
        let mut login = self::login();
        login.refused(
            &refusal(&[r#"Basic realm="a", Digest realm="a", nonce="n", algorithm=TWOFISH"#]),
            0,
        );
        assert!(login.respond("PLAY", "x").unwrap().starts_with("Basic"));
    }

    #[test]
    fn where_basic_is_not_allowed_the_password_stays_here() {
        let basic = r#"Basic realm="a""#;
        let strict = || Authentication::new(Some(Credentials::new("admin", "geheim")), false);
        let mut login = strict();
        let given_up = Next::GiveUp(LoginFailure::BasicNotAllowed);
        assert_eq!(login.refused(&refusal(&[basic]), 0), given_up);
        assert_eq!(login.respond("PLAY", "x"), None);
        let mut login = strict();
        login.refused(&refusal(&[basic, r#"Digest realm="a", nonce="n""#]), 0);
        assert!(login.respond("PLAY", "x").unwrap().starts_with("Digest"));
    }

    #[test]
    fn a_wrong_password_is_tried_once_with_each_scheme_and_a_new_nonce_at_once() {
        let md5 = r#"Digest realm="a", nonce="n""#;
        let sha = r#"Digest realm="a", nonce="n", algorithm=SHA-256"#;
        let mut login = login();
        login.refused(&refusal(&[md5]), 0);
        assert_eq!(
            login.refused(&refusal(&[md5]), 1),
            Next::GiveUp(LoginFailure::Refused)
        );
        let mut login = self::login();
        login.refused(&refusal(&[md5, sha]), 0);
        assert_eq!(
            login.refused(&refusal(&[md5, sha]), 1),
            Next::Again { renewed: false }
        );
        assert!(!login.respond("PLAY", "x").unwrap().contains("SHA"));
        assert_eq!(
            login.refused(&refusal(&[md5, sha]), 2),
            Next::GiveUp(LoginFailure::Refused)
        );
        let mut login = self::login();
        login.refused(&refusal(&[md5]), 0);
        login.accepted();
        let renewed = refusal(&[r#"Digest realm="a", nonce="m""#]);
        assert_eq!(login.refused(&renewed, 1), Next::Again { renewed: true });
        assert!(login.respond("PLAY", "x").unwrap().contains(r#"nonce="m""#));
        assert_eq!(
            login.refused(&renewed, 3),
            Next::GiveUp(LoginFailure::AcceptedBefore)
        );
    }

    #[test]
    fn a_camera_that_offered_digest_never_gets_the_password_itself() {
        let digest = r#"Digest realm="a", nonce="n""#;
        let sha = r#"Digest realm="a", nonce="n", algorithm=SHA-256"#;
        let basic = r#"Basic realm="a""#;
        for challenges in [&[basic, digest][..], &[sha, digest, basic], &[sha, sha, basic]] {
            for later in [challenges, &[basic], &[basic, basic, basic]] {
                let mut login = login();
                login.refused(&refusal(challenges), 0);
                let mut tries = 1;
                while let Next::Again { .. } = login.refused(&refusal(later), tries) {
                    assert!(login.respond("PLAY", "x").unwrap().starts_with("Digest"));
                    tries += 1;
                }
                assert!(tries <= 2, "{challenges:?}, {later:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_answered_is_named() {
        let mut login = login();
        assert_eq!(
            login.refused(&refusal(&[]), 0),
            Next::GiveUp(LoginFailure::NoChallenge)
        );
        let sha512 = refusal(&[r#"Digest realm="a", nonce="n", algorithm="TWOFISH""#]);
        let Next::GiveUp(failure) = login.refused(&sha512, 0) else {
            panic!("answered")
        };
        assert!(failure.to_string().contains("TWOFISH"));
        let failure = Authentication::new(None, true).refused(&sha512, 0);
        assert_eq!(failure, Next::GiveUp(LoginFailure::NotConfigured));
    }

    proptest! {
        #[test]
        fn any_challenge_is_read(text in r#"[a-zA-Z=", ;\\]{0,60}"#) {
            challenges(&text);
        }
    }
}
