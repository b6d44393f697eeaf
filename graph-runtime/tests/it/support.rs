//! A camera, an extension that follows a script, documents in the tutorial's form, and a sink that remembers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lva_extension_protocol::server::{
    Extension, ExtensionOpenError, ExtensionServer, ExtensionSession, ListenAddress, Sample, ServerOptions,
    SessionInfo,
};
use lva_extension_protocol::{BackoffPolicy, BoxError};
use lva_graph_runtime::{
    DropReason, GraphEvent, InstanceStats, MessageSink, Module, RuntimeOptions, SinkError,
};
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{Entity, Event, EventName, Inference, InferenceValue, Rectangle};
use lva_rtsp::{Credentials, ReconnectPolicy};
use lva_rtsp_simulator::{Faults, Simulator, SimulatorOptions};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub(crate) const USER: &str = "testuser";
pub(crate) const PASSWORD: &str = "testpassword";
/// What a slow machine may take for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Twelve seconds of a moving test picture in 160×120, 30 frames a second, a key frame each second.
pub(crate) fn make_clip(directory: &Path) -> PathBuf {
    make_clip_of(directory, "size=160x120:rate=30:duration=12")
}

/// `clip.mp4` of a moving test picture with a key frame in every thirty.
pub(crate) fn make_clip_of(directory: &Path, form: &str) -> PathBuf {
    let path = directory.join("clip.mp4");
    let source = &format!("testsrc2={form}");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", source])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-bf",
            "0",
            "-g",
            "30",
        ])
        .arg(&path)
        .status()
        .expect("the ffmpeg program makes the clip; `make packages` installs it");
    assert!(made.success());
    path
}

/// The clip of [`make_clip`] with a tone in AAC.
pub(crate) fn make_clip_with_sound(directory: &Path) -> PathBuf {
    let silent = make_clip(directory);
    let path = directory.join("with-audio.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(&silent)
        .args(["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=12"])
        .args([
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-c:v",
            "copy",
            "-c:a",
            "aac",
            "-shortest",
        ])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::rename(&path, &silent).unwrap();
    silent
}

/// Size and hash of each packet of a file's video, untouched by any decoder.
pub(crate) fn packet_hashes(path: &Path) -> Vec<String> {
    hashes(path, "0:v")
}

/// The same for any stream, as ffmpeg names it.
pub(crate) fn hashes(path: &Path, stream: &str) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", stream, "-c", "copy", "-f", "framehash", "-"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let packets = text.lines().filter(|line| !line.starts_with('#'));
    packets
        // What comes after them is data beside the packet.
        .map(|line| line.split(',').skip(4).take(2).collect::<Vec<_>>().join(","))
        .collect()
}

pub(crate) async fn camera(directory: &Path, address: Option<std::net::SocketAddr>) -> Simulator {
    faulty_camera(directory, address, Faults::default()).await
}

pub(crate) async fn faulty_camera(
    directory: &Path,
    address: Option<std::net::SocketAddr>,
    faults: Faults,
) -> Simulator {
    let credentials = Some(Credentials::new(USER, PASSWORD));
    let options = SimulatorOptions::new(directory)
        .with_credentials(credentials)
        .with_faults(faults);
    let options = match address {
        Some(address) => options.with_address(address),
        None => options,
    };
    bound(async || Simulator::start(options.clone()).await).await
}

/// What listens on a port, as soon as it can: after its last owner, another program may have the port for a while.
async fn bound<T, E: std::fmt::Debug>(listen: impl AsyncFn() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        match listen().await {
            Ok(listening) => return listening,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Emits an event on every `every`th frame of a session; counts all its frames.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) every: u64,
    pub(crate) frames: Arc<AtomicU64>,
    pub(crate) sessions: Arc<AtomicU64>,
    pub(crate) format: Arc<Mutex<Option<SessionInfo>>>,
}

impl Script {
    pub(crate) fn every(every: u64) -> Self {
        Self {
            every,
            frames: Arc::default(),
            sessions: Arc::default(),
            format: Arc::default(),
        }
    }
}

#[async_trait]
impl Extension for Script {
    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        self.sessions.fetch_add(1, Ordering::SeqCst);
        *self.format.lock().unwrap() = Some(session.clone());
        Ok(Box::new(Scripted {
            script: self.clone(),
            number: 0,
        }))
    }
}

struct Scripted {
    script: Script,
    number: u64,
}

#[async_trait]
impl ExtensionSession for Scripted {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        self.number += 1;
        self.script.frames.fetch_add(1, Ordering::SeqCst);
        if !self.number.is_multiple_of(self.script.every) {
            return Ok(Vec::new());
        }
        // The left half of the picture, in a frame that has it in its middle half.
        let person = Entity::new(
            "person",
            0.5_f32,
            Rectangle::new(0.25_f32, 0.0_f32, 0.25_f32, 1.0_f32),
        );
        let event = Event::new("personZoneEvent")
            .with_property("status", "Enter")
            .with_property("frame", sample.timestamp_90k().to_string());
        Ok(vec![
            Inference::new(person).with_id("p1"),
            Inference::new(event).with_id("e1").related_to("p1"),
        ])
    }
}

