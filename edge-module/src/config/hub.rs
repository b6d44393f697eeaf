use std::path::PathBuf;
use std::time::Duration;

use lva_hub::{MqttVersion, OutboxOptions};
use serde::{Deserialize, Serialize};

use super::{ConfigError, outbox, range};

/// The hub or broker that methods come from and events go to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct HubConfig {
    /// File with the connection string of a module or device; empty for none.
    pub connection_string_file: PathBuf,
    /// PEM file of this client's certificate and those between it and its authority; empty for none.
    pub certificate: PathBuf,
    /// PEM file of that certificate's key.
    pub key: PathBuf,
    /// Life of access tokens in seconds.
    pub token_life_seconds: u64,
    /// Whether the hub is reached over WebSocket, on port 443.
    pub websocket: bool,
    /// Address of a plain MQTT broker; empty for none.
    pub broker: String,
    /// User name at the broker; empty for none.
    pub username: String,
    /// File with the password at the broker; empty for none.
    pub password_file: PathBuf,
    /// MQTT version for the broker.
    pub mqtt_version: BrokerVersion,
    /// First levels of all topics on the broker.
    pub prefix: String,
    /// Whether events are bodies alone on the broker.
    pub bare_events: bool,
    /// Prefix of Home Assistant's discovery on the broker; empty for none.
    pub discovery: String,
    /// PEM file of the certificates to trust; empty for the system's.
    pub trusted_certificates: PathBuf,
    /// Size of the outbox in MiB.
    pub outbox_mib: u64,
    /// How long events wait in the outbox, in days.
    pub outbox_days: u64,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            connection_string_file: PathBuf::new(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            token_life_seconds: 3600,
            websocket: false,
            broker: String::new(),
            username: String::new(),
            password_file: PathBuf::new(),
            mqtt_version: BrokerVersion::default(),
            prefix: "lva".into(),
            bare_events: false,
            discovery: String::new(),
            trusted_certificates: PathBuf::new(),
            outbox_mib: 1024,
            outbox_days: 14,
        }
    }
}

impl HubConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("hub.token-life-seconds", self.token_life_seconds, 1, 31_536_000)?;
        outbox::check(
            ["hub.outbox-mib", "hub.outbox-days"],
            self.outbox_mib,
            self.outbox_days,
        )?;
        let rejected = |key, message: &str| {
            Err(ConfigError::Value {
                key,
                message: message.to_owned(),
            })
        };
        if !self.broker.is_empty() && !self.connection_string_file.as_os_str().is_empty() {
            return rejected(
                "hub.broker",
                "the module connects to a hub or to a broker: set 'connection-string-file' or 'broker', not both",
            );
        }
        if self.websocket && !self.broker.is_empty() {
            return rejected(
                "hub.websocket",
                "it is for hubs: a broker over WebSocket has an address that begins with ws:// or wss://",
            );
        }
        if self.certificate.as_os_str().is_empty() != self.key.as_os_str().is_empty() {
            return rejected(
                "hub.certificate",
                "a certificate and its key go together: set 'certificate' and 'key', or neither",
            );
        }
        let is_plain = ["mqtt:", "ws:"]
            .iter()
            .any(|scheme| self.broker.starts_with(scheme));
        if is_plain && !self.certificate.as_os_str().is_empty() {
            return rejected(
                "hub.certificate",
                "a certificate needs TLS: write mqtts:// or wss://",
            );
        }
        if self.username.is_empty() && !self.password_file.as_os_str().is_empty() {
            return rejected("hub.username", "a password needs a user name");
        }
        let wildcard = |topic: &str| topic.contains(['+', '#']);
        if self.prefix.is_empty() || wildcard(&self.prefix) {
            return rejected(
                "hub.prefix",
                "a prefix is the beginning of a topic, without '+' and '#'",
            );
        }
        if wildcard(&self.discovery) {
            return rejected(
                "hub.discovery",
                "it is the beginning of a topic, without '+' and '#'",
            );
        }
        self.broker_address().map(drop)
    }

    pub(crate) fn token_life(&self) -> Duration {
        Duration::from_secs(self.token_life_seconds)
    }

    pub(crate) fn outbox(&self) -> OutboxOptions {
        outbox::options(self.outbox_mib, self.outbox_days)
    }

    /// The broker's address; `None` where none is configured.
    pub(crate) fn broker_address(&self) -> Result<Option<BrokerAddress>, ConfigError> {
        if self.broker.is_empty() {
            return Ok(None);
        }
        let parsed = self.broker.parse::<http::Uri>().ok();
        match parsed.and_then(|uri| BrokerAddress::of(&uri)) {
            Some(address) => Ok(Some(address)),
            // It may hold a password.
            None => Err(ConfigError::Value {
                key: "hub.broker",
                message: "write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS, or ws://HOST:PORT/PATH and wss://HOST:PORT/PATH over \
                          WebSocket; user and password go to 'username' and 'password-file'"
                    .into(),
            }),
        }
    }
}

