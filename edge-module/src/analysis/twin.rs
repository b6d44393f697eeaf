//! The module's twin: its graphs put into force, and what became of them reported.

use std::sync::Arc;

use lva_hub::Client;
use lva_spatial_analysis::{MAX_CONFIGURATION_BYTES, NamedReading, Operation, OperationError};
use serde_json::{Map, Value, json};

use super::health::{Health, HealthEvent, shortened};
use super::live::{GraphChange, GraphOutcome, LiveOperations};
use super::saved::SavedTwin;
use crate::logs::LogControl;
use crate::settings::LogLevel;

/// Bytes of all messages in one report: the hub takes 32 KiB, of which names take a part.
const MESSAGES: usize = 12_000;
/// Longest of them.
const MAX_MESSAGE: usize = 1_000;
/// Longest text that a hub takes as a value.
const MAX_VALUE: usize = 4_000;

/// Carries out what desired properties ask for.
#[derive(Debug)]
pub(super) struct GraphsOfTwin {
    saved: SavedTwin,
    operations: Arc<LiveOperations>,
    health: Health,
    log: Option<LogControl>,
    /// Of the properties in force.
    version: Option<u64>,
}

impl GraphsOfTwin {
    pub(super) fn new(
        saved: SavedTwin,
        operations: Arc<LiveOperations>,
        health: Health,
        log: Option<LogControl>,
    ) -> Self {
        Self {
            saved,
            operations,
            health,
            log,
            version: None,
        }
    }

    /// Puts the saved twin into force, until the hub sends it again. Blocks.
    pub(super) fn restore(&mut self) {
        if let Some((version, properties)) = self.saved.restore() {
            self.version = Some(version);
            self.apply(&properties);
        }
    }

    /// Follows the twin until the client ends.
    pub(super) async fn follow(mut self, client: Client) {
        let mut desired = client.desired();
        loop {
            let now = desired.borrow_and_update().clone();
            if let Some(now) = now {
                let version = now.version;
                if self.version.replace(version) != Some(version) {
                    self.health.emit(HealthEvent::ConfigChange { version });
                }
                let changes = self.apply(&now.properties);
                // What is reported holds after a restart too.
                self.saved.save(now).await;
                report(&client, version, &changes);
            }
            if desired.changed().await.is_err() {
                return;
            }
        }
    }

    fn apply(&self, desired: &Map<String, Value>) -> Vec<GraphChange> {
        let settings = GlobalSettings::read(desired);
        self.health.mute(settings.is_muted);
        if let Some(log) = &self.log {
            log.set(settings.log_level, None);
        }
        let changes = self.operations.apply_twin(graphs(desired));
        for change in &changes {
            self.emit(change);
        }
        changes
    }

    fn emit(&self, change: &GraphChange) {
        let graph = &*change.name;
        match &change.outcome {
            GraphOutcome::Created(operation) | GraphOutcome::Changed(operation) => {
                self.health.created(graph, operation);
            }
            GraphOutcome::Refused { message, is_kept } => {
                if *is_kept {
                    tracing::warn!("the graph '{graph}' stays as it was");
                }
                self.health
                    .emit(HealthEvent::GraphCreationFailed { graph, message });
            }
            GraphOutcome::Removed => self.health.emit(HealthEvent::GraphCleanup { graph }),
            GraphOutcome::Unchanged => {}
        }
    }
}

/// A member of an object, ignoring case, that is there.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut members = object.iter();
    let found = members.find(|(own, value)| own.eq_ignore_ascii_case(name) && !value.is_null());
    found.map(|(_, value)| value)
}

/// The graphs of desired properties, each read by itself.
fn graphs(desired: &Map<String, Value>) -> Vec<NamedReading> {
    let name = "graphs";
    let graphs = match member(desired, name) {
        None => return Vec::new(),
        Some(Value::Object(graphs)) => graphs,
        Some(_) => return vec![(name.to_owned(), Err(OperationError::NotAnObject))],
    };
    let text = json!({ name: graphs }).to_string();
    Operation::each_from_twin(&text).unwrap_or_else(|error| {
        // A twin has 32 KiB, so this did not come from a hub.
        tracing::error!("the graphs cannot be read; at most {MAX_CONFIGURATION_BYTES} bytes can: {error}");
        vec![(name.to_owned(), Err(error))]
    })
}

/// What holds for all graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct GlobalSettings {
    /// `customerTelemetryEnabled` is false.
    is_muted: bool,
    /// `platformLogLevel`.
    log_level: Option<LogLevel>,
}

