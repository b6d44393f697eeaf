use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ConfigError, outbox};

/// A stream of NATS JetStream that gets each event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct NatsConfig {
    /// Address; empty for none.
    pub url: String,
    /// First levels of all subjects.
    pub subject: String,
    /// User; empty for none.
    pub username: String,
    /// File with the password, or with a token where there is no user; empty for none.
    pub password_file: PathBuf,
    /// PEM file of the certificates to trust; empty for the system's.
    pub trusted_certificates: PathBuf,
    /// Size of the outbox in MiB.
    pub outbox_mib: u64,
    /// How long events wait in the outbox, in days.
    pub outbox_days: u64,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            subject: "lva".into(),
            username: String::new(),
            password_file: PathBuf::new(),
            trusted_certificates: PathBuf::new(),
            outbox_mib: 1024,
            outbox_days: 14,
        }
    }
}

impl NatsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let keys = ["nats.outbox-mib", "nats.outbox-days"];
        outbox::check(keys, self.outbox_mib, self.outbox_days)?;
        let is_level = |level: &str| !level.is_empty() && !level.contains(['*', '>']);
        let is_subject = |text: &str| !text.contains(char::is_whitespace) && text.split('.').all(is_level);
        if !is_subject(&self.subject) {
            let message = "a subject is words with '.' between, without spaces, '*' and '>'";
            return rejected("nats.subject", message);
        }
        if self.url.is_empty() {
            return Ok(());
        }
        available("nats.url", "nats", cfg!(feature = "nats"))?;
        let parsed = self.url.parse::<http::Uri>().ok();
        let is_address = parsed.is_some_and(|uri| {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            matches!(uri.scheme_str(), Some("nats" | "tls"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && matches!(uri.path(), "" | "/")
                && !authority.contains('@')
        });
        match is_address {
            true => Ok(()),
            // It may hold a password.
            false => rejected(
                "nats.url",
                "write nats://HOST:PORT, or tls://HOST:PORT for TLS; user and password go to 'username' and 'password-file'",
            ),
        }
    }

    #[cfg(feature = "nats")]
    pub(crate) fn outbox(&self) -> lva_hub::OutboxOptions {
        outbox::options(self.outbox_mib, self.outbox_days)
    }
}

/// A topic of Kafka that gets each event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// Addresses of brokers; empty for none.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Whether brokers are spoken to by TLS.
    pub tls: bool,
    /// User of SASL PLAIN; empty for none.
    pub username: String,
    /// File with the password; empty for none.
    pub password_file: PathBuf,
    /// PEM file of the certificates to trust; empty for the system's.
    pub trusted_certificates: PathBuf,
    /// Size of the outbox in MiB.
    pub outbox_mib: u64,
    /// How long events wait in the outbox, in days.
    pub outbox_days: u64,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic: "lva".into(),
            tls: false,
            username: String::new(),
            password_file: PathBuf::new(),
            trusted_certificates: PathBuf::new(),
            outbox_mib: 1024,
            outbox_days: 14,
        }
    }
}

impl KafkaConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let keys = ["kafka.outbox-mib", "kafka.outbox-days"];
        outbox::check(keys, self.outbox_mib, self.outbox_days)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        // Kafka's own rule.
        let is_topic = (1..=249).contains(&self.topic.len()) && self.topic.chars().all(allowed);
        if !is_topic || matches!(&*self.topic, "." | "..") {
            return rejected(
                "kafka.topic",
                "a topic has 1 to 249 ASCII letters, digits, '-', '.' and '_'",
            );
        }
        if self.username.is_empty() && given(&self.password_file).is_some() {
            return rejected("kafka.username", "a password needs a user name");
        }
        if !self.tls && given(&self.trusted_certificates).is_some() {
            return rejected("kafka.tls", "trusted certificates are for TLS: set 'tls = true'");
        }
        if self.brokers.is_empty() {
            return Ok(());
        }
        available("kafka.brokers", "kafka", cfg!(feature = "kafka"))?;
        let is_address = |address: &String| {
            let parts = address.rsplit_once(':');
            parts.is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains(['/', '@']) && port.parse::<u16>().is_ok()
            })
        };
        match self.brokers.iter().all(is_address) {
            true => Ok(()),
            false => rejected(
                "kafka.brokers",
                "write HOST:PORT of each broker, without a scheme",
            ),
        }
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn outbox(&self) -> lva_hub::OutboxOptions {
        outbox::options(self.outbox_mib, self.outbox_days)
    }
}

