//! Digest (RFC 2617, MD5) and basic (RFC 7617) authentication, server side.
//!
//! `http-auth` implements the client side, and a parser that fits both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_auth::parse_challenges;
use lva_media_types::Credentials;
use md5::{Digest, Md5};
use rtsp_types::Url;

/// Realm of every challenge.
pub(crate) const REALM: &str = "lva-rtsp simulator";

/// How clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AuthScheme {
    /// Digest authentication with MD5 (RFC 2617), as cameras do. The password is not transmitted.
    #[default]
    Digest,
    /// Basic authentication: the password is transmitted in the clear.
    Basic,
}

/// The challenge of one connection.
#[derive(Debug)]
pub(crate) struct Challenge {
    scheme: AuthScheme,
    nonce: String,
}

impl Challenge {
    pub(crate) fn new(scheme: AuthScheme, nonce: String) -> Self {
        Self { scheme, nonce }
    }

    /// Value of `WWW-Authenticate`, without `qop`, as cameras send it and every client supports it.
    pub(crate) fn header(&self) -> String {
        match self.scheme {
            AuthScheme::Digest => format!(
                "Digest realm=\"{REALM}\", nonce=\"{}\", algorithm=MD5",
                self.nonce
            ),
            AuthScheme::Basic => format!("Basic realm=\"{REALM}\""),
        }
    }

    /// Whether `authorization` is a valid response to the challenge for this request.
    pub(crate) fn accepts(&self, authorization: &str, method: &str, url: &Url, known: &Credentials) -> bool {
        let Some((scheme, rest)) = authorization.trim().split_once(char::is_whitespace) else {
            return false;
        };
        match self.scheme {
            AuthScheme::Basic => {
                let expected = format!("{}:{}", known.username(), known.password());
                scheme.eq_ignore_ascii_case("basic")
                    && STANDARD
                        .decode(rest.trim())
                        .is_ok_and(|given| given == expected.as_bytes())
            }
            AuthScheme::Digest => {
                scheme.eq_ignore_ascii_case("digest")
                    && self.digest_accepts(authorization, method, url, known)
            }
        }
    }

    fn digest_accepts(&self, authorization: &str, method: &str, url: &Url, known: &Credentials) -> bool {
        // Credentials have the syntax of a challenge.
        let Ok(parsed) = parse_challenges(authorization) else {
            return false;
        };
        let parameters: Vec<_> = parsed
            .iter()
            .flat_map(|response| &response.params)
            .map(|(name, value)| (*name, value.to_unescaped()))
            .collect();
        let get = |name: &str| {
            parameters
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map_or("", |(_, value)| value.as_str())
        };
        // The response must be to this challenge, by this user, for this resource.
        let same_resource = Url::parse(get("uri"))
            .is_ok_and(|given| given.path().trim_end_matches('/') == url.path().trim_end_matches('/'));
        if get("nonce") != self.nonce || get("realm") != REALM || get("username") != known.username() {
            return false;
        }
        if !same_resource || !matches!(get("algorithm"), "" | "MD5" | "md5") {
            return false;
        }
        let secret = md5_hex(&format!("{}:{REALM}:{}", known.username(), known.password()));
        let request = md5_hex(&format!("{method}:{}", get("uri")));
        let expected = match get("qop") {
            "" => md5_hex(&format!("{secret}:{}:{request}", self.nonce)),
            "auth" => md5_hex(&format!(
                "{secret}:{}:{}:{}:auth:{request}",
                self.nonce,
                get("nc"),
                get("cnonce")
            )),
            _ => return false,
        };
        get("response").eq_ignore_ascii_case(&expected)
    }
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credentials() -> Credentials {
        Credentials::new("testuser", "testpassword")
    }

    #[test]
    fn md5_is_that_of_the_standard() {
        assert_eq!(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
        // RFC 2617 section 3.5.
        let secret = md5_hex("Mufasa:testrealm@host.com:Circle Of Life");
        let request = md5_hex("GET:/dir/index.html");
        assert_eq!(
            md5_hex(&format!(
                "{secret}:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth:{request}"
            )),
            "6629fae49393a05397450978507c4ef1"
        );
    }

    #[test]
    fn a_digest_is_valid_for_its_method_resource_and_nonce_only() {
        let url = Url::parse("rtsp://h:8554/media/a.mp4").unwrap();
        let challenge = Challenge::new(AuthScheme::Digest, "n1".into());
        let answer = |password: &str, nonce: &str, uri: &str| {
            let secret = md5_hex(&format!("testuser:{REALM}:{password}"));
            let response = md5_hex(&format!(
                "{secret}:{nonce}:{}",
                md5_hex(&format!("DESCRIBE:{uri}"))
            ));
            format!(
                r#"Digest username="testuser", realm="{REALM}", nonce="{nonce}", uri="{uri}", response="{response}""#
            )
        };
        let good = answer("testpassword", "n1", url.as_str());
        assert!(challenge.accepts(&good, "DESCRIBE", &url, &credentials()));
        assert!(!challenge.accepts(&good, "SETUP", &url, &credentials()));
        let other = Url::parse("rtsp://h:8554/media/b.mp4").unwrap();
        assert!(!challenge.accepts(&good, "DESCRIBE", &other, &credentials()));
        assert!(!challenge.accepts(
            &answer("wrong", "n1", url.as_str()),
            "DESCRIBE",
            &url,
            &credentials()
        ));
        assert!(!challenge.accepts(
            &answer("testpassword", "n2", url.as_str()),
            "DESCRIBE",
            &url,
            &credentials()
        ));
    }

    #[test]
    fn basic_is_compared_as_a_whole() {
        let url = Url::parse("rtsp://h/").unwrap();
        let challenge = Challenge::new(AuthScheme::Basic, String::new());
        let header = |text: &str| format!("basic {}", STANDARD.encode(text));
        assert!(challenge.accepts(&header("testuser:testpassword"), "PLAY", &url, &credentials()));
        assert!(!challenge.accepts(&header("testuser:"), "PLAY", &url, &credentials()));
        assert!(!challenge.accepts("Basic ???", "PLAY", &url, &credentials()));
    }

    proptest! {
        #[test]
        fn any_header_is_rejected_without_panic(text in "\\PC{0,200}") {
            let url = Url::parse("rtsp://h/").unwrap();
            for scheme in [AuthScheme::Digest, AuthScheme::Basic] {
                let challenge = Challenge::new(scheme, "n".into());
                prop_assert!(!challenge.accepts(&text, "PLAY", &url, &credentials()));
                let as_digest = format!("Digest {text}");
                prop_assert!(!challenge.accepts(&as_digest, "PLAY", &url, &credentials()));
            }
        }
    }
}
