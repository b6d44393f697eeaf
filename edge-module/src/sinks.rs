//! The places for events that a configuration names.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lva_client_transport::{ClientTls, ClientTlsError};
use lva_graph_runtime::MessageSink;
use lva_hub::{OutboxError, OutboxOptions};

use crate::config::{Config, ConfigError, WebhookAddress, WebhookConfig};
use crate::data::DataDirectory;
use crate::events::{Delivery, EventBroker, EventFile, EventLog, Topic, Webhook};
use crate::settings::LiveSettings;

/// Why a place for events cannot be used; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventSinkError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that it needs.
    #[error("{sink} cannot use {}: {cause}", path.display())]
    File {
        /// The place, as in "the webhook".
        sink: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: std::io::Error,
    },
    /// The certificates to trust.
    #[error("{sink} cannot trust {certificates}: {cause}")]
    Trust {
        /// The place.
        sink: &'static str,
        /// The file, or a description of the system's.
        certificates: String,
        /// What is wrong with them.
        cause: ClientTlsError,
    },
    /// The outbox in which its events wait.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// Adds the sinks of a configuration. Those whose events wait on disk are being delivered from then on.
pub(crate) fn configured(
    config: &Config,
    settings: &LiveSettings,
    data: &DataDirectory,
    sinks: &mut Vec<(String, Box<dyn MessageSink>)>,
) -> Result<Vec<Delivery>, EventSinkError> {
    let topic = || Topic::live(settings.clone());
    let events = &config.events;
    if !events.file.as_os_str().is_empty() {
        let largest = events.file_mib << 20;
        let file = EventFile::new(&events.file, largest, events.files_kept, topic());
        let file = file.map_err(|cause| EventSinkError::File {
            sink: "the file of events",
            path: events.file.clone(),
            cause,
        })?;
        sinks.push(("file".into(), Box::new(file)));
    }
    let mut outboxes = Outboxes {
        data,
        settings,
        sinks,
        deliveries: Vec::new(),
    };
    if let Some(address) = config.webhook.address()? {
        let webhook = webhook(&config.webhook, address)?;
        outboxes.deliver("webhook", config.webhook.outbox(), webhook)?;
    }
    #[cfg(feature = "nats")]
    if !config.nats.url.is_empty() {
        outboxes.deliver("nats", config.nats.outbox(), nats(&config.nats)?)?;
    }
    #[cfg(feature = "kafka")]
    if !config.kafka.brokers.is_empty() {
        outboxes.deliver("kafka", config.kafka.outbox(), kafka(&config.kafka)?)?;
    }
    let deliveries = outboxes.deliveries;
    // A twin may turn it on.
    sinks.push(("log".into(), Box::new(EventLog::live(settings.clone()))));
    Ok(deliveries)
}

/// Sinks whose events wait on disk.
struct Outboxes<'a> {
    data: &'a DataDirectory,
    settings: &'a LiveSettings,
    sinks: &'a mut Vec<(String, Box<dyn MessageSink>)>,
    deliveries: Vec<Delivery>,
}

impl Outboxes<'_> {
    fn deliver(
        &mut self,
        sink: &'static str,
        options: OutboxOptions,
        broker: impl EventBroker,
    ) -> Result<(), OutboxError> {
        let directory = self.data.file(&format!("{}-{sink}", crate::hub::OUTBOX));
        let topic = Topic::live(self.settings.clone());
        let (own, delivery) = Delivery::start(sink, &directory, options, topic, broker)?;
        self.sinks.push((sink.into(), Box::new(own)));
        self.deliveries.push(delivery);
        Ok(())
    }
}

