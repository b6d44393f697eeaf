//! Endpoints: addresses, credentials and TLS options.

use std::fmt;

use lva_media_types::{Credentials, SecretString, masked_address};

use crate::sensitive::SensitiveString;

/// The endpoint that a node connects to.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The address.
    pub url: EndpointUrl,
    /// The credentials.
    pub credentials: Option<EndpointCredentials>,
    /// `Some` for a TLS endpoint.
    pub tls: Option<EndpointTls>,
}

/// An address with a scheme, without leading or trailing spaces. `Debug` and `Display` omit user,
/// password, and the values of query, path and fragment. If a `SecretString` parameter is part of the address, they show the
/// scheme only.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    text: String,
    secret: bool,
}

impl EndpointUrl {
    /// `None` unless it has the form `scheme://authority…`, without spaces or control characters inside.
    pub(crate) fn parse(text: &str, secret: bool) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://")?;
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let fits = !scheme.is_empty()
            && scheme.chars().all(letters)
            && !host.is_empty()
            && !host.starts_with(':')
            && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        fits.then(|| Self {
            text: text.to_owned(),
            secret,
        })
    }

    /// The complete address, including user and password if it has them.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme in lower case.
    pub fn scheme(&self) -> String {
        let scheme = self.text.split("://").next().unwrap_or_default();
        scheme.to_ascii_lowercase()
    }

    /// Host and port as written, without user and password.
    pub fn authority(&self) -> &str {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit('@').next().unwrap_or_default()
    }

    /// Whether a port that is written is a number of at least `least`.
    pub(crate) fn has_valid_port(&self, least: u16) -> bool {
        let authority = self.authority();
        let port = match authority.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => port,
                _ => return false,
            },
            None => authority
                .find(':')
                .map_or("", |colon| authority.get(colon..).unwrap_or_default()),
        };
        match port.strip_prefix(':') {
            None => port.is_empty(),
            Some(digits) => {
                // The default port.
                digits.is_empty() && least == 0
                    || digits.bytes().all(|b| b.is_ascii_digit())
                        && digits.parse::<u16>().is_ok_and(|port| port >= least)
            }
        }
    }

    /// Whether it has a user, perhaps with a password.
    pub(crate) fn has_user_info(&self) -> bool {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.contains('@')
    }

    /// Whether there is anything behind host and port but a slash.
    pub(crate) fn has_path(&self) -> bool {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        !matches!(rest.get(end..), Some("" | "/"))
    }

    /// The port, if the address has one.
    pub fn port(&self) -> Option<u16> {
        let authority = self.authority();
        let (head, port) = authority.rsplit_once(':')?;
        // A colon inside an IPv6 address does not separate a port.
        if head.starts_with('[') && !head.ends_with(']') {
            return None;
        }
        port.parse().ok()
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            let (scheme, _) = self.text.split_once("://").unwrap_or(("", ""));
            return write!(f, "{scheme}://***");
        }
        f.write_str(&masked_address(&self.text))
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({self})")
    }
}

/// The credentials of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointCredentials {
    /// A user and a password.
    UsernamePassword(Credentials),
    /// An HTTP header.
    HttpHeader {
        /// Its name.
        name: SensitiveString,
        /// Its value.
        value: SecretString,
    },
    /// A symmetric key, for device adapters.
    SymmetricKey(SecretString),
}

/// How the certificate of a TLS peer is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointTls {
    /// Trusted authorities in PEM; `None` for those of the platform.
    pub trusted_certificates: Option<Vec<String>>,
    /// Dangerous: accepts a certificate for another host.
    pub ignore_hostname: bool,
    /// Dangerous: accepts a certificate without a trusted signature.
    pub ignore_signature: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_trimmed_and_shown_without_user() {
        let url = EndpointUrl::parse(" rtsp://me:p@ss@cam:554/media/a.mkv?x=1 ", false).unwrap();
        assert_eq!(url.to_string(), "rtsp://cam:554/media/a.mkv?x=***");
        assert_eq!((url.authority(), url.port()), ("cam:554", Some(554)));
        assert!(url.as_str().contains("p@ss"));
        let url = EndpointUrl::parse("HTTP://h/score?code=abc", true).unwrap();
        assert_eq!(
            (format!("{url:?}").as_str(), url.scheme().as_str()),
            ("EndpointUrl(HTTP://***)", "http")
        );
        assert_eq!(EndpointUrl::parse("tcp://[::1]", false).unwrap().port(), None);
        assert_eq!(
            EndpointUrl::parse("tcp://[::1]:5000", false).unwrap().port(),
            Some(5000)
        );
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in [
            "",
            "cam",
            "rtsp:/cam",
            "://cam",
            "rtsp://",
            "rtsp://u:p@/x",
            "rtsp://a b/",
            "rtsp://a\n/",
            "tcp://:5",
        ] {
            assert_eq!(EndpointUrl::parse(text, false), None, "{text}");
        }
    }
}
