//! What the original container reported of its health, under its names: to the log, and to a hub.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use lva_hub::{Client, OutputMessage};
use lva_spatial_analysis::Operation;
use serde_json::{Value, json};

/// The output of health messages. The container's documents name none.
const OUTPUT: &str = "health";
/// Longest text in a message: configurations are their users', and may be long.
const MAX_TEXT: usize = 2_000;

/// A health event of the container. Those about video sources are missing here, because the graphs have the cameras; so is that
/// about the key of a cloud service.
#[derive(Debug, Clone)]
pub(super) enum HealthEvent<'a> {
    AllGraphsStarted,
    /// The twin has another version.
    ConfigChange {
        version: u64,
    },
    GraphCreationSuccess {
        graph: &'a str,
        operation: &'a Operation,
    },
    GraphCreationFailed {
        graph: &'a str,
        message: &'a str,
    },
    GraphCleanup {
        graph: &'a str,
    },
    GraphHeartbeat {
        graph: &'a str,
        sessions: u64,
        frames: u64,
    },
    /// Frames a second that came.
    InputRate {
        graph: &'a str,
        rate: f64,
    },
    /// Events a second that were found.
    OutputRate {
        graph: &'a str,
        rate: f64,
    },
    Error {
        message: &'a str,
    },
    Exit,
}

impl HealthEvent<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::AllGraphsStarted => "archon_allGraphsStarted",
            Self::ConfigChange { .. } => "archon_configchange",
            Self::GraphCreationSuccess { .. } => "archon_graphCreationSuccess",
            Self::GraphCreationFailed { .. } => "archon_graphCreationFailed",
            Self::GraphCleanup { .. } => "archon_graphCleanup",
            Self::GraphHeartbeat { .. } => "archon_graphHeartbeat",
            Self::InputRate { .. } => "InputRate",
            Self::OutputRate { .. } => "OutputRate",
            Self::Error { .. } => "archon_error",
            Self::Exit => "archon_exit",
        }
    }

    fn is_error(&self) -> bool {
        matches!(self, Self::GraphCreationFailed { .. } | Self::Error { .. })
    }

    fn body(&self) -> Value {
        let mut body = json!({"event": self.name(), "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()});
        let mut set = |name: &str, value: Value| {
            if let Some(members) = body.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        match self {
            Self::AllGraphsStarted | Self::Exit => {}
            Self::ConfigChange { version } => set("version", json!(version)),
            Self::GraphCreationSuccess { graph, operation } => {
                set("graphId", json!(graph));
                set("zones", json!(operation.zone_names()));
                set("lines", json!(operation.line_names()));
            }
            Self::GraphCreationFailed { graph, message } => {
                set("graphId", json!(graph));
                set("message", json!(shortened(message, MAX_TEXT)));
            }
            Self::GraphCleanup { graph } => set("graphId", json!(graph)),
            Self::GraphHeartbeat {
                graph,
                sessions,
                frames,
            } => {
                set("graphId", json!(graph));
                set("sessions", json!(sessions));
                set("frames", json!(frames));
            }
            Self::InputRate { graph, rate } | Self::OutputRate { graph, rate } => {
                set("graphId", json!(graph));
                set("perSecond", json!(rate));
            }
            Self::Error { message } => set("message", json!(shortened(message, MAX_TEXT))),
        }
        body
    }
}

impl fmt::Display for HealthEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::AllGraphsStarted | Self::Exit => Ok(()),
            Self::ConfigChange { version } => write!(f, ": version {version}"),
            Self::GraphCreationSuccess { graph, operation } => {
                let (zones, lines) = (operation.zone_names(), operation.line_names());
                write!(
                    f,
                    ": '{graph}', watching zones [{}], lines [{}]",
                    zones.join(", "),
                    lines.join(", ")
                )
            }
            Self::GraphCreationFailed { graph, message } => write!(f, ": '{graph}': {message}"),
            Self::GraphCleanup { graph } => write!(f, ": '{graph}'"),
            Self::GraphHeartbeat {
                graph,
                sessions,
                frames,
            } => write!(
                f,
                ": '{graph}': sessions {sessions}, frames {frames} since its start"
            ),
            Self::InputRate { graph, rate } => write!(f, ": '{graph}': {rate:.2} frames/s"),
            Self::OutputRate { graph, rate } => write!(f, ": '{graph}': {rate:.2} events/s"),
            Self::Error { message } => write!(f, ": {message}"),
        }
    }
}

/// At most so many bytes of a string, cut between characters.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().find(|(at, c)| at + c.len_utf8() > limit) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// Where health events go: to the log, and to the hub where there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    hub: Option<Client>,
    is_muted: Arc<AtomicBool>,
}

impl Health {
    pub(super) fn at_hub(client: Client) -> Self {
        Self {
            hub: Some(client),
            is_muted: Arc::default(),
        }
    }

    /// Keeps health events from the hub, or lets them there again.
    pub(super) fn mute(&self, is_muted: bool) {
        self.is_muted.store(is_muted, Ordering::Relaxed);
    }

    /// A graph is in force.
    pub(super) fn created(&self, graph: &str, operation: &Operation) {
        let about = match graph {
            "" => "configuration".to_owned(),
            name => format!("operation '{name}'"),
        };
        for finding in operation.findings() {
            tracing::info!("{about}: {finding}");
        }
        self.emit(HealthEvent::GraphCreationSuccess { graph, operation });
    }

    pub(super) fn emit(&self, event: HealthEvent<'_>) {
        match event.is_error() {
            true => tracing::error!("{event}"),
            false => tracing::info!("{event}"),
        }
        let Some(hub) = &self.hub else { return };
        if self.is_muted.load(Ordering::Relaxed) {
            return;
        }
        let message = OutputMessage::json(OUTPUT, event.body().to_string());
        if let Err(error) = hub.send(message.with_property("eventType", event.name())) {
            // The outbox counts it.
            tracing::warn!(%error, "a health message is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_container_s_name_and_its_graph() {
        let event = HealthEvent::GraphCreationFailed {
            graph: "gate",
            message: &"é".repeat(MAX_TEXT),
        };
        let body = event.body();
        assert_eq!(
            (&body["event"], &body["graphId"]),
            (&json!("archon_graphCreationFailed"), &json!("gate"))
        );
        assert!(body["time"].as_str().is_some_and(|time| time.ends_with('Z')));
        assert_eq!(
            body["message"].as_str().unwrap(),
            format!("{}…", "é".repeat(MAX_TEXT / 2))
        );
        let rate = HealthEvent::InputRate {
            graph: "door",
            rate: 14.987,
        };
        assert_eq!(rate.to_string(), "InputRate: 'door': 14.99 frames/s");
        assert_eq!(rate.body()["perSecond"], 14.987);
    }
}
