//! Events with their properties: the envelope that a monitor of the hub shows.

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::body::EventBody;
use crate::event_type::{EventName, EventType};
use crate::inference::Extra;
use crate::read::{ReadError, optional_string, read, take};
use crate::style::{JsonStyle, to_value, write_extra, write_option};
use crate::subject::Subject;
use crate::time::{TimeError, event_time, parse_event_time};

/// The `dataVersion` of all published events.
pub const DATA_VERSION: &str = "1.0";

/// Content type of the message on the wire.
pub const CONTENT_TYPE: &str = "application/json";

/// An event with its properties: `{"body": …, "applicationProperties": …}`.
///
/// On the wire the message is the body, and the properties are string properties of the message. Monitors show both as
/// this object, and files of events hold it.
///
/// ```
/// use lva_inference_schema::*;
/// use lva_inference_schema::body::{EventBody, OutputType, Recording};
///
/// let subject = Subject::graph_instance("Sample-Graph-1").node(NodeRole::Sink, "assetSink");
/// let body = EventBody::Recording(Recording::new(OutputType::AssetName, "clip-1"));
/// let event = Envelope::new(EventName::RecordingStarted, &default_topic(ProductFamily::Lva), &subject, 143810610210090)
///     .with_body(&body, JsonStyle::Lva);
/// assert!(event.to_string().ends_with(r#""eventTime":"2020-08-20T03:54:29.001Z","dataVersion":"1.0"}}"#));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The event's body.
    pub body: Value,
    /// Its properties; some monitors show bodies alone.
    pub properties: Option<EventProperties>,
    /// Name of the member that holds the properties.
    pub properties_member: PropertiesMember,
    /// What newer monitors add about the message itself, unchanged.
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub struct EventProperties {
    /// ARM id of the account, see [`default_topic`](crate::default_topic).
    #[serde(deserialize_with = "optional_string", skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The instance or node that it is about, see [`Subject`].
    #[serde(deserialize_with = "optional_string", skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What happened, see [`EventType`].
    #[serde(deserialize_with = "optional_string", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// When, as written. For analytics this is the media time of the frame.
    #[serde(deserialize_with = "optional_string", skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    /// Version of the body's form.
    #[serde(deserialize_with = "optional_string", skip_serializing_if = "Option::is_none")]
    pub data_version: Option<String>,
    /// Unknown properties.
    #[serde(flatten)]
    pub extra: Extra,
}

impl EventProperties {
    /// The event time in ticks of 1/90000 s since 1970, if there is one.
    ///
    /// # Errors
    ///
    /// [`TimeError`] if it is not a time.
    pub fn time_90k(&self) -> Result<Option<u64>, TimeError> {
        self.event_time.as_deref().map(parse_event_time).transpose()
    }

    /// The event type, if there is one of these products.
    pub fn parsed_type(&self) -> Option<EventType> {
        self.event_type.as_deref()?.parse().ok()
    }
}

impl Envelope {
    /// An event of the subject's product family, without a body yet.
    ///
    /// `timestamp_90k` is the frame's media time for analytics, and now for everything else.
    pub fn new(name: EventName, topic: &str, subject: &Subject, timestamp_90k: u64) -> Self {
        Self {
            body: Value::Object(Extra::new()),
            properties: Some(EventProperties {
                topic: Some(topic.to_owned()),
                subject: Some(subject.to_string()),
                event_type: Some(name.in_family(subject.family()).to_string()),
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

    /// With a body that is JSON already, for example the response of an HTTP extension.
    pub fn with_json_body(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    /// The body in the type that its event type asks for; [`EventBody::Other`] for an unknown event type.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the body is not of the published form.
    pub fn read_body(&self) -> Result<EventBody, ReadError> {
        let name = self
            .properties
            .as_ref()
            .and_then(EventProperties::parsed_type)
            .and_then(|t| t.known());
        EventBody::from_json(name, self.body.clone())
    }

    /// The event as the module's log shows it: one flat object with `id` and `data`, without what monitors add.
    ///
    /// `id` identifies the event, as a GUID.
    ///
    /// ```
    /// # use lva_inference_schema::*;
    /// let event = Envelope::new(EventName::RuntimeError, "/t", &Subject::graph_instance("g"), 0);
    /// let line = format!("Events: {};", event.to_log_json("1f"));
    /// assert!(line.starts_with(r#"Events: {"id":"1f","topic":"/t","subject":"/graphInstances/g","eventType":"#));
    /// assert!(line.ends_with(r#","eventTime":"1970-01-01T00:00:00.000Z","data":{},"dataVersion":"1.0"};"#));
    /// ```
    pub fn to_log_json(&self, id: &str) -> Value {
        #[derive(Serialize)]
        struct LogEvent<'a> {
            id: &'a str,
            #[serde(flatten)]
            properties: EventProperties,
            data: &'a Value,
            #[serde(rename = "dataVersion", skip_serializing_if = "Option::is_none")]
            data_version: Option<String>,
            #[serde(flatten)]
            extra: Extra,
        }
        let mut properties = self.properties.clone().unwrap_or_default();
        to_value(&LogEvent {
            id,
            data: &self.body,
            data_version: properties.data_version.take(),
            extra: std::mem::take(&mut properties.extra),
            properties,
        })
    }

    /// Reads an envelope of either form, or one that has the body only.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if this is not an object, has no `body`, or a property is not a string.
    pub fn from_json(value: Value) -> Result<Self, ReadError> {
        let mut members: Extra = read(value)?;
        let mut take = |name: &str| take(&mut members, name).filter(|value| !value.is_null());
        let body = take("body").ok_or_else(|| ReadError::missing("body"))?;
        let mut properties_member = PropertiesMember::ApplicationProperties;
        let mut properties = take(properties_member.as_str());
        if properties.is_none()
            && let Some(newer) = take(PropertiesMember::Properties.as_str())
        {
            properties_member = PropertiesMember::Properties;
            properties = Some(newer);
        }
        let system_properties = take("systemProperties");
        let name = properties_member.as_str();
        let properties =
            properties.map(|json| read(json).map_err(|error| error.below(format_args!("/{name}"))));
        Ok(Self {
            body,
            properties: properties.transpose()?,
            properties_member,
            system_properties,
            extra: members,
        })
    }

    /// Reads an envelope from JSON text.
    ///
    /// # Errors
    ///
    /// [`ReadError`], also for nesting beyond 128 levels; see [`from_json`](Self::from_json).
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

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
