//! The twin over HTTP: the module's own without a hub or with a broker, the hub's under a hub.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::peer::Peer;
use crate::site::Site;
use crate::support::{Client, Program, activated, config, instance, named, started};

const TWIN: &str = "/twins/device/modules/lvaEdge?api-version=2021-04-12";

impl Client {
    async fn twin(&mut self, method: &str, path: &str, if_match: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let request = request.body(Bytes::from(body.to_string())).unwrap();
        let (status, body) = self.request(request).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn read_twin(&mut self) -> Value {
        let (status, twin) = self.twin("GET", TWIN, None, json!(null)).await;
        assert_eq!(status, 200, "{twin}");
        twin
    }

    /// Changes desired properties, and has to succeed.
    async fn desire(&mut self, desired: Value) -> Value {
        let patch = json!({"properties": {"desired": desired}});
        let (status, twin) = self.twin("PATCH", TWIN, Some("\"*\""), patch).await;
        assert_eq!(status, 200, "{twin}");
        twin
    }
}

#[tokio::test]
async fn without_a_hub_the_module_owns_its_desired_properties() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    let new = client.read_twin().await;
    assert_eq!(
        (&new["deviceId"], &new["moduleId"]),
        (&json!("device"), &json!("lvaEdge"))
    );
    assert_eq!(new["properties"]["desired"], json!({"$version": 1}));
    assert_eq!(new["properties"]["reported"]["State"], "Running");

    activated(&mut client, "one").await;
    let desired = json!({
        "allowUnsecuredEndpoints": false, "logLevel": "Loud", "site": {"floor": 1, "door": "a"},
        "ProvisioningToken": "geheim-20",
    });
    let changed = client.desire(desired).await;
    assert_eq!(changed["version"], 2);
    assert_ne!(changed["etag"], new["etag"]);
    assert!(!changed.to_string().contains("geheim"), "{changed}");
    let reported = &changed["properties"]["reported"];
    assert_eq!(reported["DesiredVersion"], 2);
    assert!(reported["Problems"].as_str().unwrap().contains("logLevel"));
    // In force at once.
    client.method("GraphInstanceSet", &instance("two")).await;
    let (status, answer) = client.method("GraphInstanceActivate", &named("two")).await;
    assert!(
        status == 409 && answer.to_string().contains("allowUnsecuredEndpoints"),
        "{answer}"
    );

    let changed = client
        .desire(json!({"logLevel": null, "site": {"door": null}, "$version": 77}))
        .await;
    assert_eq!(
        changed["properties"]["desired"],
        json!({"allowUnsecuredEndpoints": false, "site": {"floor": 1}, "$version": 3})
    );
    assert_eq!(changed["properties"]["reported"].get("Problems"), None);
    assert!(module.stop().await);

    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    let kept = client.read_twin().await;
    assert_eq!(
        (&kept["etag"], &kept["properties"]["desired"]),
        (&changed["etag"], &changed["properties"]["desired"])
    );
    assert_eq!(client.method("GraphInstanceActivate", &named("two")).await.0, 409);
    client.desire(json!({"allowUnsecuredEndpoints": true})).await;
    assert_eq!(client.method("GraphInstanceActivate", &named("two")).await.0, 200);
    let file = directory.path().join("data/twin.json");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_twin_that_has_changed_since_it_was_read_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    let read = client.read_twin().await;
    let tag = format!("\"{}\"", read["etag"].as_str().unwrap());
    let patch = |value: u64| json!({"properties": {"desired": {"a": value}}});
    let (status, first) = client.twin("PATCH", TWIN, Some(&tag), patch(1)).await;
    assert_eq!(status, 200, "{first}");
    let (status, second) = client.twin("PATCH", TWIN, Some(&tag), patch(2)).await;
    assert!(status == 412 && second.to_string().contains("412001"), "{second}");
    let (status, second) = client.twin("PUT", TWIN, Some(&tag), patch(2)).await;
    assert_eq!(status, 412, "{second}");
    assert_eq!(client.read_twin().await, first);
    let (status, replaced) = client
        .twin("PUT", TWIN, None, json!({"properties": {"desired": {"b": 1}}}))
        .await;
    assert_eq!(status, 200, "{replaced}");
    assert_eq!(replaced["properties"]["desired"], json!({"b": 1, "$version": 3}));
    // The same, plainly.
    let (_, plain) = client.twin("GET", "/api/v1/twin", None, json!(null)).await;
    assert_eq!(plain, replaced);
    let (status, plain) = client.twin("PATCH", "/api/v1/twin", None, patch(3)).await;
    assert!(
        status == 200 && plain["properties"]["desired"]["a"] == 3,
        "{plain}"
    );
}

