//! Cost of the transfer of a frame: 1408×786 BGR24, window 4, a client that writes each frame once and a server that reads
//! each byte once, each on its own thread; compared with the same two copies without a transfer.
//!
//! `cargo bench -p lva-extension-protocol` prints the table: medians of five interleaved runs. With `LVA_GRPC_PYTHON`
//! (`scripts/grpc-python.sh` prints one) the table includes a server on Google's Python stack.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::Inference;

const FRAMES: usize = 400;
const RUNS: usize = 5;
const WINDOW: usize = 4;

struct Reader;
struct Reading(Vec<u8>);

#[async_trait]
impl Extension for Reader {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Reading(Vec::new())))
    }
}

#[async_trait]
impl ExtensionSession for Reading {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        self.0.resize(sample.data().len(), 0);
        self.0.copy_from_slice(sample.data());
        black_box(&self.0);
        Ok(Vec::new())
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn host(trust: Trust, address: ListenAddress) -> ExtensionUrl {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let options = ServerOptions::default().with_trust(trust);
            let listening = ExtensionServer::new(Reader)
                .with_options(options)
                .listen(address)
                .await
                .unwrap();
            sender.send(listening.url()).unwrap();
            listening.serve(std::future::pending()).await.unwrap();
        });
    });
    receiver.recv().unwrap()
}

/// Frames per second, and the round trips.
fn run(options: &ClientOptions, sources: &[Vec<u8>]) -> (f64, Vec<Duration>) {
    runtime().block_on(async {
        let Session {
            frames, mut answers, ..
        } = connect::<()>(options).await.unwrap();
        let (mut sent, mut trips) = (0, Vec::with_capacity(FRAMES));
        let started = Instant::now();
        while trips.len() < FRAMES {
            while sent < FRAMES
                && let Ok(mut slot) = frames.slot()
            {
                slot.copy_from_slice(&sources[sent % sources.len()]);
                slot.send(sent as u64, &[], ()).unwrap();
                sent += 1;
            }
            let Some(SessionEvent::Answered(answer)) = answers.next().await.unwrap() else {
                panic!("lost")
            };
            trips.push(answer.round_trip);
        }
        (FRAMES as f64 / started.elapsed().as_secs_f64(), trips)
    })
}

/// The same two copies in one thread: sources to slots, slots to a private buffer.
fn copies(sources: &[Vec<u8>]) -> f64 {
    let mut slots = vec![sources[0].clone(); WINDOW + 1];
    let mut private = sources[0].clone();
    let started = Instant::now();
    for frame in 0..FRAMES {
        let slot = &mut slots[frame % (WINDOW + 1)];
        slot.copy_from_slice(&sources[frame % sources.len()]);
        private.copy_from_slice(black_box(slot));
        black_box(&private);
    }
    FRAMES as f64 / started.elapsed().as_secs_f64()
}

/// The Python server, which reads each byte once into its own memory; ends with its input.
struct Python(Child);

impl Python {
    fn start() -> Option<(Self, ExtensionUrl)> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/peer.py");
        let mut child = Command::new(std::env::var_os("LVA_GRPC_PYTHON")?)
            .arg(script)
            .args(["server", "--read-only"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.parse().unwrap();
        Some((Self(child), url))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let format = FrameFormat::raw(PixelFormat::Bgr24, 1408, 786).unwrap();
    let bytes = format.frame_bytes().unwrap();
    let sources: Vec<Vec<u8>> = (0..4).map(|fill| vec![fill; bytes]).collect();
    let directory = tempfile::tempdir().unwrap();
    let unix = |name: &str| ListenAddress::Unix(directory.path().join(name));
    let shared = || Transfer::SharedMemory(SharedMemoryOptions::default());
    let untrusted = host(Trust::Untrusted, ListenAddress::loopback(0));
    let trusted = host(Trust::Peer, ListenAddress::loopback(0));
    let untrusted_unix = host(Trust::Untrusted, unix("untrusted"));
    let trusted_unix = host(Trust::Peer, unix("trusted"));
    let python = Python::start();
    let mut cases = vec![
        ("shared memory, trusted, TCP", &trusted, shared()),
        ("shared memory, untrusted, TCP", &untrusted, shared()),
        ("embedded, TCP", &untrusted, Transfer::Embedded),
        ("shared memory, trusted, Unix", &trusted_unix, shared()),
        ("shared memory, untrusted, Unix", &untrusted_unix, shared()),
        ("embedded, Unix", &untrusted_unix, Transfer::Embedded),
    ];
    match &python {
        Some((_, url)) => {
            cases.push(("shared memory, Python server, TCP", url, shared()));
            cases.push(("embedded, Python server, TCP", url, Transfer::Embedded));
        }
        None => println!("(no Python server: LVA_GRPC_PYTHON is not set)"),
    }
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load_before = load();
    let mut rates = vec![Vec::new(); cases.len()];
    let mut trips = vec![Vec::new(); cases.len()];
    let mut plain = Vec::new();
    for _ in 0..RUNS {
        plain.push(copies(&sources));
        for (at, (_, url, transfer)) in cases.iter().enumerate() {
            let options = ClientOptions::new((*url).clone(), format)
                .with_window(WINDOW)
                .with_transfer(transfer.clone());
            let (rate, run_trips) = run(&options, &sources);
            rates[at].push(rate);
            trips[at].extend(run_trips);
        }
    }
    let copies_take = 1e6 / median(plain.clone());
    println!(
        "| {FRAMES} frames of {bytes} bytes, window {WINDOW} | frames/s | us per frame beyond the two copies | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|");
    println!(
        "| one write and one read, no transfer, one thread | {:.0} | | | |",
        median(plain)
    );
    for (at, (name, _, _)) in cases.iter().enumerate() {
        trips[at].sort_unstable();
        let trip = |part: usize| trips[at][(trips[at].len() - 1) * part / 100].as_secs_f64() * 1e3;
        let rate = median(rates[at].clone());
        println!(
            "| {name} | {rate:.0} | {:.0} | {:.2} | {:.2} |",
            1e6 / rate - copies_take,
            trip(50),
            trip(99)
        );
    }
    println!("load before: {}load after: {}", load_before, load());
}
