//! Addresses of HTTP extensions.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use lva_client_transport::http::Origin;
use lva_media_types::masked_address;

/// Address of an HTTP extension, as written in a topology: `http://host/score?id=1`.
///
/// The query is sent but never shown, because it may hold a key.
///
/// ```
/// use lva_extension_protocol::http::HttpUrl;
///
/// let url: HttpUrl = "https://detector:8443/score?code=secret".parse()?;
/// assert_eq!(url.to_string(), "https://detector:8443/score?…");
/// assert_eq!(url.path_and_query(), "/score?code=secret");
/// # Ok::<(), lva_extension_protocol::http::HttpUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    tls: bool,
    /// Host and port as written: the `Host` header.
    authority: String,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    path_and_query: String,
}

impl HttpUrl {
    /// The root path of a server at this address, without TLS.
    pub fn of(address: SocketAddr) -> Self {
        Self {
            tls: false,
            authority: address.to_string(),
            host: address.ip().to_string(),
            port: address.port(),
            path_and_query: "/".to_owned(),
        }
    }

    /// With another path and query, `/score?id=1`.
    ///
    /// # Errors
    ///
    /// [`HttpUrlError::Path`].
    pub fn with_path_and_query(mut self, path_and_query: &str) -> Result<Self, HttpUrlError> {
        let parsed: PathAndQuery = path_and_query.parse().map_err(|_| HttpUrlError::Path)?;
        if !parsed.as_str().starts_with('/') {
            return Err(HttpUrlError::Path);
        }
        self.path_and_query = parsed.as_str().to_owned();
        Ok(self)
    }

    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Name or address of the host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 80 or 443 where none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query. The query may hold a secret.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    pub(super) fn origin(&self) -> Origin {
        match self.tls {
            true => Origin::https(&self.host, self.port),
            false => Origin::http(&self.host, self.port),
        }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }
}

/// A URL may have a query without a path, a request line may not (RFC 9112, section 3.2.1).
fn request_target(asked: &PathAndQuery) -> String {
    match asked.query() {
        Some(query) => format!("{}?{query}", asked.path()),
        None => asked.path().to_owned(),
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let (path, query) = match self.path_and_query.split_once('?') {
            Some((path, _)) => (path, "?…"),
            None => (self.path_and_query.as_str(), ""),
        };
        write!(f, "{scheme}://{}{}{query}", self.authority, masked_address(path))
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self})")
    }
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        // Some published topologies have a space before the URL.
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(HttpUrlError::NoScheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(HttpUrlError::UnknownScheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if rest.get(..end).is_some_and(|authority| authority.contains('@')) {
            return Err(HttpUrlError::UserInfo);
        }
        let uri: Uri = text.parse().map_err(|_| HttpUrlError::Path)?;
        let authority = uri.authority().ok_or(HttpUrlError::Host)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // A colon without a number is not a port, and no server listens on port 0.
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return Err(HttpUrlError::Host),
            Some(port) => port,
            None if has_port => return Err(HttpUrlError::Host),
            None if tls => 443,
            None => 80,
        };
        if host.is_empty() {
            return Err(HttpUrlError::Host);
        }
        Ok(Self {
            tls,
            authority: authority.as_str().to_owned(),
            host: host.to_owned(),
            port,
            path_and_query: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), request_target),
        })
    }
}

/// An invalid address in the configuration. No message repeats the address, which may hold a password or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpUrlError {
    /// Without `http://` or `https://`.
    #[error("the HTTP extension's URL has no scheme: write http://host/path or https://host/path")]
    NoScheme,
    /// A scheme outside the contract.
    #[error("the HTTP extension's URL has an unknown scheme: write http://host/path or https://host/path")]
    UnknownScheme,
    /// User and password, which belong in the credentials.
    #[error("the HTTP extension's URL holds user information: give it as credentials instead")]
    UserInfo,
    /// No host, or an invalid port.
    #[error("the HTTP extension's URL needs a host, and a port between 1 and 65535 where one is written")]
    Host,
    /// A character that must be percent-encoded.
    #[error("the HTTP extension's URL has invalid characters: percent-encode them, a space as %20")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_urls_are_parsed() {
        for (text, shown, host, port, asked) in [
            ("http://h/score?id=1", "http://h/score?…", "h", 80, "/score?id=1"),
            (" HTTPS://h:8443", "https://h:8443/", "h", 8443, "/"),
            ("https://[::1]/a", "https://[::1]/a", "::1", 443, "/a"),
            ("http://h?x=1", "http://h/?…", "h", 80, "/?x=1"),
        ] {
            let url: HttpUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(
                (url.host(), url.port(), url.path_and_query()),
                (host, port, asked)
            );
        }
    }

    #[test]
    fn invalid_urls_are_rejected_with_a_reason() {
        for (text, error) in [
            ("h/score", HttpUrlError::NoScheme),
            ("tcp://h:1", HttpUrlError::UnknownScheme),
            ("http://user:secret@h/", HttpUrlError::UserInfo),
            ("http://", HttpUrlError::Path),
            ("http://h:0/", HttpUrlError::Host),
            ("http://h:/", HttpUrlError::Host),
            ("http://h:70000/", HttpUrlError::Host),
            ("http://h/a b", HttpUrlError::Path),
        ] {
            assert_eq!(text.parse::<HttpUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn neither_debug_nor_display_shows_the_query() {
        let url: HttpUrl = "http://h/score?code=secret".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("secret"));
        assert!(
            HttpUrl::of(([127, 0, 0, 1], 80).into())
                .with_path_and_query("no")
                .is_err()
        );
    }
}
