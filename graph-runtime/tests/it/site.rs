//! Two cameras and two extensions, and the graphs that use them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use lva_extension_protocol::BoxError;
use lva_extension_protocol::http::HttpExtensionServer;
use lva_extension_protocol::server::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo};
use lva_inference_schema::{Entity, Inference, Rectangle};
use lva_rtsp_simulator::{Faults, Simulator};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::*;

/// The camera that things happen to: a graph of Live Video Analytics with message sink, and asset and file behind a gate.
pub(crate) const FRONT: &str = "Front";
/// The other one: a pipeline of Video Analyzer with message sink, and a video of all that it sends.
pub(crate) const BACK: &str = "Back";
/// The extension nodes of both.
pub(crate) const EXTENSIONS: [&str; 2] = ["grpc", "http"];
/// Pictures a second that each extension node is shown.
const RATE: &str = "5";

/// Sees a person in every fourth frame of either camera, by gRPC and HTTP, and can leave the front camera without answers.
#[derive(Clone)]
pub(crate) struct Watcher {
    hung: Arc<watch::Sender<bool>>,
}

impl Watcher {
    fn new() -> Self {
        Self {
            hung: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Whether the front camera is left without answers from now on.
    pub(crate) fn hang(&self, hung: bool) {
        self.hung.send_replace(hung);
    }
}

struct Watching {
    hung: watch::Receiver<bool>,
    instance: String,
    frames: u64,
}

#[async_trait]
impl Extension for Watcher {
    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Watching {
            hung: self.hung.subscribe(),
            instance: session.identity.graph_instance_name.clone(),
            frames: 0,
        }))
    }
}

#[async_trait]
impl ExtensionSession for Watching {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        // HTTP requests do not name the camera, but only the front camera's pictures are JPEG.
        if self.instance == FRONT || sample.data().starts_with(&[0xff, 0xd8]) {
            self.hung.wait_for(|hung| !hung).await?;
        }
        self.frames += 1;
        let place = Rectangle::new(0.25_f32, 0.25_f32, 0.25_f32, 0.5_f32);
        let seen = (self.frames % 4 == 1).then(|| Inference::new(Entity::new("person", 0.9_f32, place)));
        Ok(seen.into_iter().collect())
    }
}

/// What a module finds around it.
pub(crate) struct Site {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) watcher: Watcher,
    pub(crate) grpc: Option<Server>,
    pub(crate) front: Option<Simulator>,
    /// What the back camera plays.
    pub(crate) served: PathBuf,
    back: Simulator,
    /// Of the extensions.
    urls: [String; 2],
    http: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.http.abort();
    }
}

impl Site {
    /// Everything works; the front camera plays a clip of this form.
    pub(crate) async fn start(front: &str, faults: Faults) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [front_clips, back_clips] = [FRONT, BACK].map(|camera| directory.path().join(camera));
        for clips in [&front_clips, &back_clips] {
            std::fs::create_dir(clips).unwrap();
        }
        make_clip_of(&front_clips, front);
        let served = make_clip(&back_clips);
        std::fs::create_dir(directory.path().join("recordings")).unwrap();
        let front = faulty_camera(&front_clips, None, faults).await;
        let back = camera(&back_clips, None).await;
        let watcher = Watcher::new();
        let grpc = Server::start(watcher.clone(), 0).await;
        let http = HttpExtensionServer::new(watcher.clone());
        let http = http.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let urls = [
            format!("tcp://127.0.0.1:{}", grpc.port),
            format!("{}score", http.url()),
        ];
        Self {
            directory,
            watcher,
            grpc: Some(grpc),
            front: Some(front),
            served,
            back,
            urls,
            http: tokio::spawn(http.serve(std::future::pending())),
        }
    }

    pub(crate) fn recordings(&self) -> PathBuf {
        self.directory.path().join("recordings")
    }

    /// What a camera plays.
    pub(crate) fn clip_of(&self, camera: &str) -> PathBuf {
        self.directory.path().join(camera).join("clip.mp4")
    }

    /// The methods by which both graphs run, and their payloads.
    pub(crate) fn documents(&self) -> [(&'static str, Value); 6] {
        let front = self.front.as_ref().unwrap().url("clip.mp4").to_string();
        let back = self.back.url("clip.mp4").to_string();
        [
            ("GraphTopologySet", front_topology(&front, &self.urls)),
            ("GraphInstanceSet", instance_of("2.0", FRONT)),
            ("GraphInstanceActivate", named("2.0", FRONT)),
            ("pipelineTopologySet", back_topology(&back, &self.urls)),
            ("livePipelineSet", instance_of("1.1", BACK)),
            ("livePipelineActivate", named("1.1", BACK)),
        ]
    }
}

pub(crate) fn named(version: &str, name: &str) -> Value {
    json!({"@apiVersion": version, "name": name})
}

