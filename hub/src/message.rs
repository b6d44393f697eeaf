use std::collections::BTreeMap;

use bytes::Bytes;

use crate::properties::PropertyList;

/// Most bytes of a message to the hub: body, and names and values of its properties.
pub const MAX_MESSAGE_BYTES: usize = 262_144;
/// Most characters of a message id.
pub(crate) const MAX_MESSAGE_ID_LENGTH: usize = 128;
/// Most bytes of the encoded properties: a topic holds 65,535 (MQTT 3.1.1 section 1.5.3), and what stands before them
/// takes less than 1,000.
pub(crate) const MAX_ENCODED_PROPERTIES: usize = 64_000;

/// A message to the hub: telemetry.
///
/// ```
/// let event = lva_hub::OutputMessage::json("inferenceOutput", r#"{"count":2}"#).with_property("subject", "/graphInstances/a");
/// assert_eq!(event.content_type.as_deref(), Some("application/json"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutputMessage {
    /// The module's output that routes name (`$.on`); none from a device.
    pub output: Option<String>,
    /// Up to 128 characters, by which consumers recognise duplicates (`$.mid`). Where it is absent, the outbox makes a UUID.
    pub message_id: Option<String>,
    /// The message to which this one belongs (`$.cid`).
    pub correlation_id: Option<String>,
    /// Media type of the body (`$.ct`). Monitors show the body as JSON only for `application/json`.
    pub content_type: Option<String>,
    /// Character encoding of the body (`$.ce`).
    pub content_encoding: Option<String>,
    /// Application properties.
    pub properties: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

impl OutputMessage {
    /// A JSON document in UTF-8, on this output.
    pub fn json(output: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            output: Some(output.into()),
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            body: body.into(),
            ..Self::default()
        }
    }

    /// Adds an application property.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Sets the message id, which is then kept over all retries.
    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// What IoT Hub counts against [`MAX_MESSAGE_BYTES`].
    pub fn size(&self) -> usize {
        let properties = self.wire_properties();
        let named: usize = properties
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.body.len() + named
    }

    /// Names and values in the order of the wire: system properties, then the application's by name.
    pub(crate) fn wire_properties(&self) -> Vec<(&str, &str)> {
        let system = [
            ("$.on", &self.output),
            ("$.mid", &self.message_id),
            ("$.cid", &self.correlation_id),
            ("$.ct", &self.content_type),
            ("$.ce", &self.content_encoding),
        ];
        let system = system
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let application = self
            .properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        system.chain(application).collect()
    }

    /// Whether the hub would take it.
    ///
    /// # Errors
    ///
    /// [`OutputMessageError`].
    pub fn check(&self) -> Result<(), OutputMessageError> {
        let size = self.size();
        if size > MAX_MESSAGE_BYTES {
            return Err(OutputMessageError::TooLarge { size });
        }
        if self.properties.keys().any(|name| name.is_empty()) {
            return Err(OutputMessageError::EmptyName);
        }
        if let Some(id) = &self.message_id
            && (id.is_empty() || id.len() > MAX_MESSAGE_ID_LENGTH)
        {
            return Err(OutputMessageError::MessageId);
        }
        let encoded: usize = self
            .wire_properties()
            .iter()
            .map(|(n, v)| encoded_len(n, v))
            .sum();
        if encoded > MAX_ENCODED_PROPERTIES {
            return Err(OutputMessageError::Properties { encoded });
        }
        Ok(())
    }
}

/// Upper bound of the bytes that a pair takes in a topic.
fn encoded_len(name: &str, value: &str) -> usize {
    let encoded = |text: &str| -> usize {
        text.bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 })
            .sum()
    };
    encoded(name) + encoded(value) + 2
}

