//! A month without a network, in which methods are served; then the broker has what happened.

use std::time::Duration;

use lva_edge_module::{ANSWER_LIMIT, EdgeModule};
use serde_json::{Value, json};

use crate::broker::{Broker, free_port};
use crate::line::Line;
use crate::peer::Peer;
use crate::support::{config, instance, named, started, topology};

const DAYS: u64 = 30;
const DAY: Duration = Duration::from_secs(86_400);

async fn must(module: &EdgeModule, name: &str, payload: Value) -> Value {
    let answer = module.methods().invoke(name, payload, ANSWER_LIMIT).await;
    assert!((200..300).contains(&answer.status), "{name}: {}", answer.payload);
    answer.payload
}

#[tokio::test]
async fn methods_are_served_through_a_month_without_a_network_and_its_events_arrive_in_order_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    // Nothing listens there yet.
    let port = free_port();
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.http.listen.clear();
    config.metrics.listen.clear();
    config.hub.broker = format!("mqtt://127.0.0.1:{port}");
    config.events.operational_output = "operational".into();
    let module = started(config).await;
    must(&module, "GraphTopologySet", topology()).await;
    for day in 0..DAYS {
        let name = format!("day-{day:02}");
        must(&module, "GraphInstanceSet", instance(&name)).await;
        must(&module, "GraphInstanceActivate", named(&name)).await;
        must(&module, "GraphInstanceDeactivate", named(&name)).await;
        // The client tries to connect all day.
        tokio::time::pause();
        tokio::time::sleep(DAY).await;
        tokio::time::resume();
    }
    let list = must(&module, "GraphInstanceList", json!({"@apiVersion": "1.0"})).await;
    assert_eq!(list["value"].as_array().unwrap().len() as u64, DAYS);

    let mut listener = Peer::start(broker.port, "listener", &["lva/lvaEdge/outputs/operational"]).await;
    let socket = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let _line = Line::serve(socket, broker.port);
    for day in 0..DAYS {
        for expected in ["GraphInstanceStarted", "GraphInstanceStopped"] {
            let publish = listener.next("lva/").await;
            let event: Value = serde_json::from_slice(&publish.payload).unwrap();
            let properties = &event["properties"];
            assert_eq!(properties["subject"], format!("/graphInstances/day-{day:02}"));
            assert!(
                properties["eventType"].as_str().unwrap().ends_with(expected),
                "{event}"
            );
        }
    }
    assert!(module.stop().await);
}