pub(crate) fn instance_of(version: &str, name: &str) -> Value {
    let topology = format!("{name}Topology");
    json!({"@apiVersion": version, "name": name, "properties": {"topologyName": topology}})
}

/// Makes nodes of one family.
struct Family(&'static str);

impl Family {
    fn node(&self, kind: &str, name: &str, inputs: &[&str], own: Value) -> Value {
        let inputs: Vec<Value> = inputs.iter().map(|input| json!({"nodeName": input})).collect();
        let mut node = json!({"@type": format!("{}{kind}", self.0), "name": name});
        let members = node.as_object_mut().unwrap();
        members.extend(own.as_object().unwrap().clone());
        if !inputs.is_empty() {
            members.insert("inputs".into(), inputs.into());
        }
        node
    }

    fn at(&self, url: &str) -> Value {
        json!({"@type": format!("{}UnsecuredEndpoint", self.0), "url": url})
    }

    fn source(&self, url: &str) -> Value {
        let mut endpoint = self.at(url);
        endpoint["credentials"] = json!({
            "@type": format!("{}UsernamePasswordCredentials", self.0), "username": USER, "password": PASSWORD,
        });
        self.node("RtspSource", "camera", &[], json!({"endpoint": endpoint}))
    }

    fn extensions(&self, urls: &[String; 2], picture: &str) -> Vec<Value> {
        let sampling = json!({"maximumSamplesPerSecond": RATE});
        let raw = json!({"@type": format!("{}ImageFormatRaw", self.0), "pixelFormat": "rgb24"});
        let picture = json!({"@type": format!("{}{picture}", self.0)});
        let small = json!({"mode": "stretch", "width": "64", "height": "48"});
        let grpc = json!({
            "endpoint": self.at(&urls[0]), "image": {"format": raw}, "samplingOptions": sampling,
            "dataTransfer": {"mode": "sharedMemory", "sharedMemorySizeMiB": "8"},
        });
        let http = json!({
            "endpoint": self.at(&urls[1]), "image": {"scale": small, "format": picture},
            "samplingOptions": sampling,
        });
        vec![
            self.node("GrpcExtension", "grpc", &["camera"], grpc),
            self.node("HttpExtension", "http", &["camera"], http),
        ]
    }

    fn messages(&self, kind: &str) -> Value {
        self.node(kind, "hub", &EXTENSIONS, json!({"hubOutputName": "out"}))
    }
}

fn topology(version: &str, name: &str, source: Value, processors: Vec<Value>, sinks: Vec<Value>) -> Value {
    json!({
        "@apiVersion": version, "name": format!("{name}Topology"),
        "properties": {"sources": [source], "processors": processors, "sinks": sinks},
    })
}

fn front_topology(camera: &str, urls: &[String; 2]) -> Value {
    let lva = Family("#Microsoft.Media.MediaGraph");
    let mut processors = lva.extensions(urls, "ImageFormatJpeg");
    let gate = json!({
        "activationEvaluationWindow": "PT1S", "activationSignalOffset": "PT0S",
        "minimumActivationTime": "PT1S", "maximumActivationTime": "PT1S",
    });
    processors.push(lva.node("SignalGateProcessor", "gate", &["grpc", "camera"], gate));
    let cache = json!({
        "localMediaCachePath": "/var/lib/azuremediaservices/tmp/", "localMediaCacheMaximumSizeMiB": "200",
    });
    let mut asset = cache.clone();
    asset["assetNamePattern"] = "asset-${System.GraphInstanceName}".into();
    let mut file = cache;
    file["baseDirectoryPath"] = "files".into();
    file["fileNamePattern"] = "file-${System.GraphInstanceName}-${System.DateTime}".into();
    file["maximumSizeMiB"] = "512".into();
    let sinks = vec![
        lva.messages("IoTHubMessageSink"),
        lva.node("AssetSink", "asset", &["gate"], asset),
        lva.node("FileSink", "file", &["gate"], file),
    ];
    topology("2.0", FRONT, lva.source(camera), processors, sinks)
}

fn back_topology(camera: &str, urls: &[String; 2]) -> Value {
    let va = Family("#Microsoft.VideoAnalyzer.");
    let video = json!({
        "videoName": "back-door",
        "videoCreationProperties": {"title": "t", "segmentLength": "PT5M", "retentionPeriod": "P1D"},
        "localMediaCachePath": "/var/lib/videoanalyzer/tmp/", "localMediaCacheMaximumSizeMiB": "2048",
    });
    let sinks = vec![
        va.messages("IotHubMessageSink"),
        va.node("VideoSink", "video", &["camera"], video),
    ];
    let processors = va.extensions(urls, "ImageFormatPng");
    topology("1.1", BACK, va.source(camera), processors, sinks)
}
