//! The nodes around the tutorial's: HTTP extensions, extensions in line, trackers and lines, hub messages.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use lva_extension_protocol::BoxError;
use lva_extension_protocol::http::HttpExtensionServer;
use lva_extension_protocol::server::{
    Extension, ExtensionOpenError, ExtensionServer, ExtensionSession, ListenAddress, Sample, SessionInfo,
};
use lva_graph_runtime::{DropReason, GraphEvent, HubMessage, Module, RuntimeOptions};
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{Entity, Event, EventName, Inference, JsonStyle, Rectangle};
use lva_rtsp_simulator::Simulator;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::*;

/// What an extension makes of a sample.
type Respond = Arc<dyn Fn(&Sample<'_>) -> Vec<Inference> + Send + Sync>;

#[derive(Clone)]
struct Responder(Respond);

#[async_trait]
impl Extension for Responder {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl ExtensionSession for Responder {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        Ok((self.0)(&sample))
    }
}

/// A server that goes on until it is dropped.
pub(crate) struct Serving {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn grpc(respond: impl Fn(&Sample<'_>) -> Vec<Inference> + Send + Sync + 'static) -> Serving {
    let server = ExtensionServer::new(Responder(Arc::new(respond)));
    let listening = server.listen(ListenAddress::loopback(0)).await.unwrap();
    Serving {
        url: listening.url().to_string(),
        task: tokio::spawn(async {
            let _ = listening.serve(std::future::pending()).await;
        }),
    }
}

async fn http(port: u16, respond: impl Fn(&Sample<'_>) -> Vec<Inference> + Send + Sync + 'static) -> Serving {
    let server = HttpExtensionServer::new(Responder(Arc::new(respond)));
    let listening = server.listen(([127, 0, 0, 1], port).into()).await.unwrap();
    Serving {
        url: format!("{}score?id=1", listening.url()),
        task: tokio::spawn(listening.serve(std::future::pending())),
    }
}

pub(crate) fn person(left: f32) -> Inference {
    let place = Rectangle::new(left, 0.4_f32, 0.1_f32, 0.3_f32);
    Inference::new(Entity::new("person", 0.9_f32, place)).with_subtype("objectDetection")
}

/// A pipeline of Video Analyzer with these nodes behind its camera, set and running.
pub(crate) struct Pipeline {
    directory: tempfile::TempDir,
    pub(crate) module: Module,
    pub(crate) events: EventLog,
    _camera: Simulator,
}

const VA: &str = "#Microsoft.VideoAnalyzer.";

pub(crate) fn node(kind: &str, name: &str, inputs: &[&str], own: Value) -> Value {
    let inputs: Vec<Value> = inputs.iter().map(|input| json!({"nodeName": input})).collect();
    let mut node = json!({"@type": format!("{VA}{kind}"), "name": name, "inputs": inputs});
    let members = own.as_object().unwrap().clone();
    node.as_object_mut().unwrap().extend(members);
    node
}

fn at(url: &str) -> Value {
    json!({"@type": format!("{VA}UnsecuredEndpoint"), "url": url})
}

pub(crate) fn hub(input: &str) -> Value {
    node(
        "IotHubMessageSink",
        "hub",
        &[input],
        json!({"hubOutputName": "out"}),
    )
}

fn http_node(name: &str, input: &str, url: &str, rate: &str) -> Value {
    let image = json!({
        "scale": {"mode": "stretch", "width": "64", "height": "48"},
        "format": {"@type": format!("{VA}ImageFormatJpeg"), "quality": "80"},
    });
    let own = json!({
        "endpoint": at(url), "image": image, "samplingOptions": {"maximumSamplesPerSecond": rate},
    });
    node("HttpExtension", name, &[input], own)
}

pub(crate) fn grpc_node(name: &str, input: &str, url: &str, sampling: Value) -> Value {
    let image = json!({"format": {"@type": format!("{VA}ImageFormatRaw"), "pixelFormat": "rgb24"}});
    let own = json!({
        "endpoint": at(url), "image": image, "samplingOptions": sampling,
        "dataTransfer": {"mode": "sharedMemory", "sharedMemorySizeMiB": "4"},
    });
    node("GrpcExtension", name, &[input], own)
}

async fn run(processors: Vec<Value>, sinks: Vec<Value>) -> Pipeline {
    run_with(processors, sinks, |options| options).await
}

/// The same with options of its own.
pub(crate) async fn run_with(
    processors: Vec<Value>,
    sinks: Vec<Value>,
    own: impl FnOnce(RuntimeOptions) -> RuntimeOptions,
) -> Pipeline {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let camera = camera(directory.path(), None).await;
    let credentials = json!({
        "@type": format!("{VA}UsernamePasswordCredentials"), "username": USER, "password": PASSWORD,
    });
    let mut endpoint = at(&camera.url("clip.mp4"));
    endpoint["credentials"] = credentials;
    let topology = json!({
        "@apiVersion": "1.1", "name": "t",
        "properties": {
            "sources": [
                {"@type": format!("{VA}RtspSource"), "name": "camera", "endpoint": endpoint},
                {"@type": format!("{VA}IotHubMessageSource"), "name": "messages", "hubInputName": "trigger"},
            ],
            "processors": processors, "sinks": sinks,
        },
    });
    let pipeline =
        json!({"@apiVersion": "1.1", "name": "Sample-Graph-1", "properties": {"topologyName": "t"}});
    let (module, events) = module_with(&recordings(directory.path()), own);
    must(&module, "pipelineTopologySet", topology).await;
    must(&module, "livePipelineSet", pipeline).await;
    let name = json!({"@apiVersion": "1.1", "name": "Sample-Graph-1"});
    must(&module, "livePipelineActivate", name).await;
    Pipeline {
        directory,
        module,
        events,
        _camera: camera,
    }
}

fn recordings(directory: &Path) -> std::path::PathBuf {
    directory.join("recordings")
}

impl Pipeline {
    pub(crate) async fn stop(&self) -> lva_graph_runtime::InstanceStats {
        let name = json!({"@apiVersion": "1.1", "name": "Sample-Graph-1"});
        must(&self.module, "livePipelineDeactivate", name).await;
        self.module.stats("Sample-Graph-1").unwrap()
    }

    /// The first inference event of this node that fulfils a condition.
    pub(crate) async fn emitted(
        &self,
        node: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> (GraphEvent, Value) {
        let mut from = 0;
        loop {
            let (place, event) = self.events.wait(EventName::Inference, from).await;
            let body = event.body.to_json(JsonStyle::VideoAnalyzer);
            let own = event.subject.node_name().is_some_and(|(_, name)| name == node);
            if own && condition(&body) {
                return (event, body);
            }
            from = place + 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_extension_is_asked_at_its_rate_and_its_answer_published_as_it_wrote_it() {
    let pictures = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&pictures);
    let server = http(0, move |sample| {
        assert_eq!(sample.data().get(..2), Some(&[0xff, 0xd8][..]), "a JPEG");
        count.fetch_add(1, Ordering::SeqCst);
        vec![person(0.25)]
    })
    .await;
    let pipeline = run(
        vec![http_node("ext", "camera", &server.url, "5")],
        vec![hub("ext")],
    )
    .await;
    let (event, body) = pipeline.emitted("ext", |_| true).await;
    assert_eq!(event.output.as_deref(), Some("out"));
    let text = body.to_string();
    let begin = format!(
        r#"{{"timestamp":{},"inferences":[{{"type":"entity","subtype":"objectDetection","#,
        event.timestamp_90k
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.contains(r#""l":0.25"#), "{text}");
    let stats = until(&pipeline.module, |stats| stats.extensions["ext"].answered >= 10).await;
    let seconds = (stats.last_picture_90k.unwrap() - stats.first_picture_90k.unwrap()) as f64 / 90_000.0;
    assert!(
        stats.extensions["ext"].sent as f64 <= seconds * 5.0 + 2.0,
        "{stats:?}"
    );
    let stats = pipeline.stop().await;
    assert_accounts(&stats, "ext");
    let ext = stats.extensions["ext"];
    assert!((ext.answered..=ext.sent).contains(&pictures.load(Ordering::SeqCst)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_extension_that_dies_is_said_once_and_asked_again_when_it_is_back() {
    let server = http(0, |_| vec![person(0.25)]).await;
    let port: u16 = server.url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    let pipeline = run(
        vec![http_node("ext", "camera", &server.url, "10")],
        vec![hub("ext")],
    )
    .await;
    pipeline.emitted("ext", |_| true).await;
    drop(server);
    let (died, _) = pipeline.events.wait(EventName::NetworkError, 0).await;
    until(&pipeline.module, |stats| {
        stats.dropped_for(DropReason::ExtensionUnavailable) >= 10
    })
    .await;
    let _server = http(port, |_| vec![person(0.5)]).await;
    pipeline
        .emitted("ext", |body| body.to_string().contains(r#""l":0.5"#))
        .await;
    let errors = pipeline.events.all();
    let errors = errors.iter().skip(died + 1);
    let more = errors
        .filter(|event| event.name == EventName::NetworkError)
        .count();
    assert!(
        more <= 1,
        "a connection that failed, and then a closed port: {more} more"
    );
    let stats = pipeline.stop().await;
    assert_accounts(&stats, "ext");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extensions_in_line_get_the_results_before_them_and_publish_all_together() {
    let first = grpc(|sample| match sample.sequence() % 2 {
        0 => vec![person(0.25)],
        _ => Vec::new(),
    })
    .await;
    let second = grpc(|sample| {
        let before = sample.upstream().len().to_string();
        vec![Inference::new(
            Event::new("second").with_property("before", before),
        )]
    })
    .await;
    let sampling = json!({"maximumSamplesPerSecond": "10"});
    let nodes = vec![
        grpc_node("first", "camera", &first.url, sampling),
        grpc_node("second", "first", &second.url, json!({})),
    ];
    let pipeline = run(nodes, vec![hub("second")]).await;
    let both = |body: &Value| {
        body["inferences"]
            .as_array()
            .is_some_and(|found| found.len() == 2)
    };
    let (_, body) = pipeline.emitted("second", both).await;
    assert_eq!(body["inferences"][0]["entity"]["tag"]["value"], "person");
    assert_eq!(body["inferences"][1]["event"]["properties"]["before"], "1");
    // Frames that the first was not shown go on too.
    let alone = |body: &Value| body["inferences"][0]["event"]["properties"]["before"] == "0";
    pipeline.emitted("second", alone).await;
    until(&pipeline.module, |stats| {
        stats.extensions["second"].answered >= 60
    })
    .await;
    let stats = pipeline.stop().await;
    let (first, second) = (stats.extensions["first"], stats.extensions["second"]);
    assert!(second.offered > 2 * first.offered, "{stats:?}");
    assert_accounts(&stats, "first");
    assert_accounts(&stats, "second");
    let mut last = 0;
    for event in pipeline.events.all() {
        if event.name == EventName::Inference {
            assert!(event.timestamp_90k > last, "no frame overtakes another");
            last = event.timestamp_90k;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_in_line_that_wants_annotated_frames_gets_no_others() {
    let first = grpc(|sample| match sample.sequence() % 3 {
        0 => vec![person(0.25)],
        _ => Vec::new(),
    })
    .await;
    let bare = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&bare);
    let second = grpc(move |sample| {
        count.fetch_add(u64::from(sample.upstream().is_empty()), Ordering::SeqCst);
        Vec::new()
    })
    .await;
    let annotated = json!({"skipSamplesWithoutAnnotation": "true"});
    let nodes = vec![
        grpc_node("first", "camera", &first.url, json!({})),
        grpc_node("second", "first", &second.url, annotated),
    ];
    let pipeline = run(nodes, vec![hub("second")]).await;
    // What the first has found is published behind the second, though that one has nothing to add.
    pipeline
        .emitted("second", |body| body["inferences"][0]["type"] == "entity")
        .await;
    until(&pipeline.module, |stats| stats.extensions["second"].answered >= 5).await;
    let stats = pipeline.stop().await;
    assert_eq!(bare.load(Ordering::SeqCst), 0);
    assert!(
        stats.extensions["second"].offered * 2 < stats.extensions["first"].answered,
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_gives_objects_a_name_and_a_line_counts_them() {
    // A person who walks from left to right within three seconds, again and again.
    let server = grpc(|sample| {
        let phase = (sample.timestamp_90k() % 270_000) as f32 / 270_000.0;
        // The second box is in pixels: it costs itself, and not the frame.
        vec![person(0.1 + 0.7 * phase), person(320.0)]
    })
    .await;
    let line = json!({"lines": [{
        "@type": format!("{VA}NamedLineString"), "name": "LineCrossing1", "line": "[[0.5,0.1],[0.5,0.9]]",
    }]});
    let nodes = vec![
        grpc_node(
            "ext",
            "camera",
            &server.url,
            json!({"maximumSamplesPerSecond": "10"}),
        ),
        node(
            "ObjectTrackingProcessor",
            "tracker",
            &["ext"],
            json!({"accuracy": "low"}),
        ),
        node("LineCrossingProcessor", "lines", &["tracker"], line),
    ];
    let mut tracked = hub("tracker");
    tracked["name"] = "trackedHub".into();
    let pipeline = run(nodes, vec![hub("lines"), tracked]).await;
    let (_, object) = pipeline.emitted("tracker", |_| true).await;
    assert_eq!(object["inferences"][0]["subtype"], "objectDetection");
    assert!(
        object["inferences"][0]["sequenceId"]
            .as_str()
            .is_some_and(|id| !id.is_empty())
    );
    let total = |total: &'static str| {
        move |body: &Value| {
            let found = body["inferences"].as_array();
            found.is_some_and(|found| {
                found
                    .iter()
                    .any(|one| one["event"]["properties"]["total"] == total)
            })
        }
    };
    let (event, body) = pipeline.emitted("lines", total("2")).await;
    let found = body["inferences"].as_array().unwrap();
    let crossing = found.iter().find(|one| one["type"] == "event").unwrap();
    assert_eq!(crossing["subtype"], "lineCrossing");
    assert_eq!(crossing["event"]["name"], "LineCrossing1");
    let entity = found.iter().find(|one| one["type"] == "entity").unwrap();
    assert_eq!(crossing["relatedInferences"][0], entity["inferenceId"]);
    let EventBody::Analytics(_) = &event.body else {
        panic!("{event:?}");
    };
    assert!(body["inferences"].to_string().contains("clockwise"));
    let stats = pipeline.stop().await;
    let latency = |node: &str| stats.latencies[node];
    let in_line = ["ext", "tracker", "lines"].map(latency);
    assert!(
        in_line.is_sorted_by_key(|node| node.max),
        "each is behind the one before: {in_line:?}"
    );
    assert_eq!(in_line[1].frames, in_line[2].frames);
    assert!(stats.dropped[&("tracker".to_owned(), DropReason::InvalidObject)] > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_message_opens_the_gates_that_listen_and_no_others() {
    let gate = json!({
        "activationEvaluationWindow": "PT1S", "activationSignalOffset": "PT0S",
        "minimumActivationTime": "PT10S", "maximumActivationTime": "PT10S",
    });
    let file = json!({
        "baseDirectoryPath": "files", "fileNamePattern": "a-${System.Runtime.DateTime}", "maximumSizeMiB": "512",
    });
    let pipeline = run(
        vec![node("SignalGateProcessor", "gate", &["messages", "camera"], gate)],
        vec![node("FileSink", "file", &["gate"], file)],
    )
    .await;
    let stats = until(&pipeline.module, |stats| stats.received >= 60).await;
    assert_eq!(stats.decoded, 0, "no node wants pictures");
    let module = &pipeline.module;
    assert_eq!(module.deliver("other", &HubMessage::new()), Ok(0));
    let elsewhere = HubMessage::new().with_property("eventTarget", "/livePipelines/other");
    assert_eq!(module.deliver("trigger", &elsewhere), Ok(0));
    assert!(
        module
            .deliver("trigger", &HubMessage::new().with_property("eventTime", "soon"))
            .is_err()
    );
    assert_eq!(pipeline.events.count(EventName::RecordingStarted), 0);
    assert_eq!(module.deliver("trigger", &HubMessage::new().with_id("m1")), Ok(1));
    pipeline.events.wait(EventName::RecordingStarted, 0).await;
    let stats = pipeline.stop().await;
    pipeline.events.wait(EventName::RecordingAvailable, 0).await;
    assert_eq!(stats.newest_clips.len(), 1, "{stats:?}");
    assert!(stats.newest_clips[0].path.starts_with(pipeline.directory.path()));
    assert_eq!(pipeline.events.count(EventName::Inference), 0);
    // No message source listens any more.
    assert_eq!(pipeline.module.deliver("trigger", &HubMessage::new()), Ok(0));
}