impl GlobalSettings {
    fn read(desired: &Map<String, Value>) -> Self {
        let Some(Value::Object(global)) = member(desired, "globalSettings") else {
            return Self::default();
        };
        let text = |name| match member(global, name)? {
            Value::String(text) => Some(text.trim().to_ascii_lowercase()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        let log_level = text("platformLogLevel").and_then(|word| {
            let level = match word.as_str() {
                "none" => LogLevel::None,
                "error" => LogLevel::Error,
                "warning" => LogLevel::Warning,
                "info" => LogLevel::Information,
                "verbose" => LogLevel::Verbose,
                _ => {
                    tracing::warn!(
                        "the twin's platformLogLevel is ignored: use none, error, warning, info or verbose"
                    );
                    return None;
                }
            };
            Some(level)
        });
        Self {
            is_muted: text("customerTelemetryEnabled").as_deref() == Some("false"),
            log_level,
        }
    }
}

/// Reports what became of the twin.
fn report(client: &Client, version: u64, changes: &[GraphChange]) {
    let refused = changes.iter().filter(|change| is_refused(change)).count();
    let there = changes
        .iter()
        .filter(|change| !matches!(change.outcome, GraphOutcome::Removed));
    let state = match (there.count(), refused) {
        (0, _) => "NoGraphs",
        (_, 0) => "Running",
        _ => "GraphsRefused",
    };
    let own = json!({"State": state, "DesiredVersion": version});
    let mut all = own.clone();
    all["graphs"] = graphs_reported(changes, (MESSAGES / refused.max(1)).min(MAX_MESSAGE));
    // A merge patch would keep the graphs of an earlier twin.
    let reported = client
        .report(json!({"graphs": null, "Problems": null}))
        .and_then(|()| client.report(all));
    let Err(error) = reported else { return };
    // Names that no hub takes, or very many: as text, which may be cut.
    tracing::warn!(%error, "the graphs are reported as text");
    let mut short = own;
    let problems = changes.iter().filter_map(|change| match &change.outcome {
        GraphOutcome::Refused { message, .. } => Some(format!("{}: {message}", change.name)),
        _ => None,
    });
    let problems: Vec<_> = problems.collect();
    if !problems.is_empty() {
        short["Problems"] = json!(shortened(&problems.join("; "), MAX_VALUE));
    }
    if let Err(error) = client.report(short) {
        tracing::error!(%error, "the state cannot be reported");
    }
}

fn is_refused(change: &GraphChange) -> bool {
    matches!(change.outcome, GraphOutcome::Refused { .. })
}

fn graphs_reported(changes: &[GraphChange], longest: usize) -> Value {
    let reported = changes.iter().filter_map(|change| {
        let reported = match &change.outcome {
            GraphOutcome::Created(_) | GraphOutcome::Changed(_) | GraphOutcome::Unchanged => {
                json!({"state": "Running"})
            }
            GraphOutcome::Refused { message, is_kept } => {
                let state = if *is_kept { "RunningAsBefore" } else { "Refused" };
                json!({"state": state, "message": shortened(message, longest)})
            }
            GraphOutcome::Removed => return None,
        };
        Some((change.name.clone(), reported))
    });
    Value::Object(reported.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn graphs_are_read_each_by_itself_under_any_case_of_their_name() {
        let right = json!({"parameters": {"zones": [{"name": "z", "polygon": [[0,0],[1,0],[1,1]]}]}});
        let desired = object(json!({"Graphs": {"b": 7, "a": right, "c": null, "d": {"enabled": false}}}));
        let read = graphs(&desired);
        let names: Vec<_> = read.iter().map(|(name, read)| (&**name, read.is_ok())).collect();
        assert_eq!(names, [("a", true), ("b", false)]);
        assert!(graphs(&object(json!({"globalSettings": {}, "graphs": null}))).is_empty());
        let wrong = graphs(&object(json!({"graphs": "{}"})));
        assert!(wrong.len() == 1 && wrong[0].1.is_err());
    }

    #[test]
    fn global_settings_mute_and_set_the_level() {
        let read = |settings| GlobalSettings::read(&object(json!({"globalSettings": settings})));
        assert_eq!(read(json!({})), GlobalSettings::default());
        let both = read(json!({"customerTelemetryEnabled": "False", "PlatformLogLevel": "verbose"}));
        assert!(both.is_muted && both.log_level == Some(LogLevel::Verbose));
        assert_eq!(
            read(json!({"platformLogLevel": "loud"})),
            GlobalSettings::default()
        );
    }

    #[test]
    fn a_report_has_a_state_for_each_graph_and_none_of_removed_ones() {
        let change = |name: &str, outcome| GraphChange {
            name: name.to_owned(),
            outcome,
        };
        let refused = |is_kept| GraphOutcome::Refused {
            message: "x".repeat(50),
            is_kept,
        };
        let changes = [
            change("a", GraphOutcome::Unchanged),
            change("b", refused(false)),
            change("c", refused(true)),
            change("d", GraphOutcome::Removed),
        ];
        let message = format!("{}…", "x".repeat(10));
        assert_eq!(
            graphs_reported(&changes, 10),
            json!({
                "a": {"state": "Running"},
                "b": {"state": "Refused", "message": message},
                "c": {"state": "RunningAsBefore", "message": message},
            })
        );
    }
}
