//! The configuration file, its defaults, and their meaning.

mod brokers;
mod console;
mod hub;
mod outbox;
mod webhook;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lva_framing::{DecodeQuality, DecoderOptions, Hardware};
use lva_media_types::BasicAuthentication;
use serde::{Deserialize, Serialize};

pub use brokers::{KafkaConfig, NatsConfig};
pub use console::ConsoleConfig;
pub(crate) use hub::BrokerAddress;
pub use hub::{BrokerVersion, HubConfig};
pub(crate) use webhook::WebhookAddress;
pub use webhook::WebhookConfig;

/// The documented default configuration, as `lva-edge module --print-config` prints it.
const DOCUMENTED: &str = include_str!("../lva-edge.toml");

/// Everything that can be configured. Unknown keys are errors, so that a typing mistake does not go unnoticed.
///
/// [`Config::documented`] prints each key with its meaning, unit and default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Names and directories.
    pub module: ModuleConfig,
    /// How cameras are reached.
    pub cameras: CamerasConfig,
    /// How cameras are decoded for analysis.
    pub decoding: DecodingConfig,
    /// The HTTP server of the methods.
    pub http: HttpConfig,
    /// The web page.
    pub console: ConsoleConfig,
    /// The metrics endpoint.
    pub metrics: MetricsConfig,
    /// The log.
    pub log: LogConfig,
    /// Where events go.
    pub events: EventsConfig,
    /// The hub or broker.
    pub hub: HubConfig,
    /// A webhook for events.
    pub webhook: WebhookConfig,
    /// A stream of NATS for events.
    pub nats: NatsConfig,
    /// A topic of Kafka for events.
    pub kafka: KafkaConfig,
}

/// Names and directories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct ModuleConfig {
    /// The module's name.
    pub name: String,
    /// The device's name.
    pub device: String,
    /// Directory for state, token and outbox.
    pub data: PathBuf,
    /// Directory for clips and recordings.
    pub recordings: PathBuf,
    /// Further directories that file sinks may write to.
    pub allow_recordings_under: Vec<PathBuf>,
    /// Seconds that completing clips may take at a stop.
    pub stop_seconds: u64,
}

impl ModuleConfig {
    /// How long completing clips may take at a stop.
    pub fn stop_limit(&self) -> Duration {
        Duration::from_secs(self.stop_seconds)
    }
}

impl Default for ModuleConfig {
    fn default() -> Self {
        Self {
            name: "lvaEdge".into(),
            device: "device".into(),
            data: "lva-edge-data".into(),
            recordings: "recordings".into(),
            allow_recordings_under: Vec::new(),
            stop_seconds: 15,
        }
    }
}

/// How cameras are reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct CamerasConfig {
    /// `allowed`, `over-tls` or `never`, see [`BasicAuthentication`].
    pub basic_authentication: String,
}

impl CamerasConfig {
    /// When cameras get their password as it is.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] for an unknown name.
    pub fn basic(&self) -> Result<BasicAuthentication, ConfigError> {
        named("cameras.basic-authentication", &self.basic_authentication)
    }
}

impl Default for CamerasConfig {
    fn default() -> Self {
        Self {
            basic_authentication: BasicAuthentication::default().to_string(),
        }
    }
}

/// How cameras are decoded for analysis. Recordings are not decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct DecodingConfig {
    /// `exact` or `fast`, see [`DecodeQuality`].
    pub quality: String,
    /// A device that decodes, see [`Hardware`]; empty for software.
    pub hardware: String,
}

impl DecodingConfig {
    /// The options of each camera's decoder.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] for an unknown name.
    pub fn options(&self) -> Result<DecoderOptions, ConfigError> {
        let hardware = match self.hardware.as_str() {
            "" => None,
            name => Some(named::<Hardware>("decoding.hardware", name)?),
        };
        let quality = named::<DecodeQuality>("decoding.quality", &self.quality)?;
        Ok(DecoderOptions::default()
            .with_quality(quality)
            .with_hardware(hardware))
    }
}

impl Default for DecodingConfig {
    fn default() -> Self {
        Self {
            quality: DecodeQuality::Exact.to_string(),
            hardware: String::new(),
        }
    }
}

