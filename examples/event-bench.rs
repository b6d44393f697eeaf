//! Measures the time from a picture's arrival to the broker's acknowledgement of its event, through the whole module.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use async_trait::async_trait;
use clap::Parser;
use lva_edge_module::{ANSWER_LIMIT, Config, EdgeModule};
use lva_examples::taps::{BrokerLog, CameraLog, Tap};
use lva_examples::tutorial::Extension as Served;
use lva_examples::{ModelArgs, UnitReader, load_detector, parse_size};
use lva_extension_protocol::BoxError;
use lva_extension_protocol::server::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo};
use lva_framing::{Decoder, DecoderOptions};
use lva_inference::{DetectError, Detection, Detector, DetectorInfo, Frame};
use lva_inference_schema::Inference;
use lva_media_types::MediaTime;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use lva_spatial_analysis::{AnalysisOptions, Detectors, Entities, Operation, SpatialExtension};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Time for the first event.
const START: Duration = Duration::from_secs(60);
/// An event belongs to the picture whose time is nearest, within this: a quarter of the time between pictures at 15 a second.
const NEAREST: u64 = MediaTime::TICKS_PER_SECOND / 60;
const INSTANCE: &str = "bench";

/// Run a camera, a module with the extension, and mosquitto on this machine, and measure each picture on its way: from the
/// arrival of its last packet to the broker's PUBACK for its event.
///
/// The module is that of `lva-edge module`: RTSP session, decoder, frames in shared memory over gRPC, spatial analysis,
/// outbox on disk, MQTT. The extension reports every person in every frame, so that each picture with people has an event. What is
/// measured is measured outside of it, by taps that forward the camera's and the broker's connection.
///
/// `detection` is the time in the detector, frame by frame. `decodeAlone` is the time to decode a picture of the same file on one
/// thread, with nothing else running. `ours` is the rest: picture to PUBACK, less its detection, less decodeAlone of that picture.
///
/// Prints a table, and a JSON object as the last line. Times are valid on an idle machine.
///
/// Examples:
///   event-bench -- --seconds 120
///   event-bench -- --model FastestDet.onnx
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Seconds to measure.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds before that, which are left out.
    #[arg(long, default_value_t = 10.0)]
    warm_up: f64,
    /// The MP4 file that the camera plays.
    #[arg(long, default_value = "examples/media/plaza.mp4")]
    video: PathBuf,
    /// Most frames per second for the extension.
    #[arg(long, default_value_t = 15.0)]
    fps: f64,
    /// Size of these frames, padded, as bgr24.
    #[arg(long, value_parser = parse_size, default_value = "640x360")]
    size: (u32, u32),
    #[command(flatten)]
    model: ModelArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    lva_examples::log("warn");
    let decode = decode_alone(&args.video)?;
    let detections = DetectionLog::default();
    let detector = Timed::new(load_detector(&args.model)?, detections.clone());
    let model = format!("{} by {}", detector.info().model, detector.info().runtime);

    let directory = tempfile::tempdir()?;
    let mosquitto = Mosquitto::start(directory.path())?;
    let (camera_log, broker_log) = (CameraLog::default(), BrokerLog::default());
    let video = args.video.canonicalize()?;
    let video_directory = video.parent().context("the video has no directory")?;
    let name = video.file_name().and_then(|name| name.to_str());
    let name = name.context("the video's name is not UTF-8")?;
    let camera = Simulator::start(SimulatorOptions::new(video_directory)).await?;
    let camera_tap = Tap::start(camera.address(), {
        let log = camera_log.clone();
        move || ((), log.watch())
    });
    let camera_tap = camera_tap.await?;
    let broker_tap = Tap::start(mosquitto.address, {
        let log = broker_log.clone();
        move || log.watches()
    });
    let broker_tap = broker_tap.await?;

    let options = AnalysisOptions::default().with_entities(Entities::EveryFrame);
    let analysis =
        SpatialExtension::with_options(Operation::whole_frame(), Detectors::shared(detector), options);
    let extension = Served::serve_any(Watched {
        analysis,
        log: detections.clone(),
    });
    let extension = extension.await?;
    let url = camera
        .url(name)
        .replace(&camera.address().to_string(), &camera_tap.address.to_string());
    let module = module(directory.path(), broker_tap.address).await?;
    let topology = topology(&args, &url, &extension.url);
    call(&module, "pipelineTopologySet", topology).await?;
    let pipeline = json!({"@apiVersion": "1.1", "name": INSTANCE, "properties": {"topologyName": "bench"}});
    call(&module, "livePipelineSet", pipeline).await?;
    call(
        &module,
        "livePipelineActivate",
        json!({"@apiVersion": "1.1", "name": INSTANCE}),
    )
    .await?;

    first_event(&broker_log).await?;
    tokio::time::sleep(Duration::from_secs_f64(args.warm_up)).await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let stats = module
        .methods()
        .module()
        .stats(INSTANCE)
        .context("the pipeline is gone")?;
    let measured = Measured::between(
        begun,
        Instant::now(),
        &camera_log,
        &broker_log,
        &detections,
        &decode,
    );
    ensure!(module.stop().await, "the module did not stop in time");
    camera.shutdown().await;
    drop(mosquitto);

    let dropped: BTreeMap<String, u64> = stats
        .dropped
        .iter()
        .map(|((node, reason), count)| (format!("{node}: {reason}"), *count))
        .collect();
    measured.print(&model, &args, Summary::of(decode), &dropped);
    Ok(())
}

