//! Writing: the two styles of inference JSON.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use crate::inference::{Classification, Entity, Extra, Inference, InferenceValue};

/// Which of the two published forms inference JSON is written in. Reading takes both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonStyle {
    /// Live Video Analytics, results of gRPC extensions: `subtype`, `relatedInferences`, `extensions` and an entity's
    /// or classification's `attributes` are written when they are empty too, and `valueCase` names the value.
    Lva,
    /// Video Analyzer, and the motion node of both generations: empty members and `valueCase` are left out.
    VideoAnalyzer,
}

impl JsonStyle {
    /// Both styles.
    pub const ALL: [Self; 2] = [Self::Lva, Self::VideoAnalyzer];

    /// The style in which an inference was written: [`Lva`](Self::Lva) where it has `valueCase`.
    pub fn of_inference(json: &Value) -> Self {
        if json.get("valueCase").is_some() {
            Self::Lva
        } else {
            Self::VideoAnalyzer
        }
    }

    /// The style of a message body: that of its first inference.
    pub fn of_body(json: &Value) -> Self {
        json.pointer("/inferences/0")
            .map_or(Self::VideoAnalyzer, Self::of_inference)
    }
}

/// A value and the style to write it in: what `styled` returns, to be serialised.
#[derive(Debug, Clone, Copy)]
pub struct WithStyle<'a, T: ?Sized> {
    pub(crate) value: &'a T,
    pub(crate) style: JsonStyle,
}

impl<'a, T: ?Sized> WithStyle<'a, T> {
    fn with<U: ?Sized>(&self, value: &'a U) -> WithStyle<'a, U> {
        WithStyle {
            value,
            style: self.style,
        }
    }

    fn writes_empty(&self) -> bool {
        self.style == JsonStyle::Lva
    }
}

impl Inference {
    /// This inference in a style, to be serialised.
    pub fn styled(&self, style: JsonStyle) -> WithStyle<'_, Self> {
        WithStyle { value: self, style }
    }

    /// This inference as a JSON value.
    pub fn to_json(&self, style: JsonStyle) -> Value {
        to_value(&self.styled(style))
    }
}

/// Serialising into a `Value` fails only for maps whose keys are not strings, and the types here have none.
pub(crate) fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

pub(crate) fn write_extra<M: SerializeMap>(map: &mut M, extra: &Extra) -> Result<(), M::Error> {
    for (name, value) in extra {
        map.serialize_entry(name, value)?;
    }
    Ok(())
}

fn write_string<M: SerializeMap>(
    map: &mut M,
    name: &str,
    text: &str,
    write_empty: bool,
) -> Result<(), M::Error> {
    if write_empty || !text.is_empty() {
        map.serialize_entry(name, text)
    } else {
        Ok(())
    }
}

pub(crate) fn write_option<M: SerializeMap, T: Serialize>(
    map: &mut M,
    name: &str,
    value: Option<&T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

impl Serialize for WithStyle<'_, Inference> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let it = self.value;
        let empty = self.writes_empty();
        let kind = it.kind().as_str();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", kind)?;
        write_string(&mut map, "subtype", &it.subtype, empty)?;
        write_string(&mut map, "inferenceId", &it.inference_id, false)?;
        if empty || !it.related_inferences.is_empty() {
            map.serialize_entry("relatedInferences", &it.related_inferences)?;
        }
        write_string(&mut map, "sequenceId", &it.sequence_id, false)?;
        match &it.value {
            InferenceValue::Classification(value) => map.serialize_entry(kind, &self.with(value))?,
            InferenceValue::Motion(value) => map.serialize_entry(kind, value)?,
            InferenceValue::Entity(value) => map.serialize_entry(kind, &self.with(value))?,
            InferenceValue::Text(value) => map.serialize_entry(kind, value)?,
            InferenceValue::Event(value) => map.serialize_entry(kind, value)?,
            InferenceValue::Other(value) => map.serialize_entry(kind, value)?,
        }
        if empty || !it.extensions.is_empty() {
            map.serialize_entry("extensions", &it.extensions)?;
        }
        if empty {
            map.serialize_entry("valueCase", kind)?;
        }
        write_extra(&mut map, &it.extra)?;
        map.end()
    }
}

impl Serialize for WithStyle<'_, Classification> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tag", &self.value.tag)?;
        if self.writes_empty() || !self.value.attributes.is_empty() {
            map.serialize_entry("attributes", &self.value.attributes)?;
        }
        write_extra(&mut map, &self.value.extra)?;
        map.end()
    }
}

impl Serialize for WithStyle<'_, Entity> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let it = self.value;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tag", &it.tag)?;
        if self.writes_empty() || !it.attributes.is_empty() {
            map.serialize_entry("attributes", &it.attributes)?;
        }
        map.serialize_entry("box", &it.bbox)?;
        // The published LVA sample has no empty `id`, though it keeps other empty members.
        write_string(&mut map, "id", &it.id, false)?;
        write_extra(&mut map, &it.extra)?;
        map.end()
    }
}
