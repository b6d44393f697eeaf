use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn dialect() -> PlainDialect {
    PlainDialect::new(PlainOptions::new("a/b"))
}

fn publish(topic: &str, body: &str) -> Publish {
    Publish::new(topic, Qos::AtLeastOnce, body.to_owned())
}

fn read(topic: &str, body: &str) -> Received {
    dialect().read(publish(topic, body)).unwrap()
}

fn answer(request_id: String, body: &'static str) -> MethodAnswer {
    MethodAnswer {
        request_id,
        call: 1,
        status: 201,
        body: Bytes::from_static(body.as_bytes()),
        useful_until: Instant::now(),
    }
}

#[test]
fn the_module_is_announced_and_its_end_is_too() {
    let mut dialect = dialect();
    let will = dialect.will().unwrap();
    assert_eq!(
        (will.topic.as_str(), &will.payload[..], will.retain),
        ("lva/a%2Fb/status", &b"offline"[..], true)
    );
    let after_connect = dialect.after_connect();
    assert_eq!(&after_connect[0].payload[..], b"online");
    assert!(after_connect.iter().all(|publish| publish.retain));
    assert_eq!(&dialect.before_disconnect()[0].payload[..], b"offline");
}

#[test]
fn events_look_as_in_monitors_or_are_bare() {
    let event = OutputMessage::json("out/1", r#"{"b":1, "a":2}"#)
        .with_property("subject", "/s")
        .with_message_id("m");
    let published = dialect().event(&event);
    assert_eq!(published.topic, "lva/a%2Fb/outputs/out%2F1");
    assert!(!published.retain);
    let text = std::str::from_utf8(&published.payload).unwrap();
    assert!(
        text.starts_with(r#"{"body":{"b":1, "a":2},"properties":{"subject":"/s"},"#),
        "{text}"
    );
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        value["systemProperties"],
        json!({"messageId":"m","contentType":"application/json","contentEncoding":"utf-8"})
    );
    let bare = PlainDialect::new(PlainOptions::new("m").with_bare_events(true)).event(&event);
    assert_eq!(bare.payload, event.body);
    assert!(
        bare.properties
            .user
            .contains(&("$.mid".to_owned(), "m".to_owned()))
    );
    let binary = OutputMessage {
        body: vec![0xff].into(),
        ..OutputMessage::default()
    };
    let value: Value = serde_json::from_slice(&dialect().event(&binary).payload).unwrap();
    assert_eq!(value["body"], "/w==");
}

#[test]
fn methods_are_answered_at_their_topic() {
    for body in [r#"{"payload":{"name":"x"}}"#, r#"{"name":"x"}"#] {
        let Received::Method {
            name,
            request_id,
            body,
        } = read("lva/a%2Fb/methods/Get%2F1/request/r1", body)
        else {
            panic!("no method");
        };
        assert_eq!((name.as_str(), &body[..]), ("Get/1", &br#"{"name":"x"}"#[..]));
        let answered = dialect().answer(&answer(request_id, "[1]"));
        assert_eq!(answered.topic, "lva/a%2Fb/methods/Get%2F1/response/r1");
        assert_eq!(&answered.payload[..], br#"{"status":201,"payload":[1]}"#);
        assert_eq!(answered.properties.correlation_data, None);
    }
}

#[test]
fn a_method_whose_name_cannot_be_read_can_be_answered() {
    let Received::MalformedMethod { request_id } = read("lva/a%2Fb/methods/a%ff/request/r1", "") else {
        panic!("no method");
    };
    let answered = dialect().answer(&answer(request_id, "{}"));
    assert_eq!(answered.topic, "lva/a%2Fb/methods/a%ff/response/r1");
}

#[test]
fn a_response_topic_and_its_correlation_data_are_used() {
    let mut request = publish("lva/a%2Fb/methods/Get/request", "");
    request.properties.response_topic = Some("callers/7".to_owned());
    request.properties.correlation_data = Some(Bytes::from_static(&[0, 255]));
    let Received::Method { request_id, .. } = dialect().read(request.clone()).unwrap() else {
        panic!("no method");
    };
    let answered = dialect().answer(&answer(request_id, ""));
    assert_eq!(answered.topic, "callers/7");
    assert_eq!(&answered.payload[..], br#"{"status":201,"payload":null}"#);
    assert_eq!(
        answered.properties.correlation_data,
        Some(Bytes::from_static(&[0, 255]))
    );
    request.properties.response_topic = Some("callers/#".to_owned());
    assert!(dialect().read(request).is_err());
    assert!(
        dialect()
            .read(publish("lva/a%2Fb/methods/Get/request", ""))
            .is_err()
    );
}

#[test]
fn a_retained_request_is_not_carried_out() {
    let request = publish("lva/a%2Fb/methods/Get/request/1", "").retained();
    assert_eq!(dialect().read(request), Ok(Received::Unknown));
}

#[test]
fn inputs_come_wrapped_and_bare() {
    let wrapped =
        r#"{"body":{"count":2},"properties":{"eventTime":"t"},"systemProperties":{"messageId":"m"}}"#;
    let Received::Input(message) = read("lva/a%2Fb/inputs/in%2F1", wrapped) else {
        panic!("no input")
    };
    assert_eq!(message.input.as_deref(), Some("in/1"));
    assert_eq!(message.message_id.as_deref(), Some("m"));
    assert_eq!(message.property("eventTime"), Some("t"));
    assert_eq!(&message.body[..], br#"{"count":2}"#);
    let Received::Input(message) = read("lva/a%2Fb/inputs/i", r#"{"body":1,"more":2}"#) else {
        panic!("no input")
    };
    assert_eq!(&message.body[..], br#"{"body":1,"more":2}"#);
}

#[test]
fn reported_properties_are_published_as_a_whole() {
    let mut dialect = dialect();
    assert_eq!(dialect.after_connect().len(), 2);
    for (body, expected) in [
        (r#"{"a":1,"b":1}"#, r#"{"a":1,"b":1,"$version":1}"#),
        (r#"{"a":null,"c":2}"#, r#"{"b":1,"c":2,"$version":2}"#),
    ] {
        let request = TwinRequest::Report {
            request_id: 1,
            body: body.into(),
        };
        let published = dialect.twin(&request).unwrap();
        let value: Value = serde_json::from_slice(&published.payload).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(expected).unwrap());
        assert!(published.retain);
    }
    assert_eq!(dialect.after_connect().len(), 3);
    assert_eq!(dialect.twin(&TwinRequest::Get { request_id: 2 }), None);
}

#[test]
fn topics_of_others_are_not_ours() {
    for topic in [
        "lva/a%2Fbc/inputs/i",
        "lva/a/inputs/i",
        "x",
        "lva/a%2Fb/outputs/o",
        "lva/a%2Fb/methods//request/1",
    ] {
        assert_eq!(read(topic, ""), Received::Unknown, "{topic}");
    }
}

proptest! {
    #[test]
    fn any_name_is_one_level_and_comes_back(name in "\\PC{0,20}") {
        let level = encode_level(&name);
        prop_assert!(!level.contains(['+', '#', '/']));
        prop_assert_eq!(decode_level(&level).unwrap(), name);
    }

    #[test]
    fn any_message_is_read_or_refused(rest in "(inputs/|methods/.{0,5}/request|twin/desired).{0,10}", body in ".{0,40}") {
        let _ = dialect().read(publish(&format!("lva/a%2Fb/{rest}"), &body));
    }
}