/// Why an event is refused. Sending it again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputMessageError {
    /// Beyond what the hub accepts.
    #[error("the event has {size} bytes, and the hub accepts {MAX_MESSAGE_BYTES}: send less in one event")]
    TooLarge {
        /// Its bytes, properties included.
        size: usize,
    },
    /// Properties that do not fit in a topic.
    #[error("the event's properties take {encoded} bytes in a topic, which holds {MAX_ENCODED_PROPERTIES}")]
    Properties {
        /// Bytes once encoded.
        encoded: usize,
    },
    /// A property without a name.
    #[error("a property of the event has an empty name")]
    EmptyName,
    /// A message id that the hub would refuse.
    #[error("the message id must have 1 to {MAX_MESSAGE_ID_LENGTH} characters")]
    MessageId,
}

/// A message that the gateway routed to an input of this module, or that the cloud sent to this device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InputMessage {
    /// The input's name; `None` for a message from the cloud to a device.
    pub input: Option<String>,
    /// The sender's id of the message (`$.mid`).
    pub message_id: Option<String>,
    /// The message to which it belongs (`$.cid`).
    pub correlation_id: Option<String>,
    /// Media type of the body (`$.ct`).
    pub content_type: Option<String>,
    /// Character encoding of the body (`$.ce`).
    pub content_encoding: Option<String>,
    /// The output on which the sender sent it (`$.on`).
    pub sender_output: Option<String>,
    /// The device that sent it (`$.cdid`).
    pub sender_device: Option<String>,
    /// The module that sent it (`$.cmid`).
    pub sender_module: Option<String>,
    /// Application properties in the order of the wire; `None` is a name without a value. System properties without a member
    /// of their own are here too.
    pub properties: PropertyList,
    /// The body.
    pub body: Bytes,
}

impl InputMessage {
    /// Sorts the properties of a bag into members.
    pub fn new(input: Option<String>, bag: PropertyList, body: Bytes) -> Self {
        let mut message = Self {
            input,
            body,
            ..Self::default()
        };
        for (name, value) in bag {
            let member = match name.as_str() {
                "$.mid" => &mut message.message_id,
                "$.cid" => &mut message.correlation_id,
                "$.ct" => &mut message.content_type,
                "$.ce" => &mut message.content_encoding,
                "$.on" => &mut message.sender_output,
                "$.cdid" => &mut message.sender_device,
                "$.cmid" => &mut message.sender_module,
                _ => {
                    message.properties.push((name, value));
                    continue;
                }
            };
            *member = value;
        }
        message
    }

    /// An application property's value.
    pub fn property(&self, name: &str) -> Option<&str> {
        let (_, value) = self.properties.iter().find(|(own, _)| own == name)?;
        value.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_counts_body_and_properties() {
        let event = OutputMessage {
            body: Bytes::from_static(b"12345"),
            ..OutputMessage::default()
        };
        assert_eq!(event.size(), 5);
        assert_eq!(event.with_property("name", "v").size(), 10);
    }

    #[test]
    fn what_the_hub_would_refuse_is_refused_here() {
        let full = OutputMessage {
            body: vec![0; MAX_MESSAGE_BYTES].into(),
            ..OutputMessage::default()
        };
        assert_eq!(full.check(), Ok(()));
        let over = full.with_property("a", "");
        assert_eq!(
            over.check(),
            Err(OutputMessageError::TooLarge {
                size: MAX_MESSAGE_BYTES + 1
            })
        );
        let wide = OutputMessage::default().with_property("a", "/".repeat(30_000));
        assert!(matches!(wide.check(), Err(OutputMessageError::Properties { .. })));
        let id = |id: &str| OutputMessage::default().with_message_id(id).check();
        assert_eq!(id(""), Err(OutputMessageError::MessageId));
        assert_eq!(id(&"x".repeat(129)), Err(OutputMessageError::MessageId));
        assert_eq!(id(&"x".repeat(128)), Ok(()));
        assert_eq!(
            OutputMessage::default().with_property("", "v").check(),
            Err(OutputMessageError::EmptyName)
        );
    }
}
