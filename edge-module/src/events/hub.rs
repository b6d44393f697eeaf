use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use lva_hub::{Client, OutboxPushError, OutputMessage};
use lva_inference_schema::{Envelope, EventClass, EventProperties};
use parking_lot::Mutex;

use super::{Topic, ZoneCounts};
use crate::settings::LiveSettings;

/// Hands events to the outbox of a hub or broker: analytics on the output that the graph names, diagnostics and operational
/// events on the outputs of the twin or the configuration, and not at all where none is named.
#[derive(Debug)]
pub(crate) struct HubSink {
    client: Client,
    topic: Topic,
    settings: LiveSettings,
    refused: RefusedEvents,
    /// For a broker, on which counts stand.
    zones: Option<ZoneCounts>,
}

/// Events that did not get into the outbox, by instance, node and reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefusedEvents(Arc<Mutex<BTreeMap<Refused, u64>>>);

/// An instance, a node of it, and the reason.
type Refused = (String, String, &'static str);

impl RefusedEvents {
    fn count(&self, event: &GraphEvent, reason: &'static str) {
        let node = event.subject.node_name().map_or("", |(_, node)| node).to_owned();
        let key = (event.subject.instance_name().to_owned(), node, reason);
        *self.0.lock().entry(key).or_default() += 1;
    }

    /// The counts of one instance: node, reason, events.
    pub(crate) fn of(&self, instance: &str) -> Vec<(String, &'static str, u64)> {
        let counts = self.0.lock();
        let own = counts.iter().filter(|((name, ..), _)| name == instance);
        own.map(|((_, node, reason), count)| (node.clone(), *reason, *count))
            .collect()
    }

    /// Forgets instances that do not exist any more.
    pub(crate) fn keep(&self, exists: impl Fn(&str) -> bool) {
        self.0.lock().retain(|(instance, ..), _| exists(instance));
    }
}

impl HubSink {
    pub(crate) fn new(
        client: Client,
        topic: Topic,
        settings: LiveSettings,
        refused: RefusedEvents,
        zones: Option<ZoneCounts>,
    ) -> Self {
        Self {
            client,
            topic,
            settings,
            refused,
            zones,
        }
    }
}

#[async_trait]
impl MessageSink for HubSink {
    /// Never waits for the hub, nor for the disk.
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let class = event.class();
        if let Some(zones) = &self.zones {
            zones.note(event);
        }
        let output = match class {
            EventClass::Analytics => event.output.clone(),
            EventClass::Diagnostics | EventClass::Operational => match self.settings.output(class) {
                Some(output) => Some(output),
                None => return Ok(()),
            },
        };
        match self
            .client
            .send(message(event.envelope(&self.topic.of(event)), output))
        {
            Ok(_id) => Ok(()),
            Err(error) => {
                let reason = match &error {
                    OutboxPushError::Overload => "overload",
                    _ => "refused",
                };
                self.refused.count(event, reason);
                Err(error.into())
            }
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.client.flush().await;
        Ok(())
    }
}

/// The body with the five properties, as the retired products sent it.
fn message(envelope: Envelope, output: Option<String>) -> OutputMessage {
    let mut message = OutputMessage::json(String::new(), envelope.body.to_string());
    message.output = output;
    let EventProperties {
        topic,
        subject,
        event_type,
        event_time,
        data_version,
        ..
    } = envelope.properties.unwrap_or_default();
    let properties = [
        ("topic", topic),
        ("subject", subject),
        ("eventType", event_type),
        ("eventTime", event_time),
        ("dataVersion", data_version),
    ];
    let set = properties
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    message.properties = set.collect();
    message
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{EventName, NodeRole, Subject};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_the_body_with_the_five_properties() {
        let subject = Subject::graph_instance("one").node(NodeRole::Sink, "clips");
        let envelope = Envelope::new(EventName::RecordingStarted, "/t", &subject, 143_810_610_210_090)
            .with_json_body(json!({"outputType": "assetName"}));
        let message = message(envelope, Some("AmsOperational".into()));
        assert_eq!(message.output.as_deref(), Some("AmsOperational"));
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(message.content_encoding.as_deref(), Some("utf-8"));
        assert_eq!(&message.body[..], br#"{"outputType":"assetName"}"#);
        let names: Vec<_> = message.properties.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["dataVersion", "eventTime", "eventType", "subject", "topic"]
        );
        assert_eq!(message.properties["subject"], "/graphInstances/one/sinks/clips");
        assert_eq!(
            message.properties["eventType"],
            "Microsoft.Media.Graph.Operational.RecordingStarted"
        );
    }
}