/// The HTTP server of the methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Address; empty for no server.
    pub listen: String,
    /// PEM file of the certificate chain; empty for plain HTTP.
    pub certificate: PathBuf,
    /// PEM file of the certificate's key.
    pub key: PathBuf,
    /// File with the shared access key of callers that sign; empty for none.
    pub shared_access_key_file: PathBuf,
    /// More host names of the server.
    pub hosts: Vec<String>,
    /// Connections at a time.
    pub max_connections: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8580".into(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            shared_access_key_file: PathBuf::new(),
            hosts: Vec::new(),
            max_connections: 256,
        }
    }
}

/// The metrics endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// Address; empty for none.
    pub listen: String,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9600".into(),
        }
    }
}

/// The log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// Level or filter.
    pub level: String,
    /// Form of the lines.
    pub format: LogFormat,
    /// Address of a collector for OTLP; empty for none.
    pub otlp: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Auto,
            otlp: String::new(),
        }
    }
}

/// Form of log lines.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// [`Text`](Self::Text) on a terminal, else [`Original`](Self::Original).
    #[default]
    Auto,
    /// Readable lines, coloured on a terminal.
    Text,
    /// `<6> 2020-07-17 18:17:40.119 +00:00 Application: …`, the lines of Live Video Analytics.
    Original,
    /// One JSON object per line.
    Json,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct EventsConfig {
    /// Topic of the events; empty for the default.
    pub topic: String,
    /// Output of diagnostics events; empty for none.
    pub diagnostics_output: String,
    /// Output of operational events; empty for none.
    pub operational_output: String,
    /// File of events; empty for none.
    pub file: PathBuf,
    /// Size at which the file is renamed, in MiB.
    pub file_mib: u64,
    /// Renamed files that are kept.
    pub files_kept: u32,
    /// Whether each event is written to the log.
    pub log: bool,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            topic: String::new(),
            diagnostics_output: String::new(),
            operational_output: String::new(),
            file: PathBuf::new(),
            file_mib: 100,
            files_kept: 5,
            log: false,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("the configuration {} is invalid; `lva-edge module --print-config` prints every key: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
    },
    /// A value out of its range.
    #[error("the value of '{key}' is invalid: {message}")]
    Value {
        /// Section and key.
        key: &'static str,
        /// What is wrong, and what would be right.
        message: String,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when it cannot be read, has unknown keys, or a value is out of its range.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let read = std::fs::read_to_string(path);
        let text = read.map_err(|cause| ConfigError::Read {
            path: path.to_owned(),
            cause,
        })?;
        Self::parse(&text, path)
    }

    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml_edit::de::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] for the first value out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        name("module.name", &self.module.name)?;
        name("module.device", &self.module.device)?;
        self.http_address()?;
        self.metrics_address()?;
        range(
            "http.max-connections",
            self.http.max_connections as u64,
            1,
            10_000,
        )?;
        self.console.check()?;
        range("module.stop-seconds", self.module.stop_seconds, 0, 86_400)?;
        self.cameras.basic()?;
        self.decoding.options()?;
        self.hub.check()?;
        self.webhook.check()?;
        self.nats.check()?;
        self.kafka.check()?;
        range("events.file-mib", self.events.file_mib, 1, 100_000)?;
        range("events.files-kept", u64::from(self.events.files_kept), 0, 1_000)?;
        let both = [&self.http.certificate, &self.http.key].map(|path| path.as_os_str().is_empty());
        if both[0] != both[1] {
            return Err(ConfigError::Value {
                key: "http.certificate",
                message: "a certificate and its key go together: set 'certificate' and 'key', or neither"
                    .into(),
            });
        }
        Ok(())
    }

    /// Address of the methods; `None` when HTTP is off.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] when it is not an address.
    pub fn http_address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        address("http.listen", &self.http.listen)
    }

    /// Address of the metrics; `None` when they are off.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] when it is not an address.
    pub fn metrics_address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        address("metrics.listen", &self.metrics.listen)
    }

    /// This configuration as a file that explains each key.
    pub fn documented(&self) -> String {
        let (Ok(mut document), Ok(values)) = (
            DOCUMENTED.parse::<toml_edit::DocumentMut>(),
            toml_edit::ser::to_document(self),
        ) else {
            return DOCUMENTED.to_owned();
        };
        for (section, table) in values.as_table() {
            for (key, value) in table.as_table_like().into_iter().flat_map(|table| table.iter()) {
                if let (Some(to), Some(value)) = (document[section].get_mut(key), value.as_value()) {
                    let mut value = value.clone();
                    if let Some(old) = to.as_value() {
                        *value.decor_mut() = old.decor().clone();
                    }
                    *to = toml_edit::Item::Value(value);
                }
            }
        }
        document.to_string()
    }
}

