//! How fast an outbox that has filled up drains into a broker.
//!
//! With mosquitto on this machine: `cargo run --release -p lva-hub --example hub-drain -- 127.0.0.1:1883 100000`.
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::{Duration, Instant};

use anyhow::Context;
use lva_hub::{
    Client, ConnectionState, HubOptions, Identity, Outbox, OutboxOptions, OutboxPushError, OutputMessage,
};

/// Bytes of a body: an event of a zone.
const BODY: usize = 700;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let count: u64 = args.next().map_or(Ok(100_000), |count| count.parse())?;
    let (host, port) = address
        .rsplit_once(':')
        .context("write the broker as HOST:PORT")?;
    let directory = std::env::temp_dir().join(format!("lva-hub-drain-{}", std::process::id()));
    let outbox = Outbox::open(&directory, OutboxOptions::default())?;

    let begun = Instant::now();
    for number in 0..count {
        let body = format!(
            "{{\"number\":{number},\"filler\":\"{:0BODY$}\"}}",
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        );
        let event = OutputMessage::json("out", body);
        while let Err(error) = outbox.push(event.clone()) {
            match error {
                OutboxPushError::Overload => outbox.flush().await,
                other => return Err(other.into()),
            }
        }
    }
    outbox.flush().await;
    let (took, stats) = (begun.elapsed(), outbox.stats());
    println!(
        "{} events, {} bytes on disk, written in {took:.2?}: {:.0} events/s",
        stats.waiting,
        stats.bytes,
        count as f64 / took.as_secs_f64()
    );

    let identity = Identity::module("hub.example", "dev1", "drain")?;
    let options = HubOptions::hub_on_broker(identity, host).with_port(port.parse()?);
    let (client, _from_hub) = Client::start(options, outbox);
    let mut state = client.state();
    state
        .wait_for(|state| *state == ConnectionState::Connected)
        .await?;
    let begun = Instant::now();
    let is_empty = client.drain(Duration::from_secs(3600)).await;
    let took = begun.elapsed();
    println!(
        "drained {is_empty} in {took:.2?}: {:.0} events/s",
        count as f64 / took.as_secs_f64()
    );
    client.shutdown().await;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
