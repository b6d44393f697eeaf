//! Reading: lenient, with the place of what is wrong, and nothing lost that is not understood.

use crate::Real;
use crate::inference::{
    Attribute, Classification, Entity, Event, Extra, Inference, InferenceKind, InferenceValue, Motion,
    OtherContent, Rectangle, Tag, Text,
};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use thiserror::Error;

/// JSON that is not what it should be. The sender has to mend it; reading again does not help.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A member that the contract requires is not there.
    #[error("{pointer}: member {member:?} is missing")]
    Missing {
        /// JSON pointer of the object.
        pointer: String,
        /// Name of the member.
        member: &'static str,
    },
    /// A member has another JSON type.
    #[error("{pointer}: expected {expected}, found {found}")]
    WrongType {
        /// JSON pointer of the member.
        pointer: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// An inference whose `type` is none of the contract's, and which has no member of a known kind either.
    #[error(
        "{pointer}: no inference type {found:?}; known are classification, motion, entity, text, event, other"
    )]
    UnknownKind {
        /// JSON pointer of the inference.
        pointer: String,
        /// The type it claims, cut to 64 characters.
        found: String,
    },
    /// `contentBytes` is not base64.
    #[error("{pointer}: not base64")]
    Base64 {
        /// JSON pointer of the member.
        pointer: String,
        /// What the decoder says.
        source: base64::DecodeError,
    },
}

/// Where the reader is; a pointer text is made for errors only.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    pub(crate) fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(parent, name) => {
                format!(
                    "{}/{}",
                    parent.pointer(),
                    name.replace('~', "~0").replace('/', "~1")
                )
            }
            Self::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }

    fn wrong(&self, expected: &'static str, found: &Value) -> ReadError {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "another number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        ReadError::WrongType {
            pointer: self.pointer(),
            expected,
            found,
        }
    }
}

/// The members of one object, taken one by one; what is left over is kept.
pub(crate) struct Members<'a> {
    map: Map<String, Value>,
    place: Place<'a>,
}

impl<'a> Members<'a> {
    pub(crate) fn of(value: Value, place: Place<'a>) -> Result<Self, ReadError> {
        match value {
            Value::Object(map) => Ok(Self { map, place }),
            other => Err(place.wrong("an object", &other)),
        }
    }

    /// A member; null counts as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    /// A text, or a number or boolean as its JSON text; empty when absent.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, ReadError> {
        Ok(self.optional_text(name)?.unwrap_or_default())
    }

    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        let place = Place::Member(&self.place, name);
        match self.map.get(name) {
            None | Some(Value::Null | Value::String(_) | Value::Number(_) | Value::Bool(_)) => {}
            Some(other) => return Err(place.wrong("a text", other)),
        }
        Ok(self.take(name).map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<String, ReadError> {
        self.optional_text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number, also as text or with a fraction of nought.
    pub(crate) fn whole(&mut self, name: &str) -> Result<Option<u64>, ReadError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let read = match &value {
            Value::Number(number) => number.as_u64().or_else(|| {
                // Above 2^53 a float is no longer exact; such a time has to come as an integer.
                let float = number
                    .as_f64()
                    .filter(|f| (0.0..9.007_199_254_740_992e15).contains(f))?;
                (float.fract() == 0.0).then_some(float as u64)
            }),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match read {
            Some(number) => Ok(Some(number)),
            None => Err(Place::Member(&self.place, name).wrong("a whole number from 0", &value)),
        }
    }

    fn real(&mut self, name: &str) -> Result<Option<Real>, ReadError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let read = match &value {
            Value::Number(number) => number.as_f64().map(Real::from),
            Value::String(text) => Real::from_text(text.trim()),
            _ => None,
        };
        match read {
            Some(number) => Ok(Some(number)),
            None => Err(Place::Member(&self.place, name).wrong("a number", &value)),
        }
    }

    fn required_real(&mut self, name: &'static str) -> Result<Real, ReadError> {
        self.real(name)?.ok_or_else(|| self.missing(name))
    }

    fn texts(&mut self, name: &str) -> Result<BTreeMap<String, String>, ReadError> {
        let Some(value) = self.take(name) else {
            return Ok(BTreeMap::new());
        };
        let here = Place::Member(&self.place, name);
        let mut members = Members::of(value, here)?;
        let names: Vec<String> = members.map.keys().cloned().collect();
        let mut texts = BTreeMap::new();
        for name in names {
            let text = members.text(&name)?;
            texts.insert(name, text);
        }
        Ok(texts)
    }

    /// A list; empty when absent.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        read: impl Fn(Value, Place<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let here = Place::Member(&self.place, name);
        match self.map.shift_remove(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| read(item, Place::Item(&here, index)))
                .collect(),
            Some(other) => Err(here.wrong("a list", &other)),
        }
    }

    fn object<T>(
        &mut self,
        name: &str,
        read: impl Fn(Value, Place<'_>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        read(value, Place::Member(&self.place, name)).map(Some)
    }

    fn required_object<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(Value, Place<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.object(name, read)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn missing(&self, member: &'static str) -> ReadError {
        ReadError::Missing {
            pointer: self.place.pointer(),
            member,
        }
    }

    pub(crate) fn rest(self) -> Extra {
        self.map
    }
}

impl Inference {
    /// Reads an inference of either style. Unknown members are kept, a missing or automatic `type` is that of the
    /// value; where both are there and disagree, the value counts.
    ///
    /// # Errors
    ///
    /// [`ReadError`] with the JSON pointer of what is wrong.
    pub fn from_json(value: Value) -> Result<Self, ReadError> {
        read_inference(value, Place::Root)
    }
}

pub(crate) fn read_inference(value: Value, place: Place<'_>) -> Result<Inference, ReadError> {
    let mut members = Members::of(value, place)?;
    let claimed = members.text("type")?;
    // Derived again on writing, like the type.
    let _ = members.optional_text("valueCase")?;
    let wanted = InferenceKind::from_word(claimed.trim());
    let present = |kind: &InferenceKind| members.map.get(kind.as_str()).is_some_and(|v| !v.is_null());
    let kind = wanted
        .filter(present)
        .or_else(|| InferenceKind::ALL.into_iter().find(present));
    let value = match kind {
        Some(kind) => read_value(&mut members, kind)?,
        // A motion without region and opaque content without bytes have nothing to say beside their type.
        None => match wanted {
            Some(InferenceKind::Motion) => Motion::default().into(),
            Some(InferenceKind::Other) => OtherContent::default().into(),
            Some(kind) => return Err(members.missing(kind.as_str())),
            None => {
                let found = claimed.chars().take(64).collect();
                return Err(ReadError::UnknownKind {
                    pointer: place.pointer(),
                    found,
                });
            }
        },
    };
    Ok(Inference {
        subtype: members.text("subtype")?,
        inference_id: members.text("inferenceId")?,
        related_inferences: members.list("relatedInferences", |item, place| match item {
            Value::String(id) => Ok(id),
            other => Err(place.wrong("a text", &other)),
        })?,
        sequence_id: members.text("sequenceId")?,
        value,
        extensions: members.texts("extensions")?,
        extra: members.rest(),
    })
}

fn read_value(members: &mut Members<'_>, kind: InferenceKind) -> Result<InferenceValue, ReadError> {
    let name = kind.as_str();
    Ok(match kind {
        InferenceKind::Classification => members.required_object(name, classification)?.into(),
        InferenceKind::Motion => members.required_object(name, motion)?.into(),
        InferenceKind::Entity => members.required_object(name, entity)?.into(),
        InferenceKind::Text => members.required_object(name, text)?.into(),
        InferenceKind::Event => members.required_object(name, event)?.into(),
        InferenceKind::Other => members.required_object(name, other)?.into(),
    })
}

fn classification(value: Value, place: Place<'_>) -> Result<Classification, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Classification {
        tag: m.required_object("tag", tag)?,
        attributes: m.list("attributes", attribute)?,
        extra: m.rest(),
    })
}