/// The module of a site, with this broker.
async fn module(directory: &Path, broker: SocketAddr) -> anyhow::Result<EdgeModule> {
    let mut config = Config::default();
    config.module.data = directory.join("data");
    config.module.recordings = directory.join("recordings");
    config.http.listen = String::new();
    config.metrics.listen = String::new();
    config.hub.broker = format!("mqtt://{broker}");
    Ok(EdgeModule::builder(config).start().await?)
}

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
    json!({"@apiVersion": "1.1", "name": "bench", "properties": {
        "sources": [{"@type": va("RtspSource"), "name": "camera", "transport": "tcp", "endpoint": at(camera)}],
        "processors": [extension], "sinks": [messages],
    }})
}

async fn call(module: &EdgeModule, method: &str, payload: Value) -> anyhow::Result<()> {
    let answer = module.methods().invoke(method, payload, ANSWER_LIMIT).await;
    ensure!(
        answer.status < 300,
        "{method} failed with status {}: {}",
        answer.status,
        answer.payload
    );
    Ok(())
}

async fn first_event(log: &BrokerLog) -> anyhow::Result<()> {
    let event = async {
        while log.events().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let came = tokio::time::timeout(START, event).await;
    came.with_context(|| {
        format!(
            "no event within {} s: does the model find people in the video?",
            START.as_secs()
        )
    })
}

/// The time to decode each picture of a file, on one thread.
fn decode_alone(video: &Path) -> anyhow::Result<Vec<Duration>> {
    let mut units = UnitReader::open(video)?;
    let mut decoder = Decoder::open(units.codec(), units.extra_data(), DecoderOptions::default())?;
    let mut times = Vec::new();
    while let Some((unit, time)) = units.next_unit() {
        let Some(data) = unit.data() else { continue };
        let begun = Instant::now();
        decoder.push(data, time).map(|_| ())?;
        while decoder.next_picture().is_some() {}
        times.push(begun.elapsed());
    }
    ensure!(!times.is_empty(), "{} has no pictures", video.display());
    Ok(times)
}

/// A broker on a free port. Ends when it is dropped.
struct Mosquitto {
    address: SocketAddr,
    child: Child,
}

impl Mosquitto {
    fn start(directory: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = directory.join("mosquitto.conf");
        std::fs::write(
            &config,
            format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nlog_dest none\n"
            ),
        )?;
        // Debian has it where not every user looks.
        let started = ["mosquitto", "/usr/sbin/mosquitto"]
            .into_iter()
            .find_map(|program| {
                let mut command = Command::new(program);
                command.arg("-c").arg(&config).stdin(Stdio::null());
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
            });
        let child = started.context("mosquitto is not installed (Debian package mosquitto)")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut mosquitto = Self { address, child };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if mosquitto.child.try_wait()?.is_some() || begun.elapsed() > START {
                bail!("mosquitto did not start: is port {port} in use?");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(mosquitto)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time in the detector, by the media time of the frame. Clones share it.
#[derive(Clone, Default)]
struct DetectionLog(Arc<Mutex<FrameTimes>>);

#[derive(Default)]
struct FrameTimes {
    /// Of the frame in progress: there is one stream.
    last: Option<Duration>,
    by_time: BTreeMap<u64, Duration>,
}

struct Timed {
    detector: Box<dyn Detector>,
    log: DetectionLog,
}

impl Timed {
    fn new(detector: Box<dyn Detector>, log: DetectionLog) -> Self {
        Self { detector, log }
    }
}

impl Detector for Timed {
    fn info(&self) -> &DetectorInfo {
        self.detector.info()
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        let begun = Instant::now();
        let found = self.detector.detect(frames);
        self.log.0.lock().last = Some(begun.elapsed());
        found
    }
}

/// Notes which frame a detection was for.
struct Watched {
    analysis: SpatialExtension,
    log: DetectionLog,
}

#[async_trait]
impl Extension for Watched {
    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(WatchedSession {
            session: self.analysis.open(session).await?,
            log: self.log.clone(),
        }))
    }
}

struct WatchedSession {
    session: Box<dyn ExtensionSession>,
    log: DetectionLog,
}

#[async_trait]
impl ExtensionSession for WatchedSession {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let time = sample.timestamp_90k();
        let answer = self.session.process(sample).await;
        let mut log = self.log.0.lock();
        if let Some(took) = log.last.take() {
            log.by_time.insert(time, took);
        }
        answer
    }
}

