//! Every value can be written in both styles and read again.

use lva_inference_schema::body::{EventBody, RuntimeError};
use lva_inference_schema::*;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 /\"\\\\äß]{0,12}"
}

fn real() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        any::<f32>()
            .prop_filter("equal to itself", |f| !f.is_nan())
            .prop_map(Decimal::from),
        (0.0..=1.0f64).prop_map(Decimal::from),
        Just(Decimal::from(f64::INFINITY)),
    ]
}

fn extra() -> impl Strategy<Value = Extra> {
    // Names that no known member has.
    btree_map("x-[a-z]{1,4}", any::<i32>().prop_map(|n| json!([n])), 0..3)
        .prop_map(|map| map.into_iter().collect())
}

fn tag() -> impl Strategy<Value = Tag> {
    (word(), option::of(real()), extra()).prop_map(|(value, confidence, extra)| Tag {
        value,
        confidence,
        extra,
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let attribute =
        (word(), word(), option::of(real()), extra()).prop_map(|(name, value, confidence, extra)| {
            Attribute {
                name,
                value,
                confidence,
                extra,
            }
        });
    vec(attribute, 0..3)
}

fn rectangle() -> impl Strategy<Value = Rectangle> {
    (real(), real(), real(), real(), extra()).prop_map(|(l, t, w, h, extra)| Rectangle { l, t, w, h, extra })
}

fn value() -> impl Strategy<Value = InferenceValue> {
    prop_oneof![
        (tag(), attributes(), extra()).prop_map(|(tag, attributes, extra)| Classification {
            tag,
            attributes,
            extra
        }
        .into()),
        (option::of(rectangle()), extra()).prop_map(|(bbox, extra)| Motion { bbox, extra }.into()),
        (tag(), attributes(), rectangle(), word(), extra()).prop_map(|(tag, attributes, bbox, id, extra)| {
            Entity {
                tag,
                attributes,
                bbox,
                id,
                extra,
            }
            .into()
        }),
        (
            word(),
            word(),
            option::of(any::<u64>()),
            option::of(any::<u64>()),
            extra()
        )
            .prop_map(
                |(value, language, start_timestamp_90k, end_timestamp_90k, extra)| {
                    TextContent {
                        value,
                        language,
                        start_timestamp_90k,
                        end_timestamp_90k,
                        extra,
                    }
                    .into()
                }
            ),
        (
            word(),
            btree_map(word(), word(), 0..4),
            option::of(rectangle()),
            extra()
        )
            .prop_map(|(name, properties, bbox, extra)| Event {
                name,
                properties,
                bbox,
                extra
            }
            .into()),
        (word(), vec(any::<u8>(), 0..40), extra()).prop_map(|(content_type, content_bytes, extra)| {
            OtherContent {
                content_type,
                content_bytes,
                extra,
            }
            .into()
        }),
    ]
}

fn inference() -> impl Strategy<Value = Inference> {
    (
        word(),
        word(),
        vec(word(), 0..3),
        word(),
        value(),
        btree_map(word(), word(), 0..3),
        extra(),
    )
        .prop_map(
            |(subtype, inference_id, related_inferences, sequence_id, value, extensions, extra)| Inference {
                subtype,
                inference_id,
                related_inferences,
                sequence_id,
                value,
                extensions,
                extra,
            },
        )
}

proptest! {
    #[test]
    fn bodies_survive_both_styles(timestamp in option::of(any::<u64>()), inferences in vec(inference(), 0..4), extra in extra()) {
        let body = AnalyticsBody { timestamp_90k: timestamp, inferences, extra };
        for style in JsonStyle::ALL {
            let text = serde_json::to_string(&body.styled(style)).unwrap();
            prop_assert_eq!(&AnalyticsBody::from_slice(text.as_bytes()).unwrap(), &body);
            // As text and as value the same.
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), body.to_json(style));
        }
    }

    #[test]
    fn the_same_body_gives_the_same_bytes(inferences in vec(inference(), 0..3)) {
        let body = AnalyticsBody::new(1, inferences);
        let text = || serde_json::to_string(&body.clone().styled(JsonStyle::Lva)).unwrap();
        prop_assert_eq!(text(), text());
    }
}

#[test]
fn kinds_and_words_match() {
    for kind in InferenceKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        assert_eq!(kind.as_str().to_uppercase().parse(), Ok(*kind));
    }
    assert!("auto".parse::<InferenceKind>().is_err());
}

