//! What an extension reports about a frame.

mod rectangle;

pub use self::rectangle::Rectangle;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use strum::VariantArray as _;

use crate::decimal::Decimal;
use crate::read::{
    ReadError, base64, optional_integer, or_default, read, string, string_or_empty, strings, take,
};

/// Members that this crate does not know, kept as they were read and written again after the known ones.
pub type Extra = Map<String, Value>;

/// One result for one media sample. Proto `Inference`; JSON schema `inference`.
///
/// Empty strings count as absent, as in proto. The contract's `type` is not stored: it is
/// [that of the value](InferenceValue::kind), so the two cannot disagree.
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    /// Kind of result in the extension's own words, for example `objectDetection`; empty: none.
    pub subtype: String,
    /// Name of this inference, for others to refer to; 32 hex digits in published samples; empty: none.
    pub inference_id: String,
    /// Ids of inferences in the same message that this one is about.
    pub related_inferences: Vec<String>,
    /// Name of an object over several frames (Video Analyzer's tracker); empty: none.
    pub sequence_id: String,
    /// The result itself.
    pub value: InferenceValue,
    /// Free strings by name.
    pub extensions: BTreeMap<String, String>,
    /// Unknown members.
    pub extra: Extra,
}

impl Inference {
    /// An inference with this value and nothing else.
    pub fn new(value: impl Into<InferenceValue>) -> Self {
        Self {
            subtype: String::new(),
            inference_id: String::new(),
            related_inferences: Vec::new(),
            sequence_id: String::new(),
            value: value.into(),
            extensions: BTreeMap::new(),
            extra: Extra::new(),
        }
    }

    /// With this id.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.inference_id = id.into();
        self
    }

    /// With this subtype.
    pub fn with_subtype(mut self, subtype: impl Into<String>) -> Self {
        self.subtype = subtype.into();
        self
    }

    /// With this sequence id.
    pub fn with_sequence_id(mut self, id: impl Into<String>) -> Self {
        self.sequence_id = id.into();
        self
    }

    /// About one more inference, by its id.
    pub fn related_to(mut self, id: impl Into<String>) -> Self {
        self.related_inferences.push(id.into());
        self
    }

    /// With one more extension; replaces the value of an existing name.
    pub fn with_extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// The kind of the value: the contract's `type`.
    pub fn kind(&self) -> InferenceKind {
        self.value.kind()
    }

    /// The box of the value, when its kind has one and it is there.
    pub fn bounding_box(&self) -> Option<&Rectangle> {
        match &self.value {
            InferenceValue::Motion(motion) => motion.bbox.as_ref(),
            InferenceValue::Entity(entity) => Some(&entity.bbox),
            InferenceValue::Event(event) => event.bbox.as_ref(),
            InferenceValue::Classification(_) | InferenceValue::Text(_) | InferenceValue::Other(_) => None,
        }
    }

    /// The same box, to map a padded picture's boxes back to the camera's.
    pub fn bounding_box_mut(&mut self) -> Option<&mut Rectangle> {
        match &mut self.value {
            InferenceValue::Motion(motion) => motion.bbox.as_mut(),
            InferenceValue::Entity(entity) => Some(&mut entity.bbox),
            InferenceValue::Event(event) => event.bbox.as_mut(),
            InferenceValue::Classification(_) | InferenceValue::Text(_) | InferenceValue::Other(_) => None,
        }
    }
}

/// Kind of an inference: the contract's `type` without `AUTO`, which is resolved to the kind of the value. Parses in any
/// case, as proto names are upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
pub enum InferenceKind {
    /// Label of the whole sample.
    Classification,
    /// Something moved.
    Motion,
    /// An object with its box.
    Entity,
    /// Read or heard text.
    Text,
    /// Something happened.
    Event,
    /// Opaque bytes.
    Other,
}

