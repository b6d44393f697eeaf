//! A shared access key, with which callers sign their tokens as for an IoT hub.

use lva_hub::sas::{PresentedToken, SasError, SymmetricKey, TokenRefusal};
use lva_media_types::SecretString;
use percent_encoding::percent_decode_str;

use crate::operations::{ServiceConnectionString, ServiceConnectionStringError};

/// As hubs ask for.
const MIN_KEY_BYTES: usize = 16;
/// What distinguishes a connection string from a bare key.
const MEMBER: &str = "SharedAccessKey=";

/// The key of a shared access policy. `Debug` hides it.
#[derive(Debug, Clone)]
pub struct AccessKey {
    key: SymmetricKey,
    /// Its policy, where that is known.
    policy: Option<String>,
}

/// Why a shared access key cannot be used. The configuration is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessKeyError {
    /// A connection string.
    #[error(transparent)]
    ConnectionString(#[from] ServiceConnectionStringError),
    /// A key that is not base64.
    #[error(transparent)]
    Key(#[from] SasError),
    /// A key that can be guessed.
    #[error(
        "the shared access key has {length} bytes: make one of {MIN_KEY_BYTES} or more, as by `openssl rand -base64 32`"
    )]
    Short {
        /// Its bytes.
        length: usize,
    },
}

/// Why a signed request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureRefusal {
    #[error("{0}")]
    Token(TokenRefusal),
    #[error("the token is of another policy than the one whose key is configured here")]
    Policy,
    #[error(
        "the token is for another server or address: the HostName of the connection string has to be the name by which this server is called"
    )]
    Resource,
}

impl AccessKey {
    /// Reads a key in base64, or a service's connection string (`HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`), whose host
    /// does not matter here.
    ///
    /// # Errors
    ///
    /// [`AccessKeyError`]. No message holds a value of the string.
    pub fn parse(text: &SecretString) -> Result<Self, AccessKeyError> {
        let own = match text.expose().contains(MEMBER) {
            true => {
                let service = ServiceConnectionString::parse(text)?;
                Self {
                    key: service.key().clone(),
                    policy: Some(service.policy().to_owned()),
                }
            }
            false => Self {
                key: SymmetricKey::from_base64(text)?,
                policy: None,
            },
        };
        match own.key.length() {
            length @ ..MIN_KEY_BYTES => Err(AccessKeyError::Short { length }),
            _ => Ok(own),
        }
    }

    /// Whether this token allows a request to `host` (without its port) for `path`.
    pub(super) fn check(
        &self,
        token: &str,
        host: &str,
        path: &str,
        now_unix_s: u64,
    ) -> Result<(), SignatureRefusal> {
        let token = PresentedToken::parse(token).map_err(SignatureRefusal::Token)?;
        token
            .check(&self.key, now_unix_s)
            .map_err(SignatureRefusal::Token)?;
        if let (Some(own), Some(given)) = (&self.policy, token.policy())
            && own != given
        {
            return Err(SignatureRefusal::Policy);
        }
        match is_covered(token.resource(), host, path) {
            true => Ok(()),
            false => Err(SignatureRefusal::Resource),
        }
    }
}

/// Whether a resource, `HOST[:PORT][/PATH]`, is this host and holds this path or what is above it. Ports may be mapped on the
/// way, so they are not compared.
fn is_covered(resource: &str, host: &str, path: &str) -> bool {
    let (resource_host, below) = resource.split_once('/').unwrap_or((resource, ""));
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut parts = path.split('/').skip(1);
    let mut wanted = below.split('/').filter(|part| !part.is_empty());
    without_port(resource_host).eq_ignore_ascii_case(host) && wanted.all(|part| parts.next() == Some(part))
}

/// The name or address in a `Host`, `[::1]:8580` as `[::1]`.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const PATH: &str = "/twins/d/modules/m/methods";

    fn connection(host: &str, policy: &str) -> ServiceConnectionString {
        let text = format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey={KEY}");
        ServiceConnectionString::parse(&text.into()).unwrap()
    }

    #[test]
    fn a_connection_string_with_another_host_name_is_taken() {
        let of_hub = "HostName=contoso.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=";
        let token = connection("cam.example", "iothubowner").token(100);
        for text in [format!("{of_hub}{KEY}\n"), format!("{KEY}\n")] {
            let key = AccessKey::parse(&text.into()).unwrap();
            assert!(!format!("{key:?}").contains(KEY));
            let check = |host, now| key.check(token.expose(), host, PATH, now);
            assert_eq!(check("cam.example", 99), Ok(()));
            assert_eq!(check("CAM.example", 99), Ok(()));
            assert_eq!(
                check("cam.example", 100),
                Err(SignatureRefusal::Token(TokenRefusal::Expired))
            );
            assert_eq!(check("other.example", 99), Err(SignatureRefusal::Resource));
        }
    }

    #[test]
    fn another_policy_or_key_is_refused() {
        let text = format!("HostName=h;SharedAccessKeyName=service;SharedAccessKey={KEY}");
        let key = AccessKey::parse(&text.into()).unwrap();
        let token = connection("h", "device").token(100);
        assert_eq!(
            key.check(token.expose(), "h", PATH, 1),
            Err(SignatureRefusal::Policy)
        );
        let other = AccessKey::parse(&KEY.replace("AAEC", "AAED").into()).unwrap();
        let refused = Err(SignatureRefusal::Token(TokenRefusal::Signature));
        assert_eq!(other.check(token.expose(), "h", PATH, 1), refused);
    }

    #[test]
    fn a_resource_covers_what_is_below_it() {
        for resource in [
            "h",
            "h:8443",
            "h/",
            "h/twins/d",
            "h/twins/d/modules/m/methods",
            "h:1/twins",
        ] {
            assert!(is_covered(resource, "h", PATH), "{resource}");
        }
        for resource in [
            "",
            "hh",
            "h/twins/dd",
            "h/devices",
            "h/twins/d/modules/m/methods/x",
            "h/api",
        ] {
            assert!(!is_covered(resource, "h", PATH), "{resource}");
        }
        assert!(is_covered(
            "[::1]:8580/twins/a=b",
            "[::1]",
            "/twins/a%3Db/modules/m"
        ));
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused_without_showing_it() {
        for (text, words) in [
            ("", "0 bytes"),
            ("AAECAw==", "4 bytes"),
            ("geheim!", "not base64"),
            ("HostName=h;SharedAccessKey=geheim", "SharedAccessKeyName"),
            ("HostName=h;DeviceId=d;SharedAccessKey=geheim", "that of a device"),
        ] {
            let error = AccessKey::parse(&text.into()).unwrap_err().to_string();
            assert!(
                error.contains(words) && !error.contains("geheim"),
                "{text}: {error}"
            );
        }
    }
}
