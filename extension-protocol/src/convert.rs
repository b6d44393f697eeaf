//! Conversion of inferences between the wire and the types of `lva-inference-schema`.
//!
//! The wire cannot carry a box of an event or members that the contract does not have; they are lost. A confidence or
//! time of 0 counts as absent.

use lva_inference_schema as schema;
use lva_media_types::MediaTime;
use schema::{Decimal, Extra, InferenceKind, InferenceValue};

use crate::wire;
use crate::wire::inference::{InferenceType, Value};

/// Ticks per second of timestamps on the wire, where a peer does not announce others.
pub(crate) const TIMESCALE: u32 = MediaTime::TICKS_PER_SECOND as u32;

/// Reads a peer's inferences. Those without a value are ignored; the second number counts them. The type follows from
/// the value, not from the peer's `type`, which is often `AUTO`.
pub(crate) fn inferences_from_wire(found: Vec<wire::Inference>) -> (Vec<schema::Inference>, u64) {
    let before = found.len();
    let read: Vec<_> = found.into_iter().filter_map(inference_from_wire).collect();
    let without_value = before - read.len();
    (read, without_value as u64)
}

/// Writes inferences, each with its explicit type: known clients depend on it.
pub(crate) fn inferences_to_wire(found: &[schema::Inference]) -> Vec<wire::Inference> {
    found.iter().map(inference_to_wire).collect()
}

fn inference_from_wire(found: wire::Inference) -> Option<schema::Inference> {
    let value = match found.value? {
        Value::Classification(it) => InferenceValue::Classification(schema::Classification {
            tag: tag_from_wire(it.tag),
            attributes: attributes_from_wire(it.attributes),
            extra: Extra::new(),
        }),
        Value::Motion(it) => InferenceValue::Motion(schema::Motion {
            bbox: it.r#box.map(rectangle_from_wire),
            extra: Extra::new(),
        }),
        Value::Entity(it) => InferenceValue::Entity(schema::Entity {
            tag: tag_from_wire(it.tag),
            attributes: attributes_from_wire(it.attributes),
            bbox: it.r#box.map(rectangle_from_wire).unwrap_or_default(),
            id: it.id,
            extra: Extra::new(),
        }),
        Value::Text(it) => InferenceValue::Text(schema::TextContent {
            value: it.value,
            language: it.language,
            start_timestamp_90k: present_ticks(it.start_timestamp),
            end_timestamp_90k: present_ticks(it.end_timestamp),
            extra: Extra::new(),
        }),
        Value::Event(it) => InferenceValue::Event(schema::Event {
            name: it.name,
            properties: it.properties.into_iter().collect(),
            bbox: None,
            extra: Extra::new(),
        }),
        Value::Other(it) => InferenceValue::Other(schema::OtherContent {
            content_type: it.content_type,
            content_bytes: it.content_bytes.into(),
            extra: Extra::new(),
        }),
    };
    Some(schema::Inference {
        subtype: found.subtype,
        inference_id: found.inference_id,
        related_inferences: found.related_inferences,
        sequence_id: found.sequence_id,
        value,
        extensions: found.extensions.into_iter().collect(),
        extra: Extra::new(),
    })
}

fn inference_to_wire(found: &schema::Inference) -> wire::Inference {
    let value = match &found.value {
        InferenceValue::Classification(it) => Value::Classification(wire::Classification {
            tag: Some(tag_to_wire(&it.tag)),
            attributes: attributes_to_wire(&it.attributes),
        }),
        InferenceValue::Motion(it) => Value::Motion(wire::Motion {
            r#box: it.bbox.as_ref().map(rectangle_to_wire),
        }),
        InferenceValue::Entity(it) => Value::Entity(wire::Entity {
            tag: Some(tag_to_wire(&it.tag)),
            attributes: attributes_to_wire(&it.attributes),
            r#box: Some(rectangle_to_wire(&it.bbox)),
            id: it.id.clone(),
        }),
        InferenceValue::Text(it) => Value::Text(wire::Text {
            value: it.value.clone(),
            language: it.language.clone(),
            start_timestamp: it.start_timestamp_90k.unwrap_or(0),
            end_timestamp: it.end_timestamp_90k.unwrap_or(0),
        }),
        InferenceValue::Event(it) => Value::Event(wire::Event {
            name: it.name.clone(),
            properties: it.properties.clone().into_iter().collect(),
        }),
        InferenceValue::Other(it) => Value::Other(wire::InferenceOther {
            content_type: it.content_type.clone(),
            content_bytes: it.content_bytes.clone().into(),
        }),
    };
    wire::Inference {
        r#type: type_to_wire(found.kind()).into(),
        subtype: found.subtype.clone(),
        inference_id: found.inference_id.clone(),
        related_inferences: found.related_inferences.clone(),
        value: Some(value),
        sequence_id: found.sequence_id.clone(),
        extensions: found.extensions.clone().into_iter().collect(),
    }
}

fn type_to_wire(kind: InferenceKind) -> InferenceType {
    match kind {
        InferenceKind::Classification => InferenceType::Classification,
        InferenceKind::Motion => InferenceType::Motion,
        InferenceKind::Entity => InferenceType::Entity,
        InferenceKind::Text => InferenceType::Text,
        InferenceKind::Event => InferenceType::Event,
        InferenceKind::Other => InferenceType::Other,
    }
}

