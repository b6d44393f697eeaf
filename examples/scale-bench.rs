//! Measures how many cameras one process can handle, and the cost of each.
#![allow(clippy::print_stdout)] // a program

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use clap::{Parser, ValueEnum};
use lva_examples::child_process::{ChildProcess, parent_ended};
use lva_examples::cpu_time::{cpu_by_thread, ffmpeg_decode_seconds, median, resident_mib};
use lva_examples::{ModelArgs, load_detector, parse_size};
use lva_extension_protocol::BoxError;
use lva_extension_protocol::server::{
    Extension, ExtensionOpenError, ExtensionServer, ExtensionSession, ListenAddress, Sample, SessionInfo,
};
use lva_framing::{DecodeQuality, DecoderOptions};
use lva_graph_runtime::{Module, RuntimeOptions};
use lva_inference_schema::Inference;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use lva_spatial_analysis::{Detectors, Operation, SpatialExtension};
use serde_json::{Value, json};

/// Time for all cameras to start.
const START: Duration = Duration::from_secs(60);
/// The stream that is analysed where the camera's is recorded.
const SUB_STREAM: &str = "sub-640x360-15fps.mp4";
const SUB_SIZE: (u32, u32) = (640, 360);

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
/// With --table, prints one table instead: exact and fast decoding, two streams of a camera (640x360 with 15 pictures per second
/// analysed, --video recorded), and exact decoding and two streams with a detector (--model), each beside what `ffmpeg -threads 1`
/// takes to decode the same packets. Everything is measured in turns, --rounds times; the table has medians.
///
/// Examples:
///   scale-bench -- --cameras 1,2,4,8 --seconds 20
///   scale-bench -- --cameras 4,16,64 --work record
///   scale-bench -- --table --cameras 4 --model FastestDet.onnx --backend ort
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
    /// Print the table of all kinds of work, with the first number of cameras.
    #[arg(long, conflicts_with_all = ["work", "decode_quality"])]
    table: bool,
    /// How often the table measures everything.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
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
    /// Detect people in the frames, in the extension's process, whose CPU time counts then. Always for the rows of the table
    /// that say so.
    #[arg(long)]
    detect: bool,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Work {
    /// Send --fps frames per second to an extension in shared memory.
    Analyse,
    /// Record everything, and decode nothing.
    Record,
    /// Send frames of a smaller stream to the extension, and record the camera's.
    TwoStreams,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Setup {
    work: Work,
    quality: DecodeQuality,
    detect: bool,
    cameras: usize,
}

/// The rows of the table.
const ROWS: [(&str, Work, DecodeQuality, bool); 6] = [
    ("exact", Work::Analyse, DecodeQuality::Exact, false),
    ("fast", Work::Analyse, DecodeQuality::Fast, false),
    ("two streams", Work::TwoStreams, DecodeQuality::Exact, false),
    ("exact, with detection", Work::Analyse, DecodeQuality::Exact, true),
    (
        "two streams, with detection",
        Work::TwoStreams,
        DecodeQuality::Exact,
        true,
    ),
    ("recorded only", Work::Record, DecodeQuality::Exact, false),
];

/// The processes around this one.
struct Peers {
    /// Addresses of the streams.
    camera: String,
    sub_stream: String,
    /// Answers at once.
    immediate: ChildProcess,
    /// Runs the model; started where it is needed.
    detecting: Option<ChildProcess>,
    _cameras: [ChildProcess; 2],
    recordings: tempfile::TempDir,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(directory) = &args.be_cameras {
        return be_cameras(directory).await;
    }
    if args.be_extension {
        return be_extension(&args).await;
    }
    lva_examples::log("warn");
    let video = match &args.video {
        Some(video) => video.canonicalize()?,
        None => make_clip(&args.keep)?.canonicalize()?,
    };
    let sub_stream = make_sub_stream(&args.keep, &video)?;
    let peers = Peers::start(&args, &video, &sub_stream)?;
    if args.table {
        return print_table(&args, &peers, &video, &sub_stream).await;
    }
    for &cameras in &args.cameras {
        let setup = Setup {
            work: args.work,
            quality: args.decode_quality,
            detect: args.detect,
            cameras,
        };
        let measured = measure(&args, setup, &peers).await?;
        println!("{measured}");
        if measured["dropped"] != json!({}) {
            break;
        }
    }
    Ok(())
}

impl Peers {
    fn start(args: &Args, video: &Path, sub_stream: &Path) -> anyhow::Result<Self> {
        let serve = |file: &Path| -> anyhow::Result<(ChildProcess, String)> {
            let name = file.file_name().and_then(OsStr::to_str);
            let name = name.context("the video's name is not UTF-8")?;
            let directory = file.parent().context("the video has no directory")?;
            let child = ChildProcess::start(|command| command.arg("--be-cameras").arg(directory))?;
            let url = child.url.replace("FILE", name);
            Ok((child, url))
        };
        let (cameras, camera) = serve(video)?;
        let (sub_cameras, sub_stream) = serve(sub_stream)?;
        let detecting = (args.detect || args.table).then(|| {
            // The flags of the model are those of this process.
            let flags = std::env::args_os()
                .skip(1)
                .filter(|flag| flag != "--detect" && flag != "--table");
            ChildProcess::start(|command| command.args(flags).args(["--be-extension", "--detect"]))
        });
        Ok(Self {
            camera,
            sub_stream,
            immediate: ChildProcess::start(|command| command.arg("--be-extension"))?,
            detecting: detecting.transpose()?,
            _cameras: [cameras, sub_cameras],
            recordings: tempfile::tempdir_in(&args.keep)?,
        })
    }

    /// The extension, and whether its CPU time counts.
    fn extension(&self, setup: Setup) -> (&ChildProcess, bool) {
        match &self.detecting {
            Some(detecting) if setup.detect => (detecting, true),
            _ => (&self.immediate, false),
        }
    }
}

/// Measures every row in turns, and decoding alone beside them.
async fn print_table(args: &Args, peers: &Peers, video: &Path, sub_stream: &Path) -> anyhow::Result<()> {
    let cameras = args.cameras.first().copied().unwrap_or(1);
    let mut costs: [Vec<f64>; ROWS.len()] = Default::default();
    let mut alone: [Vec<f64>; 2] = Default::default();
    let mut dropped = [0; ROWS.len()];
    for _ in 0..args.rounds.max(1) {
        for (file, costs) in [video, sub_stream].into_iter().zip(&mut alone) {
            let minutes = seconds_of(file)? / 60.0;
            costs.push(ffmpeg_decode_seconds(file)? / minutes);
        }
        for (((_, work, quality, detect), costs), dropped) in
            ROWS.into_iter().zip(&mut costs).zip(&mut dropped)
        {
            let setup = Setup {
                work,
                quality,
                detect,
                cameras,
            };
            let measured = measure(args, setup, peers).await?;
            eprintln!("{measured}");
            costs.push(measured["cpuSecondsPerCameraMinute"].as_f64().unwrap_or_default());
            let drops = measured["dropped"]
                .as_object()
                .into_iter()
                .flat_map(|drops| drops.values());
            *dropped += drops.filter_map(Value::as_u64).sum::<u64>();
        }
    }
    let [main_alone, sub_alone] = alone.map(|costs| median(&costs));
    println!(
        "| | CPU s a camera minute (least to most) | decoding alone | ratio | cameras a core | dropped |"
    );
    println!("|---|---|---|---|---|---|");
    for (((name, work, ..), costs), dropped) in ROWS.into_iter().zip(&costs).zip(dropped) {
        let cost = median(costs);
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = costs.iter().copied().fold(0.0, f64::max);
        let (alone, ratio) = match work {
            Work::Analyse => (format!("{main_alone:.2}"), format!("{:.2}", cost / main_alone)),
            Work::TwoStreams => (format!("{sub_alone:.2}"), format!("{:.2}", cost / sub_alone)),
            Work::Record => Default::default(),
        };
        println!(
            "| {name} | {cost:.2} ({least:.2} to {most:.2}) | {alone} | {ratio} | {:.0} | {dropped} |",
            (60.0 / cost).floor()
        );
    }
    Ok(())
}

/// The length of a video.
fn seconds_of(video: &Path) -> anyhow::Result<f64> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "format=duration",
            "-of",
            "csv=p=0",
        ])
        .arg(video)
        .output()
        .context("cannot run the ffprobe program: install it with `make packages`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("ffprobe finds no length in {}", video.display()))
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

/// The same pictures in 640×360, 15 a second and 512 kbit/s, as the sub-stream of the camera.
fn make_sub_stream(directory: &Path, video: &Path) -> anyhow::Result<PathBuf> {
    let stem = video.file_stem().and_then(OsStr::to_str).unwrap_or("video");
    let directory = directory.join(format!("{stem}-sub"));
    let path = directory.join(SUB_STREAM);
    if !path.is_file() {
        fs::create_dir_all(&directory)?;
        eprintln!("generating {}", path.display());
        let unfinished = directory.join("unfinished.mp4");
        let (width, height) = SUB_SIZE;
        let filter = format!("scale={width}:{height},fps=15,format=yuv420p");
        let options = "-an -c:v libx264 -preset veryfast -bf 0 -g 30 -sc_threshold 0 -b:v 512k -maxrate 512k -bufsize 512k";
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(video)
            .args(["-vf", &filter])
            .args(options.split(' '))
            .arg(&unfinished)
            .status()
            .context("cannot run the ffmpeg program, which generates the sub-stream: install it with `make packages`")?;
        ensure!(made.success(), "ffmpeg failed to generate the sub-stream");
        fs::rename(unfinished, &path)?;
    }
    Ok(path.canonicalize()?)
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

async fn be_extension(args: &Args) -> anyhow::Result<()> {
    if !args.detect {
        return serve(Immediate).await;
    }
    let detectors = Detectors::shared(load_detector(&args.model)?);
    serve(SpatialExtension::new(Operation::whole_frame(), detectors)).await
}

async fn serve(extension: impl Extension) -> anyhow::Result<()> {
    let server = ExtensionServer::new(extension);
    let listening = server.listen(ListenAddress::loopback(0)).await?;
    println!("{}", listening.url());
    tokio::select! {
        served = listening.serve(std::future::pending()) => Ok(served?),
        ended = parent_ended() => ended,
    }
}

/// A Video Analyzer topology, with a video name per instance.
fn topology(args: &Args, setup: Setup, peers: &Peers) -> Value {
    let va = |kind: &str| format!("#Microsoft.VideoAnalyzer.{kind}");
    let at = |url: &str| json!({"@type": va("UnsecuredEndpoint"), "url": url});
    let ((width, height), looked_at) = match setup.work {
        Work::TwoStreams => (SUB_SIZE, "sub"),
        Work::Analyse | Work::Record => (args.size, "camera"),
    };
    let image = json!({
        "scale": {"mode": "pad", "width": width.to_string(), "height": height.to_string()},
        "format": {"@type": va("ImageFormatRaw"), "pixelFormat": "bgr24"},
    });
    let extension = json!({
        "@type": va("GrpcExtension"), "name": "extension", "inputs": [{"nodeName": looked_at}],
        "endpoint": at(&peers.extension(setup).0.url), "image": image, "samplingOptions": {"maximumSamplesPerSecond": args.fps.to_string()},
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
    let source = |name: &str, url: &str| json!({"@type": va("RtspSource"), "name": name, "transport": "tcp", "endpoint": at(url)});
    let mut sources = vec![source("camera", &peers.camera)];
    let (processors, sinks) = match setup.work {
        Work::Analyse => (json!([extension]), json!([messages])),
        Work::Record => (json!([]), json!([video])),
        Work::TwoStreams => {
            sources.push(source("sub", &peers.sub_stream));
            (json!([extension]), json!([messages, video]))
        }
    };
    json!({"@apiVersion": "1.1", "name": "scale", "properties": {
        "parameters": [{"name": "name", "type": "String"}],
        "sources": sources, "processors": processors, "sinks": sinks,
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

async fn measure(args: &Args, setup: Setup, peers: &Peers) -> anyhow::Result<Value> {
    let count = setup.cameras;
    let (extension, extension_counts) = peers.extension(setup);
    let decoder = DecoderOptions::default().with_quality(setup.quality);
    // No recording is continued.
    let recordings = tempfile::tempdir_in(peers.recordings.path())?;
    let options = RuntimeOptions::new(recordings.path()).with_decoder(decoder);
    let module = Module::new(options, Vec::new());
    call(&module, "pipelineTopologySet", topology(args, setup, peers)).await?;
    let names: Vec<String> = (1..=count).map(|number| format!("{count}-{number}")).collect();
    let resident_before = resident_mib()?;
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
    let extension_cpu = || match extension_counts {
        true => cpu_by_thread(&extension.id()),
        false => Ok(BTreeMap::new()),
    };
    let (threads_before, extension_before) = (cpu_by_thread("self")?, extension_cpu()?);
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let (threads, extension_after) = (cpu_by_thread("self")?, extension_cpu()?);
    let seconds = began.elapsed().as_secs_f64();
    let (after, resident) = (Counters::read(&module, &names), resident_mib()?);
    module.shutdown().await;

    let camera_minutes = seconds / 60.0 * count as f64;
    let mut split: BTreeMap<&str, f64> = BTreeMap::new();
    let all_before = threads_before.into_iter().chain(extension_before);
    let all_before: BTreeMap<_, _> = all_before.collect();
    let own = threads
        .iter()
        .map(|(thread, (name, ran))| (thread, stage(name), ran));
    let of_extension = extension_after
        .iter()
        .map(|(thread, (_, ran))| (thread, "extension", ran));
    for (thread, stage, nanoseconds) in own.chain(of_extension) {
        let before = all_before.get(thread).map_or(0, |(_, before)| *before);
        let spent = nanoseconds.saturating_sub(before) as f64 / 1e9;
        *split.entry(stage).or_default() += spent / camera_minutes;
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
        "work": format!("{:?}", setup.work),
        "decodeQuality": setup.quality.to_string(),
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
