//! The module on mosquitto, without a hub.

use std::collections::VecDeque;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::peer::Peer;
use crate::support::{Program, instance, named, topology};

/// Another client, which keeps what comes while it waits for something else.
struct Listener {
    peer: Peer,
    kept: VecDeque<(String, String)>,
}

impl Listener {
    /// The next message on a topic.
    async fn text(&mut self, topic: &str) -> String {
        if let Some(index) = self.kept.iter().position(|(own, _)| own == topic) {
            return self.kept.remove(index).unwrap().1;
        }
        loop {
            let publish = self.peer.next("").await;
            let text = String::from_utf8(publish.payload.to_vec()).unwrap();
            if publish.topic == topic {
                return text;
            }
            self.kept.push_back((publish.topic, text));
        }
    }

    async fn json(&mut self, topic: &str) -> Value {
        serde_json::from_str(&self.text(topic).await).unwrap()
    }

    async fn call(&mut self, name: &str, payload: Value) -> Value {
        let request = format!("lva/lvaEdge/methods/{name}/request/1");
        self.peer
            .publish(&request, json!({"payload": payload}).to_string())
            .await;
        self.json(&format!("lva/lvaEdge/methods/{name}/response/1")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_from_a_file_and_no_list_of_processes_shows_it_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let users = file("users", "");
    let Some(mut broker) = Broker::start(&format!("allow_anonymous false\npassword_file {users}")) else {
        return;
    };
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", &users, "site", "geheim-21"])
        .status()
        .unwrap();
    assert!(made.success());
    broker.restart();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let password = file("password", "geheim-21\n");
    let flags = [
        "--broker",
        &url,
        "--broker-user",
        "site",
        "--broker-password-file",
        &password,
    ];
    let program = Program::start_with(directory.path(), &flags, None);
    let connected = async {
        while program.metric("lva_edge_hub_connected", "").await < 1.0 {
            tokio::task::yield_now().await;
        }
    };
    crate::within("a connection", connected).await;
    let command_line = program.command_line();
    assert!(command_line.contains("--broker-user") && !command_line.contains("geheim"));
    assert!(!program.log().contains("geheim"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_broker_carries_methods_events_states_and_announcements_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    let directory = tempfile::tempdir().unwrap();
    let config = format!(
        "[events]\noperational-output = \"operational\"\n[hub]\nbroker = \"mqtt://127.0.0.1:{}\"\ndiscovery = \"homeassistant\"\n",
        broker.port
    );
    std::fs::write(directory.path().join("lva-edge.toml"), config).unwrap();
    let mut listener = Listener {
        peer: Peer::start(broker.port, "listener", &["lva/#", "homeassistant/#"]).await,
        kept: VecDeque::new(),
    };
    let mut program = Program::start_with(directory.path(), &["--config", "lva-edge.toml"], None);
    assert_eq!(listener.text("lva/lvaEdge/status").await, "online");
    assert_eq!(
        listener.json("lva/lvaEdge/info").await["product"],
        "Live Video Analytics"
    );

    assert_eq!(listener.call("GraphTopologySet", topology()).await["status"], 201);
    assert_eq!(
        listener.call("GraphInstanceSet", instance("one")).await["status"],
        201
    );
    let state = "lva/lvaEdge/instances/one/state";
    assert_eq!(listener.text(state).await, "Inactive");
    let announced = listener.json("homeassistant/device/lvaEdge/config").await;
    assert_eq!(announced["cmps"]["instances_one_state"]["state_topic"], state);
    assert_eq!(
        listener.call("GraphInstanceActivate", named("one")).await["status"],
        200
    );
    // Activating comes before Active.
    while listener.text(state).await != "Active" {}
    let started = listener.json("lva/lvaEdge/outputs/operational").await;
    assert_eq!(started["properties"]["subject"], "/graphInstances/one");
    assert!(started["systemProperties"]["messageId"].is_string());

    // Nothing is required of the twin of a plain broker; its own properties hold.
    listener
        .peer
        .publish_retained(
            "lva/lvaEdge/twin/desired",
            r#"{"operationalEventsOutputName":"other","$version":1}"#,
        )
        .await;
    let report = async {
        loop {
            let report = listener.json("lva/lvaEdge/twin/reported").await;
            if report["DesiredVersion"] == 1 {
                return report;
            }
        }
    };
    assert_eq!(report.await["State"], "Running");
    assert_eq!(
        listener.call("GraphInstanceDeactivate", named("one")).await["status"],
        200
    );
    listener.json("lva/lvaEdge/outputs/other").await;
    assert_eq!(
        listener.call("GraphInstanceDelete", named("one")).await["status"],
        200
    );
    while !listener.text(state).await.is_empty() {}
    program.signal(Signal::TERM);
    assert_eq!(listener.text("lva/lvaEdge/status").await, "offline");
    assert_eq!(program.wait(), Some(0));
}
