//! Measures how many cameras one process can handle, and the cost of each.
#![allow(clippy::print_stdout)] // a program

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use clap::{Parser, ValueEnum};
use lva_examples::parse_size;
use lva_extension_protocol::BoxError;
use lva_extension_protocol::server::{
    Extension, ExtensionOpenError, ExtensionServer, ExtensionSession, ListenAddress, Sample, SessionInfo,
};
use lva_framing::{DecodeQuality, DecoderOptions};
use lva_graph_runtime::{Module, RuntimeOptions};
use lva_inference_schema::Inference;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use serde_json::{Value, json};

/// Time for all cameras to start.
const START: Duration = Duration::from_secs(60);
const MIB: f64 = (1 << 20) as f64;

/// Run 1, 2, 4, … cameras in one process, and report the cost of a camera and the first drops.
///
/// Cameras are 1080p, 30 pictures per second, 4 Mbit/s H.264 with a keyframe every 2 s, unless --video names another MP4. An
/// RTSP simulator in another process serves them; the extension, which answers every frame at once, runs in a third one.
/// This process receives, decodes, renders into shared memory, and communicates with the extension; with --work record, it
/// receives and writes.
///
/// Prints a JSON object for each number of cameras: CPU seconds of this process per camera minute, their split by threads,
/// cameras per core, memory per camera (resident, including the memory shared with the extension), answered frames,
/// received units and those that were not decoded, and drops by reason. Stops after the first number of cameras with drops.
/// CPU time is valid on a shared machine; drops are meaningful only on an idle one.
///
/// Examples:
///   scale-bench -- --cameras 1,2,4,8 --seconds 20
///   scale-bench -- --cameras 4,16,64 --work record
///   scale-bench -- --video examples/media/plaza.mp4 --size 640x360
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Numbers of cameras to measure, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8")]
    cameras: Vec<usize>,
    /// Work per camera.
    #[arg(long, value_enum, default_value = "analyse")]
    work: Work,
    /// Seconds to measure once all cameras work.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Frames per second for the extension.
    #[arg(long, default_value_t = 2.0)]
    fps: f64,
    /// Size of these frames, padded, as bgr24.
    #[arg(long, value_parser = parse_size, default_value = "1408x786")]
    size: (u32, u32),
    /// How exactly pictures are decoded: exact or fast.
    #[arg(long, default_value_t)]
    decode_quality: DecodeQuality,
    /// The MP4 file that every camera plays. Default: one that the ffmpeg program generates once.
    #[arg(long)]
    video: Option<PathBuf>,
    /// Directory of the generated file.
    #[arg(long, default_value = "target/scale-bench")]
    keep: PathBuf,
    /// Run as the cameras that play this directory's files, until standard input ends.
    #[arg(long, hide = true)]
    be_cameras: Option<PathBuf>,
    /// Run as the extension, until standard input ends.
    #[arg(long, hide = true)]
    be_extension: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Work {
    /// Send --fps frames per second to an extension in shared memory.
    Analyse,
    /// Record everything, and decode nothing.
    Record,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(directory) = &args.be_cameras {
        return be_cameras(directory).await;
    }
    if args.be_extension {
        return be_extension().await;
    }
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let video = match &args.video {
        Some(video) => video.clone(),
        None => make_clip(&args.keep)?,
    };
    let name = video.file_name().and_then(|name| name.to_str());
    let name = name.context("the video's name is not UTF-8")?;
    let video = video.canonicalize()?;
    let directory = video.parent().context("the video has no directory")?;
    let cameras = ChildProcess::start(|command| command.arg("--be-cameras").arg(directory))?;
    let extension = ChildProcess::start(|command| command.arg("--be-extension"))?;
    let recordings = tempfile::tempdir_in(fs::create_dir_all(&args.keep).map(|()| &args.keep)?)?;
    let topology = topology(&args, &cameras.url.replace("FILE", name), &extension.url);
    for &count in &args.cameras {
        let measured = measure(&args, count, &topology, recordings.path()).await?;
        println!("{measured}");
        if measured["dropped"] != json!({}) {
            break;
        }
    }
    Ok(())
}

/// Generates thirty seconds of a moving test picture with sensor noise.
fn make_clip(directory: &Path) -> anyhow::Result<PathBuf> {
    let path = directory.join("1080p30-4mbit.mp4");
    if !path.is_file() {
        fs::create_dir_all(directory)?;
        eprintln!("generating {}", path.display());
        let unfinished = directory.join("unfinished.mp4");
        let source = "testsrc2=size=1920x1080:rate=30:duration=30,noise=alls=12:allf=t,format=yuv420p";
        let options =
            "-c:v libx264 -preset veryfast -bf 0 -g 60 -sc_threshold 0 -b:v 4M -maxrate 4M -bufsize 4M";
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", source])
            .args(options.split(' '))
            .arg(&unfinished)
            .status()
            .context(
                "cannot run the ffmpeg program, which generates the clip: install it with `make packages`, or use --video",
            )?;
        ensure!(made.success(), "ffmpeg failed to generate the clip");
        fs::rename(unfinished, &path)?;
    }
    Ok(path)
}

