//! The published sample events.

use lva_inference_schema::body::EventBody;
use lva_inference_schema::*;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;

fn shared_data() -> PathBuf {
    std::env::var_os("LVA_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

/// The sample events, one a line, or `None` with a note on standard error.
fn samples() -> Option<Vec<Value>> {
    let path = shared_data().join("samples/events/events.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: no {} (set LVA_SHARED_DATA)",
            path.display()
        );
        return None;
    };
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect(),
    )
}

#[test]
fn every_published_event_comes_back_as_it_was_or_skips() {
    let Some(samples) = samples() else { return };
    assert_eq!(samples.len(), 29);
    for sample in samples {
        let event = &sample["event"];
        let envelope = Envelope::from_json(event.clone()).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&envelope.to_string()).unwrap(),
            *event
        );

        // And once more through the types of its body.
        let style = JsonStyle::of_body(&envelope.body);
        let body = if envelope.body.get("inferences").is_some() {
            EventBody::Analytics(AnalyticsBody::from_json(envelope.body.clone()).unwrap())
        } else {
            envelope.read_body().unwrap()
        };
        assert_eq!(body.to_json(style), envelope.body, "{}", sample["note"]);
    }
}

#[test]
fn every_published_event_type_is_in_the_catalogue_or_skips() {
    let Some(samples) = samples() else { return };
    let mut seen = 0;
    for sample in samples {
        let envelope = Envelope::from_json(sample["event"].clone()).unwrap();
        let Some(properties) = &envelope.properties else {
            continue;
        };
        let Some(written) = &properties.event_type else {
            continue;
        };
        let parsed: EventType = written.parse().unwrap();
        assert!(parsed.known().is_some(), "{written}");
        let subject: Subject = properties.subject.as_deref().unwrap().parse().unwrap();
        assert_eq!(Some(subject.to_string()), properties.subject);
        assert_eq!(subject.family(), parsed.family);
        seen += 1;
    }
    assert_eq!(seen, 19);
}

#[test]
fn the_event_time_of_analytics_is_the_time_of_the_frame_or_skips() {
    let Some(samples) = samples() else { return };
    let mut seen = 0;
    for sample in samples {
        let envelope = Envelope::from_json(sample["event"].clone()).unwrap();
        let (Some(properties), Ok(body)) = (
            &envelope.properties,
            AnalyticsBody::from_json(envelope.body.clone()),
        ) else {
            continue;
        };
        let (Some(timestamp), Ok(Some(time))) = (body.timestamp_90k, properties.time_90k()) else {
            continue;
        };
        if sample["note"]
            .as_str()
            .unwrap()
            .contains("do not expect it to match")
        {
            assert_ne!(timestamp, time);
            continue;
        }
        assert_eq!(timestamp, time);
        let written = properties.event_time.as_deref().unwrap();
        assert_eq!(event_time(timestamp), written.replace("0000Z", "Z"));
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_tutorials_event_is_written_byte_for_byte_but_for_the_order_of_properties() {
    let person = Entity::new(
        "person",
        0.66026187_f32,
        Rectangle::new(0.26559368_f32, 0.17887735_f32, 0.49247605_f32, 0.76629657_f32),
    );
    let entered = Event::new("personZoneEvent")
        .with_property("status", "Enter")
        .with_property("metadataVersion", "1.0")
        .with_property("zone", "polygon0")
        .with_property("trackingId", "a895c86824db41a898f776da1876d230");
    let body = AnalyticsBody::new(
        143_810_610_210_090,
        vec![
            Inference::new(person).with_id("a895c86824db41a898f776da1876d230"),
            Inference::new(entered)
                .with_id("995fe4206847467f8dfde83a15187d76")
                .related_to("a895c86824db41a898f776da1876d230"),
        ],
    );
    let written = serde_json::to_string(&body.styled(JsonStyle::Lva)).unwrap();
    let expected = concat!(
        r#"{"timestamp":143810610210090,"inferences":["#,
        r#"{"type":"entity","subtype":"","inferenceId":"a895c86824db41a898f776da1876d230","relatedInferences":[],"#,
        r#""entity":{"tag":{"value":"person","confidence":0.66026187},"attributes":[],"#,
        r#""box":{"l":0.26559368,"t":0.17887735,"w":0.49247605,"h":0.76629657}},"extensions":{},"valueCase":"entity"},"#,
        r#"{"type":"event","subtype":"","inferenceId":"995fe4206847467f8dfde83a15187d76","#,
        r#""relatedInferences":["a895c86824db41a898f776da1876d230"],"event":{"name":"personZoneEvent","#,
        r#""properties":{"metadataVersion":"1.0","status":"Enter","#,
        r#""trackingId":"a895c86824db41a898f776da1876d230","zone":"polygon0"}},"extensions":{},"valueCase":"event"}]}"#,
    );
    assert_eq!(written, expected);

    let compact = body.to_json(JsonStyle::VideoAnalyzer).to_string();
    for left_out in [
        "subtype",
        "valueCase",
        "attributes",
        "extensions",
        "\"relatedInferences\":[]",
    ] {
        assert!(!compact.contains(left_out), "{left_out}");
    }
}

/// Bodies of inference events against the published schema of their product family. The shipped modules broke it
/// in three ways: `subtype` that is empty, `valueCase`, and `sequenceId`.
#[test]
fn bodies_keep_the_published_schema_where_the_contract_says_so_or_skips() {
    let Some(samples) = samples() else { return };
    let mut kept = Vec::new();
    let mut broken = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let body = &sample["event"]["body"];
        if body.get("inferences").is_none() {
            continue;
        }
        let family = if sample["generation"] == "ava" {
            "ava"
        } else {
            "lva"
        };
        let path = shared_data().join(format!("contracts/{family}/Extension Data Schema.json"));
        let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let text = body.to_string();
        let known = ["\"subtype\":\"\"", "\"valueCase\"", "\"sequenceId\""];
        let breaks = known.iter().any(|member| text.contains(member));
        assert_eq!(validator.is_valid(body), !breaks, "{index}: {text}");
        if breaks { &mut broken } else { &mut kept }.push(index);

        // What this crate writes of it in the newer style keeps the schema, but for the tracker's identity.
        let read = AnalyticsBody::from_json(body.clone()).unwrap();
        let newer = read.to_json(JsonStyle::VideoAnalyzer);
        let tracked = text.contains("\"sequenceId\"");
        assert_eq!(validator.is_valid(&newer), !tracked, "{index}: {newer}");
    }
    assert_eq!(kept, [10, 11, 12, 16, 20, 23, 24, 27, 28]);
    assert_eq!(broken, [13, 21, 22]);
}
