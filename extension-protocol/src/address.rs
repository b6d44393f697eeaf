//! The address of an extension: `tcp://host:port` as in the contract, and a few more forms.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Address of an extension, as written in a topology or on a command line.
///
/// | form | meaning |
/// |---|---|
/// | `tcp://host:port` | gRPC without TLS; the contract's form |
/// | `http://host:port` | the same |
/// | `https://host:port`, `tls://host:port` | gRPC over TLS; see [`ClientOptions::with_tls`](crate::client::ClientOptions::with_tls) |
/// | `unix:/path`, `unix:///path` | a Unix socket: faster, and not reachable over the network |
///
/// ```
/// use lva_extension_protocol::ExtensionUrl;
///
/// let url: ExtensionUrl = "tcp://spatialAnalysis:50051".parse()?;
/// assert_eq!(url.to_string(), "tcp://spatialAnalysis:50051");
/// assert!(!url.is_tls());
/// assert!("https://spatialAnalysis:50051".parse::<ExtensionUrl>()?.is_tls());
/// # Ok::<(), lva_extension_protocol::ExtensionUrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtensionUrl(Endpoint);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Endpoint {
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
}

impl ExtensionUrl {
    /// A Unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Endpoint::Unix(path.into()))
    }

    /// A TCP address.
    pub fn tcp(address: std::net::SocketAddr) -> Self {
        Self(Endpoint::Tcp(address.to_string()))
    }

    /// The same address over TLS. Unix sockets are returned unchanged.
    #[must_use]
    pub fn with_tls(self) -> Self {
        match self.0 {
            Endpoint::Tcp(authority) | Endpoint::Tls(authority) => Self(Endpoint::Tls(authority)),
            Endpoint::Unix(_) => self,
        }
    }

    /// Whether the scheme asks for TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.0, Endpoint::Tls(_))
    }

    /// The URI for the transport.
    pub(crate) fn transport(&self) -> String {
        match &self.0 {
            Endpoint::Tcp(authority) => format!("http://{authority}"),
            Endpoint::Tls(authority) => format!("https://{authority}"),
            Endpoint::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// The path, for a Unix socket.
    pub fn socket_path(&self) -> Option<&Path> {
        match &self.0 {
            Endpoint::Tcp(_) | Endpoint::Tls(_) => None,
            Endpoint::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for ExtensionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Endpoint::Tcp(authority) => write!(f, "tcp://{authority}"),
            Endpoint::Tls(authority) => write!(f, "tls://{authority}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for ExtensionUrl {
    type Err = ExtensionUrlError;

    fn from_str(text: &str) -> Result<Self, ExtensionUrlError> {
        // Published topologies contain URLs with a leading space.
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(ExtensionUrlError::NoPath)
            } else {
                Ok(Self::unix(path))
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or(ExtensionUrlError::NoScheme)?;
        let endpoint = match scheme.to_ascii_lowercase().as_str() {
            "tcp" | "http" => Endpoint::Tcp,
            "https" | "tls" => Endpoint::Tls,
            _ => return Err(ExtensionUrlError::UnknownScheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(ExtensionUrlError::UserInfo);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(ExtensionUrlError::BeyondPort);
        }
        let parsed: tonic::codegen::http::uri::Authority =
            authority.parse().map_err(|_| ExtensionUrlError::HostAndPort)?;
        if parsed.host().is_empty() || parsed.port_u16().is_none_or(|port| port == 0) {
            return Err(ExtensionUrlError::HostAndPort);
        }
        Ok(Self(endpoint(authority.to_owned())))
    }
}

/// An invalid address: the configuration is at fault. No message repeats the address, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionUrlError {
    /// No scheme such as `tcp://`.
    #[error("the extension's URL has no scheme: write tcp://host:port, tls://host:port or unix:/path")]
    NoScheme,
    /// An unknown scheme.
    #[error(
        "the extension's URL has an unknown scheme: write tcp://host:port, tls://host:port or unix:/path"
    )]
    UnknownScheme,
    /// User name and password belong in the credentials.
    #[error("the extension's URL contains a user name or password: use credentials instead")]
    UserInfo,
    /// A path or query after the port.
    #[error("the extension's URL contains a path or query, which gRPC does not use: write tcp://host:port")]
    BeyondPort,
    /// No host or no port.
    #[error("the extension's URL needs a host and a port between 1 and 65535: tcp://host:port")]
    HostAndPort,
    /// No path after `unix:`.
    #[error("the extension's URL has no path: write unix:/path")]
    NoPath,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_are_understood() {
        for (text, shown, transport) in [
            (
                "tcp://127.0.0.1:5001",
                "tcp://127.0.0.1:5001",
                "http://127.0.0.1:5001",
            ),
            (
                " TCP://spatialAnalysis:50051/",
                "tcp://spatialAnalysis:50051",
                "http://spatialAnalysis:50051",
            ),
            ("http://[::1]:44000", "tcp://[::1]:44000", "http://[::1]:44000"),
            ("https://host:1/", "tls://host:1", "https://host:1"),
            ("tls://[::1]:44000", "tls://[::1]:44000", "https://[::1]:44000"),
        ] {
            let url: ExtensionUrl = text.parse().unwrap();
            assert_eq!(
                (url.to_string().as_str(), url.transport().as_str()),
                (shown, transport)
            );
        }
        for text in ["unix:/run/x", "unix:///run/x"] {
            let url: ExtensionUrl = text.parse().unwrap();
            assert_eq!(url.socket_path(), Some(Path::new("/run/x")));
            assert_eq!(url.to_string(), "unix:/run/x");
        }
    }

    #[test]
    fn the_forms_that_are_refused_and_why() {
        for (text, error) in [
            ("127.0.0.1:5001", ExtensionUrlError::NoScheme),
            ("rtsp://host:1", ExtensionUrlError::UnknownScheme),
            ("tcps://host:1", ExtensionUrlError::UnknownScheme),
            ("tcp://user:secret@host:1", ExtensionUrlError::UserInfo),
            ("tcp://host:1/score", ExtensionUrlError::BeyondPort),
            ("tcp://host", ExtensionUrlError::HostAndPort),
            ("tcp://host:0", ExtensionUrlError::HostAndPort),
            ("tcp://host:70000", ExtensionUrlError::HostAndPort),
            ("tcp://", ExtensionUrlError::HostAndPort),
            ("unix:", ExtensionUrlError::NoPath),
        ] {
            assert_eq!(text.parse::<ExtensionUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn errors_repeat_no_secret() {
        let error = "tcp://user:secret@host:1".parse::<ExtensionUrl>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