/// Another process of this program, which ends with this one.
struct ChildProcess {
    url: String,
    child: Child,
}

impl ChildProcess {
    fn start(with: impl FnOnce(&mut Command) -> &mut Command) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = with(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let output = child.stdout.take().context("the child has no output")?;
        BufReader::new(output).read_line(&mut url)?;
        ensure!(!url.is_empty(), "a child process failed to start");
        let url = url.trim().to_owned();
        Ok(Self { url, child })
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Waits for the end of the parent process.
async fn parent_ended() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

async fn be_cameras(directory: &Path) -> anyhow::Result<()> {
    let options = SimulatorOptions::new(directory).with_max_clients(4096);
    let simulator = Simulator::start(options).await?;
    println!("{}", simulator.url("FILE"));
    parent_ended().await
}

struct Immediate;

#[async_trait]
impl Extension for Immediate {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl ExtensionSession for Immediate {
    async fn process(&mut self, _: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        Ok(Vec::new())
    }
}

async fn be_extension() -> anyhow::Result<()> {
    let server = ExtensionServer::new(Immediate);
    let listening = server.listen(ListenAddress::loopback(0)).await?;
    println!("{}", listening.url());
    tokio::select! {
        served = listening.serve(std::future::pending()) => Ok(served?),
        ended = parent_ended() => ended,
    }
}

/// A Video Analyzer topology, with a video name per instance.
fn topology(args: &Args, camera: &str, extension: &str) -> Value {
    let va = |kind: &str| format!("#Microsoft.VideoAnalyzer.{kind}");
    let at = |url: &str| json!({"@type": va("UnsecuredEndpoint"), "url": url});
    let (width, height) = args.size;
    let image = json!({
        "scale": {"mode": "pad", "width": width.to_string(), "height": height.to_string()},
        "format": {"@type": va("ImageFormatRaw"), "pixelFormat": "bgr24"},
    });
    let extension = json!({
        "@type": va("GrpcExtension"), "name": "extension", "inputs": [{"nodeName": "camera"}],
        "endpoint": at(extension), "image": image, "samplingOptions": {"maximumSamplesPerSecond": args.fps.to_string()},
        "dataTransfer": {"mode": "sharedMemory", "sharedMemorySizeMiB": "16"},
    });
    let messages = json!({
        "@type": va("IotHubMessageSink"), "name": "hub", "hubOutputName": "out", "inputs": [{"nodeName": "extension"}],
    });
    let video = json!({
        "@type": va("VideoSink"), "name": "video", "videoName": "${name}", "inputs": [{"nodeName": "camera"}],
        "videoCreationProperties": {"title": "t", "segmentLength": "PT30S"},
        "localMediaCachePath": "/var/lib/videoanalyzer/tmp/", "localMediaCacheMaximumSizeMiB": "2048",
    });
    let (processors, sink) = match args.work {
        Work::Analyse => (json!([extension]), messages),
        Work::Record => (json!([]), video),
    };
    json!({"@apiVersion": "1.1", "name": "scale", "properties": {
        "parameters": [{"name": "name", "type": "String"}],
        "sources": [{"@type": va("RtspSource"), "name": "camera", "transport": "tcp", "endpoint": at(camera)}],
        "processors": processors, "sinks": [sink],
    }})
}

async fn call(module: &Module, method: &str, payload: Value) -> anyhow::Result<()> {
    let (status, answer) = module.invoke(method, &payload).await;
    ensure!(status < 300, "{method} failed with status {status}: {answer}");
    Ok(())
}

/// Counters of all instances.
#[derive(Default)]
struct Counters {
    answered: u64,
    received: u64,
    not_decoded: u64,
    /// Of the instance with the fewest.
    pictures: u64,
    fewest_answered: u64,
    dropped: BTreeMap<String, u64>,
}

impl Counters {
    fn read(module: &Module, names: &[String]) -> Self {
        let all: Vec<_> = names.iter().filter_map(|name| module.stats(name)).collect();
        let answered = || {
            all.iter()
                .flat_map(|stats| stats.extensions.values().map(|extension| extension.answered))
        };
        let mut dropped = BTreeMap::new();
        for ((_, reason), count) in all.iter().flat_map(|stats| &stats.dropped) {
            *dropped.entry(reason.to_string()).or_default() += count;
        }
        Self {
            pictures: all.iter().map(|stats| stats.received).min().unwrap_or_default(),
            answered: answered().sum(),
            received: all.iter().map(|stats| stats.received).sum(),
            not_decoded: all.iter().map(|stats| stats.skipped).sum(),
            fewest_answered: answered().min().unwrap_or(u64::MAX),
            dropped,
        }
    }
}

async fn measure(args: &Args, count: usize, topology: &Value, recordings: &Path) -> anyhow::Result<Value> {
    let decoder = DecoderOptions::default().with_quality(args.decode_quality);
    let options = RuntimeOptions::new(recordings).with_decoder(decoder);
    let module = Module::new(options, Vec::new());
    call(&module, "pipelineTopologySet", topology.clone()).await?;
    let names: Vec<String> = (1..=count).map(|number| format!("{count}-{number}")).collect();
    let resident_before = resident()?;
    for name in &names {
        let parameters = json!([{"name": "name", "value": name}]);
        let properties = json!({"topologyName": "scale", "parameters": parameters});
        let pipeline = json!({"@apiVersion": "1.1", "name": name, "properties": properties});
        call(&module, "livePipelineSet", pipeline).await?;
        let name = json!({"@apiVersion": "1.1", "name": name});
        call(&module, "livePipelineActivate", name).await?;
    }
    let ready = async {
        loop {
            let counted = Counters::read(&module, &names);
            if counted.pictures >= 60 && counted.fewest_answered >= 2 {
                return counted;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let before = tokio::time::timeout(START, ready).await;
    let before = before.context("not all cameras work: try fewer")?;
    let (threads_before, began) = (cpu_by_thread()?, Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let (threads, seconds) = (cpu_by_thread()?, began.elapsed().as_secs_f64());
    let (after, resident) = (Counters::read(&module, &names), resident()?);
    module.shutdown().await;

    let camera_minutes = seconds / 60.0 * count as f64;
    let mut split: BTreeMap<&str, f64> = BTreeMap::new();
    for (thread, (name, nanoseconds)) in &threads {
        let before = threads_before.get(thread).map_or(0, |(_, before)| *before);
        let spent = nanoseconds.saturating_sub(before) as f64 / 1e9;
        *split.entry(stage(name)).or_default() += spent / camera_minutes;
    }
    let cost: f64 = split.values().sum();
    let dropped: BTreeMap<_, _> = after
        .dropped
        .iter()
        .map(|(reason, count)| {
            (
                reason,
                count - before.dropped.get(reason).copied().unwrap_or_default(),
            )
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    let rounded: BTreeMap<_, _> = split.iter().map(|(stage, cost)| (stage, round(*cost))).collect();
    Ok(json!({
        "cameras": count,
        "seconds": round(seconds),
        "cpuSecondsPerCameraMinute": round(cost),
        "split": rounded,
        "camerasPerCore": (60.0 / cost).floor(),
        "mibPerCamera": round((resident.0 - resident_before.0) / count as f64),
        "ofThemSharedMib": round((resident.1 - resident_before.1) / count as f64),
        "answered": after.answered - before.answered,
        "received": after.received - before.received,
        "notDecoded": after.not_decoded - before.not_decoded,
        "dropped": dropped,
    }))
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The work of a thread of this name.
fn stage(thread: &str) -> &'static str {
    match thread {
        "lva-decode" => "decode",
        "lva-render" => "render",
        "lva-record" => "record",
        _ => "receiveAndAnswers",
    }
}

/// Resident memory of this process in MiB: total, and shared with others.
fn resident() -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let of = |label: &str| -> Option<f64> {
        let line = status.lines().find(|line| line.starts_with(label))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let mib = |label| Some(of(label)? * 1024.0 / MIB);
    let both = mib("VmRSS:").zip(mib("RssShmem:"));
    both.context("/proc/self/status has no memory figures")
}

/// Name of each thread, and the nanoseconds that it ran.
fn cpu_by_thread() -> anyhow::Result<BTreeMap<String, (String, u64)>> {
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let path = thread?.path();
        // One may end meanwhile.
        let (Ok(name), Ok(times)) = (
            fs::read_to_string(path.join("comm")),
            fs::read_to_string(path.join("schedstat")),
        ) else {
            continue;
        };
        let ran = times.split_whitespace().next().and_then(|ran| ran.parse().ok());
        let ran = ran.context("/proc/self/task/N/schedstat has no times")?;
        threads.insert(path.display().to_string(), (name.trim().to_owned(), ran));
    }
    Ok(threads)
}
