//! A module under IoT Edge: environment, workload API, and a strict edgeHub.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lva_hub::workload::{Workload, WorkloadError};
use lva_hub::{Client, ConnectionState, EdgeEnvironment, FromHub, HubOptions, OutputMessage};
use serde_json::json;
use tempfile::TempDir;

use crate::edge_hub::{Authority, EdgeHub, PATH, Seen};
use crate::workload::{WorkloadServer, signature};
use crate::{connected, hasty, outbox, within};

struct Edge {
    hub: EdgeHub,
    workload: WorkloadServer,
    directory: TempDir,
}

/// A gateway whose certificate is for `name`, and a trust bundle of two authorities, one of them its own if `is_vouched_for`.
async fn edge(name: &str, is_vouched_for: bool) -> Edge {
    let directory = TempDir::new().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let hub = EdgeHub::start(&authority, name).await;
    let second = if is_vouched_for {
        authority
    } else {
        Authority::new()
    };
    // One that cannot be used spoils nothing.
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    let bundle = format!("{broken}\n{}\n{}", other.pem(), second.pem());
    let workload = WorkloadServer::start(directory.path().join("workload.sock"), bundle);
    Edge {
        hub,
        workload,
        directory,
    }
}

impl Edge {
    fn environment(&self) -> EdgeEnvironment {
        let uri = format!("unix://{}", self.workload.path.display());
        let lookup = |name: &str| {
            let value = match name {
                "IOTEDGE_IOTHUBHOSTNAME" => "hub.example",
                "IOTEDGE_GATEWAYHOSTNAME" => "localhost",
                "IOTEDGE_DEVICEID" => "dev1",
                "IOTEDGE_MODULEID" => "lva=Edge",
                "IOTEDGE_MODULEGENERATIONID" => "7",
                "IOTEDGE_WORKLOADURI" => &uri,
                "IOTEDGE_APIVERSION" => "2022-08-03",
                "IOTEDGE_AUTHSCHEME" => "sasToken",
                _ => return None,
            };
            Some(value.to_owned())
        };
        EdgeEnvironment::from_lookup(lookup).unwrap()
    }

    fn options(&self) -> HubOptions {
        HubOptions::from_edge(&self.environment())
            .unwrap()
            .with_port(self.hub.port)
            .with_session(hasty())
    }

    fn start(&self, change: impl FnOnce(HubOptions) -> HubOptions) -> (Client, FromHub) {
        Client::start(change(self.options()), outbox(&self.directory))
    }

    async fn connect(&mut self) -> u64 {
        let pick = |seen| match seen {
            Seen::Connect { expires, .. } => Some(expires),
            _ => None,
        };
        self.hub.next("CONNECT", pick).await
    }

    async fn subscribe(&mut self) -> Vec<String> {
        let pick = |seen| match seen {
            Seen::Subscribe(filters) => Some(filters),
            _ => None,
        };
        self.hub.next("SUBSCRIBE", pick).await
    }

    async fn event(&mut self) -> (String, bool) {
        let pick = |seen| match seen {
            Seen::Event { topic, duplicate, .. } => Some((topic, duplicate)),
            _ => None,
        };
        self.hub.next("an event", pick).await
    }

