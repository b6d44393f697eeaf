//! The flat form that events have in a module's own log, and what monitors add about a message.

use crate::envelope::{Envelope, EventProperties, PropertiesMember};
use crate::inference::Extra;
use crate::read::{Members, Place, ReadError};
use crate::style::{to_value, write_extra, write_option};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

/// An event as the module's log has it: one flat object with `id` and `data` where the [`Envelope`] has `body`.
///
/// ```
/// use lva_inference_schema::*;
///
/// let line = r#"<6> 2020-07-17 18:17:40.271 +00:00 Events: {"id":"1f","topic":"/t","subject":"/graphInstances/g",
///     "eventType":"Microsoft.Media.Graph.Operational.RecordingStarted","eventTime":"2020-07-17T18:17:40.271Z",
///     "data":{"outputType":"filePath","outputLocation":"/a.mp4"},"dataVersion":"1.0"}; Context: activityId=7"#;
/// let event = LogEvent::from_log_line(line)?.expect("it is an event's line");
/// assert_eq!(event.id.as_deref(), Some("1f"));
/// assert!(matches!(event.to_envelope().read_body()?, EventBody::Recording(_)));
/// # Ok::<(), ReadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogEvent {
    /// Identity of the event; a GUID in what the original wrote.
    pub id: Option<String>,
    /// Topic, subject, type, time and version. Unknown members of the object are in its `extra`.
    pub properties: EventProperties,
    /// The event's body.
    pub data: Value,
}

/// What stands before the object in a line of the log.
const CATEGORY: &str = "Events:";

impl LogEvent {
    /// The flat form of an event. What monitors add ([`Envelope::system_properties`]) has no place in it.
    pub fn of(envelope: &Envelope, id: impl Into<String>) -> Self {
        Self {
            id: Some(id.into()),
            properties: envelope.properties.clone().unwrap_or_default(),
            data: envelope.body.clone(),
        }
    }

    /// The same event in an envelope; its `id` is left behind.
    pub fn to_envelope(&self) -> Envelope {
        Envelope {
            body: self.data.clone(),
            properties: Some(self.properties.clone()),
            properties_member: PropertiesMember::default(),
            system_properties: None,
            extra: Extra::new(),
        }
    }

    /// Reads the flat object.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it is no object, has no `data`, or a property is no text.
    pub fn from_json(value: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(value, Place::Root)?;
        let data = m.take("data").ok_or_else(|| m.missing("data"))?;
        Ok(Self {
            id: m.optional_text("id")?,
            data,
            properties: EventProperties::of_members(m)?,
        })
    }

    /// Reads a line of the log: `… Events: {…}; Context: …`. `None` for a line that is of another category.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when what follows `Events:` is no event.
    pub fn from_log_line(line: &str) -> Result<Option<Self>, ReadError> {
        // A request's line may speak of events too, but only an event's line goes on with an object.
        let object = line
            .split_once(CATEGORY)
            .map(|(_, rest)| rest.trim_start())
            .filter(|rest| rest.starts_with('{'));
        let Some(object) = object else {
            return Ok(None);
        };
        let mut values = serde_json::Deserializer::from_str(object).into_iter::<Value>();
        match values.next() {
            Some(value) => Self::from_json(value?).map(Some),
            None => Ok(None),
        }
    }

    /// The flat object.
    pub fn to_json(&self) -> Value {
        to_value(self)
    }
}

impl Serialize for LogEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let it = &self.properties;
        let mut map = serializer.serialize_map(None)?;
        write_option(&mut map, "id", self.id.as_ref())?;
        write_option(&mut map, "topic", it.topic.as_ref())?;
        write_option(&mut map, "subject", it.subject.as_ref())?;
        write_option(&mut map, "eventType", it.event_type.as_ref())?;
        write_option(&mut map, "eventTime", it.event_time.as_ref())?;
        map.serialize_entry("data", &self.data)?;
        write_option(&mut map, "dataVersion", it.data_version.as_ref())?;
        write_extra(&mut map, &it.extra)?;
        map.end()
    }
}

/// What newer monitors say about the message itself: the envelope's `systemProperties`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SystemProperties {
    /// `iothub-connection-device-id`: the device.
    pub device_id: Option<String>,
    /// `iothub-connection-module-id`: the module, `avaedge` in published samples.
    pub module_id: Option<String>,
    /// `iothub-connection-auth-method`: a JSON text.
    pub auth_method: Option<String>,
    /// `iothub-connection-auth-generation-id`: digits.
    pub auth_generation_id: Option<String>,
    /// `iothub-enqueuedtime`: when the hub took it, in milliseconds since 1970.
    pub enqueued_unix_ms: Option<u64>,
    /// `iothub-message-source`: `Telemetry`.
    pub message_source: Option<String>,
    /// `messageId`: a GUID.
    pub message_id: Option<String>,
    /// `contentType`, see [`CONTENT_TYPE`](crate::CONTENT_TYPE).
    pub content_type: Option<String>,
    /// `contentEncoding`: `utf-8`.
    pub content_encoding: Option<String>,
    /// Unknown members.
    pub extra: Extra,
}

