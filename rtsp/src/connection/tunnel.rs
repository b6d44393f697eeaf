//! The heads of the two HTTP connections of a tunnel ("Tunnelling RTSP and RTP through HTTP", Apple 1999): sans-I/O.

use crate::wire::authentication::{Authentication, Next};
use crate::wire::message::Message;

/// The announced length of a POST; a longer one needs a new POST. HTTP proxies want a number.
pub(super) const POST_BYTES: usize = 32_767;
const TYPE: &str = "application/x-rtsp-tunnelled";

/// The two requests of a tunnel.
pub(super) struct Tunnel {
    /// Path and query.
    path: String,
    host: String,
    cookie: String,
    authentication: Authentication,
}

impl Tunnel {
    /// `cookie` joins the two connections at the camera and has to stay secret.
    pub(super) fn new(path: String, host: String, cookie: String, authentication: Authentication) -> Self {
        Self {
            path,
            host,
            cookie,
            authentication,
        }
    }

    /// The request whose response carries the bytes from the camera. HTTP/1.0, so that no HTTP proxy chunks it.
    pub(super) fn get(&mut self) -> String {
        let authorization = self.authorization("GET");
        format!(
            "GET {} HTTP/1.0\r\nHost: {}\r\nx-sessioncookie: {}\r\nAccept: {TYPE}\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\n{authorization}\r\n",
            self.path, self.host, self.cookie
        )
    }

    /// The request whose body carries the bytes to the camera.
    pub(super) fn post(&mut self) -> String {
        let authorization = self.authorization("POST");
        format!(
            "POST {} HTTP/1.0\r\nHost: {}\r\nx-sessioncookie: {}\r\nContent-Type: {TYPE}\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\nContent-Length: {POST_BYTES}\r\n\
             Expires: Sun, 9 Jan 1972 00:00:00 GMT\r\n{authorization}\r\n",
            self.path, self.host, self.cookie
        )
    }

    /// Takes a 401; `tries` counts the requests that were answered so before.
    pub(super) fn refused(&mut self, answer: &Message, tries: u8) -> Next {
        self.authentication.refused(answer, tries)
    }

    fn authorization(&mut self, method: &str) -> String {
        let answer = self.authentication.respond(method, &self.path);
        answer
            .map(|answer| format!("Authorization: {answer}\r\n"))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use lva_media_types::Credentials;

    use super::*;
    use crate::wire::repairs::Repairs;

    #[test]
    fn both_requests_carry_the_cookie_and_answer_the_challenge() {
        let login = Authentication::new(Some(Credentials::new("u", "geheim")), true);
        let mut tunnel = Tunnel::new("/live?a=1".into(), "cam:80".into(), "c00kie".into(), login);
        assert!(!tunnel.get().contains("Authorization"));
        let refusal = b"HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n";
        let refusal = Message::parse(refusal, &mut Repairs::default());
        assert_eq!(tunnel.refused(&refusal, 0), Next::Again { renewed: false });
        for text in [tunnel.get(), tunnel.post()] {
            assert!(
                text.contains("x-sessioncookie: c00kie\r\n") && text.contains("uri=\"/live?a=1\""),
                "{text}"
            );
            assert!(!text.contains("geheim") && text.ends_with("\r\n\r\n"), "{text}");
        }
        assert!(matches!(tunnel.refused(&refusal, 1), Next::GiveUp(_)));
    }
}
