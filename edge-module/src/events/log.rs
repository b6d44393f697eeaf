use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use lva_inference_schema::Envelope;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Topic;
use crate::logs;
use crate::settings::LiveSettings;

/// Writes each event to the log, as the retired products did: one flat object with `id` and `data`, and the activity id
/// behind it.
#[derive(Debug)]
pub struct EventLog {
    topic: Topic,
    /// Decides for each event; without it, all are logged.
    settings: Option<LiveSettings>,
}

impl EventLog {
    /// Events with this topic.
    pub fn new(topic: Topic) -> Self {
        Self {
            topic,
            settings: None,
        }
    }

    /// Events while the configuration or the twin asks for them.
    pub(crate) fn live(settings: LiveSettings) -> Self {
        Self {
            topic: Topic::live(settings.clone()),
            settings: Some(settings),
        }
    }
}

#[async_trait]
impl MessageSink for EventLog {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        if self
            .settings
            .as_ref()
            .is_some_and(|settings| !settings.logs_events())
        {
            return Ok(());
        }
        let flat = flat(&event.envelope(&self.topic.of(event)), Uuid::new_v4());
        tracing::info!(target: logs::EVENTS, "{flat}; Context: activityId={}", Uuid::new_v4());
        Ok(())
    }
}

fn flat(envelope: &Envelope, id: Uuid) -> Value {
    let properties = envelope.properties.clone().unwrap_or_default();
    json!({
        "id": id.to_string(),
        "topic": properties.topic,
        "subject": properties.subject,
        "eventType": properties.event_type,
        "eventTime": properties.event_time,
        "data": envelope.body,
        "dataVersion": properties.data_version,
    })
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{EventName, Subject};

    use super::*;

    #[test]
    fn an_event_in_the_log_is_flat() {
        let subject = Subject::graph_instance("one");
        let envelope = Envelope::new(EventName::RecordingStarted, "/t", &subject, 143_810_610_210_090)
            .with_json_body(json!({"a": 1}));
        let flat = flat(&envelope, Uuid::nil());
        assert_eq!(flat["data"], json!({"a": 1}));
        assert_eq!(
            (&flat["topic"], &flat["dataVersion"]),
            (&json!("/t"), &json!("1.0"))
        );
        assert_eq!(flat["subject"], "/graphInstances/one");
        assert!(flat.get("body").is_none());
    }
}
