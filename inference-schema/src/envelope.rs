//! The envelope that a monitor of the hub shows around an event.

use crate::body::EventBody;
use crate::event_type::{EventName, EventType, Generation};
use crate::inference::Extra;
use crate::log::SystemProperties;
use crate::read::{Members, Place, ReadError};
use crate::style::{JsonStyle, write_extra, write_option};
use crate::subject::Subject;
use crate::time::{TimeError, event_time, parse_event_time};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

/// The `dataVersion` of all published events.
pub const DATA_VERSION: &str = "1.0";

/// Content type of the message on the wire.
pub const CONTENT_TYPE: &str = "application/json";

/// An event with its properties: `{"body": …, "applicationProperties": …}`.
///
/// On the wire the message is the body, and the properties travel beside it as text properties; this object is what
/// monitors make of both, and what files of events hold.
///
/// ```
/// use lva_inference_schema::*;
///
/// let subject = Subject::graph_instance("Sample-Graph-1").node(NodeRole::Sink, "assetSink");
/// let body = EventBody::Recording(Recording::new(OutputType::AssetName, "clip-1"));
/// let event = Envelope::new(EventName::RecordingStarted, &default_topic(Generation::Lva), &subject, 143810610210090)
///     .with_body(&body, JsonStyle::Lva);
/// assert!(event.to_string().ends_with(r#""eventTime":"2020-08-20T03:54:29.001Z","dataVersion":"1.0"}}"#));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The event's body.
    pub body: Value,
    /// Its properties; some readers show bodies alone.
    pub properties: Option<EventProperties>,
    /// The name under which the properties stand.
    pub properties_member: PropertiesMember,
    /// What newer monitors add about the message itself, as it is.
    pub system_properties: Option<Value>,
    /// Unknown members.
    pub extra: Extra,
}

/// Name of the member that holds an envelope's properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PropertiesMember {
    /// `applicationProperties`, of the monitors in Live Video Analytics' time. The default.
    #[default]
    ApplicationProperties,
    /// `properties`, of newer monitors.
    Properties,
}

impl PropertiesMember {
    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApplicationProperties => "applicationProperties",
            Self::Properties => "properties",
        }
    }
}

/// The five properties of an event. Each may be missing in what is read; [`Envelope::new`] sets all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventProperties {
    /// ARM id of the account, see [`default_topic`](crate::default_topic).
    pub topic: Option<String>,
    /// Whom it is about, see [`Subject`].
    pub subject: Option<String>,
    /// What happened, see [`EventType`].
    pub event_type: Option<String>,
    /// When, as written. For analytics this is the media time of the frame.
    pub event_time: Option<String>,
    /// Version of the body's form.
    pub data_version: Option<String>,
    /// Unknown properties.
    pub extra: Extra,
}

impl EventProperties {
    /// The event time in ticks of 1/90000 s since 1970; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`TimeError`] when the text is no time.
    pub fn time_90k(&self) -> Result<Option<u64>, TimeError> {
        self.event_time.as_deref().map(parse_event_time).transpose()
    }

    /// The event type taken apart; `None` when there is none or it is not of these products.
    pub fn parsed_type(&self) -> Option<EventType> {
        self.event_type.as_deref()?.parse().ok()
    }

    fn from_json(value: Value, member: &'static str) -> Result<Self, ReadError> {
        Self::of_members(Members::of(value, Place::Member(&Place::Root, member))?)
    }

    /// The rest of the members are `extra`.
    pub(crate) fn of_members(mut m: Members<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            topic: m.optional_text("topic")?,
            subject: m.optional_text("subject")?,
            event_type: m.optional_text("eventType")?,
            event_time: m.optional_text("eventTime")?,
            data_version: m.optional_text("dataVersion")?,
            extra: m.rest(),
        })
    }
}

impl Envelope {
    /// An event of the subject's generation, without body yet.
    ///
    /// `timestamp_90k` is the frame's media time for analytics, and now for everything else.
    pub fn new(name: EventName, topic: &str, subject: &Subject, timestamp_90k: u64) -> Self {
        let generation: Generation = subject.generation();
        Self {
            body: Value::Object(Extra::new()),
            properties: Some(EventProperties {
                topic: Some(topic.to_owned()),
                subject: Some(subject.to_string()),
                event_type: Some(name.in_generation(generation).to_string()),
                event_time: Some(event_time(timestamp_90k)),
                data_version: Some(DATA_VERSION.to_owned()),
                extra: Extra::new(),
            }),
            properties_member: PropertiesMember::default(),
            system_properties: None,
            extra: Extra::new(),
        }
    }

    /// With this body.
    pub fn with_body(mut self, body: &EventBody, style: JsonStyle) -> Self {
        self.body = body.to_json(style);
        self
    }

    /// With a body that is JSON already, for example the answer of an HTTP extension.
    pub fn with_json_body(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    /// The body in the type that its event type asks for; [`EventBody::Other`] where that is not known.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the body is not of the published form.
    pub fn read_body(&self) -> Result<EventBody, ReadError> {
        let name = self
            .properties
            .as_ref()
            .and_then(EventProperties::parsed_type)
            .and_then(|t| t.known());
        EventBody::from_json(name, self.body.clone())
    }

    /// What a monitor says about the message, typed; `None` where it says nothing.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when that is no object, or a member of it is not of its published form.
    pub fn read_system_properties(&self) -> Result<Option<SystemProperties>, ReadError> {
        let value = self.system_properties.clone();
        value.map(SystemProperties::from_json).transpose()
    }

    /// Reads an envelope of either form, or one that shows the body only.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when this is no object, has no `body`, or a property is no text.
    pub fn from_json(value: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(value, Place::Root)?;
        let body = m.take("body").ok_or_else(|| m.missing("body"))?;
        let mut properties_member = PropertiesMember::ApplicationProperties;
        let mut given = m.take(properties_member.as_str());
        if given.is_none() {
            given = m.take(PropertiesMember::Properties.as_str());
            if given.is_some() {
                properties_member = PropertiesMember::Properties;
            }
        }
        let properties = given
            .map(|json| EventProperties::from_json(json, properties_member.as_str()))
            .transpose()?;
        let system_properties = m.take("systemProperties");
        Ok(Self {
            body,
            properties,
            properties_member,
            system_properties,
            extra: m.rest(),
        })
    }

    /// Reads an envelope from one line of text.
    ///
    /// # Errors
    ///
    /// [`ReadError`], see [`from_json`](Self::from_json); nesting beyond 128 levels is refused by the JSON reader.
    pub fn from_slice(json: &[u8]) -> Result<Self, ReadError> {
        Self::from_json(serde_json::from_slice(json)?)
    }
}

/// One line of JSON.
impl std::fmt::Display for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = serde_json::to_string(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&line)
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("body", &self.body)?;
        write_option(
            &mut map,
            self.properties_member.as_str(),
            self.properties.as_ref(),
        )?;
        write_option(&mut map, "systemProperties", self.system_properties.as_ref())?;
        write_extra(&mut map, &self.extra)?;
        map.end()
    }
}

impl Serialize for EventProperties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_option(&mut map, "topic", self.topic.as_ref())?;
        write_option(&mut map, "subject", self.subject.as_ref())?;
        write_option(&mut map, "eventType", self.event_type.as_ref())?;
        write_option(&mut map, "eventTime", self.event_time.as_ref())?;
        write_option(&mut map, "dataVersion", self.data_version.as_ref())?;
        write_extra(&mut map, &self.extra)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
