//! A module on a plain broker: sends an event each second, answers methods, ends with Ctrl-C.
//!
//! With mosquitto on this machine: `cargo run -p lva-hub --example hub-minimal`, and in another shell `mosquitto_sub -v -t 'lva/#'`.
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::Duration;

use lva_hub::{Client, HubOptions, Outbox, OutboxOptions, OutputMessage, PlainOptions};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let outbox = Outbox::open(
        std::env::temp_dir().join("lva-hub-minimal"),
        OutboxOptions::default(),
    )?;
    let (client, mut from_hub) =
        Client::start(HubOptions::plain(PlainOptions::new("demo"), "localhost"), outbox);
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    let mut count = 0;
    loop {
        tokio::select! {
            _ = clock.tick() => {
                count += 1;
                client.send(OutputMessage::json("counts", json!({ "count": count }).to_string()))?;
            }
            Some(call) = from_hub.methods.recv() => {
                println!("{} {}", call.name(), call.payload());
                call.answer(200, json!({ "count": count }));
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.shutdown().await;
    println!("{:?}", client.outbox_stats());
    Ok(())
}