    async fn answer(&mut self) -> String {
        let pick = |seen| match seen {
            Seen::Answer { topic, .. } => Some(topic),
            _ => None,
        };
        self.hub.next("a method's answer", pick).await
    }
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn waiting(client: &Client) -> String {
    let mut state = client.state();
    let wait = state.wait_for(|state| matches!(state, ConnectionState::Waiting { .. }));
    match within("a failure", wait).await.unwrap().clone() {
        ConnectionState::Waiting { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_module_connects_with_a_token_of_the_workload_api_and_disconnects() {
    let mut edge = edge("localhost", true).await;
    let begun = unix_s();
    let (client, _from_hub) = edge.start(|options| options);
    let expires = edge.connect().await;
    assert!((begun + 3600..=unix_s() + 3600).contains(&expires));
    let filters = edge.subscribe().await;
    assert_eq!(filters.len(), 4);
    let id = client.send(OutputMessage::json("out", "{}")).unwrap();
    let (topic, duplicate) = edge.event().await;
    assert!(topic.contains(&format!("%24.mid={id}&")) && !duplicate, "{topic}");
    let mut desired = client.desired();
    let twin = within("the twin", desired.wait_for(Option::is_some))
        .await
        .unwrap()
        .clone()
        .unwrap();
    assert_eq!((twin.version, &twin.properties["a"]), (3, &json!(1)));
    client.shutdown().await;
    edge.hub
        .next("DISCONNECT", |seen| (seen == Seen::Disconnect).then_some(()))
        .await;
    assert_eq!(edge.hub.violations(), [] as [String; 0]);
    assert_eq!(edge.workload.signatures.load(SeqCst), 1);
}

#[tokio::test]
async fn a_gateway_that_the_bundle_does_not_vouch_for_is_not_trusted() {
    let edge = edge("localhost", false).await;
    let (client, _from_hub) = edge.start(|options| options);
    let reason = waiting(&client).await;
    assert!(reason.contains("trusted"), "{reason}");
    assert_eq!(client.stats().connected, 0);
    assert_eq!(
        edge.workload.signatures.load(SeqCst),
        0,
        "no token for an untrusted gateway"
    );
}

#[tokio::test]
async fn a_gateway_with_another_name_is_not_trusted() {
    let edge = edge("other.example", true).await;
    let (client, _from_hub) = edge.start(|options| options);
    let reason = waiting(&client).await;
    assert!(reason.contains("another host"), "{reason}");
    assert_eq!(client.stats().connected, 0);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_events_go_on() {
    // A fifth of it is what a busy machine may take for a renewal.
    const LIFE: Duration = Duration::from_secs(15);
    let mut edge = edge("localhost", true).await;
    let (client, _from_hub) = edge.start(|options| options.with_token_life(LIFE));
    let first = edge.connect().await;
    client.send(OutputMessage::json("out", "1")).unwrap();
    edge.event().await;
    let second = edge.connect().await;
    let third = edge.connect().await;
    assert!(first < second && second < third, "{first} {second} {third}");
    client.send(OutputMessage::json("out", "2")).unwrap();
    edge.event().await;
    let stats = client.stats();
    assert_eq!((stats.connections_lost, stats.tokens_renewed), (0, 2));
    client.shutdown().await;
    assert_eq!(edge.hub.violations(), [] as [String; 0]);
}

#[tokio::test]
async fn after_connack_5_it_signs_anew_and_goes_on() {
    let mut edge = edge("localhost", true).await;
    edge.hub.set(|behaviour| behaviour.refuse = 3);
    let (client, _from_hub) = edge.start(|options| options);
    connected(&client).await;
    assert_eq!(client.stats().not_authorized, 3);
    assert_eq!(
        edge.workload.signatures.load(SeqCst),
        4,
        "one token for each CONNECT"
    );
    edge.subscribe().await;
    client.shutdown().await;
    assert_eq!(edge.hub.violations(), [] as [String; 0]);
}

#[tokio::test]
async fn unacknowledged_events_are_sent_again_whether_the_session_is_present_or_not() {
    for session_present in [false, true] {
        let mut edge = edge("localhost", true).await;
        edge.hub.set(|behaviour| {
            behaviour.acknowledge = false;
            behaviour.session_present = session_present;
        });
        let (client, _from_hub) = edge.start(|options| options);
        for number in 0..15 {
            client
                .send(OutputMessage::json("out", number.to_string()))
                .unwrap();
        }
        let mut before = Vec::new();
        for _ in 0..10 {
            before.push(edge.event().await.0);
        }
        edge.hub.set(|behaviour| behaviour.acknowledge = true);
        edge.hub.close();
        assert_eq!(edge.subscribe().await.len(), 4, "subscribed anew");
        let mut after = Vec::new();
        for index in 0..15 {
            let (topic, duplicate) = edge.event().await;
            assert_eq!(duplicate, session_present && index < 10);
            after.push(topic);
        }
        assert_eq!(
            before,
            after[..10],
            "the same events with the same ids in the same order"
        );
        client.shutdown().await;
        assert_eq!(client.stats().events_resent, 10);
        assert_eq!(client.outbox_stats().waiting, 0);
        assert_eq!(edge.hub.violations(), [] as [String; 0]);
    }
}

#[tokio::test]
async fn a_twin_answer_lost_with_the_connection_is_asked_for_again() {
    let mut edge = edge("localhost", true).await;
    edge.hub.set(|behaviour| behaviour.answer_twin = false);
    let (client, _from_hub) = edge.start(|options| options);
    client.report(json!({"state":"ready"})).unwrap();
    let report = |seen| match seen {
        Seen::Report(body) => Some(body),
        _ => None,
    };
    assert_eq!(edge.hub.next("a report", report).await, br#"{"state":"ready"}"#);
    assert!(client.is_reporting());
    edge.hub.set(|behaviour| behaviour.answer_twin = true);
    edge.hub.close();
    let mut desired = client.desired();
    within("the twin", desired.wait_for(Option::is_some))
        .await
        .unwrap();
    assert_eq!(
        edge.hub.next("the report again", report).await,
        br#"{"state":"ready"}"#
    );
    client.shutdown().await;
    assert!(!client.is_reporting());
}

#[tokio::test]
async fn methods_still_work_after_a_reconnection_and_an_answer_finds_the_new_connection() {
    let mut edge = edge("localhost", true).await;
    let (client, mut from_hub) = edge.start(|options| options);
    edge.subscribe().await;
    edge.hub.publish("$iothub/methods/POST/First/?$rid=1", "{}");
    let call = within("a call", from_hub.methods.recv()).await.unwrap();
    edge.hub.close();
    edge.subscribe().await;
    call.answer(200, json!({}));
    assert_eq!(edge.answer().await, "$iothub/methods/res/200/?$rid=1");
    edge.hub.publish("$iothub/methods/POST/Second/?$rid=2", "");
    let call = within("a call", from_hub.methods.recv()).await.unwrap();
    assert_eq!(call.name(), "Second");
    call.answer(201, json!({}));
    assert_eq!(edge.answer().await, "$iothub/methods/res/201/?$rid=2");
    client.shutdown().await;
}

#[tokio::test]
async fn refused_subscriptions_are_asked_for_again_until_they_are_granted() {
    let mut edge = edge("localhost", true).await;
    edge.hub.set(|behaviour| {
        behaviour.refuse_filters = 2;
        // A twin that answers without a subscription would hide that it is asked for again.
        behaviour.answer_twin = false;
    });
    let (client, mut from_hub) = edge.start(|options| options);
    for _ in 0..3 {
        assert_eq!(edge.subscribe().await.len(), 4);
    }
    edge.hub.publish("$iothub/methods/POST/First/?$rid=1", "");
    let call = within("a call", from_hub.methods.recv()).await.unwrap();
    call.answer(200, json!({}));
    assert_eq!(edge.answer().await, "$iothub/methods/res/200/?$rid=1");
    edge.hub.set(|behaviour| behaviour.answer_twin = true);
    client.shutdown().await;
    let stats = client.stats();
    assert_eq!((stats.subscriptions_refused, stats.connected), (8, 1));
    assert_eq!(edge.hub.violations(), [] as [String; 0]);
}

#[tokio::test]
async fn a_request_id_that_comes_again_after_a_reconnection_gets_the_new_answer() {
    let mut edge = edge("localhost", true).await;
    let (client, mut from_hub) = edge.start(|options| options);
    edge.subscribe().await;
    edge.hub.publish("$iothub/methods/POST/First/?$rid=1", "{}");
    let first = within("a call", from_hub.methods.recv()).await.unwrap();
    edge.hub.close();
    edge.subscribe().await;
    edge.hub.publish("$iothub/methods/POST/Second/?$rid=1", "{}");
    let second = within("a call", from_hub.methods.recv()).await.unwrap();
    assert_eq!(second.name(), "Second");
    first.answer(201, json!("first"));
    second.answer(202, json!("second"));
    assert_eq!(edge.answer().await, "$iothub/methods/res/202/?$rid=1");
    client.shutdown().await;
    assert_eq!(client.stats().answers_dropped, 1);
}

#[tokio::test]
async fn a_method_whose_name_cannot_be_read_is_answered() {
    let mut edge = edge("localhost", true).await;
    let (client, _from_hub) = edge.start(|options| options);
    edge.subscribe().await;
    edge.hub.publish("$iothub/methods/POST/a%ff/?$rid=7", "");
    assert_eq!(edge.answer().await, "$iothub/methods/res/400/?$rid=7");
    client.shutdown().await;
}

#[tokio::test]
async fn inputs_arrive_and_own_events_that_come_back_do_not() {
    let mut edge = edge("localhost", true).await;
    let (client, mut from_hub) = edge.start(|options| options);
    edge.subscribe().await;
    edge.hub
        .publish(&format!("{PATH}/messages/events/%24.on=out"), "own");
    edge.hub.publish(
        &format!("{PATH}/inputs/in1/%24.cdid=dev1&%24.cmid=other&x=1"),
        "body",
    );
    let input = within("an input", from_hub.inputs.recv()).await.unwrap();
    assert_eq!(input.input.as_deref(), Some("in1"));
    assert_eq!(input.sender_module.as_deref(), Some("other"));
    assert_eq!(&input.body[..], b"body");
    assert_eq!(client.stats().echoes_ignored, 1);
    assert_eq!(client.stats().inputs_received, 1);
    client.shutdown().await;
}

#[tokio::test]
async fn the_workload_api_signs_trusts_and_gives_certificates() {
    let edge = edge("localhost", true).await;
    let workload = Workload::new(&edge.environment()).unwrap();
    assert_eq!(workload.sign("text").await.unwrap(), signature(b"text"));
    workload.trust_bundle().await.unwrap();
    let certificate = workload.server_certificate("lva.local").await.unwrap();
    assert_eq!(certificate.private_key_pem.expose(), "PEM of a key");
    assert!(!format!("{certificate:?}").contains("PEM of a key"));
    // Too busy: it closes without an answer, and is asked again.
    edge.workload.close_next.store(2, SeqCst);
    assert_eq!(workload.sign("text").await.unwrap(), signature(b"text"));
}

#[tokio::test]
async fn a_workload_api_that_refuses_or_is_missing_is_explained() {
    let edge = edge("localhost", true).await;
    let mut environment = edge.environment();
    environment.generation_id = "8".to_owned();
    let error = Workload::new(&environment)
        .unwrap()
        .sign("text")
        .await
        .unwrap_err();
    assert!(
        matches!(error, WorkloadError::Status { status: 403, .. }),
        "{error}"
    );
    environment.workload_uri = "unix:///nowhere/workload.sock".to_owned();
    let error = Workload::new(&environment)
        .unwrap()
        .sign("text")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("unix:///nowhere/workload.sock"),
        "{error}"
    );
}