/// The files of one sink.
struct Files(&'static str);

impl Files {
    fn failed(&self, path: &Path, cause: std::io::Error) -> EventSinkError {
        EventSinkError::File {
            sink: self.0,
            path: path.to_owned(),
            cause,
        }
    }

    /// `None` where none is named.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, EventSinkError> {
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        let content = std::fs::read(path).map_err(|cause| self.failed(path, cause))?;
        Ok(Some(content))
    }

    /// The certificates of a file, or the system's.
    fn trusted(&self, path: &Path) -> Result<ClientTls, EventSinkError> {
        match self.read(path)? {
            Some(pem) => ClientTls::from_pem([pem]).map_err(|cause| self.distrusted(path, cause)),
            None => Ok(ClientTls::platform()),
        }
    }

    /// As [`trusted`](Self::trusted), and usable.
    #[cfg(any(feature = "nats", feature = "kafka"))]
    fn client_tls(&self, path: &Path) -> Result<ClientTls, EventSinkError> {
        let tls = self.trusted(path)?;
        match tls.config(&[]) {
            Ok(_) => Ok(tls),
            Err(cause) => Err(self.distrusted(path, cause)),
        }
    }

    /// A user's name with the password of a file, without the line feed that editors put at its end.
    #[cfg(any(feature = "nats", feature = "kafka"))]
    fn credentials(
        &self,
        username: &str,
        file: &Path,
    ) -> Result<Option<lva_media_types::Credentials>, EventSinkError> {
        let password = match self.read(file)? {
            None if username.is_empty() => return Ok(None),
            None => String::new(),
            Some(content) => String::from_utf8(content)
                .map_err(|_| self.failed(file, std::io::Error::other("it is not text")))?,
        };
        let password = password.trim_end_matches(['\r', '\n']);
        Ok(Some(lva_media_types::Credentials::new(username, password)))
    }

    fn distrusted(&self, path: &Path, cause: ClientTlsError) -> EventSinkError {
        let certificates = match path.as_os_str().is_empty() {
            // Without certificates of the operator's, the system's are what is missing.
            true => "the system's certificates (install ca-certificates, or set 'trusted-certificates')"
                .to_owned(),
            false => path.display().to_string(),
        };
        EventSinkError::Trust {
            sink: self.0,
            certificates,
            cause,
        }
    }
}

fn webhook(config: &WebhookConfig, address: WebhookAddress) -> Result<Webhook, EventSinkError> {
    let files = Files("the webhook");
    let secret = match files.read(&config.secret_file)? {
        Some(content) => {
            let key = webhook_key(&content);
            Some(key.map_err(|why| files.failed(&config.secret_file, std::io::Error::other(why)))?)
        }
        None => None,
    };
    let tls = files.trusted(&config.trusted_certificates)?;
    Webhook::new(
        address.origin,
        &address.path,
        &tls,
        secret.as_deref(),
        config.retry_for(),
    )
    .map_err(|cause| files.distrusted(&config.trusted_certificates, cause))
}

#[cfg(feature = "nats")]
fn nats(config: &crate::config::NatsConfig) -> Result<crate::events::Nats, EventSinkError> {
    let files = Files("NATS");
    let server = crate::events::NatsServer {
        url: config.url.clone(),
        tls: files.client_tls(&config.trusted_certificates)?,
        credentials: files.credentials(&config.username, &config.password_file)?,
    };
    Ok(crate::events::Nats::new(server, &config.subject))
}

#[cfg(feature = "kafka")]
fn kafka(config: &crate::config::KafkaConfig) -> Result<crate::events::Kafka, EventSinkError> {
    let files = Files("Kafka");
    let cluster = crate::events::KafkaCluster {
        brokers: config.brokers.clone(),
        tls: match config.tls {
            true => Some(files.client_tls(&config.trusted_certificates)?),
            false => None,
        },
        credentials: files.credentials(&config.username, &config.password_file)?,
    };
    Ok(crate::events::Kafka::new(cluster, &config.topic))
}

/// The key of a secret as Standard Webhooks writes it, `whsec_BASE64`; of any other content, its bytes.
fn webhook_key(content: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = content.trim_ascii();
    let key = match text.strip_prefix(b"whsec_") {
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| "what follows whsec_ is not base64: copy the whole secret")?,
        None => text.to_vec(),
    };
    match key.is_empty() {
        true => Err("the secret is empty: write whsec_BASE64 or another secret into it"),
        false => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_would_sign_with_another_key_is_refused() {
        assert_eq!(webhook_key(b"whsec_c2VjcmV0\n"), Ok(b"secret".to_vec()));
        assert_eq!(webhook_key(b"another secret\n"), Ok(b"another secret".to_vec()));
        for wrong in ["", " \n", "whsec_", "whsec_c2VjcmV0="] {
            assert!(webhook_key(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
