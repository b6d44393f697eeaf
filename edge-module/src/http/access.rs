//! Who may call: everybody on loopback, holders of the token or of the key elsewhere, and no page of another site.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use lva_hub::sas::PresentedToken;
use lva_media_types::SecretString;
use lva_server_transport::Connection;
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::answers;
use super::key::{AccessKey, SignatureRefusal, without_port};
use crate::data::{DataDirectory, DataError};

const FILE: &str = "api-token";
/// From the head of a request to its answer: longer than any method, so that it ends only callers that do not send their
/// whole request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The bearer token of the HTTP server. `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The token in `api-token` (mode 0600) of the data directory; makes one of 256 random bits at the first start.
    ///
    /// # Errors
    ///
    /// [`DataError`] when the file can be neither read nor written, or there is no source of random numbers.
    pub fn of(data: &DataDirectory) -> Result<Self, DataError> {
        if let Some(content) = data.read(FILE)? {
            let text = String::from_utf8_lossy(&content);
            let text = text.trim();
            if text.len() >= 32 {
                return Ok(Self(text.into()));
            }
            let aside = data.set_aside(FILE)?;
            tracing::error!(
                "the API token is too short; a new one is made, and the old one kept as {}",
                aside.display()
            );
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| DataError::Io {
            action: "make",
            path: data.file(FILE),
            cause: std::io::Error::other(error),
        })?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        data.replace(FILE, format!("{text}\n").as_bytes())?;
        Ok(Self(text.into()))
    }

    /// For another way to show it.
    pub(crate) fn secret(&self) -> SecretString {
        SecretString::new(&*self.0)
    }

    fn matches(&self, given: &str) -> bool {
        bool::from(self.0.as_bytes().ct_eq(given.as_bytes()))
    }
}

/// The rules of access to a server.
#[derive(Debug, Clone)]
pub struct Access {
    token: Token,
    key: Option<AccessKey>,
    listen: SocketAddr,
    hosts: Vec<String>,
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Host,
    Origin,
    Token,
    Signature(SignatureRefusal),
}

impl Access {
    /// Access to the server at `listen`, which browsers also reach under the names `hosts`.
    pub fn new(token: Token, listen: SocketAddr, hosts: Vec<String>) -> Self {
        Self {
            token,
            key: None,
            listen,
            hosts,
        }
    }

    /// Takes requests that are signed with this key as well. A signature that is sent is checked, on loopback too.
    #[must_use]
    pub fn with_key(mut self, key: AccessKey) -> Self {
        self.key = Some(key);
        self
    }

    fn allows(&self, peer: IpAddr, path: &str, headers: &HeaderMap, now_unix_s: u64) -> Result<(), Refusal> {
        // Without this, a page of another site whose name resolves to this machine could call with the browser's help.
        let host = text(headers, header::HOST).unwrap_or_default();
        if !self.is_own(host) {
            return Err(Refusal::Host);
        }
        if let Some(origin) = text(headers, header::ORIGIN) {
            let (_, from) = origin.split_once("://").unwrap_or_default();
            if from != host {
                return Err(Refusal::Origin);
            }
        }
        let authorization = text(headers, header::AUTHORIZATION);
        if let Some(key) = &self.key
            && let Some(token) = authorization.filter(|value| PresentedToken::is_meant(value))
        {
            return key
                .check(token, without_port(host), path, now_unix_s)
                .map_err(Refusal::Signature);
        }
        if peer.to_canonical().is_loopback() && self.listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let given = authorization.and_then(|value| value.strip_prefix("Bearer "));
        match given.is_some_and(|given| self.token.matches(given.trim())) {
            true => Ok(()),
            false => Err(Refusal::Token),
        }
    }

