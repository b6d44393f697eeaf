//! `appsettings.json` of the tutorial's console.

use std::path::{Path, PathBuf};

use lva_hub::sas::{SasError, SymmetricKey, UnsignedToken};
use lva_media_types::SecretString;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// All but the unreserved characters of RFC 3986.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Which module to call, through which hub.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// `IoThubConnectionString`.
    pub service: ServiceConnectionString,
    /// `deviceId`.
    pub device: String,
    /// `moduleId`.
    pub module: String,
}

/// Why settings cannot be used; for the user to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error(
        "cannot read the settings {}: {cause}; name the file by --settings, or call a module directly by --url", path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A quote that a word processor or a chat program made.
    #[error(
        "{} has the typographic quote {found} at line {line}, column {column}: replace it by a straight quote (\")", path.display()
    )]
    TypographicQuote {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
        /// The quote.
        found: char,
    },
    /// Not a JSON object.
    #[error("{} is not a JSON object: {message}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A member that is needed.
    #[error("{} has no \"{member}\": add it as a string", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The member.
        member: &'static str,
    },
    /// The connection string.
    #[error("IoThubConnectionString in {}: {cause}", path.display())]
    ConnectionString {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: ServiceConnectionStringError,
    },
}

impl Settings {
    /// Reads a file. Blocks.
    ///
    /// # Errors
    ///
    /// [`SettingsError`]. No message holds a value of the file.
    pub fn from_file(path: &Path) -> Result<Self, SettingsError> {
        let bytes = std::fs::read(path).map_err(|cause| SettingsError::Read {
            path: path.to_owned(),
            cause,
        })?;
        let text = lva_graph_model::json::text(&bytes).map_err(|error| SettingsError::NotJson {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        Self::parse(text, path)
    }

    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        // Nowhere in these settings is such a quote right, so also in a string it is a mistake.
        if let Some((line, column, found)) = typographic_quote(text) {
            return Err(SettingsError::TypographicQuote {
                path: path.to_owned(),
                line,
                column,
                found,
            });
        }
        let not_json = |message: String| SettingsError::NotJson {
            path: path.to_owned(),
            message,
        };
        let value: Value =
            lva_graph_model::json::parse(text.as_bytes()).map_err(|error| not_json(error.to_string()))?;
        let members = value
            .as_object()
            .ok_or_else(|| not_json("it begins with another value".to_owned()))?;
        let needed = |member: &'static str| {
            let found = members.iter().find(|(name, _)| name.eq_ignore_ascii_case(member));
            let text = found.and_then(|(_, value)| value.as_str()).map(str::trim);
            text.filter(|text| !text.is_empty())
                .ok_or_else(|| SettingsError::Missing {
                    path: path.to_owned(),
                    member,
                })
        };
        let service = ServiceConnectionString::parse(&needed("IoThubConnectionString")?.into());
        Ok(Self {
            service: service.map_err(|cause| SettingsError::ConnectionString {
                path: path.to_owned(),
                cause,
            })?,
            device: needed("deviceId")?.to_owned(),
            module: needed("moduleId")?.to_owned(),
        })
    }
}

fn typographic_quote(text: &str) -> Option<(usize, usize, char)> {
    text.lines().enumerate().find_map(|(line, content)| {
        let mut chars = content.chars().enumerate();
        let (column, found) = chars.find(|(_, c)| "“”„‟‘’‚‛«»".contains(*c))?;
        Some((line + 1, column + 1, found))
    })
}

/// A service's connection string: `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`. Pairs may stand in any order; unknown
/// ones are ignored. The host may have a port; without one it is 443.
#[derive(Debug, Clone)]
pub struct ServiceConnectionString {
    host: String,
    port: u16,
    policy: String,
    key: SymmetricKey,
}

/// Why a service's connection string cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceConnectionStringError {
    /// A part without `=`.
    #[error(
        "a part of it has no '=': copy the string of a shared access policy, HostName=…;SharedAccessKeyName=…;SharedAccessKey=…"
    )]
    NotAPair,
    /// The string of a device or module.
    #[error(
        "it is that of a device (it has DeviceId): copy the string of a shared access policy, such as 'service' or 'iothubowner'"
    )]
    Device,
    /// A pair that is needed.
    #[error("it has no {name}: copy the whole string of a shared access policy")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A port that is not a number.
    #[error("its HostName has an invalid port: write a host, or HOST:PORT")]
    Port,
    /// A key that cannot be used.
    #[error(transparent)]
    Key(#[from] SasError),
}