#[tokio::test]
async fn what_no_twin_holds_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    for body in [
        json!([]),
        json!({"properties": {"desired": "text"}}),
        json!({"properties": {"desired": {"a.b": 1}}}),
        json!({"properties": {"desired": {"large": vec!["x".repeat(4000); 9]}}}),
        json!({"tags": {"floor": 1}}),
    ] {
        let (status, answer) = client.twin("PATCH", TWIN, None, body.clone()).await;
        assert!(
            status == 400 && answer.to_string().contains("400004"),
            "{body}: {answer}"
        );
    }
    assert_eq!(client.read_twin().await["version"], 1);
    for method in ["GET", "PATCH", "PUT"] {
        let other = "/twins/device/modules/other";
        let (status, answer) = client.twin(method, other, None, json!({})).await;
        assert!(status == 404 && answer.to_string().contains("404010"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_logs_are_written_where_the_twin_says_while_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path());
    let mut client = Client::of(program.address);
    let logs = directory.path().join("logs");
    let has_lines = |text: &str| {
        let log = std::fs::read_to_string(logs.join("lva-edge-debug.log")).unwrap();
        log.contains(text)
    };
    client
        .desire(json!({"debugLogsDirectory": logs, "logLevel": "Error"}))
        .await;
    client
        .method("GraphInstanceList", &json!({"@apiVersion": "1.0"}))
        .await;
    let written = async {
        while !has_lines("Request started: Method name: 'GraphInstanceList'.") {
            tokio::task::yield_now().await;
        }
    };
    crate::within("a line", written).await;
    // A file is not a directory.
    let wrong = directory.path().join("lva-edge-data/state.json/logs");
    activated(&mut client, "one").await;
    let twin = client.desire(json!({"debugLogsDirectory": wrong})).await;
    let reported = &twin["properties"]["reported"];
    assert_eq!(reported["State"], "Running");
    assert!(
        reported["Problems"]
            .as_str()
            .unwrap()
            .contains("debugLogsDirectory"),
        "{twin}"
    );
    let twin = client.desire(json!({"debugLogsDirectory": null})).await;
    assert_eq!(twin["properties"]["reported"].get("Problems"), None);
    client
        .method("GraphTopologyList", &json!({"@apiVersion": "1.0"}))
        .await;
    assert!(!has_lines("GraphTopologyList") && !has_lines("geheim"));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_hub_the_twin_is_read_here_and_changed_there() {
    let mut site = Site::new().await;
    site.hub.set(|behaviour| behaviour.answer_twin = false);
    let program = site.start(&[]);
    site.subscribe().await;
    let path = "/twins/dev1/modules/lva%3DEdge?api-version=2021-04-12";
    let mut client = Client::of(program.address);
    let (status, answer) = client.twin("GET", path, None, json!(null)).await;
    assert_eq!(status, 503, "{answer}");

    site.hub.set(|behaviour| behaviour.answer_twin = true);
    // Asked again at once, instead of after a while.
    site.hub.close();
    assert_eq!(site.reported("State").await, "Running");
    let (status, twin) = client.twin("GET", path, None, json!(null)).await;
    assert_eq!((status, &twin["connectionState"]), (200, &json!("Connected")));
    let desired = &twin["properties"]["desired"];
    assert_eq!(
        (&desired["$version"], &desired["aadTenantId"]),
        (&json!(3), &json!("tenant"))
    );
    assert!(!twin.to_string().contains("geheim"), "{twin}");
    for method in ["PATCH", "PUT"] {
        let body = json!({"properties": {"desired": {"logLevel": "Error"}}});
        let (status, answer) = client.twin(method, path, Some("*"), body).await;
        assert!(
            status == 403 && answer.to_string().contains("hub.example"),
            "{answer}"
        );
    }
    let (_, same) = client.twin("GET", path, None, json!(null)).await;
    assert_eq!(same["properties"]["desired"], *desired);
    assert_eq!(site.hub.violations(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_broker_the_module_publishes_what_it_was_told_and_hears_others_or_skips() {
    let Some(mut broker) = Broker::start("") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let topic = "lva/lvaEdge/twin/desired";
    let mut peer = Peer::start(broker.port, "peer", &[topic]).await;
    peer.publish_retained(topic, r#"{"a":1,"$version":4}"#).await;
    peer.next(topic).await;
    let program = Program::start_with(directory.path(), &["--broker", &url], None);
    let mut client = Client::of(program.address);
    let version = async |client: &mut Client, version: u64| {
        let reached = async {
            while client.read_twin().await["version"] != version {
                tokio::task::yield_now().await;
            }
        };
        crate::within("the version", reached).await;
    };
    version(&mut client, 4).await;
    client.desire(json!({"b": 2})).await;
    let now = peer.next(topic).await;
    let document: Value = serde_json::from_slice(&now.payload).unwrap();
    assert_eq!(document, json!({"a": 1, "b": 2, "$version": 5}));

    // Without the broker, and over a restart.
    broker.kill();
    client.desire(json!({"c": 3})).await;
    let mut program = program;
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    let program = Program::start_with(directory.path(), &["--broker", &url], None);
    let mut client = Client::of(program.address);
    assert_eq!(client.read_twin().await["version"], 6);
    broker.restart();
    // The broker forgot everything, and the peer does not subscribe again by itself.
    let mut peer = Peer::start(broker.port, "peer-2", &[topic]).await;
    let now = peer.next(topic).await;
    let document: Value = serde_json::from_slice(&now.payload).unwrap();
    assert_eq!(document, json!({"a": 1, "b": 2, "c": 3, "$version": 6}));

    peer.publish_retained(topic, r#"{"d":4,"$version":9}"#).await;
    version(&mut client, 9).await;
    assert_eq!(
        client.read_twin().await["properties"]["desired"],
        json!({"d": 4, "$version": 9})
    );
}