    /// Whether a `Host` names this server: an address, `localhost`, or a configured name.
    fn is_own(&self, host: &str) -> bool {
        let name = without_port(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(super) async fn check(
    State(access): State<Arc<Access>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    // Before 1970, every token is valid still; its signature counts all the same.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let path = request.uri().path();
    let refusal = match access.allows(peer.ip(), path, request.headers(), now.as_secs()) {
        Ok(()) => {
            connection.vouch();
            let answered = timeout(REQUEST_TIMEOUT, next.run(request)).await;
            return answered.unwrap_or_else(|_| {
                answers::error(
                    StatusCode::REQUEST_TIMEOUT,
                    "the request was not complete within a minute",
                )
            });
        }
        Err(refusal) => refusal,
    };
    connection.refuse();
    tracing::warn!(%peer, ?refusal, "a request was refused");
    match refusal {
        Refusal::Host => answers::error(
            StatusCode::MISDIRECTED_REQUEST,
            "this server does not answer to that host name: add it to 'hosts' in the section [http]",
        ),
        Refusal::Origin => answers::error(
            StatusCode::FORBIDDEN,
            "requests of other sites' pages are refused",
        ),
        Refusal::Token => answers::error(
            StatusCode::UNAUTHORIZED,
            "a token is missing or wrong: send 'Authorization: Bearer TOKEN' with the content of api-token in the data directory, or sign with the key of 'shared-access-key-file' in the section [http]",
        ),
        Refusal::Signature(refusal) => answers::error(StatusCode::UNAUTHORIZED, &refusal.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 9));

    fn access(listen: &str) -> Access {
        Access::new(
            Token("t".repeat(64).into()),
            listen.parse().unwrap(),
            vec!["cam.example".into()],
        )
    }

    const PATH: &str = "/api/v1/instances";

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn loopback_needs_no_token_and_everything_else_does() {
        let host = (header::HOST, "127.0.0.1:8580");
        let bearer = format!("Bearer {}", "t".repeat(64));
        let right = headers(&[host.clone(), (header::AUTHORIZATION, &bearer)]);
        let wrong = headers(&[host.clone(), (header::AUTHORIZATION, "Bearer tt")]);
        let none = headers(&[host]);
        assert_eq!(access("127.0.0.1:1").allows(LOOPBACK, PATH, &none, 0), Ok(()));
        for listen in ["0.0.0.0:1", "[::]:1"] {
            for peer in [LOOPBACK, OUTSIDE] {
                assert_eq!(access(listen).allows(peer, PATH, &none, 0), Err(Refusal::Token));
                assert_eq!(access(listen).allows(peer, PATH, &wrong, 0), Err(Refusal::Token));
                assert_eq!(access(listen).allows(peer, PATH, &right, 0), Ok(()));
            }
        }
    }

    #[test]
    fn a_signature_opens_what_the_token_opens_and_a_wrong_one_nothing() {
        const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let signed = |host: &str, key: &str| {
            let text = format!("HostName={host};SharedAccessKeyName=service;SharedAccessKey={key}");
            let service = crate::operations::ServiceConnectionString::parse(&text.into()).unwrap();
            let token = service.token(100);
            headers(&[
                (header::HOST, "cam.example:8580"),
                (header::AUTHORIZATION, token.expose()),
            ])
        };
        let right = signed("cam.example", KEY);
        let wrong = signed("cam.example", &KEY.replace("AAEC", "AAED"));
        let elsewhere = signed("other.example", KEY);
        let with_key = access("0.0.0.0:1").with_key(AccessKey::parse(&KEY.into()).unwrap());
        let is_refused = |access: &Access, headers| {
            let allowed = access.allows(LOOPBACK, PATH, headers, 99);
            matches!(allowed, Err(Refusal::Signature(_)))
        };
        assert_eq!(with_key.allows(OUTSIDE, PATH, &right, 99), Ok(()));
        assert!(is_refused(&with_key, &wrong) && is_refused(&with_key, &elsewhere));
        assert!(with_key.allows(OUTSIDE, PATH, &right, 100).is_err());
        // Without a key there is nothing to check it by.
        assert_eq!(
            access("0.0.0.0:1").allows(OUTSIDE, PATH, &right, 99),
            Err(Refusal::Token)
        );
        assert_eq!(access("127.0.0.1:1").allows(LOOPBACK, PATH, &wrong, 99), Ok(()));
        let with_key = access("127.0.0.1:1").with_key(AccessKey::parse(&KEY.into()).unwrap());
        assert!(is_refused(&with_key, &wrong));
    }

    #[test]
    fn foreign_host_names_and_pages_are_refused() {
        let access = access("127.0.0.1:1");
        let of = |host: &str, origin: Option<&str>| {
            let mut all = headers(&[(header::HOST, host)]);
            if let Some(origin) = origin {
                all.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            access.allows(LOOPBACK, PATH, &all, 0)
        };
        for host in [
            "localhost:8580",
            "LOCALHOST",
            "[::1]:8580",
            "10.0.0.3",
            "cam.example:443",
        ] {
            assert_eq!(of(host, None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8580",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert_eq!(of(host, None), Err(Refusal::Host), "{host}");
        }
        assert_eq!(of("localhost:8580", Some("http://localhost:8580")), Ok(()));
        for origin in ["http://evil.example", "null", "http://localhost:81"] {
            assert_eq!(
                of("localhost:8580", Some(origin)),
                Err(Refusal::Origin),
                "{origin}"
            );
        }
    }

    #[test]
    fn the_token_is_made_once_private_and_never_shown() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).unwrap();
        let first = Token::of(&data).unwrap();
        assert!(first.matches(&Token::of(&data).unwrap().0) && first.0.len() == 64);
        let mode = std::fs::metadata(data.file(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(&*first.0));
        data.replace(FILE, b"short\n").unwrap();
        assert!(!Token::of(&data).unwrap().matches("short"));
    }
}
