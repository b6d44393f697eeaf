use lva_media_types::SecretString;

use crate::identity::{Identity, IdentityError};
use crate::sas::{SasError, SymmetricKey};

/// A device's or module's connection string: `HostName=…;DeviceId=…;SharedAccessKey=…`, with `ModuleId` and
/// `GatewayHostName` where there are such, or `HostName=…;DeviceId=…;x509=true` for one with a certificate. Pairs may stand in
/// any order; unknown ones are ignored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionString {
    /// Who connects.
    pub identity: Identity,
    /// The key that signs its tokens; `None` for one that a certificate authenticates (`x509=true`).
    pub key: Option<SymmetricKey>,
    /// The host to connect to instead of the hub.
    pub gateway: Option<String>,
}

impl ConnectionString {
    /// Reads a connection string.
    ///
    /// # Errors
    ///
    /// [`ConnectionStringError`]. No message holds a value of the string.
    pub fn parse(text: &SecretString) -> Result<Self, ConnectionStringError> {
        let mut host = None;
        let mut device = None;
        let mut module = None;
        let mut key = None;
        let mut gateway = None;
        let mut x509 = None;
        for pair in text
            .expose()
            .split(';')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').ok_or(ConnectionStringError::NotAPair)?;
            let slot = match name.trim() {
                "HostName" => &mut host,
                "DeviceId" => &mut device,
                "ModuleId" => &mut module,
                "SharedAccessKey" => &mut key,
                "GatewayHostName" => &mut gateway,
                // A service's key would open the whole hub; it belongs to no device.
                "SharedAccessKeyName" => return Err(ConnectionStringError::Service),
                "x509" => &mut x509,
                _ => continue,
            };
            *slot = Some(value.trim());
        }
        let needed = |value: Option<&str>, name| {
            let value = value.filter(|value| !value.is_empty());
            value
                .map(str::to_owned)
                .ok_or(ConnectionStringError::Missing { name })
        };
        let (host, device) = (needed(host, "HostName")?, needed(device, "DeviceId")?);
        let has_certificate = match x509 {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(ConnectionStringError::X509),
        };
        let key = match (has_certificate, key) {
            (true, None) => None,
            (true, Some(_)) => return Err(ConnectionStringError::X509),
            (false, key) => Some(SymmetricKey::from_base64(
                &needed(key, "SharedAccessKey")?.into(),
            )?),
        };
        let identity = match module {
            Some(module) => Identity::module(host, device, module)?,
            None => Identity::device(host, device)?,
        };
        let gateway = gateway.filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Self {
            identity,
            key,
            gateway,
        })
    }

    /// The host to connect to: the gateway where there is one, else the hub.
    pub fn host(&self) -> &str {
        self.gateway.as_deref().unwrap_or(self.identity.hub())
    }
}

/// Why a connection string cannot be used. The configuration is wrong; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// A part without `=`.
    #[error(
        "the connection string has a part without '=': it is made of NAME=VALUE pairs with ';' between them"
    )]
    NotAPair,
    /// A pair that is needed.
    #[error("the connection string has no {name}: copy the one of the device or module from the hub")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// The string of a service instead of a device.
    #[error(
        "this is a service's connection string (it has SharedAccessKeyName): use that of the device or module"
    )]
    Service,
    /// A device that authenticates in two ways, or in none.
    #[error(
        "the connection string has either x509=true or a SharedAccessKey: copy the one of the device or module"
    )]
    X509,
    /// A name that the hub would not accept.
    #[error("in the connection string, {0}")]
    Identity(IdentityError),
    /// A key that cannot be used.
    #[error("in the connection string, {0}")]
    Key(SasError),
}

impl From<IdentityError> for ConnectionStringError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl From<SasError> for ConnectionStringError {
    fn from(error: SasError) -> Self {
        Self::Key(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConnectionString, ConnectionStringError> {
        ConnectionString::parse(&text.into())
    }

    #[test]
    fn a_module_behind_a_gateway_connects_to_the_gateway() {
        let text = "HostName=contoso.azure-devices.net;DeviceId=dev1;ModuleId=lva;SharedAccessKey=AAECAw==;GatewayHostName=edge";
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.host(), "edge");
        assert_eq!(parsed.identity.client_id(), "dev1/lva");
        assert_eq!(parsed.identity.hub(), "contoso.azure-devices.net");
        let direct = parse("DeviceId=d; HostName=h ;SharedAccessKey=AAECAw==;").unwrap();
        assert_eq!(direct.host(), "h");
        assert!(direct.key.is_some());
        let certified = parse("HostName=h;DeviceId=d;x509=true").unwrap();
        assert!(certified.key.is_none());
        assert_eq!(direct.identity.module_id(), None);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_without_the_key() {
        for (text, expected) in [
            ("HostName=h;DeviceId=d", "no SharedAccessKey"),
            ("HostName=h;SharedAccessKey=AAEC", "no DeviceId"),
            ("HostName=h;DeviceId=d;SharedAccessKey=secret!", "not base64"),
            (
                "HostName=h;SharedAccessKeyName=owner;SharedAccessKey=AAEC",
                "service's",
            ),
            (
                "HostName=h;DeviceId=d;x509=true;SharedAccessKey=AAEC",
                "either x509=true",
            ),
            ("HostName=h;DeviceId=d;x509=yes", "either x509=true"),
            ("HostName=h;DeviceId=d;x509=false", "no SharedAccessKey"),
            ("HostName=h;DeviceId=a/b;SharedAccessKey=AAEC", "device id"),
            ("secret", "without '='"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("secret!"), "{error}");
        }
    }
}
