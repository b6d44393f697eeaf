//! What viewers of one camera cost: CPU seconds of the server for each minute of one viewer, what they lost, and what the same
//! camera's analysis and recording made of it, without viewers and with them.
//!
//! `cargo bench -p lva-web-console --bench viewers -- --viewers 200 --seconds 30 --rounds 5`
//!
//! The camera (1080p30, 4 Mbit/s), the server and the viewers are three processes; only the server's time counts, read
//! from `/proc`. Viewers take everything and look at nothing, as the network does. Linux only.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use axum::Router;
use futures_util::StreamExt;
use lva_graph_model::{Instance, Topology};
use lva_graph_runtime::{Module, RuntimeOptions};
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use lva_web_console::{Console, ConsoleOptions};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Clock ticks of `/proc/*/stat` in a second, the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

const CAMERA: &str = "door";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |name: &str| {
        let place = arguments.iter().position(|a| a == name)?;
        arguments.get(place + 1).cloned()
    };
    let value = |name: &str, default: u64| text(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(directory) = text("--be-camera") {
        return runtime.block_on(be_camera(&directory));
    }
    if let Some(camera) = text("--be-server") {
        return runtime.block_on(be_server(&camera));
    }
    let (viewers, rounds) = (value("--viewers", 200), value("--rounds", 5));
    let seconds = Duration::from_secs(value("--seconds", 30));
    runtime.block_on(compare(viewers, seconds, rounds))
}

async fn be_camera(directory: &str) -> Result<(), Failure> {
    let simulator = Simulator::start(SimulatorOptions::new(directory)).await?;
    println!("{}", simulator.url("clip.mp4"));
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}

