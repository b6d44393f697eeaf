//! Hostile and malformed input.

use lva_inference_schema::body::EventBody;
use lva_inference_schema::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn error(inference: Value) -> String {
    Inference::from_json(inference).expect_err("hostile").to_string()
}

#[test]
fn errors_name_the_member_and_the_problem() {
    for (inference, message) in [
        (json!([]), ": invalid type: sequence, expected an object"),
        (
            json!({"type": "face"}),
            ": unknown inference type \"face\"; use classification, motion, entity, text, event or other",
        ),
        (json!({"type": "entity"}), ": missing field `entity`"),
        (
            json!({"type": "entity", "entity": {"tag": {"value": "x"}}}),
            "/entity: missing field `box`",
        ),
        (
            json!({"entity": {"tag": {}, "box": {}}}),
            "/entity/tag: missing field `value`",
        ),
        (
            json!({"motion": {"box": {"l": "left"}}}),
            "/motion/box/l: expected a number, found a string",
        ),
        (
            json!({"motion": {"box": {"l": 1, "t": 2, "w": 3}}}),
            "/motion/box: missing field `h`",
        ),
        (
            json!({"event": {"name": {}, "properties": {}}}),
            "/event/name: expected a string, found an object",
        ),
        (
            json!({"event": {"name": "e", "properties": {"a/b": []}}}),
            "/event/properties/a~1b: expected a string, found an array",
        ),
        (
            json!({"text": {"value": "t", "startTimestamp": -1}}),
            "/text/startTimestamp: expected an integer from 0, found another number",
        ),
        (
            json!({"other": {"contentBytes": "*"}}),
            "/other/contentBytes: not base64: Invalid symbol 42, offset 0.",
        ),
        (
            json!({"motion": {}, "relatedInferences": ["a", 1]}),
            "/relatedInferences/1: invalid type: integer `1`, expected a string",
        ),
        (
            json!({"motion": {}, "extensions": "x"}),
            "/extensions: invalid type: string \"x\", expected a map",
        ),
    ] {
        assert_eq!(error(inference), message);
    }
    let body =
        AnalyticsBody::from_json(json!({"inferences": [{"motion": {}}, {"event": {"properties": {}}}]}));
    assert_eq!(
        body.unwrap_err().to_string(),
        "/inferences/1/event: missing field `name`"
    );
    assert!(matches!(
        AnalyticsBody::from_json(json!({})),
        Err(ReadError::Invalid { problem, .. }) if problem == "missing field `inferences`"
    ));
}

#[test]
fn malformed_envelopes_are_rejected() {
    for (json, message) in [
        (json!({}), ": missing field `body`"),
        (
            json!({"body": {}, "applicationProperties": []}),
            "/applicationProperties: invalid type: sequence, expected an object",
        ),
        (
            json!({"body": {}, "properties": {"topic": {}}}),
            "/properties/topic: expected a string, found an object",
        ),
    ] {
        assert_eq!(Envelope::from_json(json).unwrap_err().to_string(), message);
    }
}

#[test]
fn truncated_and_deeply_nested_json_is_an_error() {
    let whole =
        r#"{"timestamp":1,"inferences":[{"type":"motion","motion":{"box":{"l":0,"t":0,"w":1,"h":1}}}]}"#;
    for end in 0..whole.len() {
        assert!(AnalyticsBody::from_slice(&whole.as_bytes()[..end]).is_err());
    }
    let deep = format!(
        "{{\"inferences\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(matches!(
        AnalyticsBody::from_slice(deep.as_bytes()),
        Err(ReadError::Json(_))
    ));
    assert!(AnalyticsBody::from_slice(&[0xff, 0xfe]).is_err());
}

#[test]
fn times_that_do_not_fit_are_rejected() {
    for timestamp in [
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!("90x"),
        json!({}),
        json!("18446744073709551616"),
    ] {
        let body = AnalyticsBody::from_json(json!({"timestamp": timestamp, "inferences": []}));
        assert!(matches!(body, Err(ReadError::Invalid { .. })), "{timestamp}");
    }
    let largest = AnalyticsBody::from_json(json!({"timestamp": u64::MAX, "inferences": []})).unwrap();
    assert_eq!(largest.timestamp_90k, Some(u64::MAX));
}

/// JSON near the contract: its member names with values of any type.
fn near_miss() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z=+/]{0,8}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "type",
        "subtype",
        "inferenceId",
        "relatedInferences",
        "entity",
        "event",
        "motion",
        "text",
        "other",
        "classification",
        "tag",
        "box",
        "attributes",
        "value",
        "confidence",
        "name",
        "properties",
        "l",
        "t",
        "w",
        "h",
        "contentBytes",
        "timestamp",
        "inferences",
        "extensions",
        "valueCase",
        "sequenceId",
        "body",
        "applicationProperties",
    ]);
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                Value::Object(
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn anything_is_read_or_rejected_and_what_is_read_is_stable(json in near_miss()) {
        if let Ok(inference) = Inference::from_json(json.clone()) {
            for style in JsonStyle::ALL {
                let written = inference.to_json(style);
                let again = Inference::from_json(written.clone()).unwrap();
                prop_assert_eq!(again.to_json(style), written);
            }
        }
        let _ = AnalyticsBody::from_json(json.clone());
        for name in EventName::ALL {
            let _ = EventBody::from_json(Some(*name), json.clone());
        }
        let _ = Envelope::from_json(json);
    }

    #[test]
    fn any_bytes_are_read_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = AnalyticsBody::from_slice(&bytes);
        let _ = Envelope::from_slice(&bytes);
    }
}
