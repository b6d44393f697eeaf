//! A module with topics of its own on mosquitto, in both versions of MQTT.

use lva_hub::{
    Client, Component, ComponentKind, Discovery, FromHub, HubOptions, MqttVersion, OutputMessage,
    PlainOptions,
};
use rumqttc::v5;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::broker::Broker;
use crate::peer::Peer;
use crate::{connected, hasty, outbox, within};

const VERSIONS: [MqttVersion; 2] = [MqttVersion::V3_1_1, MqttVersion::V5];

fn start(
    broker: &Broker,
    version: MqttVersion,
    options: PlainOptions,
    directory: &TempDir,
) -> (Client, FromHub) {
    let options = HubOptions::plain(options, "127.0.0.1")
        .with_port(broker.port)
        .with_version(version)
        .with_session(hasty());
    Client::start(options, outbox(directory))
}

fn json_of(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_methods_twin_inputs_and_states_pass_in_both_versions_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    for version in VERSIONS {
        let module = format!("m-{version:?}");
        let root = format!("lva/{module}");
        let mut peer = Peer::start(broker.port, &format!("peer-{module}"), &[&format!("{root}/#")]).await;
        peer.publish_retained(
            &format!("{root}/twin/desired"),
            r#"{"logLevel":"Verbose","$version":7}"#,
        )
        .await;
        let directory = TempDir::new().unwrap();
        let (client, mut from_hub) = start(&broker, version, PlainOptions::new(&module), &directory);
        assert_eq!(&peer.next(&format!("{root}/status")).await.payload[..], b"online");
        assert!(json_of(&peer.next(&format!("{root}/info")).await.payload)["version"].is_string());

        let id = client
            .send(OutputMessage::json("out", r#"{"a":1}"#).with_property("subject", "/s"))
            .unwrap();
        let event = peer.next(&format!("{root}/outputs/out")).await;
        let value = json_of(&event.payload);
        assert_eq!(
            (&value["body"], &value["properties"]),
            (&json!({"a":1}), &json!({"subject":"/s"}))
        );
        assert_eq!(value["systemProperties"]["messageId"], id);

        let mut desired = client.desired();
        let twin = within("the twin", desired.wait_for(Option::is_some))
            .await
            .unwrap()
            .clone()
            .unwrap();
        assert_eq!(
            (twin.version, &twin.properties["logLevel"]),
            (7, &json!("Verbose"))
        );
        client.report(json!({"ProductInfo":"x"})).unwrap();
        let reported = peer.next(&format!("{root}/twin/reported")).await;
        assert_eq!(
            json_of(&reported.payload),
            json!({"ProductInfo":"x","$version":1})
        );

        peer.publish(
            &format!("{root}/methods/Get/request/r-1"),
            r#"{"payload":{"name":"x"}}"#,
        )
        .await;
        let call = within("a call", from_hub.methods.recv()).await.unwrap();
        assert_eq!((call.name(), call.payload()), ("Get", &json!({"name":"x"})));
        call.answer(200, json!([1]));
        let answer = peer.next(&format!("{root}/methods/Get/response/")).await;
        assert!(answer.topic.ends_with("/r-1"));
        assert_eq!(json_of(&answer.payload), json!({"status":200,"payload":[1]}));

        peer.publish(
            &format!("{root}/inputs/in"),
            r#"{"body":{"x":1},"properties":{"eventTime":"t"}}"#,
        )
        .await;
        let input = within("an input", from_hub.inputs.recv()).await.unwrap();
        assert_eq!(
            (&input.body[..], input.property("eventTime")),
            (&br#"{"x":1}"#[..], Some("t"))
        );

        client
            .set_state(&["instances", "i", "state"], Some("Active"))
            .unwrap();
        client
            .set_state(&["instances", "i", "zones", "q", "count"], Some("3"))
            .unwrap();
        assert_eq!(
            &peer.next(&format!("{root}/instances/i/state")).await.payload[..],
            b"Active"
        );
        peer.next(&format!("{root}/instances/i/zones/q/count")).await;
        client
            .set_state(&["instances", "i", "zones", "q", "count"], None)
            .unwrap();
        assert!(
            peer.next(&format!("{root}/instances/i/zones/q/count"))
                .await
                .payload
                .is_empty()
        );
        // For one who comes late: what stands, and neither events nor what was deleted.
        let mut late = Peer::start(broker.port, &format!("late-{module}"), &[&format!("{root}/#")]).await;
        let mut standing = Vec::new();
        while standing.len() < 5 {
            standing.push(late.next(&root).await.topic.replace(&root, ""));
        }
        standing.sort();
        assert_eq!(
            standing,
            [
                "/info",
                "/instances/i/state",
                "/status",
                "/twin/desired",
                "/twin/reported"
            ]
        );

        client.shutdown().await;
        assert_eq!(
            &peer.next(&format!("{root}/status")).await.payload[..],
            b"offline"
        );
        let stats = client.stats();
        assert_eq!(
            (
                stats.connections_lost,
                stats.unknown_messages,
                stats.malformed_messages
            ),
            (0, 0, 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_vanishes_is_reported_by_its_will_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    for version in VERSIONS {
        let mut peer = Peer::start(broker.port, &format!("peer-{version:?}"), &["lva/m/status"]).await;
        let directory = TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let client =
            runtime.block_on_elsewhere(|| start(&broker, version, PlainOptions::new("m"), &directory));
        while &peer.next("lva/m/status").await.payload[..] != b"online" {}
        // The end of its threads closes the socket without a DISCONNECT, as the end of its process would.
        runtime.shutdown_background();
        assert_eq!(&peer.next("lva/m/status").await.payload[..], b"offline");
        drop(client);
    }
}

/// Starts something on a runtime from within another.
trait Elsewhere {
    fn block_on_elsewhere<T>(&self, start: impl FnOnce() -> T) -> T;
}

impl Elsewhere for tokio::runtime::Runtime {
    fn block_on_elsewhere<T>(&self, start: impl FnOnce() -> T) -> T {
        let _entered = self.enter();
        start()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_callers_get_answers_at_their_response_topic_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    let directory = TempDir::new().unwrap();
    let options = PlainOptions::new("m").with_bare_events(true);
    let (client, mut from_hub) = start(&broker, MqttVersion::V5, options, &directory);
    connected(&client).await;
    let (caller, mut events) =
        v5::AsyncClient::new(v5::MqttOptions::new("caller", "127.0.0.1", broker.port), 100);
    caller
        .subscribe("answers/me", v5::mqttbytes::QoS::AtLeastOnce)
        .await
        .unwrap();
    caller
        .subscribe("lva/m/outputs/#", v5::mqttbytes::QoS::AtLeastOnce)
        .await
        .unwrap();
    let mut subscribed = 0;
    let mut received = Vec::new();
    let exchange = async {
        while received.len() < 2 {
            match events.poll().await.unwrap() {
                v5::Event::Incoming(v5::Incoming::SubAck(_)) => {
                    subscribed += 1;
                    if subscribed < 2 {
                        continue;
                    }
                    let properties = v5::mqttbytes::v5::PublishProperties {
                        response_topic: Some("answers/me".to_owned()),
                        correlation_data: Some(vec![7, 0, 255].into()),
                        ..Default::default()
                    };
                    let level = v5::mqttbytes::QoS::AtLeastOnce;
                    let topic = "lva/m/methods/Get/request";
                    caller
                        .publish_with_properties(topic, level, false, "{}", properties)
                        .await
                        .unwrap();
                    client
                        .send(OutputMessage::json("out", "[1]").with_property("subject", "/s"))
                        .unwrap();
                }
                v5::Event::Incoming(v5::Incoming::Publish(publish)) => received.push(publish),
                _ => {}
            }
        }
    };
    let answer = async {
        let call = from_hub.methods.recv().await.unwrap();
        call.answer(404, Value::Null);
    };
    within("the answers", async { tokio::join!(exchange, answer) }).await;
    received.sort_by_key(|publish| publish.topic.clone());
    let properties = received[0].properties.clone().unwrap();
    assert_eq!(&received[0].topic[..], b"answers/me");
    assert_eq!(properties.correlation_data.as_deref(), Some(&[7, 0, 255][..]));
    assert_eq!(
        json_of(&received[0].payload),
        json!({"status":404,"payload":null})
    );
    let properties = received[1].properties.clone().unwrap();
    assert_eq!(&received[1].payload[..], b"[1]");
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
    assert!(
        properties
            .user_properties
            .contains(&("subject".to_owned(), "/s".to_owned()))
    );
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn home_assistant_gets_the_announcement_again_when_it_starts_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    let mut home = Peer::start(broker.port, "home", &["homeassistant/device/#"]).await;
    let directory = TempDir::new().unwrap();
    let options = PlainOptions::new("m").with_discovery(Discovery::new("lva-1", "Cameras"));
    let (client, _from_hub) = start(&broker, MqttVersion::V3_1_1, options, &directory);
    let path = ["instances", "i", "zones", "q", "count"];
    client
        .announce(Component::new(ComponentKind::Sensor, &path, "People in q"))
        .unwrap();
    let topic = "homeassistant/device/lva-1/config";
    let announced = home.next(topic).await;
    let component = &json_of(&announced.payload)["cmps"]["instances_i_zones_q_count"];
    assert_eq!(component["state_topic"], "lva/m/instances/i/zones/q/count");
    connected(&client).await;
    home.publish("homeassistant/status", "online").await;
    assert_eq!(home.next(topic).await.payload, announced.payload);
    client.withdraw(&path);
    let withdrawn = json_of(&home.next(topic).await.payload);
    assert_eq!(
        withdrawn["cmps"]["instances_i_zones_q_count"],
        json!({"p":"sensor"})
    );
    client.shutdown().await;
}