/// Serves the console of a camera that is watched for motion and recorded. Answers each line with what was counted.
async fn be_server(camera: &str) -> Result<(), Failure> {
    let recordings = tempfile::tempdir()?;
    let module = Module::new(RuntimeOptions::new(recordings.path()), vec![]);
    let mut topology: Value = serde_json::from_str(include_str!("../examples/motion.json"))?;
    let recording = json!({
        "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "recording", "inputs": [{"nodeName": "camera"}],
        "assetNamePattern": "all", "segmentLength": "PT30S",
        "localMediaCachePath": "/var/lib/cache", "localMediaCacheMaximumSizeMiB": "2048",
    });
    let sinks = topology["properties"]["sinks"].as_array_mut();
    sinks.ok_or("the topology has no sinks")?.push(recording);
    let topology = Topology::from_json(&topology.to_string())?;
    let instance = Instance::new(CAMERA, topology.name(), [("rtspUrl", camera)]);
    module.start(topology, instance).await?;
    let options = ConsoleOptions::new().with_max_viewers(10_000);
    let app = Router::new().nest("/console/", Console::new(module.clone(), options).router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    loop {
        let read = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
        if read == 0 {
            module.shutdown().await;
            return Ok(());
        }
        let stats = module.stats(CAMERA).ok_or("the camera does not run")?;
        println!("{}", serde_json::to_string(&stats)?);
    }
}

/// Another process of this program.
struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Peer {
    fn start(role: &str, of: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([role, of])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("a process has no output")?;
        let mut peer = Self {
            child,
            output: BufReader::new(output),
            address: String::new(),
        };
        peer.address = peer.line()?;
        Ok(peer)
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("a process has ended".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    fn ask(&mut self) -> Result<Value, Failure> {
        let input = self.child.stdin.as_mut().ok_or("a process has no input")?;
        input.write_all(b"\n")?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// CPU seconds so far, of the process and of the system for it.
    fn cpu(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after) = stat.rsplit_once(") ").ok_or("no such process")?;
        let ticks = after.split(' ').skip(11).take(2);
        Ok(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What viewers got.
#[derive(Default)]
struct Watched {
    pictures: u64,
    skipped: u64,
    bytes: u64,
}

async fn watch(address: String, watch: Duration) -> Result<Watched, Failure> {
    let url = format!("ws://{address}/console/api/cameras/{CAMERA}/live");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
    let mut watched = Watched::default();
    let until = tokio::time::Instant::now() + watch;
    while let Ok(message) = tokio::time::timeout_at(until, socket.next()).await {
        match message.ok_or("a viewer was sent away")?? {
            Message::Binary(bytes) => {
                watched.pictures += 1;
                watched.bytes += bytes.len() as u64;
            }
            Message::Text(text) => {
                let note: Value = serde_json::from_str(&text)?;
                watched.skipped += note["pictures"].as_u64().unwrap_or(0);
            }
            _ => {}
        }
    }
    Ok(watched)
}

/// What a number of viewers cost in a round.
struct Round {
    cpu_seconds: f64,
    watched: Watched,
    before: Value,
    after: Value,
}

async fn measure(server: &mut Peer, viewers: u64, seconds: Duration) -> Result<Round, Failure> {
    let (before, cpu) = (server.ask()?, server.cpu()?);
    let all: Vec<_> = (0..viewers)
        .map(|_| tokio::spawn(watch(server.address.clone(), seconds)))
        .collect();
    tokio::time::sleep(seconds).await;
    let mut watched = Watched::default();
    for one in all {
        let one = one.await??;
        watched.pictures += one.pictures;
        watched.skipped += one.skipped;
        watched.bytes += one.bytes;
    }
    Ok(Round {
        cpu_seconds: server.cpu()? - cpu,
        watched,
        before,
        after: server.ask()?,
    })
}

async fn compare(viewers: u64, seconds: Duration, rounds: u64) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    make_clip(&directory.path().join("clip.mp4"))?;
    let camera = Peer::start("--be-camera", &directory.path().to_string_lossy())?;
    let mut server = Peer::start("--be-server", &camera.address)?;
    // The camera is there, and the first key frame.
    measure(&mut server, 1, Duration::from_secs(5)).await?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!("load {}", load.split(' ').next().unwrap_or_default());
    println!(
        "| viewers | CPU s of the server | CPU s a viewer-minute | viewers a core | pictures | skipped | Mbit/s | received | analysed | dropped |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let minutes = seconds.as_secs_f64() / 60.0;
    for _ in 0..rounds {
        let alone = measure(&mut server, 0, seconds).await?;
        let with = measure(&mut server, viewers, seconds).await?;
        let each = (with.cpu_seconds - alone.cpu_seconds) / (viewers.max(1) as f64 * minutes);
        for (viewers, round, each) in [(0, alone, None), (viewers, with, Some(each))] {
            let risen = |name: &str| {
                let count = |stats: &Value| stats[name].as_u64().unwrap_or(0);
                count(&round.after) - count(&round.before)
            };
            let each_text = each.map_or(String::new(), |each| format!("{each:.4}"));
            let a_core = each.map_or(String::new(), |each| format!("{:.0}", 60.0 / each));
            println!(
                "| {viewers} | {:.2} | {each_text} | {a_core} | {} | {} | {:.1} | {} | {} | {} |",
                round.cpu_seconds,
                round.watched.pictures,
                round.watched.skipped,
                round.watched.bytes as f64 * 8.0 / 1e6 / seconds.as_secs_f64(),
                risen("received"),
                risen("decoded"),
                round.after["dropped"],
            );
        }
    }
    Ok(())
}

/// Thirty seconds of a moving test picture with sensor noise.
fn make_clip(path: &Path) -> Result<(), Failure> {
    let source = "testsrc2=size=1920x1080:rate=30:duration=30,noise=alls=12:allf=t,format=yuv420p";
    let options = "-c:v libx264 -preset veryfast -bf 0 -g 60 -sc_threshold 0 -b:v 4M -maxrate 4M -bufsize 4M";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", source])
        .args(options.split(' '))
        .arg(path)
        .status()
        .map_err(|error| {
            format!("cannot run the ffmpeg program, install it with `make packages`: {error}")
        })?;
    match made.success() {
        true => Ok(()),
        false => Err("ffmpeg failed to make the clip".into()),
    }
}