impl ServiceConnectionString {
    /// Reads a connection string.
    ///
    /// # Errors
    ///
    /// [`ServiceConnectionStringError`]. No message holds a value of the string.
    pub fn parse(text: &SecretString) -> Result<Self, ServiceConnectionStringError> {
        let (mut host, mut policy, mut key) = (None, None, None);
        let pairs = text.expose().split(';').map(str::trim);
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or(ServiceConnectionStringError::NotAPair)?;
            let slot = match name.trim() {
                "HostName" => &mut host,
                "SharedAccessKeyName" => &mut policy,
                "SharedAccessKey" => &mut key,
                "DeviceId" => return Err(ServiceConnectionStringError::Device),
                _ => continue,
            };
            *slot = Some(value.trim());
        }
        let needed = |value: Option<&str>, name| {
            let value = value.filter(|value| !value.is_empty());
            value
                .map(str::to_owned)
                .ok_or(ServiceConnectionStringError::Missing { name })
        };
        let host = needed(host, "HostName")?;
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().map_err(|_| ServiceConnectionStringError::Port)?;
                (host.to_owned(), port)
            }
            None => (host, 443),
        };
        Ok(Self {
            host,
            port,
            policy: needed(policy, "SharedAccessKeyName")?,
            key: SymmetricKey::from_base64(&needed(key, "SharedAccessKey")?.into())?,
        })
    }

    /// The host to connect to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The policy whose key this is.
    pub(crate) fn policy(&self) -> &str {
        &self.policy
    }

    pub(crate) fn key(&self) -> &SymmetricKey {
        &self.key
    }

    /// A token for the whole hub, valid until `expires_unix_s`, in seconds since 1970.
    pub fn token(&self, expires_unix_s: u64) -> SecretString {
        let token = UnsignedToken::new(&self.host, expires_unix_s);
        let signed = token.with_signature(&self.key.sign(token.text_to_sign()));
        let policy = utf8_percent_encode(&self.policy, RESERVED);
        format!("{}&skn={policy}", signed.expose()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn settings(connection: &str) -> String {
        format!(r#"{{"IoThubConnectionString": "{connection}", "deviceId": "dev1", "moduleId": "lvaEdge"}}"#)
    }

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(text, Path::new("appsettings.json"))
    }

    #[test]
    fn the_tutorials_settings_name_host_device_and_module() {
        let text = settings(&format!(
            "HostName=contoso.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}"
        ));
        let read = parse(&format!("\u{feff}{text}")).unwrap();
        assert_eq!((read.device.as_str(), read.module.as_str()), ("dev1", "lvaEdge"));
        assert_eq!(
            (read.service.host(), read.service.port()),
            ("contoso.azure-devices.net", 443)
        );
        assert!(!format!("{read:?}").contains(KEY));
    }

    #[test]
    fn the_token_names_host_expiry_and_policy() {
        let text = format!("SharedAccessKey={KEY};HostName=localhost:8443;SharedAccessKeyName=service");
        let read = ServiceConnectionString::parse(&text.into()).unwrap();
        let token = read.token(1_700_000_000);
        // Python: hmac.new(key, b"localhost\n1700000000", sha256), in base64.
        assert_eq!(
            token.expose(),
            "SharedAccessSignature sr=localhost&sig=RwSH3Sy2HXb3ctSoWptFo5Mb2EMQ%2BN4HJSineMcimhs%3D&se=1700000000&skn=service"
        );
        assert_eq!(read.port(), 8443);
    }

    #[test]
    fn a_typographic_quote_is_named_with_its_place() {
        for text in [
            "{\n  “deviceId\": \"a\"}",
            "{\n  \"d\": \"“dev1”\"}",
            "{\n  ’deviceId’: 1}",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains("typographic quote") && error.contains("line 2") && error.contains("straight"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_without_the_key() {
        for (connection, expected) in [
            (
                "HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0",
                "that of a device",
            ),
            ("HostName=h;SharedAccessKey=c2VjcmV0", "no SharedAccessKeyName"),
            (
                "HostName=h;SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0!",
                "not base64",
            ),
            ("c2VjcmV0", "no '='"),
            (
                "HostName=h:x;SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0",
                "port",
            ),
        ] {
            let error = parse(&settings(connection)).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("appsettings.json"),
                "{error}"
            );
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
        assert!(parse("[]").unwrap_err().to_string().contains("not a JSON object"));
        assert!(
            parse(r#"{"deviceId": "d"}"#)
                .unwrap_err()
                .to_string()
                .contains("IoThubConnectionString")
        );
    }
}