/// Quantiles of durations.
#[derive(Clone, Copy, Default)]
struct Summary {
    count: usize,
    p50: Duration,
    p99: Duration,
    max: Duration,
    mean: Duration,
}

impl Summary {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        // The smallest that so many per cent do not exceed.
        let rank = |percent: usize| (times.len() * percent).div_ceil(100).saturating_sub(1);
        let at = |rank: usize| times.get(rank).copied().unwrap_or_default();
        let sum: Duration = times.iter().sum();
        Self {
            count: times.len(),
            p50: at(rank(50)),
            p99: at(rank(99)),
            max: at(times.len().saturating_sub(1)),
            mean: sum / u32::try_from(times.len()).unwrap_or(u32::MAX).max(1),
        }
    }

    fn json(&self) -> Value {
        let Self {
            count,
            p50,
            p99,
            max,
            mean,
        } = self;
        json!({"count": count, "p50Ms": ms(*p50), "p99Ms": ms(*p99), "maxMs": ms(*max), "meanMs": ms(*mean)})
    }
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The pictures of a span of time.
struct Measured {
    picture_to_puback: Summary,
    picture_to_publish: Summary,
    publish_to_puback: Summary,
    detection: Summary,
    ours: Summary,
    /// Events without a picture or a detection.
    unmatched: usize,
}

impl Measured {
    fn between(
        begun: Instant,
        ended: Instant,
        camera: &CameraLog,
        broker: &BrokerLog,
        detections: &DetectionLog,
        decode: &[Duration],
    ) -> Self {
        // The camera plays the file from its beginning, again and again.
        let pictures: BTreeMap<u64, Instant> = camera.pictures().into_iter().collect();
        let decodes = pictures.keys().copied().zip(decode.iter().copied().cycle());
        let decodes: BTreeMap<u64, Duration> = decodes.collect();
        let nearest = |time: u64| {
            let around = pictures.range(time.saturating_sub(NEAREST)..=time.saturating_add(NEAREST));
            around
                .min_by_key(|(own, _)| own.abs_diff(time))
                .map(|(own, at)| (*at, decodes.get(own).copied().unwrap_or_default()))
        };
        let log = detections.0.lock();
        let mut spans: [Vec<Duration>; 5] = Default::default();
        let mut unmatched = 0;
        for event in broker.events() {
            let (Some((arrived, decode)), Some(detection)) = (
                nearest(event.timestamp_90k),
                log.by_time.get(&event.timestamp_90k).copied(),
            ) else {
                unmatched += usize::from((begun..ended).contains(&event.published));
                continue;
            };
            if !(begun..ended).contains(&arrived) {
                continue;
            }
            let total = event.acknowledged.duration_since(arrived);
            let all = [
                total,
                event.published.duration_since(arrived),
                event.acknowledged.duration_since(event.published),
                detection,
                total.saturating_sub(detection).saturating_sub(decode),
            ];
            for (span, time) in spans.iter_mut().zip(all) {
                span.push(time);
            }
        }
        let [total, publish, puback, detection, ours] = spans.map(Summary::of);
        Self {
            picture_to_puback: total,
            picture_to_publish: publish,
            publish_to_puback: puback,
            detection,
            ours,
            unmatched,
        }
    }

    fn print(&self, model: &str, args: &Args, decode: Summary, dropped: &BTreeMap<String, u64>) {
        let rows = [
            ("picture to PUBACK", "pictureToPuback", &self.picture_to_puback),
            ("picture to PUBLISH", "pictureToPublish", &self.picture_to_publish),
            ("PUBLISH to PUBACK", "publishToPuback", &self.publish_to_puback),
            ("detection", "detection", &self.detection),
            ("decode alone", "decodeAlone", &decode),
            ("ours: without detection and decode", "ours", &self.ours),
        ];
        println!(
            "{model}, {} events, {} without a picture",
            self.ours.count, self.unmatched
        );
        println!("{:<36}{:>9}{:>9}{:>9}{:>9}", "ms", "p50", "p99", "max", "mean");
        for (label, _, summary) in rows {
            let [p50, p99, max, mean] = [summary.p50, summary.p99, summary.max, summary.mean].map(ms);
            println!("{label:<36}{p50:>9.2}{p99:>9.2}{max:>9.2}{mean:>9.2}");
        }
        let mut all = json!({
            "model": model,
            "seconds": args.seconds,
            "fps": args.fps,
            "size": format!("{}x{}", args.size.0, args.size.1),
            "unmatched": self.unmatched,
            "dropped": dropped,
        });
        for (_, name, summary) in rows {
            all[name] = summary.json();
        }
        println!("{all}");
    }
}
