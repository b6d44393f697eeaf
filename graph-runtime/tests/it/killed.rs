//! A process that is killed while two graphs run in it, and what the next one makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, Module, RuntimeOptions, SinkError};
use lva_recording::{MediaTime, Sidecar};
use lva_rtsp_simulator::Faults;
use serde_json::Value;

use crate::site::*;
use crate::support::*;

const NAME: &str = "killed::a_killed_process_loses_a_second_and_the_next_one_goes_on";
/// The environment variable that makes a process the one to be killed; its value is the directory of the site.
const SITE: &str = "KILLED_SITE";
/// What a slow machine may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a kill may cost of a recording, a second, and what packets take from camera to disk on a busy machine.
const MAY_BE_LOST: u64 = 5 * MediaTime::TICKS_PER_SECOND;

/// A line of the module's process on standard output.
struct Lines;

#[async_trait]
impl MessageSink for Lines {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        writeln!(std::io::stdout(), "\nEVENT {} {}", event.name, event.subject)?;
        Ok(())
    }
}

/// The process that is killed: restores the state of an earlier one, or runs the documents; ends with its input.
async fn run_graphs(site: &Path) {
    let options = RuntimeOptions::new(site.join("recordings"));
    let state = site.join("state.json");
    let module = match fs::read(&state) {
        Ok(saved) => {
            let saved = serde_json::from_slice(&saved).unwrap();
            let (module, failures) = Module::restore(&saved, options, vec![Box::new(Lines)]).unwrap();
            assert!(failures.is_empty(), "{failures:?}");
            module
        }
        Err(_) => {
            let module = Module::new(options, vec![Box::new(Lines)]);
            let documents = fs::read(site.join("documents.json")).unwrap();
            let documents: Vec<(String, Value)> = serde_json::from_slice(&documents).unwrap();
            for (method, document) in documents {
                must(&module, &method, document).await;
                fs::write(&state, module.save().to_string()).unwrap();
            }
            module
        }
    };
    let until_closed = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(until_closed).await.unwrap().unwrap();
    must(&module, "GraphInstanceDeactivate", named("2.0", FRONT)).await;
    must(&module, "livePipelineDeactivate", named("1.1", BACK)).await;
    assert!(module.flush(Duration::from_secs(60)).await);
}

/// The same, seen from outside.
struct Process {
    child: Child,
    lines: Receiver<String>,
    began: Instant,
    /// How often a node has emitted an event.
    emitted: BTreeMap<(String, String), u64>,
}

impl Process {
    fn start(site: &Path) -> Self {
        let began = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(SITE, site)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            began,
            emitted: BTreeMap::new(),
        }
    }

    /// Waits until each of these nodes has emitted this event this often; returns the time since the start.
    fn until(&mut self, event: &str, nodes: &[&str], times: u64) -> Duration {
        let key = |node: &str| (event.to_owned(), node.to_owned());
        let end = Instant::now() + PATIENCE;
        while !nodes.iter().all(|node| {
            self.emitted
                .get(&key(node))
                .is_some_and(|emitted| *emitted >= times)
        }) {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line =
                line.unwrap_or_else(|error| panic!("{event} of {nodes:?}: {error}; {:?}", self.emitted));
            self.hear(&line);
        }
        self.began.elapsed()
    }

    fn hear(&mut self, line: &str) {
        if let Some((name, subject)) = line
            .strip_prefix("EVENT ")
            .and_then(|event| event.split_once(' '))
        {
            let key = (name.to_owned(), subject.to_owned());
            *self.emitted.entry(key).or_default() += 1;
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as a service manager would; returns all events that it has emitted.
    fn end(mut self) -> BTreeMap<(String, String), u64> {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        while let Ok(line) = self.lines.recv() {
            self.hear(&line);
        }
        self.emitted
    }
}

const ASSET: &str = "/graphInstances/Front/sinks/asset";
const FILE: &str = "/graphInstances/Front/sinks/file";
const VIDEO: &str = "/edgeModules/lvaEdge/livePipelines/Back/sinks/video";
const ANALYSES: [&str; 4] = [
    "/graphInstances/Front/processors/grpc",
    "/graphInstances/Front/processors/http",
    "/edgeModules/lvaEdge/livePipelines/Back/processors/grpc",
    "/edgeModules/lvaEdge/livePipelines/Back/processors/http",
];

fn now_90k() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos() * 9 / 100_000).unwrap()
}

