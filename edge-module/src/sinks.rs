//! The places for events that a configuration names.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lva_client_transport::{ClientTls, ClientTlsError};
use lva_graph_runtime::MessageSink;

use crate::config::{Config, ConfigError, WebhookAddress, WebhookConfig};
use crate::events::{EventFile, EventLog, Topic, Webhook};
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
}

/// Adds the sinks of a configuration.
pub(crate) fn configured(
    config: &Config,
    settings: &LiveSettings,
    sinks: &mut Vec<(String, Box<dyn MessageSink>)>,
) -> Result<(), EventSinkError> {
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
    if let Some(address) = config.webhook.address()? {
        sinks.push((
            "webhook".into(),
            Box::new(webhook(&config.webhook, address, topic())?),
        ));
    }
    // A twin may turn it on.
    sinks.push(("log".into(), Box::new(EventLog::live(settings.clone()))));
    Ok(())
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

fn webhook(config: &WebhookConfig, address: WebhookAddress, topic: Topic) -> Result<Webhook, EventSinkError> {
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
        topic,
    )
    .map_err(|cause| files.distrusted(&config.trusted_certificates, cause))
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
