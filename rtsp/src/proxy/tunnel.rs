//! The heads of the two HTTP connections of a tunnel ("Tunnelling RTSP and RTP through HTTP", Apple 1999): sans-I/O.

use http_auth::{PasswordClient, PasswordParams};
use lva_media_types::Credentials;

use super::message::Head;

/// The announced length of a POST; a longer one needs a new POST. HTTP proxies want a number.
pub(crate) const POST_BYTES: usize = 32_767;
const TYPE: &str = "application/x-rtsp-tunnelled";

/// The two requests of a tunnel.
pub(crate) struct Tunnel {
    /// Path and query.
    path: String,
    host: String,
    cookie: String,
    challenge: Option<PasswordClient>,
}

impl Tunnel {
    /// `cookie` joins the two connections at the camera and has to stay secret.
    pub(crate) fn new(path: String, host: String, cookie: String) -> Self {
        Self {
            path,
            host,
            cookie,
            challenge: None,
        }
    }

    /// The request whose response carries the bytes from the camera. HTTP/1.0, so that no HTTP proxy chunks it.
    pub(crate) fn get(&mut self, credentials: Option<&Credentials>) -> String {
        let authorization = self.authorization("GET", credentials);
        format!(
            "GET {} HTTP/1.0\r\nHost: {}\r\nx-sessioncookie: {}\r\nAccept: {TYPE}\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\n{authorization}\r\n",
            self.path, self.host, self.cookie
        )
    }

    /// The request whose body carries the bytes to the camera.
    pub(crate) fn post(&mut self, credentials: Option<&Credentials>) -> String {
        let authorization = self.authorization("POST", credentials);
        format!(
            "POST {} HTTP/1.0\r\nHost: {}\r\nx-sessioncookie: {}\r\nContent-Type: {TYPE}\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\nContent-Length: {POST_BYTES}\r\n\
             Expires: Sun, 9 Jan 1972 00:00:00 GMT\r\n{authorization}\r\n",
            self.path, self.host, self.cookie
        )
    }

    /// Takes the challenge of a 401; false if it cannot be answered, or was answered before.
    pub(crate) fn challenged(&mut self, head: &Head) -> bool {
        if self.challenge.is_some() {
            return false;
        }
        self.challenge = head.password_client();
        self.challenge.is_some()
    }

    fn authorization(&mut self, method: &str, credentials: Option<&Credentials>) -> String {
        let (Some(challenge), Some(credentials)) = (&mut self.challenge, credentials) else {
            return String::new();
        };
        challenge
            .respond(&PasswordParams {
                username: credentials.username(),
                password: credentials.password(),
                uri: &self.path,
                method,
                body: Some(&[]),
            })
            .map(|answer| format!("Authorization: {answer}\r\n"))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_requests_carry_the_cookie_and_answer_the_challenge() {
        let credentials = Credentials::new("u", "geheim");
        let mut tunnel = Tunnel::new("/live?a=1".into(), "cam:80".into(), "c00kie".into());
        assert!(!tunnel.get(Some(&credentials)).contains("Authorization"));
        let refusal = b"HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n";
        assert!(tunnel.challenged(&Head::parse(refusal).unwrap()));
        for text in [tunnel.get(Some(&credentials)), tunnel.post(Some(&credentials))] {
            assert!(
                text.contains("x-sessioncookie: c00kie\r\n") && text.contains("uri=\"/live?a=1\""),
                "{text}"
            );
            assert!(!text.contains("geheim") && text.ends_with("\r\n\r\n"), "{text}");
        }
        assert!(!tunnel.challenged(&Head::parse(refusal).unwrap()));
    }
}