/// All files below a directory, in the order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[test]
fn a_killed_process_loses_a_second_and_the_next_one_goes_on() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if let Some(site) = std::env::var_os(SITE) {
        return runtime.block_on(run_graphs(Path::new(&site)));
    }
    let usual = "size=160x120:rate=30:duration=12";
    let site = runtime.block_on(Site::start(usual, Faults::default()));
    let documents = serde_json::to_string(&site.documents()).unwrap();
    fs::write(site.directory.path().join("documents.json"), documents).unwrap();

    let mut first = Process::start(site.directory.path());
    let began = now_90k();
    first.until("RecordingStarted", &[VIDEO], 1);
    first.until("Inference", &ANALYSES, 2);
    // Clips of the front camera last a second; one is being written, or is about to be. So many, that the video is longer than
    // what may be lost of it.
    first.until("RecordingAvailable", &[ASSET, FILE], 4);
    let killed = now_90k();
    first.kill();

    let mut second = Process::start(site.directory.path());
    let recovered = second.until("RecordingAvailable", &[VIDEO], 1);
    let recording = second.until("RecordingStarted", &[VIDEO, ASSET, FILE], 1);
    let analysing = second.until("Inference", &ANALYSES, 2);
    second.until("RecordingAvailable", &[ASSET, FILE], 2);
    let emitted = second.end();
    let emitted = |event: &str, node: &str| emitted.get(&(event.to_owned(), node.to_owned())).copied();
    assert_eq!(
        emitted("RecordingAvailable", VIDEO),
        Some(2),
        "the killed one's, and its own"
    );

    let all = files(&site.recordings());
    let unfinished: Vec<_> = all
        .iter()
        .filter(|path| path.to_string_lossy().contains(".part"))
        .collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
    let clips = all
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "mp4"));
    let mut video = Vec::new();
    for clip in clips {
        let back = clip.to_string_lossy().contains("back-door");
        let own = packet_hashes(&site.clip_of(if back { BACK } else { FRONT }));
        let packets = packet_hashes(clip);
        let start = own.iter().position(|packet| *packet == packets[0]).unwrap();
        assert_eq!(start % 30, 0, "{clip:?} begins with a key frame");
        let played = own.iter().cycle().skip(start);
        assert!(
            packets.iter().zip(played).all(|(a, b)| a == b),
            "a gap in {clip:?}"
        );
        if back {
            video.push(Sidecar::read(clip).unwrap());
        }
    }
    let [before, after] = &video[..] else {
        panic!("{video:?}");
    };
    assert!(before.first_timestamp_90k >= began.saturating_sub(MAY_BE_LOST));
    let lost = killed.saturating_sub(before.end_timestamp_90k);
    assert!(lost <= MAY_BE_LOST, "{lost} ticks");
    assert!(killed - before.first_timestamp_90k > MAY_BE_LOST);
    let gap = after.first_timestamp_90k.saturating_sub(before.end_timestamp_90k);
    eprintln!(
        "lost of the recording {:.2} s before the kill; recovered {:.2} s, recording {:.2} s and analysing {:.2} s after the \
         start; a gap of {:.2} s",
        lost as f64 / 90_000.0,
        recovered.as_secs_f64(),
        recording.as_secs_f64(),
        analysing.as_secs_f64(),
        gap as f64 / 90_000.0,
    );
}