/// Where a plain broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) tls: bool,
    /// Path of its WebSocket; `None` for MQTT in TCP.
    pub(crate) websocket: Option<String>,
}

impl BrokerAddress {
    fn of(uri: &http::Uri) -> Option<Self> {
        let (tls, is_websocket) = match uri.scheme_str()? {
            "mqtt" => (false, false),
            "mqtts" => (true, false),
            "ws" => (false, true),
            "wss" => (true, true),
            _ => return None,
        };
        let has_more = !is_websocket && !matches!(uri.path(), "" | "/");
        let host = uri.host().filter(|host| !host.is_empty())?;
        if has_more || uri.query().is_some() || uri.authority()?.as_str().contains('@') {
            return None;
        }
        Some(Self {
            host: host.to_owned(),
            port: uri.port_u16(),
            tls,
            websocket: is_websocket.then(|| uri.path().to_owned()),
        })
    }
}

/// MQTT version for a plain broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BrokerVersion {
    /// MQTT 3.1.1.
    #[default]
    #[serde(rename = "3.1.1")]
    V3,
    /// MQTT 5.
    #[serde(rename = "5")]
    V5,
}

impl From<BrokerVersion> for MqttVersion {
    fn from(version: BrokerVersion) -> Self {
        match version {
            BrokerVersion::V3 => Self::V3_1_1,
            BrokerVersion::V5 => Self::V5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(broker: &str) -> Result<Option<BrokerAddress>, ConfigError> {
        let config = HubConfig {
            broker: broker.into(),
            ..HubConfig::default()
        };
        config.check()?;
        config.broker_address()
    }

    #[test]
    fn a_broker_has_a_scheme_a_host_and_perhaps_a_port() {
        let found = |host: &str, port, tls, path: Option<&str>| {
            Some(BrokerAddress {
                host: host.into(),
                port,
                tls,
                websocket: path.map(str::to_owned),
            })
        };
        assert_eq!(address("").unwrap(), None);
        assert_eq!(
            address("mqtt://broker.local:1884").unwrap(),
            found("broker.local", Some(1884), false, None)
        );
        assert_eq!(
            address("mqtts://[::1]/").unwrap(),
            found("[::1]", None, true, None)
        );
        assert_eq!(address("ws://b").unwrap(), found("b", None, false, Some("/")));
        assert_eq!(
            address("wss://b:8084/mqtt").unwrap(),
            found("b", Some(8084), true, Some("/mqtt"))
        );
        for wrong in [
            "broker.local",
            "http://broker",
            "mqtt://",
            "mqtt://user:geheim@broker",
            "mqtt://broker/topic",
            "wss://user:geheim@broker/mqtt",
            "ws://broker/mqtt?password=geheim",
        ] {
            let error = address(wrong).unwrap_err().to_string();
            assert!(
                error.contains("mqtt://HOST:PORT") && !error.contains("geheim"),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn hub_and_broker_exclude_each_other_and_prefixes_are_topics() {
        let rejected = |change: fn(&mut HubConfig)| {
            let mut config = HubConfig::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        let both = rejected(|c| {
            c.broker = "mqtt://b".into();
            c.connection_string_file = "f".into();
        });
        assert!(both.contains("not both"), "{both}");
        let websocket = rejected(|c| {
            c.broker = "mqtt://b".into();
            c.websocket = true;
        });
        assert!(websocket.contains("wss://"), "{websocket}");
        assert!(rejected(|c| c.prefix = "a/#".into()).contains("hub.prefix"));
        assert!(rejected(|c| c.prefix = String::new()).contains("hub.prefix"));
        assert!(rejected(|c| c.password_file = "p".into()).contains("hub.username"));
        assert!(rejected(|c| c.key = "k".into()).contains("hub.certificate"));
        assert!(rejected(|c| c.token_life_seconds = 0).contains("hub.token-life-seconds"));
    }
}
