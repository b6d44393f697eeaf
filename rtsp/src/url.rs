//! Addresses of cameras, without their secrets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lva_media_types::{Credentials, masked_address};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Position, Url};

/// Address of a camera's stream: `rtsp://host[:port]/path[?query]`, or `rtsps://…` for RTSP over TLS.
///
/// Parsing removes the user name and password (see [`CameraUrl::parse_with_credentials`]), so a `CameraUrl` never holds
/// them. `Display` and `Debug` also mask the value of every member of the query and of the path, and the fragment: any of them
/// may be a secret, whatever its name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CameraUrl(Arc<Url>);

/// Why a string is not a camera's address. For the operator to correct; a retry does not help. No variant repeats the
/// string, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CameraUrlError {
    /// Not a URL at all.
    #[error("the RTSP address is not a valid URL: write it as rtsp://host:554/path")]
    Malformed(#[from] url::ParseError),
    /// A scheme other than `rtsp` and `rtsps`.
    #[error("the address begins with '{scheme}://', but an RTSP address begins with 'rtsp://' or 'rtsps://'")]
    Scheme {
        /// The scheme in the address.
        scheme: String,
    },
    /// No host between `//` and the path.
    #[error("the RTSP address has no host: write it as rtsp://host:554/path")]
    NoHost,
}

impl CameraUrl {
    /// Parses an address; white space around it is ignored. Drops credentials in it: use
    /// [`parse_with_credentials`](Self::parse_with_credentials) to get them.
    pub fn parse(text: &str) -> Result<Self, CameraUrlError> {
        Self::parse_with_credentials(text).map(|(url, _)| url)
    }

    /// Parses an address, and the percent-decoded user name and password in it if there is a user name.
    pub fn parse_with_credentials(text: &str) -> Result<(Self, Option<Credentials>), CameraUrlError> {
        let text = text.trim();
        // `admin:a/b#c@host`: people do not escape passwords. What is in front of the `/` is then no port.
        let mut url = Url::parse(text).or_else(|error| with_escaped_user_info(text).ok_or(error))?;
        match url.scheme() {
            "rtsp" | "rtsps" => {}
            other => {
                return Err(CameraUrlError::Scheme {
                    scheme: other.to_owned(),
                });
            }
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(CameraUrlError::NoHost);
        }
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = (!url.username().is_empty())
            .then(|| Credentials::new(decode(url.username()), decode(url.password().unwrap_or_default())));
        // Both fail only for a URL without host, which was rejected above.
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(CameraUrlError::NoHost);
        }
        Ok((Self(Arc::new(url)), credentials))
    }

    /// The host as written: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, by default 554, or 322 for `rtsps`. HTTP tunnels have other defaults, see
    /// [`Transport::Http`](crate::Transport::Http).
    pub fn port(&self) -> u16 {
        self.0.port().unwrap_or(if self.is_tls() { 322 } else { 554 })
    }

    /// Whether it begins with `rtsps://`.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "rtsps"
    }

    /// The path, beginning with `/` or empty.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The URL for the wire, secret query members included.
    pub(crate) fn to_wire(&self) -> Url {
        Url::clone(&self.0)
    }
}

impl fmt::Display for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without user and password, an `@` in the path is nothing but that.
        let host = &self.0[..Position::BeforePath];
        write!(f, "{host}{}", masked_address(&self.0[Position::BeforePath..]))
    }
}

impl fmt::Debug for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraUrl({self})")
    }
}

impl FromStr for CameraUrl {
    type Err = CameraUrlError;

    fn from_str(text: &str) -> Result<Self, CameraUrlError> {
        Self::parse(text)
    }
}

