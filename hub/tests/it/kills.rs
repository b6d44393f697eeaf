//! `kill -9` at random points of a program with a client, while its broker is there, is not, or comes and goes.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lva_hub::properties::decode_bag;
use lva_hub::{Client, HubOptions, Identity, Outbox, OutboxOptions, OutputMessage};
use tempfile::TempDir;

use crate::broker::Broker;
use crate::hasty;
use crate::line::{Line, Random, Way};
use crate::peer::Peer;

const DIRECTORY: &str = "LVA_HUB_KILLED_DIRECTORY";
const PORT: &str = "LVA_HUB_KILLED_PORT";
const ROUND: &str = "LVA_HUB_KILLED_ROUND";
/// Events between two lines with how many the disk has.
const BATCH: u64 = 10;
/// The program is killed after up to so many lines, and so many milliseconds.
const MAX_LINES: u64 = 20;
const MAX_DELAY_MS: u64 = 40;
const EVENTS: &str = "devices/+/modules/+/messages/events/#";

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_by_kill_9_while_the_broker_comes_and_goes_or_skips() {
    kill(20).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a thousand kills take minutes"]
async fn no_event_is_lost_by_a_thousand_kills_while_the_broker_comes_and_goes_or_skips() {
    kill(1000).await;
}

/// What arrived, and what had to.
#[derive(Default)]
struct Ledger {
    /// For each round, how many of its events were acknowledged to the program: those with lower numbers.
    safe: Vec<u64>,
    /// How often each event arrived.
    arrived: HashMap<(u64, u64), u64>,
    newest: Option<(u64, u64)>,
    /// Message ids by event.
    ids: HashMap<(u64, u64), String>,
}

impl Ledger {
    fn note(&mut self, publish: &rumqttc::Publish) -> (u64, u64) {
        let (_, bag) = publish.topic.split_once("/messages/events/").unwrap();
        let bag = decode_bag(bag).unwrap();
        let id = bag
            .into_iter()
            .find(|(name, _)| name == "$.mid")
            .unwrap()
            .1
            .unwrap();
        let text = std::str::from_utf8(&publish.payload).unwrap();
        let (round, rest) = text.split_once(' ').unwrap();
        let event = (
            round.parse().unwrap(),
            rest.split(' ').next().unwrap().parse().unwrap(),
        );
        let earlier = self.ids.entry(event).or_insert_with(|| id.clone());
        assert_eq!(*earlier, id, "an event has one id");
        let count = self.arrived.entry(event).or_default();
        *count += 1;
        if *count == 1 {
            assert!(self.newest < Some(event), "{event:?} after {:?}", self.newest);
            self.newest = Some(event);
        }
        event
    }

    /// What has to arrive yet.
    fn missing(&self) -> BTreeSet<(u64, u64)> {
        let rounds = self.safe.iter().enumerate();
        let events = rounds.flat_map(|(round, safe)| (0..*safe).map(move |number| (round as u64, number)));
        events.filter(|event| !self.arrived.contains_key(event)).collect()
    }
}

async fn kill(kills: u64) {
    let Some(broker) = Broker::start("max_queued_messages 0\nmax_inflight_messages 0") else {
        return;
    };
    let line = Line::start(broker.port).await;
    let mut hub = Peer::start(broker.port, "hub", &[EVENTS]).await;
    let directory = TempDir::new().unwrap();
    let mut ledger = Ledger::default();
    let mut random = Random(17);
    for round in 0..kills {
        line.set(match random.below(3) {
            0 => Way::Open,
            1 => Way::Closed,
            _ => Way::Flapping(20_000),
        });
        let (lines, delay_ms) = (random.below(MAX_LINES), random.below(MAX_DELAY_MS));
        let child = start(directory.path(), line.address.port(), &round.to_string());
        // The runtime's other threads carry the broker's messages meanwhile.
        let safe = tokio::task::block_in_place(|| killed(child, lines, Duration::from_millis(delay_ms)));
        ledger.safe.push(safe);
        while let Some(publish) = hub.try_next() {
            ledger.note(&publish);
        }
    }

    // A run that is not killed sends the rest.
    line.set(Way::Open);
    let left = bytes(directory.path());
    let begun = Instant::now();
    let before = ledger.arrived.len();
    let child = start(directory.path(), line.address.port(), "last");
    let end = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
    let text = String::from_utf8_lossy(&end.stdout);
    assert!(end.status.success() && text.contains("drained true"), "{text}");
    let drained_in = begun.elapsed();
    let mut missing = ledger.missing();
    while !missing.is_empty() {
        missing.remove(&ledger.note(&hub.next("devices/").await));
    }

    let safe: u64 = ledger.safe.iter().sum();
    let (events, deliveries) = (ledger.arrived.len(), ledger.arrived.values().sum::<u64>());
    let _ = writeln!(
        std::io::stderr(),
        "{kills} kills: {safe} events acknowledged to the program, {events} arrived, 0 acknowledged ones lost, {} duplicates; \
         {left} bytes were left on disk, their {} events drained in {drained_in:.2?}, {} bytes left then",
        deliveries - events as u64,
        events - before,
        bytes(directory.path()),
    );
    assert!(safe > kills, "the program did nothing");
}

fn bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

fn start(directory: &Path, port: u16, round: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "kills::program_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .env(PORT, port.to_string())
        .env(ROUND, round)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills it after so many lines and then so long, and returns how many of its events were acknowledged.
fn killed(mut child: Child, lines: u64, delay: Duration) -> u64 {
    let output = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut reports = output.filter_map(|line| line.strip_prefix("safe ")?.parse::<u64>().ok());
    let mut safe = 0;
    for report in reports.by_ref().take(lines as usize) {
        safe = report;
    }
    // Not to wait for something, but to end between any two instructions.
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it wrote into the pipe before it died counts as well.
    reports.last().unwrap_or(safe)
}

/// The program: not a test by itself, which is why it is ignored.
#[test]
#[ignore = "run by the tests above, with a directory"]
fn program_that_is_killed() {
    let (Ok(directory), Ok(port), Ok(round)) = (env::var(DIRECTORY), env::var(PORT), env::var(ROUND)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Small files, which are ended and compressed all the time.
        let outbox = Outbox::open(directory, OutboxOptions::default().with_segment_bytes(16 << 10)).unwrap();
        let identity = Identity::module("hub.example", "dev1", "lva").unwrap();
        let options = HubOptions::hub_on_broker(identity, "127.0.0.1")
            .with_port(port.parse().unwrap())
            .with_session(hasty());
        let (client, _from_hub) = Client::start(options, outbox);
        if round == "last" {
            crate::connected(&client).await;
            println!("\ndrained {}", client.drain(crate::PATIENCE * 10).await);
            client.shutdown().await;
            return;
        }
        let mut number = 0_u64;
        loop {
            for _ in 0..BATCH {
                let body = format!(
                    "{round} {number} {:0120}",
                    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                );
                client.send(OutputMessage::json("out", body)).unwrap();
                number += 1;
            }
            client.flush().await;
            println!("\nsafe {number}");
        }
    });
}