impl InferenceKind {
    /// All kinds, in the order of the proto.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in JSON: of `type`, of `valueCase` and of the member that holds the value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The result of an inference; proto's oneof `value`.
#[derive(Debug, Clone, PartialEq)]
pub enum InferenceValue {
    /// Label of the whole sample.
    Classification(Classification),
    /// Something moved.
    Motion(Motion),
    /// An object with its box.
    Entity(Entity),
    /// Read or heard text.
    Text(TextContent),
    /// Something happened.
    Event(Event),
    /// Opaque bytes.
    Other(OtherContent),
}

impl InferenceValue {
    /// The kind of this value.
    pub fn kind(&self) -> InferenceKind {
        match self {
            Self::Classification(_) => InferenceKind::Classification,
            Self::Motion(_) => InferenceKind::Motion,
            Self::Entity(_) => InferenceKind::Entity,
            Self::Text(_) => InferenceKind::Text,
            Self::Event(_) => InferenceKind::Event,
            Self::Other(_) => InferenceKind::Other,
        }
    }
}

macro_rules! value_from {
    ($($kind:ident($content:ident)),*) => {$(
        impl From<$content> for InferenceValue {
            fn from(value: $content) -> Self {
                Self::$kind(value)
            }
        }
    )*};
}
value_from!(
    Classification(Classification),
    Motion(Motion),
    Entity(Entity),
    Text(TextContent),
    Event(Event),
    Other(OtherContent)
);

/// Label of a whole sample. JSON schema requires `tag`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct Classification {
    /// The label.
    pub tag: Tag,
    /// More about it.
    #[serde(default, deserialize_with = "or_default")]
    pub attributes: Vec<Attribute>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Classification {
    /// A label of the whole sample with its confidence, 0 to 1.
    ///
    /// ```
    /// use lva_inference_schema::{Attribute, Classification, Inference, JsonStyle};
    ///
    /// let red = Attribute::new("color", "red").with_confidence(0.8_f64);
    /// let car = Inference::new(Classification::new("car", 0.9_f64).with_attribute(red));
    /// let json = car.to_json(JsonStyle::VideoAnalyzer);
    /// assert_eq!(json["classification"]["attributes"][0]["value"], "red");
    /// ```
    pub fn new(tag: impl Into<String>, confidence: impl Into<Decimal>) -> Self {
        Self {
            tag: Tag::new(tag, confidence),
            ..Self::default()
        }
    }

    /// With one more attribute.
    pub fn with_attribute(mut self, attribute: Attribute) -> Self {
        self.attributes.push(attribute);
        self
    }
}

/// Something moved.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Motion {
    /// Where; absent when the motion node has `outputMotionRegion` false.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<Rectangle>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Motion {
    /// Motion within a box, in fractions of the sample.
    pub fn new(bbox: Rectangle) -> Self {
        Self {
            bbox: Some(bbox),
            ..Self::default()
        }
    }
}

/// An object with its box. JSON schema requires `tag` and `box`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct Entity {
    /// What it is.
    pub tag: Tag,
    /// More about it.
    #[serde(default, deserialize_with = "or_default")]
    pub attributes: Vec<Attribute>,
    /// Where it is.
    #[serde(rename = "box")]
    pub bbox: Rectangle,
    /// Which one it is (persistent or transient); empty: unknown.
    #[serde(default, deserialize_with = "string_or_empty")]
    pub id: String,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Entity {
    /// An object with this tag, confidence (0 to 1) and box, in fractions of the sample.
    pub fn new(tag: impl Into<String>, confidence: impl Into<Decimal>, bbox: Rectangle) -> Self {
        Self {
            tag: Tag::new(tag, confidence),
            bbox,
            ..Self::default()
        }
    }

    /// With the id of the object.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// With one more attribute.
    pub fn with_attribute(mut self, attribute: Attribute) -> Self {
        self.attributes.push(attribute);
        self
    }
}

/// Text in or about a sample. JSON schema requires `value`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct TextContent {
    /// The string.
    #[serde(deserialize_with = "string")]
    pub value: String,
    /// Its language; empty: unknown.
    #[serde(
        default,
        deserialize_with = "string_or_empty",
        skip_serializing_if = "String::is_empty"
    )]
    pub language: String,
    /// Where it starts, in ticks of 1/90000 s since 1970; absent counts as proto's 0.
    #[serde(
        rename = "startTimestamp",
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_timestamp_90k: Option<u64>,
    /// Where it ends, likewise.
    #[serde(
        rename = "endTimestamp",
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub end_timestamp_90k: Option<u64>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TextContent {
    /// Text without language and times.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            ..Self::default()
        }
    }
}

/// Something happened. JSON schema requires `name` and `properties`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Event {
    /// What, for example `personZoneEvent`.
    #[serde(deserialize_with = "string")]
    pub name: String,
    /// Strings by name; numbers are strings too. Sorted, so that the same event gives the same bytes.
    #[serde(default, deserialize_with = "strings")]
    pub properties: BTreeMap<String, String>,
    /// Where: the JSON schema allows it, the proto has no such field.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<Rectangle>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event {
    /// An event with this name and no properties.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// With one more property; replaces the value of an existing name.
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// With the place of the event, in fractions of the sample.
    pub fn with_box(mut self, bbox: Rectangle) -> Self {
        self.bbox = Some(bbox);
        self
    }
}

