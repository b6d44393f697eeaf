use std::fmt;
use std::path::{Path, PathBuf};

/// Scheme, host and port of a server, or a Unix socket: where every request of a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    tls: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    socket: Option<PathBuf>,
}

impl Origin {
    /// Without TLS. The host of an IPv6 address may stand in brackets.
    pub fn http(host: &str, port: u16) -> Self {
        Self {
            tls: false,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            socket: None,
        }
    }

    /// A Unix socket, without TLS: who may connect is a matter of the file's permissions. The host is `localhost`.
    pub fn unix(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: Some(socket.into()),
            ..Self::http("localhost", 80)
        }
    }

    /// With TLS.
    pub fn https(host: &str, port: u16) -> Self {
        Self {
            tls: true,
            ..Self::http(host, port)
        }
    }

    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket; `None` for a server on the network.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The value of the `Host` header: the port is left out where it is the scheme's default.
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port == default {
            true => host,
            false => format!("{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.socket {
            return write!(f, "unix://{}", socket.display());
        }
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_has_brackets_and_no_default_port() {
        for (origin, authority) in [
            (Origin::http("cam", 80), "cam"),
            (Origin::http("cam", 443), "cam:443"),
            (Origin::https("[fe80::1]", 443), "[fe80::1]"),
            (Origin::https("::1", 8443), "[::1]:8443"),
        ] {
            assert_eq!(origin.authority(), authority);
        }
        assert_eq!(Origin::https("::1", 443).to_string(), "https://[::1]");
        let socket = Origin::unix("/run/a.sock");
        assert_eq!(socket.to_string(), "unix:///run/a.sock");
        assert_eq!(socket.authority(), "localhost");
    }
}
