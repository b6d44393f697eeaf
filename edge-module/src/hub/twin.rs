//! The twin: saved, put into force, and answered by reported properties.

use std::sync::Arc;

use lva_graph_runtime::Module;
use lva_hub::Client;
use lva_hub::twin::Desired;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::data::DataDirectory;
use crate::logs::LogControl;
use crate::settings::{LiveSettings, Problem, Settings};

const FILE: &str = "twin.json";
/// Format of the file; a higher number is of a newer version.
const SCHEMA: u64 = 1;
/// `ProductInfo` of the reported properties.
pub(super) const PRODUCT: &str = concat!("Live Video Analytics:", env!("CARGO_PKG_VERSION"));

#[derive(Serialize, Deserialize)]
struct Saved {
    schema: u64,
    version: u64,
    properties: Map<String, Value>,
}

/// Carries out what desired properties ask for.
#[derive(Debug)]
pub(super) struct TwinFollower {
    data: Arc<DataDirectory>,
    settings: LiveSettings,
    log: Option<LogControl>,
    /// Whether a hub's module cannot do without some properties.
    is_required: bool,
}

impl TwinFollower {
    pub(super) fn new(
        data: Arc<DataDirectory>,
        settings: LiveSettings,
        log: Option<LogControl>,
        is_required: bool,
    ) -> Self {
        Self {
            data,
            settings,
            log,
            is_required,
        }
    }

    /// Puts the saved twin into force, until the hub sends it again. One that cannot be read never stops the start.
    pub(super) fn restore(&self) {
        let read = match self.data.read(FILE) {
            Ok(None) => return,
            Ok(Some(content)) => serde_json::from_slice::<Saved>(&content).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let why = match read {
            Ok(saved) if saved.schema == SCHEMA => {
                self.put_into_force(&saved.properties);
                tracing::info!(
                    version = saved.version,
                    "the last twin is in force until the hub sends it again"
                );
                return;
            }
            Ok(saved) => format!("it has schema {}, and this version reads {SCHEMA}", saved.schema),
            Err(why) => why,
        };
        match self.data.set_aside(FILE) {
            Ok(aside) => tracing::error!(
                "the last twin cannot be read ({why}); it is kept as {}, and the hub's is awaited",
                aside.display()
            ),
            Err(error) => tracing::error!("the last twin cannot be read ({why}), nor set aside: {error}"),
        }
    }

    /// Follows the twin until the client ends.
    pub(super) async fn follow(self, client: Client, module: Module) {
        let mut desired = client.desired();
        loop {
            let now = desired.borrow_and_update().clone();
            if let Some(now) = now {
                let problems = self.put_into_force(&now.properties);
                module.allow_unsecured_endpoints(self.settings.allows_unsecured_endpoints());
                let version = now.version;
                // What is reported holds after a restart too.
                self.save(now).await;
                self.report(&client, version, &problems);
            }
            if desired.changed().await.is_err() {
                return;
            }
        }
    }

    fn put_into_force(&self, desired: &Map<String, Value>) -> Vec<Problem> {
        let (settings, problems) = Settings::read(desired, self.is_required);
        for problem in &problems {
            tracing::error!(
                property = problem.property,
                "the twin is wrong: {}",
                problem.message
            );
        }
        if settings.has_debug_logs {
            tracing::warn!("the twin's debugLogsDirectory has no effect: set logLevel to Verbose instead");
        }
        if let Some(log) = &self.log {
            log.set(settings.log_level, settings.log_categories);
        }
        // On a plain broker nothing is required, and a wrong value is ignored.
        let in_force = if self.is_required {
            problems.clone()
        } else {
            Vec::new()
        };
        self.settings.apply(settings, in_force);
        problems
    }

    async fn save(&self, desired: Desired) {
        let saved = Saved {
            schema: SCHEMA,
            version: desired.version,
            properties: desired.properties,
        };
        let data = Arc::clone(&self.data);
        let written = tokio::task::spawn_blocking(move || {
            let content = serde_json::to_vec(&saved).map_err(|error| data.failed("write", FILE, error))?;
            data.replace(FILE, &content)
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the twin cannot be saved: {error}"),
            Err(error) => tracing::error!("the twin cannot be saved: {error}"),
        }
    }

    /// What the module made of the twin.
    fn report(&self, client: &Client, version: u64, problems: &[Problem]) {
        let wrong: Map<String, Value> = problems
            .iter()
            .map(|problem| (problem.property.to_owned(), json!(problem.message)))
            .collect();
        let state = match problems.is_empty() || !self.is_required {
            true => "Running",
            false => "ModuleConfigurationRequired",
        };
        // As text, since a merge patch would keep the problems of an earlier twin.
        let wrong = match wrong.is_empty() {
            true => Value::Null,
            false => json!(Value::Object(wrong).to_string()),
        };
        let patch = json!({"State": state, "DesiredVersion": version, "Problems": wrong});
        if let Err(error) = client.report(patch) {
            tracing::error!(%error, "the state cannot be reported");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EventsConfig;

    #[test]
    fn a_twin_that_cannot_be_read_is_kept_aside() {
        let directory = tempfile::tempdir().unwrap();
        let data = Arc::new(DataDirectory::open(directory.path()).unwrap());
        let settings = LiveSettings::new(&EventsConfig::default());
        let twin = TwinFollower::new(Arc::clone(&data), settings, None, true);
        for (number, content) in [
            (1, "{\"schema\":1"),
            (2, r#"{"schema":2,"version":1,"properties":{}}"#),
        ] {
            std::fs::write(data.file(FILE), content).unwrap();
            twin.restore();
            let aside = data.file(&format!("{FILE}.unreadable-{number}"));
            assert_eq!(std::fs::read_to_string(aside).unwrap(), content);
        }
        std::fs::create_dir(data.file(FILE)).unwrap();
        twin.restore();
        assert!(data.file(&format!("{FILE}.unreadable-3")).is_dir());
    }
}