/// The address with user and password escaped: they end at the last `@`.
fn with_escaped_user_info(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let (user_info, host) = rest.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let escaped = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8_lossy().into_owned();
        utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string()
    };
    Url::parse(&format!(
        "{scheme}://{}:{}@{host}",
        escaped(user),
        escaped(password)
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_around_an_address_is_ignored() {
        let url = CameraUrl::parse(" rtsp://rtspsim:554/media/bulldozer.mkv \r\n").unwrap();
        assert_eq!(url.to_string(), "rtsp://rtspsim:554/media/bulldozer.mkv");
        assert_eq!(
            (url.host(), url.port(), url.path()),
            ("rtspsim", 554, "/media/bulldozer.mkv")
        );
    }

    #[test]
    fn user_and_password_are_removed_from_the_address_and_never_printed() {
        let (url, credentials) =
            CameraUrl::parse_with_credentials("rtsp://ad%6Din:p%40ss@10.0.0.1/live").unwrap();
        let credentials = credentials.unwrap();
        assert_eq!(
            (credentials.username(), credentials.password()),
            ("admin", "p@ss")
        );
        for text in [
            url.to_string(),
            format!("{url:?}"),
            format!("{credentials:?}"),
            url.to_wire().to_string(),
        ] {
            assert!(!text.contains("p@ss") && !text.contains("p%40ss"), "{text}");
        }
        assert_eq!(url.to_string(), "rtsp://10.0.0.1/live");
    }

    #[test]
    fn values_are_masked_in_print_whatever_their_names_and_kept_on_the_wire() {
        for (address, shown) in [
            ("a?channel=1&Password=geheim", "a?channel=***&Password=***"),
            ("a?geheim#geheim", "a?***#***"),
            ("a?%70ass%77ord%3Dgeheim", "a?%70ass%77ord=***"),
            ("a%3Fx%3Dgeheim", "a?x=***"),
            ("live@main?x=geheim", "live@main?x=***"),
        ] {
            let url = CameraUrl::parse(&format!("rtsp://cam:8554/{address}")).unwrap();
            assert_eq!(url.to_string(), format!("rtsp://cam:8554/{shown}"));
            assert!(url.to_wire().as_str().contains("geheim"));
        }
    }

    #[test]
    fn secrets_in_the_path_are_masked_too() {
        let url =
            CameraUrl::parse("rtsp://cam/user=admin_password=ge_heim_channel=1_stream=0.sdp?real_stream")
                .unwrap();
        assert_eq!(url.to_string(), "rtsp://cam/user=***?***");
        let url = CameraUrl::parse("rtsp://cam/live/pwd=geheim/1").unwrap();
        assert_eq!(url.to_string(), "rtsp://cam/live/pwd=***/1");
    }

    #[test]
    fn slashes_and_hashes_in_a_password_that_nobody_escaped_are_part_of_it() {
        let (url, credentials) =
            CameraUrl::parse_with_credentials("rtsp://admin:a/b#c?d@cam:8554/s1").unwrap();
        assert_eq!(
            (url.to_string().as_str(), credentials.unwrap().password()),
            ("rtsp://cam:8554/s1", "a/b#c?d")
        );
    }

    #[test]
    fn ipv6_hosts_are_parsed() {
        let url = CameraUrl::parse("rtsp://[fe80::1]:8554/x").unwrap();
        assert_eq!((url.host(), url.port()), ("[fe80::1]", 8554));
    }

    #[test]
    fn other_schemes_and_missing_hosts_are_rejected() {
        let tls = CameraUrl::parse("rtsps://cam/").unwrap();
        assert_eq!((tls.is_tls(), tls.port()), (true, 322));
        assert_eq!(
            CameraUrl::parse("http://cam/"),
            Err(CameraUrlError::Scheme {
                scheme: "http".into()
            })
        );
        assert!(matches!(
            CameraUrl::parse("cam/stream"),
            Err(CameraUrlError::Malformed(_))
        ));
        assert_eq!(CameraUrl::parse("rtsp:///x"), Err(CameraUrlError::NoHost));
        assert_eq!(CameraUrl::parse("rtsp:x"), Err(CameraUrlError::NoHost));
        assert!(CameraUrl::parse("").is_err());
    }

    proptest! {
        #[test]
        fn any_string_is_parsed_or_rejected_without_panic(text in ".{0,80}") {
            let _ = CameraUrl::parse_with_credentials(&text);
        }

        #[test]
        fn a_password_never_shows(password in "[a-zA-Z0-9]{12,20}") {
            let (url, _) = CameraUrl::parse_with_credentials(&format!("rtsp://u:{password}@h/p?pwd={password}")).unwrap();
            let shown = format!("{url} {url:?}");
            prop_assert!(!shown.contains(&password));
        }
    }
}
