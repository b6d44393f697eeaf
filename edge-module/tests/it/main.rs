//! The module over its real interfaces: HTTP, MQTT, files, signals.
#![allow(clippy::unwrap_used)] // a test may panic

#[cfg(feature = "spatial-analysis")]
mod analysis;
mod broker_hub;
mod cameras;
#[cfg(feature = "demo")]
mod console;
#[cfg(feature = "demo")]
mod demo;
mod edge;
mod ended;
mod gateway;
mod hostile;
#[cfg(feature = "kafka")]
mod kafka;
mod methods;
mod microsoft;
#[cfg(feature = "nats")]
mod nats;
mod offline;
mod operations;
mod own_twin;
mod plain_broker;
#[cfg(any(feature = "simulator", feature = "spatial-analysis"))]
mod process;
mod program;
mod promises;
mod requests;
mod restart;
#[cfg(feature = "simulator")]
mod simulator;
mod site;
mod stop;
mod support;
mod twin;
mod webhook;

// The strict edgeHub and the brokers that the tests of `lva-hub` play.
#[allow(dead_code, reason = "shared with the tests of another crate")]
#[path = "../../../hub/tests/it/broker.rs"]
mod broker;
#[allow(dead_code, reason = "shared with the tests of another crate")]
#[path = "../../../hub/tests/it/edge_hub.rs"]
mod edge_hub;
#[allow(dead_code, reason = "shared with the tests of another crate")]
#[path = "../../../hub/tests/it/line.rs"]
mod line;
#[allow(dead_code, reason = "shared with the tests of another crate")]
#[path = "../../../hub/tests/it/peer.rs"]
mod peer;
#[allow(dead_code, reason = "shared with the tests of another crate")]
#[path = "../../../hub/tests/it/workload.rs"]
mod workload;

/// Longer than anything here takes on a slow machine, shorter than the runner's patience.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long: {what}"),
    }
}
