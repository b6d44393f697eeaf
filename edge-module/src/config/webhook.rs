use std::path::PathBuf;
use std::time::Duration;

use lva_client_transport::http::Origin;
use lva_hub::OutboxOptions;
use serde::{Deserialize, Serialize};

use super::{ConfigError, outbox, range};

/// A webhook that gets each event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// Address; empty for none.
    pub url: String,
    /// File with the secret that signs; empty for none.
    pub secret_file: PathBuf,
    /// PEM file of the certificates to trust; empty for the system's.
    pub trusted_certificates: PathBuf,
    /// How long an event is posted again that the server answers with an error, in seconds.
    pub retry_seconds: u64,
    /// Size of the outbox in MiB.
    pub outbox_mib: u64,
    /// How long events wait in the outbox, in days.
    pub outbox_days: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret_file: PathBuf::new(),
            trusted_certificates: PathBuf::new(),
            retry_seconds: 86_400,
            outbox_mib: 1024,
            outbox_days: 14,
        }
    }
}

/// Where a webhook is posted to.
#[derive(Debug, Clone)]
pub(crate) struct WebhookAddress {
    pub(crate) origin: Origin,
    pub(crate) path: String,
}

impl WebhookConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("webhook.retry-seconds", self.retry_seconds, 0, 31_536_000)?;
        outbox::check(
            ["webhook.outbox-mib", "webhook.outbox-days"],
            self.outbox_mib,
            self.outbox_days,
        )?;
        self.address().map(drop)
    }

    pub(crate) fn retry_for(&self) -> Duration {
        Duration::from_secs(self.retry_seconds)
    }

    pub(crate) fn outbox(&self) -> OutboxOptions {
        outbox::options(self.outbox_mib, self.outbox_days)
    }

    /// The address; `None` where none is configured.
    pub(crate) fn address(&self) -> Result<Option<WebhookAddress>, ConfigError> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let parsed = self.url.parse::<http::Uri>().ok();
        let address = parsed.and_then(|uri| {
            let host = uri.host().filter(|host| !host.is_empty())?;
            if uri.authority()?.as_str().contains('@') {
                return None;
            }
            let origin = match uri.scheme_str()? {
                "http" => Origin::http(host, uri.port_u16().unwrap_or(80)),
                "https" => Origin::https(host, uri.port_u16().unwrap_or(443)),
                _ => return None,
            };
            let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            Some(WebhookAddress { origin, path })
        });
        match address {
            Some(address) => Ok(Some(address)),
            // The value may hold a secret.
            None => Err(ConfigError::Value {
                key: "webhook.url",
                message: "write https://HOST[:PORT]/PATH, without user and password".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_path() {
        let address = |url: &str| {
            let config = WebhookConfig {
                url: url.into(),
                ..WebhookConfig::default()
            };
            config.check()?;
            config.address()
        };
        assert!(address("").unwrap().is_none());
        let found = address("https://hooks.example/lva?site=7").unwrap().unwrap();
        assert_eq!(
            (found.origin.authority().as_str(), found.path.as_str()),
            ("hooks.example", "/lva?site=7")
        );
        for wrong in ["hooks.example/lva", "ftp://h/", "https://u:geheim@h/"] {
            let error = address(wrong).unwrap_err().to_string();
            assert!(
                error.contains("https://HOST") && !error.contains("geheim"),
                "{error}"
            );
        }
    }
}