/// An extension's server that can be killed.
pub(crate) struct Server {
    pub(crate) port: u16,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(script: impl Extension + Clone, port: u16) -> Self {
        let options = ServerOptions::default().with_shutdown_grace(Duration::ZERO);
        let listening = bound(async || {
            let server = ExtensionServer::new(script.clone()).with_options(options.clone());
            server.listen(ListenAddress::loopback(port)).await
        })
        .await;
        let ListenAddress::Tcp(address) = listening.address().clone() else {
            unreachable!("TCP was asked for");
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            let _ = listening.serve(shutdown).await;
        });
        Self {
            port: address.port(),
            stop: Some(stop),
            task,
        }
    }

    pub(crate) async fn kill(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }
}

/// Records events, and lets a test wait for them.
#[derive(Clone, Default)]
pub(crate) struct EventLog {
    events: Arc<Mutex<Vec<GraphEvent>>>,
    changed: Arc<Notify>,
}

struct EventLogSink(EventLog);

#[async_trait]
impl MessageSink for EventLogSink {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        self.0.events.lock().unwrap().push(event.clone());
        self.0.changed.notify_one();
        Ok(())
    }
}

impl EventLog {
    /// The sink that remembers for it.
    pub(crate) fn sink(&self) -> Box<dyn MessageSink> {
        Box::new(EventLogSink(self.clone()))
    }

    pub(crate) fn all(&self) -> Vec<GraphEvent> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, name: EventName) -> usize {
        self.all().iter().filter(|event| event.name == name).count()
    }

    /// Waits until an event of this name comes at or after place `from`; returns its place and itself.
    pub(crate) async fn wait(&self, name: EventName, from: usize) -> (usize, GraphEvent) {
        let found = async {
            loop {
                let all = self.all();
                let mut later = all.into_iter().enumerate().skip(from);
                if let Some(found) = later.find(|(_, event)| event.name == name) {
                    return found;
                }
                self.changed.notified().await;
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => {
                let events: Vec<_> = self.all().iter().map(|event| event.name).collect();
                panic!("no {name} came; heard {events:?}");
            }
        }
    }
}

pub(crate) fn module(recordings: &Path) -> (Module, EventLog) {
    module_with(recordings, |options| options)
}

/// The same with options of its own.
pub(crate) fn module_with(
    recordings: &Path,
    own: impl FnOnce(RuntimeOptions) -> RuntimeOptions,
) -> (Module, EventLog) {
    let events = EventLog::default();
    let quickly = Duration::from_millis(50);
    let slowest = Duration::from_millis(400);
    let options = RuntimeOptions::new(recordings)
        .with_camera_reconnect(
            ReconnectPolicy::default()
                .with_min_delay(quickly)
                .with_max_delay(slowest),
        )
        .with_extension_backoff(BackoffPolicy {
            min_delay: quickly,
            max_delay: slowest,
            healthy_after: Duration::from_secs(30),
        });
    let module = Module::new(own(options), vec![Box::new(EventLogSink(events.clone()))]);
    (module, events)
}

/// The tutorial's topology with short times; `nodes` and `sinks` are added to it.
pub(crate) fn topology(nodes: Vec<Value>, sinks: Vec<Value>) -> Value {
    let credentials = json!({
        "@type": "#Microsoft.Media.MediaGraphUsernamePasswordCredentials",
        "username": "${rtspUserName}", "password": "${rtspPassword}",
    });
    let grpc = json!({
        "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "${grpcUrl}", "credentials": credentials,
    });
    let mut processors = vec![
        json!({
            "@type": "#Microsoft.Media.MediaGraphFrameRateFilterProcessor", "name": "frameRateFilter",
            "inputs": [{"nodeName": "rtspSource"}], "maximumFps": "${frameRate}",
        }),
        json!({
            "@type": "#Microsoft.Media.MediaGraphRealTimeComputerVisionExtension", "name": "computerVisionExtension",
            "endpoint": grpc,
            "image": {
                "scale": {"mode": "pad", "width": "320", "height": "120"},
                "format": {"@type": "#Microsoft.Media.MediaGraphImageFormatRaw", "pixelFormat": "bgr24"},
            },
            "inputs": [{"nodeName": "frameRateFilter"}],
        }),
        json!({
            "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "signalGateProcessor",
            "inputs": [{"nodeName": "computerVisionExtension"}, {"nodeName": "rtspSource"}],
            "activationEvaluationWindow": "PT1S", "activationSignalOffset": "PT0S",
            "minimumActivationTime": "PT2S", "maximumActivationTime": "PT2S",
        }),
    ];
    processors.extend(nodes);
    let mut all_sinks = vec![
        json!({
            "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "hubSink",
            "hubOutputName": "inferenceOutput", "inputs": [{"nodeName": "computerVisionExtension"}],
        }),
        json!({
            "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "assetSink",
            "assetNamePattern": "clip-${System.GraphInstanceName}-${System.DateTime}",
            "localMediaCachePath": "/var/lib/azuremediaservices/tmp/", "localMediaCacheMaximumSizeMiB": "200",
            "inputs": [{"nodeName": "signalGateProcessor"}],
        }),
    ];
    all_sinks.extend(sinks);
    let parameter = |name: &str, kind: &str| json!({"name": name, "type": kind});
    json!({
        "@apiVersion": "1.0", "name": "InferencingWithCVExtension",
        "properties": {
            "description": "a test",
            "parameters": [
                parameter("rtspUrl", "String"), parameter("rtspUserName", "String"),
                parameter("rtspPassword", "SecretString"), parameter("grpcUrl", "String"),
                {"name": "frameRate", "type": "String", "default": "10"},
            ],
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "rtspSource", "transport": "tcp",
                "endpoint": {
                    "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "${rtspUrl}",
                    "credentials": credentials,
                },
            }],
            "processors": processors,
            "sinks": all_sinks,
        },
    })
}