#[test]
fn boxes_are_reached_for_mapping_back() {
    let mut motion = Inference::new(Motion {
        bbox: Some(Rectangle::new(0.5, 0.5, 0.1, 0.1)),
        ..Motion::default()
    });
    motion.bounding_box_mut().unwrap().l = Decimal::from(0.25);
    assert_eq!(motion.bounding_box().unwrap().l.get(), 0.25);
    assert!(Inference::new(TextContent::default()).bounding_box().is_none());
}

#[test]
fn an_automatic_type_is_that_of_the_value() {
    for written in [
        json!({}),
        json!({"type": "auto"}),
        json!({"type": "AUTO"}),
        json!({"type": "event"}),
    ] {
        let mut json = written;
        json["text"] = json!({"value": "EXIT"});
        let read = Inference::from_json(json).unwrap();
        assert_eq!(read.kind(), InferenceKind::Text);
        assert_eq!(read.to_json(JsonStyle::VideoAnalyzer)["type"], "text");
    }
}

#[test]
fn a_second_value_is_kept_as_unknown() {
    let json = json!({"type": "text", "text": {"value": "a"}, "motion": {}});
    let read = Inference::from_json(json.clone()).unwrap();
    assert_eq!(read.to_json(JsonStyle::VideoAnalyzer), json);
}

#[test]
fn motion_without_region_needs_no_member() {
    let read = Inference::from_json(json!({"type": "motion"})).unwrap();
    assert_eq!(read.value, Motion::default().into());
}

#[test]
fn loose_numbers_and_texts_are_taken() {
    let body = AnalyticsBody::from_json(json!({"timestamp": "90", "inferences": [
        {"type": "event", "event": {"name": "e", "properties": {"n": 1, "b": true, "none": null, "t": "x"}}},
        {"type": "other", "other": {"contentBytes": "QUI"}},
        {"type": "entity", "subtype": null,
         "entity": {"tag": {"value": 7, "confidence": "0.5"}, "attributes": null, "box": {"l": 0, "t": 0, "w": 1, "h": 1}}}
    ]}))
    .unwrap();
    assert_eq!(body.timestamp_90k, Some(90));
    let InferenceValue::Event(event) = &body.inferences[0].value else {
        panic!()
    };
    let texts: Vec<_> = event
        .properties
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(texts, [("b", "true"), ("n", "1"), ("none", ""), ("t", "x")]);
    let InferenceValue::Other(other) = &body.inferences[1].value else {
        panic!()
    };
    assert_eq!(other.content_bytes, b"AB");
    let InferenceValue::Entity(entity) = &body.inferences[2].value else {
        panic!()
    };
    assert_eq!(
        (entity.tag.value.as_str(), entity.tag.confidence.unwrap().get()),
        ("7", 0.5)
    );
}

#[test]
fn http_answers_keep_their_order() {
    let answer: serde_json::Value =
        serde_json::from_str(r#"{"z":1,"inferences":[{"b":1,"a":2}],"timestamp":5}"#).unwrap();
    assert_eq!(
        add_timestamp(answer, 9).to_string(),
        r#"{"timestamp":9,"z":1,"inferences":[{"b":1,"a":2}]}"#
    );
    assert_eq!(add_timestamp(json!([1]), 9), json!([1]));
}

#[test]
fn newer_monitors_envelopes_survive() {
    let json = json!({"body": {"code": "x"}, "properties": {"eventType": "Microsoft.VideoAnalyzer.Diagnostics.RuntimeError", "own": "1"},
        "systemProperties": {"iothub-connection-module-id": "avaedge"}, "seen": true});
    let envelope = Envelope::from_json(json.clone()).unwrap();
    assert_eq!(envelope.properties_member, PropertiesMember::Properties);
    assert_eq!(serde_json::to_value(&envelope).unwrap(), json);
    assert_eq!(
        envelope.read_body().unwrap(),
        EventBody::RuntimeError(RuntimeError::new("x"))
    );
}

#[test]
fn a_box_comes_back_from_a_rectangle() {
    let bbox = BoundingBox::new(0.1, 0.25, 0.3, 0.7);
    let rectangle = Rectangle::from(bbox);
    assert_eq!(rectangle, Rectangle::new(0.1_f32, 0.25_f32, 0.3_f32, 0.7_f32));
    assert_eq!(BoundingBox::from(&rectangle), bbox);
}