fn address(key: &'static str, text: &str) -> Result<Option<SocketAddr>, ConfigError> {
    match text {
        "" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| ConfigError::Value {
            key,
            message: format!(
                "'{text}' is not an address: write IP:PORT, such as 127.0.0.1:8580, or \"\" for none"
            ),
        }),
    }
}

/// Names become parts of addresses and topics.
fn name(key: &'static str, text: &str) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match text {
        "" => Err("it is empty"),
        _ if text.len() > 128 => Err("it has more than 128 characters"),
        _ if !text.chars().all(allowed) => Err("only ASCII letters, digits, '-', '.' and '_' are allowed"),
        _ => Ok(()),
    }
    .map_err(|message| ConfigError::Value {
        key,
        message: message.to_owned(),
    })
}

fn named<T: FromStr<Err: ToString>>(key: &'static str, name: &str) -> Result<T, ConfigError> {
    name.parse().map_err(|error: T::Err| ConfigError::Value {
        key,
        message: error.to_string(),
    })
}

fn range(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(ConfigError::Value {
            key,
            message: format!("{value} is not from {least} to {most}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_holds_every_default() {
        let read: Config = toml_edit::de::from_str(DOCUMENTED).unwrap();
        assert_eq!(read, Config::default());
        let written = toml_edit::ser::to_document(&Config::default()).unwrap();
        let documented: toml_edit::DocumentMut = DOCUMENTED.parse().unwrap();
        for (section, table) in written.as_table() {
            for (key, _) in table.as_table_like().unwrap().iter() {
                assert!(
                    documented[section].get(key).is_some(),
                    "{section}.{key} is not documented"
                );
            }
        }
    }

    #[test]
    fn it_listens_on_loopback_by_default() {
        let config = Config::default();
        for address in [config.http_address(), config.metrics_address()] {
            assert!(address.unwrap().unwrap().ip().is_loopback());
        }
    }

    #[test]
    fn the_printed_configuration_keeps_comments_and_reads_back() {
        let mut config = Config::default();
        config.http.listen = "0.0.0.0:80".into();
        config.http.hosts = vec!["cam\"era".into()];
        config.log.format = LogFormat::Json;
        let text = config.documented();
        assert!(
            text.contains("# Address of the methods") && text.contains("listen = \"0.0.0.0:80\""),
            "{text}"
        );
        assert_eq!(toml_edit::de::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_name_themselves() {
        let error = toml_edit::de::from_str::<Config>("[http]\nlistn = \"\"").unwrap_err();
        assert!(error.to_string().contains("listn"), "{error}");
        let rejected = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(rejected(|c| c.http.listen = "8580".into()).contains("http.listen"));
        assert!(rejected(|c| c.http.max_connections = 0).contains("from 1 to 10000"));
        assert!(rejected(|c| c.cameras.basic_authentication = "no".into()).contains("use allowed, over-tls"));
        assert!(rejected(|c| c.decoding.quality = "quick".into()).contains("use exact or fast"));
        assert!(rejected(|c| c.decoding.hardware = "gpu".into()).contains("use cuda or vaapi"));
        assert!(rejected(|c| c.http.key = "key.pem".into()).contains("go together"));
        assert!(rejected(|c| c.module.name = "a/b".into()).contains("module.name"));
        assert!(rejected(|c| c.module.device = String::new()).contains("empty"));
    }
}
