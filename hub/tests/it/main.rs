//! Runs against real brokers: mosquitto, and a strict edgeHub that the tests play.
#![allow(clippy::unwrap_used, reason = "helpers of tests may, as tests themselves may")]

mod edge;
mod edge_hub;
mod kills;
mod mosquitto;
mod plain;
mod workload;

// Shared with the tests of lva-edge-module, which use the rest.
#[allow(dead_code, reason = "shared with the tests of another crate")]
mod broker;
#[allow(dead_code, reason = "shared with the tests of another crate")]
mod line;
#[allow(dead_code, reason = "shared with the tests of another crate")]
mod peer;

use std::time::Duration;

use lva_hub::{Client, ConnectionState, Outbox, OutboxOptions};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than anything here takes, shorter than the runner's patience.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long: {what}"),
    }
}

fn outbox(directory: &TempDir) -> Outbox {
    Outbox::open(directory.path().join("outbox"), OutboxOptions::default()).unwrap()
}

async fn connected(client: &Client) {
    let mut state = client.state();
    let wait = state.wait_for(|state| *state == ConnectionState::Connected);
    within("a connection", wait).await.unwrap();
}

/// Pauses short enough for tests.
fn hasty() -> lva_hub::session::SessionOptions {
    let mut session = lva_hub::session::SessionOptions::default();
    session.min_pause = Duration::from_millis(50);
    session.max_pause = Duration::from_millis(200);
    session
}
