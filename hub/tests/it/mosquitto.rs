//! A module on mosquitto, with a client that plays the hub.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use lva_client_transport::{ClientCertificate, ClientTls};
use lva_hub::properties::decode_bag;
use lva_hub::{
    Client, ConnectionState, ConnectionString, Dial, FromHub, HubOptions, Identity, MqttStream, OutputMessage,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::broker::Broker;
use crate::edge_hub::Authority;
use crate::peer::Peer;
use crate::{connected, hasty, outbox, within};

const EVENTS: &str = "devices/dev1/modules/lva/messages/events/";

fn options(broker: &Broker) -> HubOptions {
    let identity = Identity::module("hub.example", "dev1", "lva").unwrap();
    HubOptions::hub_on_broker(identity, "127.0.0.1")
        .with_port(broker.port)
        .with_session(hasty())
}

fn start(broker: &Broker, directory: &TempDir) -> (Client, FromHub) {
    Client::start(options(broker), outbox(directory))
}

async fn hub(broker: &Broker) -> Peer {
    let filters = [
        "$iothub/twin/GET/#",
        "$iothub/twin/PATCH/properties/reported/#",
        "$iothub/methods/res/#",
        "devices/+/modules/+/messages/events/#",
    ];
    Peer::start(broker.port, "hub", &filters).await
}

fn request_id(topic: &str) -> &str {
    topic.split("$rid=").nth(1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_methods_twin_and_inputs_pass_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    let mut hub = hub(&broker).await;
    let directory = TempDir::new().unwrap();
    let (client, mut from_hub) = start(&broker, &directory);
    let event =
        OutputMessage::json("out", r#"{"count":2}"#).with_property("eventTime", "2024-01-01T00:00:00Z");
    let id = client.send(event).unwrap();
    let publish = hub.next(EVENTS).await;
    let bag = publish.topic.strip_prefix(EVENTS).unwrap();
    let bag = decode_bag(bag).unwrap();
    let value = |name: &str| {
        bag.iter()
            .find(|(own, _)| own == name)
            .and_then(|(_, value)| value.as_deref())
    };
    assert_eq!(value("$.on"), Some("out"));
    assert_eq!(value("$.mid"), Some(id.as_str()));
    assert_eq!(value("$.ct"), Some("application/json"));
    assert_eq!(value("eventTime"), Some("2024-01-01T00:00:00Z"));
    assert_eq!(&publish.payload[..], br#"{"count":2}"#);

    // Twin. What was asked before the helper listened is asked again.
    let (mut hub, desired) = twin(&broker, &client, hub).await;
    assert_eq!(Value::Object(desired), json!({"logLevel":"Information"}));
    let mut changes = client.desired();
    changes.mark_unchanged();
    hub.publish(
        "$iothub/twin/PATCH/properties/desired/?$version=4",
        r#"{"logLevel":"Verbose","$version":4}"#,
    )
    .await;
    within("a notice", changes.changed()).await.unwrap();
    let now = changes.borrow().clone().unwrap();
    assert_eq!(
        (now.version, now.properties["logLevel"].as_str()),
        (4, Some("Verbose"))
    );
    client.report(json!({"ProductInfo":"LVA"})).unwrap();
    let report = hub.next("$iothub/twin/PATCH/properties/reported/").await;
    assert_eq!(&report.payload[..], br#"{"ProductInfo":"LVA"}"#);
    let answer = format!(
        "$iothub/twin/res/204/?$rid={}&$version=2",
        request_id(&report.topic)
    );
    hub.publish(&answer, "").await;

    // Methods, answered in the other order.
    for (id, body) in [("a-1", r#"{"name":"x"}"#), ("b-2", "")] {
        let topic = format!("$iothub/methods/POST/GraphTopologyGet/?$rid={id}");
        hub.publish(&topic, body).await;
    }
    let first = within("a call", from_hub.methods.recv()).await.unwrap();
    let second = within("a call", from_hub.methods.recv()).await.unwrap();
    assert_eq!(
        (first.name(), first.payload()),
        ("GraphTopologyGet", &json!({"name":"x"}))
    );
    assert_eq!(second.payload(), &Value::Null);
    second.answer(404, json!({"error":{"code":"NotFound"}}));
    first.answer(200, Value::Null);
    let answer = hub.next("$iothub/methods/res/").await;
    assert_eq!(answer.topic, "$iothub/methods/res/404/?$rid=b-2");
    assert_eq!(&answer.payload[..], br#"{"error":{"code":"NotFound"}}"#);
    let answer = hub.next("$iothub/methods/res/").await;
    assert_eq!(
        (answer.topic.as_str(), &answer.payload[..]),
        ("$iothub/methods/res/200/?$rid=a-1", &b"null"[..])
    );

    // Methods that the application never sees, and one that it drops.
    hub.publish("$iothub/methods/POST/X/?$rid=c", "{not json").await;
    assert_eq!(
        hub.next("$iothub/methods/res/").await.topic,
        "$iothub/methods/res/400/?$rid=c"
    );
    hub.publish("$iothub/methods/POST/X/?$rid=d", vec![b'1'; 128 * 1024 + 1])
        .await;
    let answer = hub.next("$iothub/methods/res/").await;
    assert_eq!(answer.topic, "$iothub/methods/res/413/?$rid=d");
    assert!(answer.payload.len() < 300);
    hub.publish("$iothub/methods/POST/X/?$rid=e", "1").await;
    drop(within("a call", from_hub.methods.recv()).await);
    assert_eq!(
        hub.next("$iothub/methods/res/").await.topic,
        "$iothub/methods/res/500/?$rid=e"
    );

    // Inputs.
    let topic =
        "devices/dev1/modules/lva/inputs/recordingTrigger/%24.mid=m&eventTarget=%2FgraphInstances%2Fa";
    hub.publish(topic, "body").await;
    let input = within("an input", from_hub.inputs.recv()).await.unwrap();
    assert_eq!(input.input.as_deref(), Some("recordingTrigger"));
    assert_eq!(input.message_id.as_deref(), Some("m"));
    assert_eq!(input.property("eventTarget"), Some("/graphInstances/a"));
    assert_eq!(&input.body[..], b"body");

    client.shutdown().await;
    assert_eq!(client.stats().connections_lost, 0);
    assert_eq!(client.outbox_stats().waiting, 0);
}

/// Answers the client's question for the twin.
async fn twin(_: &Broker, client: &Client, mut hub: Peer) -> (Peer, serde_json::Map<String, Value>) {
    let mut desired = client.desired();
    let get = hub.next("$iothub/twin/GET/").await;
    let body = json!({"desired":{"logLevel":"Information","$version":3},"reported":{"$version":1}});
    let topic = format!("$iothub/twin/res/200/?$rid={}", request_id(&get.topic));
    hub.publish(&topic, body.to_string()).await;
    let found = within("the twin", desired.wait_for(Option::is_some))
        .await
        .unwrap()
        .clone();
    (hub, found.unwrap().properties)
}

/// The way to the broker, which a test closes so that the hub's helper is back before the module.
struct Gate {
    port: u16,
    is_open: AtomicBool,
}

#[async_trait::async_trait]
impl Dial for Gate {
    async fn dial(&self) -> std::io::Result<Box<dyn MqttStream>> {
        if !self.is_open.load(SeqCst) {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Box::new(TcpStream::connect(("127.0.0.1", self.port)).await?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_costs_no_event_and_makes_duplicates_with_equal_ids_only_or_skips() {
    const COUNT: u32 = 300;
    let Some(mut broker) = Broker::start("") else {
        return;
    };
    let mut hub = hub(&broker).await;
    let directory = TempDir::new().unwrap();
    let gate = Arc::new(Gate {
        port: broker.port,
        is_open: AtomicBool::new(true),
    });
    let (client, _from_hub) = Client::start(options(&broker).with_dialer(gate.clone()), outbox(&directory));
    let mut sent = HashMap::new();
    let mut send = |number: u32| {
        let id = client
            .send(OutputMessage::json("out", number.to_string()))
            .unwrap();
        sent.insert(id, number);
    };
    (0..COUNT / 3).for_each(&mut send);
    let first = hub.next(EVENTS).await;
    gate.is_open.store(false, SeqCst);
    broker.kill();
    (COUNT / 3..COUNT * 2 / 3).for_each(&mut send);
    broker.restart();
    hub.subscribe("devices/+/modules/+/messages/events/#").await;
    gate.is_open.store(true, SeqCst);
    (COUNT * 2 / 3..COUNT).for_each(&mut send);
    let mut received: Vec<u32> = Vec::new();
    let mut next = first;
    loop {
        let bag = decode_bag(next.topic.strip_prefix(EVENTS).unwrap()).unwrap();
        let id = bag
            .iter()
            .find(|(name, _)| name == "$.mid")
            .unwrap()
            .1
            .clone()
            .unwrap();
        let number: u32 = std::str::from_utf8(&next.payload).unwrap().parse().unwrap();
        assert_eq!(sent[&id], number, "an id stands for one event");
        received.push(number);
        if number == COUNT - 1 {
            break;
        }
        next = hub.next(EVENTS).await;
    }
    // What the broker had acknowledged and not passed on when it was killed is its loss: events of the first third. All
    // others are there.
    let missing: Vec<u32> = (COUNT / 3..COUNT)
        .filter(|number| !received.contains(number))
        .collect();
    assert_eq!(missing, [] as [u32; 0]);
    // Each run of numbers is in order; there are as many as connections.
    let runs = received.windows(2).filter(|two| two[1] <= two[0]).count() as u64 + 1;
    client.shutdown().await;
    assert!(runs <= client.stats().connected, "{runs} runs");
    let stats = client.outbox_stats();
    assert_eq!((stats.dropped_total(), stats.waiting), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_time_without_a_broker_come_in_order_after_a_restart_or_skips() {
    let Some(mut broker) = Broker::start("") else {
        return;
    };
    let directory = TempDir::new().unwrap();
    broker.kill();
    let (client, _from_hub) = start(&broker, &directory);
    for number in 0..50 {
        client
            .send(OutputMessage::json("out", number.to_string()))
            .unwrap();
    }
    client.shutdown().await;
    drop((client, _from_hub));
    broker.restart();
    let mut hub = hub(&broker).await;
    let (client, _from_hub) = start(&broker, &directory);
    for number in 0..50 {
        let publish = hub.next(EVENTS).await;
        assert_eq!(std::str::from_utf8(&publish.payload).unwrap(), number.to_string());
    }
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_by_another_client_leads_to_no_storm_or_skips() {
    /// The connection that is taken over first, and three after pauses of 1, 2 and 4 s, of which chance takes up to a half,
    /// but none below 1 s.
    const CONNECTS: u64 = 4;
    const LEAST: Duration = Duration::from_secs(1 + 1 + 2);
    let Some(broker) = Broker::start("") else { return };
    let directory = TempDir::new().unwrap();
    // The real pauses.
    let (client, _from_hub) = Client::start(
        options(&broker).with_session(Default::default()),
        outbox(&directory),
    );
    connected(&client).await;
    let mut state = client.state();
    let started = std::time::Instant::now();
    // Another client with the same id that comes back at once, each time that it is displaced.
    let rival = tokio::spawn({
        let port = broker.port;
        async move {
            loop {
                let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let connect = b"\x10\x14\x00\x04MQTT\x04\x02\x00\x3c\x00\x08dev1/lva";
                socket.write_all(connect).await.unwrap();
                let mut all = Vec::new();
                let _ = socket.read_to_end(&mut all).await;
            }
        }
    });
    let connects = || client.stats().connected + client.stats().connect_failures;
    let all = async {
        while connects() < CONNECTS {
            state.changed().await.unwrap();
        }
    };
    within("connects", all).await;
    let took = started.elapsed();
    rival.abort();
    assert!(took >= LEAST, "{} connects in {took:?}", connects());
    connected(&client).await;
    client.shutdown().await;
}

/// The lines of a listener's configuration for TLS as `localhost`.
fn tls_lines(authority: &Authority, directory: &TempDir) -> String {
    let (certificate, key) = authority.sign("localhost");
    let mut lines = String::new();
    for (name, pem) in [
        ("cafile", authority.pem()),
        ("certfile", certificate),
        ("keyfile", key),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, pem).unwrap();
        lines.push_str(&format!("{name} {}\n", path.display()));
    }
    lines
}

/// Whether this client connects, or fails.
async fn connects(options: HubOptions, directory: &TempDir) -> bool {
    let (client, _from_hub) = Client::start(options.with_session(hasty()), outbox(directory));
    let mut state = client.state();
    let settled = state.wait_for(|state| *state != ConnectionState::Connecting);
    let settled = within("a connection or a failure", settled)
        .await
        .unwrap()
        .clone();
    client.shutdown().await;
    settled == ConnectionState::Connected
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_websocket_with_tls_events_and_inputs_of_any_size_pass_or_skips() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new();
    let extra = format!(
        "protocol websockets\n{}listener SECOND_PORT 127.0.0.1\nprotocol mqtt",
        tls_lines(&authority, &directory)
    );
    let Some(broker) = Broker::start(&extra) else {
        return;
    };
    let mut hub = Peer::start(
        broker.second_port,
        "hub",
        &["devices/+/modules/+/messages/events/#"],
    )
    .await;
    let identity = Identity::module("hub.example", "dev1", "lva").unwrap();
    let options = HubOptions::hub_on_broker(identity, "localhost")
        .with_tls(ClientTls::from_pem([authority.pem()]).unwrap())
        .with_websocket()
        .with_port(broker.port)
        .with_session(hasty());
    let (client, mut from_hub) = Client::start(options, outbox(&directory));
    connected(&client).await;
    let long = format!("\"{}\"", "x".repeat(200_000));
    for body in ["{}", &long] {
        client.send(OutputMessage::json("out", body.to_owned())).unwrap();
        assert_eq!(hub.next(EVENTS).await.payload, body.as_bytes());
        // mosquitto sends no more than 4 KiB each 0.1 s over WebSocket.
        let body = &body.as_bytes()[..body.len().min(10_000)];
        hub.publish("devices/dev1/modules/lva/inputs/in/%24.mid=m", body)
            .await;
        let input = within("an input", from_hub.inputs.recv()).await.unwrap();
        assert_eq!(input.body, body);
    }
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_opens_no_websocket_is_named() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        loop {
            let (mut socket, _) = server.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
    });
    let directory = TempDir::new().unwrap();
    let identity = Identity::module("hub.example", "dev1", "lva").unwrap();
    let options = HubOptions::hub_on_broker(identity, "127.0.0.1")
        .with_websocket()
        .with_port(port);
    let (client, _from_hub) = Client::start(options, outbox(&directory));
    let mut state = client.state();
    let failed = state.wait_for(|state| matches!(state, ConnectionState::Waiting { .. }));
    let failed = within("a failure", failed).await.unwrap().clone();
    let ConnectionState::Waiting { reason, .. } = failed else {
        unreachable!("it was waited for");
    };
    assert!(reason.contains("404") && reason.contains("WebSocket"), "{reason}");
    client.shutdown().await;
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_tls_is_trusted_by_its_authority_alone_or_skips() {
    let directory = TempDir::new().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let Some(broker) = Broker::start(&tls_lines(&authority, &directory)) else {
        return;
    };
    for (trusted, is_accepted) in [(authority, true), (other, false)] {
        let identity = Identity::module("hub.example", "dev1", "lva").unwrap();
        let options = HubOptions::hub_on_broker(identity, "localhost")
            .with_tls(ClientTls::from_pem([trusted.pem()]).unwrap())
            .with_port(broker.port);
        assert_eq!(connects(options, &directory).await, is_accepted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_with_a_certificate_connects_without_a_token_or_skips() {
    let directory = TempDir::new().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let extra = format!("{}require_certificate true", tls_lines(&authority, &directory));
    let Some(broker) = Broker::start(&extra) else {
        return;
    };
    let trusting = ClientTls::from_pem([authority.pem()]).unwrap();
    let with_certificate = |signer: &Authority| {
        let (certificate, key) = signer.sign("lva");
        let own = ClientCertificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        trusting.clone().with_certificate(own)
    };
    for (tls, is_accepted) in [
        (with_certificate(&authority), true),
        (with_certificate(&other), false),
        (trusting.clone(), false),
    ] {
        let text = "HostName=localhost;DeviceId=dev1;ModuleId=lva;x509=true".into();
        let options = HubOptions::from_connection_string(ConnectionString::parse(&text).unwrap())
            .with_tls(tls)
            .with_port(broker.port);
        assert_eq!(connects(options, &directory).await, is_accepted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_again_and_the_right_one_found_or_skips() {
    let directory = TempDir::new().unwrap();
    let passwords = directory.path().join("passwords");
    std::fs::write(&passwords, "").unwrap();
    let Some(mut broker) = Broker::start(&format!(
        "allow_anonymous false\npassword_file {}",
        passwords.display()
    )) else {
        return;
    };
    let (client, _from_hub) = Client::start(
        options(&broker).with_credentials(lva_media_types::Credentials::new("user", "word")),
        outbox(&directory),
    );
    let mut state = client.state();
    let refused = state.wait_for(|state| matches!(state, ConnectionState::Waiting { .. }));
    within("a refusal", refused).await.unwrap();
    assert!(client.stats().not_authorized >= 1);
    // The operator adds the user.
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", passwords.to_str().unwrap(), "user", "word"])
        .status()
        .unwrap();
    assert!(made.success());
    broker.restart();
    connected(&client).await;
    client.shutdown().await;
}