pub(crate) fn instance(rtsp: &str, grpc_port: u16) -> Value {
    json!({
        "@apiVersion": "1.0", "name": "Sample-Graph-1",
        "properties": {
            "topologyName": "InferencingWithCVExtension", "description": "Sample graph description",
            "parameters": [
                {"name": "rtspUrl", "value": format!(" {rtsp}")},
                {"name": "rtspUserName", "value": USER}, {"name": "rtspPassword", "value": PASSWORD},
                {"name": "grpcUrl", "value": format!("tcp://127.0.0.1:{grpc_port}")},
            ],
        },
    })
}

pub(crate) fn by_name(name: &str) -> Value {
    json!({"@apiVersion": "1.0", "name": name})
}

/// Calls a method that has to succeed.
pub(crate) async fn must(module: &Module, method: &str, payload: Value) -> Value {
    let (status, answer) = module.invoke(method, &payload).await;
    assert!((200..300).contains(&status), "{method}: {status} {answer}");
    answer
}

pub(crate) async fn activate(module: &Module, topology: Value, instance: Value) {
    must(module, "GraphTopologySet", topology).await;
    must(module, "GraphInstanceSet", instance).await;
    must(module, "GraphInstanceActivate", by_name("Sample-Graph-1")).await;
}

pub(crate) async fn deactivate(module: &Module) -> InstanceStats {
    must(module, "GraphInstanceDeactivate", by_name("Sample-Graph-1")).await;
    assert!(module.flush(PATIENCE).await);
    let stats = module.stats("Sample-Graph-1").unwrap();
    assert_eq!(stats.memory.used_bytes, 0, "media are held after the end");
    stats
}

/// Whether a busy machine drops for this reason: its decoder is behind, or its extension; or the end comes first.
pub(crate) fn is_of_a_busy_machine(reason: DropReason) -> bool {
    [
        DropReason::DecoderBusy,
        DropReason::ReplacedByNewer,
        DropReason::Stopped,
    ]
    .contains(&reason)
}

/// That nothing was dropped but what a busy machine or the end leaves waiting.
pub(crate) fn assert_nothing_dropped(stats: &InstanceStats) {
    let mut reasons = stats.dropped.keys().map(|(_, reason)| *reason);
    assert!(reasons.all(is_of_a_busy_machine), "{:?}", stats.dropped);
}

/// Waits until the numbers of the instance fulfil a condition, looking at them as events go by in real time.
pub(crate) async fn until(module: &Module, condition: impl Fn(&InstanceStats) -> bool) -> InstanceStats {
    until_of(module, "Sample-Graph-1", condition).await
}

/// The same for an instance by its name.
pub(crate) async fn until_of(
    module: &Module,
    instance: &str,
    condition: impl Fn(&InstanceStats) -> bool,
) -> InstanceStats {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let found = async {
        loop {
            ticks.tick().await;
            let stats = module.stats(instance).unwrap();
            if condition(&stats) {
                return stats;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(stats) => stats,
        Err(_) => panic!("the condition did not come true: {:?}", module.stats(instance)),
    }
}

/// The body of an inference event: media time, and the frame that the extension names.
pub(crate) fn frame_of(event: &GraphEvent) -> (u64, String) {
    let EventBody::Analytics(body) = &event.body else {
        panic!("no analytics: {event:?}");
    };
    let about = body
        .inferences
        .iter()
        .find_map(|inference| match &inference.value {
            InferenceValue::Event(event) => event.properties.get("frame").cloned(),
            _ => None,
        });
    (body.timestamp_90k.unwrap(), about.unwrap())
}

/// Every frame that was to be shown is accounted for, once the instance has ended.
pub(crate) fn assert_accounts(stats: &InstanceStats, node: &str) {
    let extension = stats.extensions[node];
    let dropped: u64 = stats
        .dropped
        .iter()
        .filter(|((name, _), _)| name == node)
        .map(|(_, count)| count)
        .sum();
    assert_eq!(extension.offered, extension.answered + dropped, "{stats:?}");
    assert_eq!(extension.sent, extension.answered + extension.lost, "{stats:?}");
}
