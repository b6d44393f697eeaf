//! Where a model is served.

use std::fmt;
use std::str::FromStr;

/// A model on a server: `grpc://HOST:PORT/NAME`, or `/NAME/VERSION`; `grpcs://` over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KserveAddress {
    tls: bool,
    authority: String,
    model: String,
    version: Option<String>,
}

impl KserveAddress {
    /// Name of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Its version; the server chooses where there is none.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The server, for HTTP/2.
    pub(super) fn server(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    pub(super) fn tls(&self) -> bool {
        self.tls
    }
}

impl fmt::Display for KserveAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "grpcs" } else { "grpc" };
        write!(f, "{scheme}://{}/{}", self.authority, self.model)?;
        match &self.version {
            Some(version) => write!(f, "/{version}"),
            None => Ok(()),
        }
    }
}

/// Text that is not the address of a served model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no address of a model: write grpc://HOST:PORT/NAME or grpc://HOST:PORT/NAME/VERSION, grpcs:// for TLS"
)]
pub struct KserveAddressError(pub String);

impl FromStr for KserveAddress {
    type Err = KserveAddressError;

    fn from_str(text: &str) -> Result<Self, KserveAddressError> {
        let read = || {
            let (tls, rest) = match text.strip_prefix("grpc://") {
                Some(rest) => (false, rest),
                None => (true, text.strip_prefix("grpcs://")?),
            };
            let (authority, path) = rest.split_once('/')?;
            // With a port; no user, no query.
            let (host, port) = authority.rsplit_once(':')?;
            port.parse::<u16>().ok()?;
            let plain = |part: &str| !part.is_empty() && !part.contains(['/', '?', '#', '@', ' ']);
            let (model, version) = match path.split_once('/') {
                Some((model, version)) => (model, Some(version)),
                None => (path, None),
            };
            let whole = plain(host) && plain(model) && version.is_none_or(plain);
            whole.then(|| Self {
                tls,
                authority: authority.to_owned(),
                model: model.to_owned(),
                version: version.map(str::to_owned),
            })
        };
        read().ok_or_else(|| KserveAddressError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in [
            "grpc://127.0.0.1:8001/yolox",
            "grpcs://triton.example:443/yolox/2",
            "grpc://[::1]:8001/a.b-c",
        ] {
            assert_eq!(text.parse::<KserveAddress>().unwrap().to_string(), text);
        }
        let address: KserveAddress = "grpcs://host:1/m/2".parse().unwrap();
        assert_eq!((address.model(), address.version()), ("m", Some("2")));
        assert_eq!(address.server(), "https://host:1");
        for text in [
            "",
            "yolox.onnx",
            "grpc://host/yolox",
            "grpc://host:8001",
            "grpc://host:8001/",
            "grpc://user@host:8001/m",
            "grpc://host:99999/m",
            "grpc://host:8001/m/1/2",
            "http://host:8001/m",
        ] {
            assert!(text.parse::<KserveAddress>().is_err(), "{text}");
        }
    }
}