/// Bytes that only the extension and its reader understand; also an HTTP response that is not JSON. Proto `InferenceOther`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct OtherContent {
    /// IANA media type; empty: unknown.
    #[serde(
        default,
        deserialize_with = "string_or_empty",
        skip_serializing_if = "String::is_empty"
    )]
    pub content_type: String,
    /// The bytes; base64 in JSON.
    #[serde(default, deserialize_with = "base64", serialize_with = "to_base64")]
    pub content_bytes: Vec<u8>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl OtherContent {
    /// Bytes of an IANA media type.
    pub fn new(content_type: impl Into<String>, content_bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type: content_type.into(),
            content_bytes: content_bytes.into(),
            extra: Extra::new(),
        }
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// A label. JSON schema requires `value`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Tag {
    /// The label.
    #[serde(deserialize_with = "string")]
    pub value: String,
    /// From 0 to 1; absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Decimal>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Tag {
    /// A label with its confidence, 0 to 1.
    pub fn new(value: impl Into<String>, confidence: impl Into<Decimal>) -> Self {
        Self {
            value: value.into(),
            confidence: Some(confidence.into()),
            extra: Extra::new(),
        }
    }
}

/// One property of an object. JSON schema requires `name` and `value`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Attribute {
    /// Name of the property.
    #[serde(deserialize_with = "string")]
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "string")]
    pub value: String,
    /// From 0 to 1; absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Decimal>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Attribute {
    /// A property without a confidence.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            ..Self::default()
        }
    }

    /// With a confidence, 0 to 1.
    pub fn with_confidence(mut self, confidence: impl Into<Decimal>) -> Self {
        self.confidence = Some(confidence.into());
        self
    }
}

/// An inference as it is written: its value is one of the members, by the name of its kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, expecting = "an object")]
#[derive(Default)]
struct Members {
    #[serde(rename = "type", deserialize_with = "string_or_empty")]
    kind: String,
    #[serde(deserialize_with = "string_or_empty")]
    subtype: String,
    #[serde(deserialize_with = "string_or_empty")]
    inference_id: String,
    #[serde(deserialize_with = "or_default")]
    related_inferences: Vec<String>,
    #[serde(deserialize_with = "string_or_empty")]
    sequence_id: String,
    #[serde(deserialize_with = "strings")]
    extensions: BTreeMap<String, String>,
    /// Derived again on writing, like the type.
    #[serde(rename = "valueCase", deserialize_with = "string_or_empty")]
    _value_case: String,
    #[serde(flatten)]
    others: Extra,
}

impl Inference {
    /// Reads an inference of either style. Unknown members are kept. A missing or automatic `type` is that of the value; if
    /// `type` and value disagree, the value counts.
    ///
    /// # Errors
    ///
    /// [`ReadError`] with the JSON pointer of what is wrong.
    pub fn from_json(value: Value) -> Result<Self, ReadError> {
        let mut members: Members = read(value)?;
        let stated: Option<InferenceKind> = members.kind.trim().parse().ok();
        let is_given = |kind: &InferenceKind| members.others.get(kind.as_str()).is_some_and(|v| !v.is_null());
        let mut kinds = stated.into_iter().chain(InferenceKind::ALL.iter().copied());
        let value = match (kinds.find(is_given), stated) {
            (Some(kind), _) => {
                let value = take(&mut members.others, kind.as_str()).unwrap_or_default();
                InferenceValue::read(kind, value).map_err(|error| error.below(format_args!("/{kind}")))?
            }
            // A motion without region and opaque content without bytes consist of their type alone.
            (None, Some(InferenceKind::Motion)) => Motion::default().into(),
            (None, Some(InferenceKind::Other)) => OtherContent::default().into(),
            (None, Some(kind)) => return Err(ReadError::missing(kind.as_str())),
            (None, None) => {
                return Err(ReadError::UnknownKind {
                    pointer: String::new(),
                    found: members.kind.chars().take(64).collect(),
                });
            }
        };
        Ok(Self {
            subtype: members.subtype,
            inference_id: members.inference_id,
            related_inferences: members.related_inferences,
            sequence_id: members.sequence_id,
            value,
            extensions: members.extensions,
            extra: members.others,
        })
    }
}

impl InferenceValue {
    fn read(kind: InferenceKind, value: Value) -> Result<Self, ReadError> {
        Ok(match kind {
            InferenceKind::Classification => Self::Classification(read(value)?),
            InferenceKind::Motion => Self::Motion(read(value)?),
            InferenceKind::Entity => Self::Entity(read(value)?),
            InferenceKind::Text => Self::Text(read(value)?),
            InferenceKind::Event => Self::Event(read(value)?),
            InferenceKind::Other => Self::Other(read(value)?),
        })
    }
}

impl<'de> Deserialize<'de> for Inference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