fn motion(value: Value, place: Place<'_>) -> Result<Motion, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Motion {
        bbox: m.object("box", rectangle)?,
        extra: m.rest(),
    })
}

fn entity(value: Value, place: Place<'_>) -> Result<Entity, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Entity {
        tag: m.required_object("tag", tag)?,
        attributes: m.list("attributes", attribute)?,
        bbox: m.required_object("box", rectangle)?,
        id: m.text("id")?,
        extra: m.rest(),
    })
}

fn text(value: Value, place: Place<'_>) -> Result<Text, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Text {
        value: m.required_text("value")?,
        language: m.text("language")?,
        start_timestamp_90k: m.whole("startTimestamp")?,
        end_timestamp_90k: m.whole("endTimestamp")?,
        extra: m.rest(),
    })
}

fn event(value: Value, place: Place<'_>) -> Result<Event, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Event {
        name: m.required_text("name")?,
        properties: m.texts("properties")?,
        bbox: m.object("box", rectangle)?,
        extra: m.rest(),
    })
}

/// Padding is often left out by hand-written senders.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn other(value: Value, place: Place<'_>) -> Result<OtherContent, ReadError> {
    let mut m = Members::of(value, place)?;
    let content_bytes = LENIENT
        .decode(m.text("contentBytes")?)
        .map_err(|source| ReadError::Base64 {
            pointer: Place::Member(&place, "contentBytes").pointer(),
            source,
        })?;
    Ok(OtherContent {
        content_type: m.text("contentType")?,
        content_bytes,
        extra: m.rest(),
    })
}

fn tag(value: Value, place: Place<'_>) -> Result<Tag, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Tag {
        value: m.required_text("value")?,
        confidence: m.real("confidence")?,
        extra: m.rest(),
    })
}

fn attribute(value: Value, place: Place<'_>) -> Result<Attribute, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Attribute {
        name: m.required_text("name")?,
        value: m.required_text("value")?,
        confidence: m.real("confidence")?,
        extra: m.rest(),
    })
}

fn rectangle(value: Value, place: Place<'_>) -> Result<Rectangle, ReadError> {
    let mut m = Members::of(value, place)?;
    Ok(Rectangle {
        l: m.required_real("l")?,
        t: m.required_real("t")?,
        w: m.required_real("w")?,
        h: m.required_real("h")?,
        extra: m.rest(),
    })
}

impl<'de> Deserialize<'de> for Inference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