impl SystemProperties {
    /// Reads the object; numbers may be texts.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it is no object, or a member is neither a text nor what it has to be.
    pub fn from_json(value: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(value, Place::Member(&Place::Root, "systemProperties"))?;
        Ok(Self {
            device_id: m.optional_text("iothub-connection-device-id")?,
            module_id: m.optional_text("iothub-connection-module-id")?,
            auth_method: m.optional_text("iothub-connection-auth-method")?,
            auth_generation_id: m.optional_text("iothub-connection-auth-generation-id")?,
            enqueued_unix_ms: m.whole("iothub-enqueuedtime")?,
            message_source: m.optional_text("iothub-message-source")?,
            message_id: m.optional_text("messageId")?,
            content_type: m.optional_text("contentType")?,
            content_encoding: m.optional_text("contentEncoding")?,
            extra: m.rest(),
        })
    }

    /// The object, with the published names.
    pub fn to_json(&self) -> Value {
        to_value(self)
    }
}

impl Serialize for SystemProperties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_option(&mut map, "iothub-connection-device-id", self.device_id.as_ref())?;
        write_option(&mut map, "iothub-connection-module-id", self.module_id.as_ref())?;
        write_option(
            &mut map,
            "iothub-connection-auth-method",
            self.auth_method.as_ref(),
        )?;
        let generation = self.auth_generation_id.as_ref();
        write_option(&mut map, "iothub-connection-auth-generation-id", generation)?;
        write_option(&mut map, "iothub-enqueuedtime", self.enqueued_unix_ms.as_ref())?;
        write_option(&mut map, "iothub-message-source", self.message_source.as_ref())?;
        write_option(&mut map, "messageId", self.message_id.as_ref())?;
        write_option(&mut map, "contentType", self.content_type.as_ref())?;
        write_option(&mut map, "contentEncoding", self.content_encoding.as_ref())?;
        write_extra(&mut map, &self.extra)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_flat_form_comes_back_and_turns_into_an_envelope() {
        let flat = json!({
            "id": "4f", "topic": "/t", "subject": "/graphInstances/g", "eventType": "Microsoft.Media.Graph.Analytics.Inference",
            "eventTime": " 2020-05-12T23:33:09.3810000Z", "data": {"inferences": []}, "dataVersion": "1.0",
            "metadataVersion": "1",
        });
        let event = LogEvent::from_json(flat.clone()).unwrap();
        assert_eq!(event.to_json(), flat);
        let envelope = event.to_envelope();
        assert_eq!(envelope.body, flat["data"]);
        assert_eq!(LogEvent::of(&envelope, "4f"), event);
    }

    #[test]
    fn lines_of_other_categories_are_none_and_broken_ones_are_errors() {
        for line in [
            "<6> 2020-07-17 18:17:40.119 +00:00 Application: Request started: Method name: 'GraphInstanceList'.",
            "Events: none",
            "",
        ] {
            assert_eq!(LogEvent::from_log_line(line).unwrap(), None, "{line}");
        }
        for line in [
            "Events: {",
            "Events: {\"id\": \"1\"}",
            "Events: {\"data\": {}, \"topic\": []}",
        ] {
            assert!(LogEvent::from_log_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn system_properties_have_their_published_names() {
        let json = json!({
            "iothub-connection-device-id": "d", "iothub-connection-module-id": "avaedge",
            "iothub-connection-auth-method": "{\"scope\":\"module\"}", "iothub-connection-auth-generation-id": "637",
            "iothub-enqueuedtime": 1620671859000u64, "iothub-message-source": "Telemetry", "messageId": "8e",
            "contentType": "application/json", "contentEncoding": "utf-8", "new": {"a": [1]},
        });
        let read = SystemProperties::from_json(json.clone()).unwrap();
        assert_eq!(
            (read.enqueued_unix_ms, read.extra.len()),
            (Some(1_620_671_859_000), 1)
        );
        assert_eq!(read.to_json(), json);
        assert!(SystemProperties::from_json(json!({"iothub-enqueuedtime": "soon"})).is_err());
    }
}