fn tag_from_wire(tag: Option<wire::Tag>) -> schema::Tag {
    let tag = tag.unwrap_or_default();
    schema::Tag {
        value: tag.value,
        confidence: present_real(tag.confidence),
        extra: Extra::new(),
    }
}

fn tag_to_wire(tag: &schema::Tag) -> wire::Tag {
    wire::Tag {
        value: tag.value.clone(),
        confidence: tag.confidence.unwrap_or_default().to_f32(),
    }
}

fn attributes_from_wire(attributes: Vec<wire::Attribute>) -> Vec<schema::Attribute> {
    let read = |it: wire::Attribute| schema::Attribute {
        name: it.name,
        value: it.value,
        confidence: present_real(it.confidence),
        extra: Extra::new(),
    };
    attributes.into_iter().map(read).collect()
}

fn attributes_to_wire(attributes: &[schema::Attribute]) -> Vec<wire::Attribute> {
    let write = |it: &schema::Attribute| wire::Attribute {
        name: it.name.clone(),
        value: it.value.clone(),
        confidence: it.confidence.unwrap_or_default().to_f32(),
    };
    attributes.iter().map(write).collect()
}

fn rectangle_from_wire(it: wire::Rectangle) -> schema::Rectangle {
    schema::Rectangle::new(it.l, it.t, it.w, it.h)
}

fn rectangle_to_wire(it: &schema::Rectangle) -> wire::Rectangle {
    wire::Rectangle {
        l: it.l.to_f32(),
        t: it.t.to_f32(),
        w: it.w.to_f32(),
        h: it.h.to_f32(),
    }
}

fn present_real(value: f32) -> Option<Decimal> {
    (value != 0.0).then(|| value.into())
}

fn present_ticks(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use schema::{
        Attribute, Classification, Entity, Event, Inference, Motion, OtherContent, Rectangle, Tag,
        TextContent,
    };

    use super::*;

    fn attribute() -> Attribute {
        Attribute {
            name: "colour".into(),
            value: "red".into(),
            confidence: Some(0.25.into()),
            ..Default::default()
        }
    }

    fn of_kind(kind: InferenceKind) -> Inference {
        let bbox = Rectangle::new(0.1_f32, 0.2_f32, 0.3_f32, 0.4_f32);
        let value: InferenceValue = match kind {
            InferenceKind::Classification => Classification {
                tag: Tag::new("day", 0.66026187_f32),
                attributes: vec![attribute()],
                ..Default::default()
            }
            .into(),
            InferenceKind::Motion => Motion {
                bbox: Some(bbox),
                ..Default::default()
            }
            .into(),
            InferenceKind::Entity => Entity {
                id: "7".into(),
                attributes: vec![attribute()],
                ..Entity::new("person", 0.9_f32, bbox)
            }
            .into(),
            InferenceKind::Text => TextContent {
                value: "exit".into(),
                language: "en".into(),
                start_timestamp_90k: Some(143810610210090),
                end_timestamp_90k: Some(u64::MAX),
                ..Default::default()
            }
            .into(),
            InferenceKind::Event => Event::new("personZoneEvent")
                .with_property("status", "Enter")
                .into(),
            InferenceKind::Other => OtherContent {
                content_type: "application/octet-stream".into(),
                content_bytes: vec![0, 255],
                ..Default::default()
            }
            .into(),
        };
        Inference::new(value)
            .with_id("a895")
            .with_subtype("sub")
            .with_sequence_id("s1")
            .related_to("b")
            .with_extension("inf", "1")
    }

    #[test]
    fn every_kind_survives_the_wire_byte_for_byte() {
        for kind in InferenceKind::ALL.iter().copied() {
            let before = of_kind(kind);
            let bytes = inference_to_wire(&before).encode_to_vec();
            let (after, without_value) =
                inferences_from_wire(vec![wire::Inference::decode(&bytes[..]).unwrap()]);
            assert_eq!((after, without_value), (vec![before], 0));
        }
    }

    #[test]
    fn type_auto_and_wrong_types_give_way_to_the_value() {
        for number in [0, 1, 99, -1] {
            let mut sent = inference_to_wire(&of_kind(InferenceKind::Entity));
            sent.r#type = number;
            assert_eq!(
                inferences_from_wire(vec![sent]).0[0].kind(),
                InferenceKind::Entity
            );
        }
    }

    #[test]
    fn the_explicit_type_is_written() {
        assert_eq!(inference_to_wire(&of_kind(InferenceKind::Event)).r#type, 5);
        assert_eq!(inference_to_wire(&of_kind(InferenceKind::Other)).r#type, 15);
    }

    #[test]
    fn inferences_without_a_value_are_left_out_and_counted() {
        let empty = wire::Inference {
            subtype: "x".into(),
            ..Default::default()
        };
        let whole = inference_to_wire(&of_kind(InferenceKind::Motion));
        let (read, without_value) = inferences_from_wire(vec![empty.clone(), whole, empty]);
        assert_eq!((read.len(), without_value), (1, 2));
    }

    #[test]
    fn absent_members_of_the_wire_are_absent_and_not_an_error() {
        let bare = |value| wire::Inference {
            value: Some(value),
            ..Default::default()
        };
        let (read, _) = inferences_from_wire(vec![
            bare(Value::Entity(Default::default())),
            bare(Value::Motion(Default::default())),
            bare(Value::Text(Default::default())),
        ]);
        assert_eq!(read[0].value, Entity::default().into());
        assert_eq!(read[1].value, Motion::default().into());
        assert_eq!(read[2].value, TextContent::default().into());
    }
}