fn given(path: &Path) -> Option<&Path> {
    (!path.as_os_str().is_empty()).then_some(path)
}

fn rejected(key: &'static str, message: &str) -> Result<(), ConfigError> {
    Err(ConfigError::Value {
        key,
        message: message.to_owned(),
    })
}

/// What is configured and was not built in must not be ignored.
fn available(key: &'static str, feature: &str, is_built_in: bool) -> Result<(), ConfigError> {
    match is_built_in {
        true => Ok(()),
        false => Err(ConfigError::Value {
            key,
            message: format!(
                "this program was built without the cargo feature '{feature}': build it with --features {feature}"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nats(change: impl FnOnce(&mut NatsConfig)) -> Result<(), String> {
        let mut config = NatsConfig::default();
        change(&mut config);
        config.check().map_err(|error| error.to_string())
    }

    fn kafka(change: impl FnOnce(&mut KafkaConfig)) -> Result<(), String> {
        let mut config = KafkaConfig::default();
        change(&mut config);
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn subjects_and_topics_are_those_that_brokers_take() {
        assert_eq!((nats(|_| {}), kafka(|_| {})), (Ok(()), Ok(())));
        assert_eq!(nats(|c| c.subject = "site.7.lva".into()), Ok(()));
        for wrong in ["", ".", "a..b", "a.*", "a.>", "a b"] {
            assert!(
                nats(|c| c.subject = wrong.into())
                    .unwrap_err()
                    .contains("nats.subject"),
                "{wrong}"
            );
        }
        for wrong in ["", "..", "a/b", "ä"] {
            assert!(
                kafka(|c| c.topic = wrong.into())
                    .unwrap_err()
                    .contains("kafka.topic"),
                "{wrong}"
            );
        }
        assert!(
            kafka(|c| c.password_file = "p".into())
                .unwrap_err()
                .contains("kafka.username")
        );
        assert!(
            kafka(|c| c.trusted_certificates = "p".into())
                .unwrap_err()
                .contains("kafka.tls")
        );
    }

    #[cfg(feature = "nats")]
    #[test]
    fn a_nats_address_has_a_scheme_and_a_host_and_no_password() {
        for right in ["nats://127.0.0.1", "tls://nats.example:4443/"] {
            assert_eq!(nats(|c| c.url = right.into()), Ok(()));
        }
        for wrong in ["127.0.0.1:4222", "http://h", "nats://u:geheim@h", "nats://h/x"] {
            let error = nats(|c| c.url = wrong.into()).unwrap_err();
            assert!(
                error.contains("nats://HOST:PORT") && !error.contains("geheim"),
                "{error}"
            );
        }
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_kafka_address_has_a_host_and_a_port() {
        assert_eq!(
            kafka(|c| c.brokers = vec!["[::1]:9092".into(), "b.example:9093".into()]),
            Ok(())
        );
        for wrong in ["b.example", "kafka://b:9092", ":9092", "b:x"] {
            let error = kafka(|c| c.brokers = vec!["a:1".into(), wrong.into()]).unwrap_err();
            assert!(error.contains("HOST:PORT"), "{error}");
        }
    }

    #[cfg(not(any(feature = "nats", feature = "kafka")))]
    #[test]
    fn what_was_not_built_in_is_refused_with_its_feature() {
        let error = nats(|c| c.url = "nats://h".into()).unwrap_err();
        assert!(error.contains("--features nats"), "{error}");
        let error = kafka(|c| c.brokers = vec!["h:9092".into()]).unwrap_err();
        assert!(error.contains("--features kafka"), "{error}");
    }
}
