//! What an extension says about a frame.

use crate::Real;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Members that this crate does not know, kept as they were read and written again after the known ones.
pub type Extra = Map<String, Value>;

/// One result for one media sample. Proto `Inference`; JSON schema `inference`.
///
/// Texts that are empty count as absent, as in proto. The contract's `type` is not stored: it is
/// [that of the value](InferenceValue::kind), so the two cannot disagree.
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    /// Kind of result as the extension calls it, for example `objectDetection`; empty: none.
    pub subtype: String,
    /// Name of this inference, for others to refer to; 32 hex digits in published samples; empty: none.
    pub inference_id: String,
    /// Ids of inferences in the same message that this one is about.
    pub related_inferences: Vec<String>,
    /// Name of the thing that is the same over several frames (Video Analyzer's tracker); empty: none.
    pub sequence_id: String,
    /// The result itself.
    pub value: InferenceValue,
    /// Free texts by name.
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

    /// With one more extension; a name that is there already gets the new text.
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

    /// The same box, to be changed: where a padded picture's boxes are mapped back to the camera's.
    pub fn bounding_box_mut(&mut self) -> Option<&mut Rectangle> {
        match &mut self.value {
            InferenceValue::Motion(motion) => motion.bbox.as_mut(),
            InferenceValue::Entity(entity) => Some(&mut entity.bbox),
            InferenceValue::Event(event) => event.bbox.as_mut(),
            InferenceValue::Classification(_) | InferenceValue::Text(_) | InferenceValue::Other(_) => None,
        }
    }
}

/// Kind of an inference: the contract's `type` without `AUTO`, which is resolved to the value that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InferenceKind {
    /// Label of the whole sample.
    Classification,
    /// Something moved.
    Motion,
    /// A thing at a place.
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
    pub const ALL: [Self; 6] = [
        Self::Classification,
        Self::Motion,
        Self::Entity,
        Self::Text,
        Self::Event,
        Self::Other,
    ];

    /// The word in JSON: of `type`, of `valueCase` and of the member that holds the value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Motion => "motion",
            Self::Entity => "entity",
            Self::Text => "text",
            Self::Event => "event",
            Self::Other => "other",
        }
    }

    /// The kind of a word, upper and lower case alike (proto names are upper case).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for InferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of an inference; proto's oneof `value`.
#[derive(Debug, Clone, PartialEq)]
pub enum InferenceValue {
    /// Label of the whole sample.
    Classification(Classification),
    /// Something moved.
    Motion(Motion),
    /// A thing at a place.
    Entity(Entity),
    /// Read or heard text.
    Text(Text),
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
    Text(Text),
    Event(Event),
    Other(OtherContent)
);

/// Label of a whole sample. JSON schema requires `tag`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Classification {
    /// The label.
    pub tag: Tag,
    /// More about it.
    pub attributes: Vec<Attribute>,
    /// Unknown members.
    pub extra: Extra,
}

/// Something moved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Motion {
    /// Where; absent when the motion node has `outputMotionRegion` false.
    pub bbox: Option<Rectangle>,
    /// Unknown members.
    pub extra: Extra,
}

/// A thing at a place. JSON schema requires `tag` and `box`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entity {
    /// What it is.
    pub tag: Tag,
    /// More about it.
    pub attributes: Vec<Attribute>,
    /// Where it is.
    pub bbox: Rectangle,
    /// Which one it is (persistent or transient); empty: not known.
    pub id: String,
    /// Unknown members.
    pub extra: Extra,
}

impl Entity {
    /// A thing with this tag, confidence and place.
    pub fn new(tag: impl Into<String>, confidence: impl Into<Real>, bbox: Rectangle) -> Self {
        Self {
            tag: Tag::new(tag, confidence),
            bbox,
            ..Self::default()
        }
    }
}

/// Text in or about a sample. JSON schema requires `value`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Text {
    /// The text.
    pub value: String,
    /// Its language; empty: not known.
    pub language: String,
    /// Where it starts, in ticks of 1/90000 s since 1970; absent counts as proto's 0.
    pub start_timestamp_90k: Option<u64>,
    /// Where it ends, likewise.
    pub end_timestamp_90k: Option<u64>,
    /// Unknown members.
    pub extra: Extra,
}

/// Something happened. JSON schema requires `name` and `properties`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// What, for example `personZoneEvent`.
    pub name: String,
    /// Texts by name; numbers are texts too. Sorted, so that the same event gives the same bytes.
    pub properties: BTreeMap<String, String>,
    /// Where: the JSON schema allows it, the proto has no such field.
    pub bbox: Option<Rectangle>,
    /// Unknown members.
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

    /// With one more property; a name that is there already gets the new text.
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }
}

/// Bytes that only the extension and its reader understand; also an HTTP answer that is no JSON. Proto
/// `InferenceOther`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OtherContent {
    /// IANA media type; empty: not known.
    pub content_type: String,
    /// The bytes; base64 in JSON.
    pub content_bytes: Vec<u8>,
    /// Unknown members.
    pub extra: Extra,
}

/// A label. JSON schema requires `value`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tag {
    /// The label.
    pub value: String,
    /// How sure, 0 to 1; absent when not said.
    pub confidence: Option<Real>,
    /// Unknown members.
    pub extra: Extra,
}

impl Tag {
    /// A label with its confidence.
    pub fn new(value: impl Into<String>, confidence: impl Into<Real>) -> Self {
        Self {
            value: value.into(),
            confidence: Some(confidence.into()),
            extra: Extra::new(),
        }
    }
}

/// One property of a thing. JSON schema requires `name` and `value`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attribute {
    /// Name of the property.
    pub name: String,
    /// Its value.
    pub value: String,
    /// How sure, 0 to 1; absent when not said.
    pub confidence: Option<Real>,
    /// Unknown members.
    pub extra: Extra,
}

/// A rectangle in fractions of the sample's width and height, origin at the top left. All four are required.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rectangle {
    /// Left edge.
    pub l: Real,
    /// Top edge.
    pub t: Real,
    /// Width.
    pub w: Real,
    /// Height.
    pub h: Real,
    /// Unknown members.
    pub extra: Extra,
}

impl Rectangle {
    /// A rectangle by left, top, width and height.
    pub fn new(l: impl Into<Real>, t: impl Into<Real>, w: impl Into<Real>, h: impl Into<Real>) -> Self {
        Self {
            l: l.into(),
            t: t.into(),
            w: w.into(),
            h: h.into(),
            extra: Extra::new(),
        }
    }
}
