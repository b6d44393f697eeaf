//! Messages from a hub, which open gates.

use std::collections::BTreeMap;

use lva_inference_schema::{TimeError, parse_event_time};

/// A message from a hub for an input of the module. Its body is not used.
///
/// | property | effect |
/// |---|---|
/// | `eventTime` | media time of the event, RFC 3339; default: that of the picture which arrives with the message |
/// | `eventTarget` | `/graphInstances/NAME` or `/livePipelines/NAME`: only for this instance |
/// | `correlationId` | stored with the recording; default: the message's own id |
///
/// Names of properties are compared without case. Other properties, such as `eventType`, are ignored.
///
/// ```
/// use lva_graph_runtime::HubMessage;
///
/// let message = HubMessage::new()
///     .with_id("4c1b")
///     .with_property("eventTime", "2020-05-17T17:53:44.062Z");
/// # let _ = message;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubMessage {
    id: Option<String>,
    properties: BTreeMap<String, String>,
}

/// An invalid message. The sender has to be fixed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// `eventTime` is not a time.
    #[error("the message's eventTime {text:?} is not an RFC 3339 time; write it as 2020-05-17T17:53:44.062Z")]
    EventTime {
        /// The value, at most 64 characters of it.
        text: String,
        /// What is wrong with it.
        source: TimeError,
    },
    /// `eventTarget` does not name an instance.
    #[error(
        "the message's eventTarget {text:?} does not name an instance; write /graphInstances/NAME or /livePipelines/NAME"
    )]
    EventTarget {
        /// The value, at most 64 characters of it.
        text: String,
    },
}

/// The signal that a message stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HubSignal {
    /// `None` for the time of arrival, which differs from camera to camera.
    pub(crate) timestamp_90k: Option<u64>,
    /// `None` for all.
    pub(crate) instance: Option<String>,
    pub(crate) correlation_id: Option<String>,
}

impl HubMessage {
    /// A message without id and properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this message id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// With one more application property.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    fn property(&self, name: &str) -> Option<&str> {
        let mut same = self
            .properties
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let (_, value) = same.next()?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    pub(crate) fn signal(&self) -> Result<HubSignal, DeliverError> {
        let read = |text| {
            parse_event_time(text).map_err(|source| DeliverError::EventTime {
                text: short(text),
                source,
            })
        };
        let timestamp_90k = self.property("eventTime").map(read).transpose()?;
        let instance = self.property("eventTarget").map(target).transpose()?;
        let correlation_id = self.property("correlationId").or(self.id.as_deref());
        Ok(HubSignal {
            timestamp_90k,
            instance,
            correlation_id: correlation_id.map(str::to_owned),
        })
    }
}

fn target(text: &str) -> Result<String, DeliverError> {
    let wrong = || DeliverError::EventTarget { text: short(text) };
    let mut parts = text.trim_matches('/').rsplit('/');
    let (Some(name), Some(kind)) = (parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let known = ["graphInstances", "livePipelines"];
    if name.is_empty() || !known.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        return Err(wrong());
    }
    Ok(name.to_owned())
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_properties_is_for_all_instances_now_and_is_traced_by_its_id() {
        let signal = HubMessage::new().with_id("m1").signal().unwrap();
        assert_eq!(
            signal,
            HubSignal {
                timestamp_90k: None,
                instance: None,
                correlation_id: Some("m1".to_owned()),
            }
        );
    }

    #[test]
    fn properties_set_time_target_and_correlation_id() {
        let message = HubMessage::new()
            .with_id("m1")
            .with_property("EventTime", "2020-05-17T17:53:44.062Z")
            .with_property("eventTarget", "/graphInstances/Sample-Graph-1")
            .with_property("correlationId", "c1");
        let signal = message.signal().unwrap();
        assert_eq!(signal.timestamp_90k, Some(1_589_738_024_062 * 90));
        assert_eq!(signal.instance.as_deref(), Some("Sample-Graph-1"));
        assert_eq!(signal.correlation_id.as_deref(), Some("c1"));
        let pipeline = HubMessage::new().with_property("eventTarget", "/edgeModules/m/livePipelines/p/");
        assert_eq!(pipeline.signal().unwrap().instance.as_deref(), Some("p"));
    }

    #[test]
    fn invalid_properties_are_errors_with_a_remedy() {
        let signal = |name, value: &str| HubMessage::new().with_property(name, value).signal();
        assert!(matches!(
            signal("eventTime", "yesterday"),
            Err(DeliverError::EventTime { .. })
        ));
        for target in ["Sample-Graph-1", "/graphInstances/", "/x/y", &"/".repeat(99)] {
            let error = signal("eventTarget", target).unwrap_err();
            assert!(error.to_string().contains("/graphInstances/NAME"), "{error}");
        }
    }
}
