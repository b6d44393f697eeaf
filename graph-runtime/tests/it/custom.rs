//! Nodes that the program brings along.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lva_graph_model::CustomNodeTypeError;
use lva_graph_model::methods::InstanceState;
use lva_graph_runtime::{
    CustomNode, DropReason, InstanceStats, Module, NodeContext, NodeError, NodeFactory, NodeFrame,
    RuntimeOptions,
};
use lva_inference_schema::{Event, EventName, Inference, JsonStyle};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::nodes::{Pipeline, grpc, grpc_node, hub, node, person, run_with};
use crate::support::*;

const TYPE: &str = "#Contoso.Test";
/// After which a node counts as hung.
const SOON: Duration = Duration::from_secs(1);

type Found = Result<Vec<Inference>, NodeError>;
type Looks = Box<dyn FnMut(NodeFrame<'_>) -> Found + Send>;
type Makes = dyn Fn(&NodeContext<'_>) -> Result<Looks, NodeError> + Send + Sync;

/// Makes nodes of closures.
struct Closures(&'static str, Box<Makes>);

impl NodeFactory for Closures {
    fn type_name(&self) -> &str {
        self.0
    }

    fn create(&self, node: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
        Ok(Box::new(Closure((self.1)(node)?)))
    }
}

struct Closure(Looks);

#[async_trait]
impl CustomNode for Closure {
    async fn process(&mut self, frame: NodeFrame<'_>) -> Found {
        (self.0)(frame)
    }
}

fn making(
    makes: impl Fn(&NodeContext<'_>) -> Result<Looks, NodeError> + Send + Sync + 'static,
) -> impl FnOnce(RuntimeOptions) -> RuntimeOptions {
    with_factory(Closures(TYPE, Box::new(makes)))
}

fn with_factory(factory: impl NodeFactory) -> impl FnOnce(RuntimeOptions) -> RuntimeOptions {
    |options| options.with_node_factory(factory).unwrap()
}

/// With little patience.
fn soon(own: impl FnOnce(RuntimeOptions) -> RuntimeOptions) -> impl FnOnce(RuntimeOptions) -> RuntimeOptions {
    |options| own(options).with_extension_answer_timeout(SOON)
}

/// A node that does the same with every frame.
fn looking(
    looks: impl Fn(NodeFrame<'_>) -> Found + Clone + Send + Sync + 'static,
) -> impl FnOnce(RuntimeOptions) -> RuntimeOptions {
    making(move |_| Ok(Box::new(looks.clone())))
}

fn own_node(name: &str, input: &str, own: Value) -> Value {
    let mut made = node("", name, &[input], own);
    made["@type"] = TYPE.into();
    made
}

fn event(name: &str) -> Inference {
    Inference::new(Event::new(name))
}

fn count_of(stats: &InstanceStats, node: &str, reason: DropReason) -> u64 {
    let key = (node.to_owned(), reason);
    stats.dropped.get(&key).copied().unwrap_or_default()
}

/// The bodies of the runtime errors that a node has emitted.
fn errors(pipeline: &Pipeline, node: &str) -> Vec<Value> {
    let all = pipeline.events.all();
    let own = all.iter().filter(|event| {
        event.name == EventName::RuntimeError
            && event.subject.node_name().is_some_and(|(_, name)| name == node)
    });
    own.map(|event| event.body.to_json(JsonStyle::VideoAnalyzer))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_finds_reaches_its_sink_and_opens_its_gate() {
    let gate = json!({
        "activationEvaluationWindow": "PT1S", "activationSignalOffset": "PT0S",
        "minimumActivationTime": "PT1S", "maximumActivationTime": "PT1S",
    });
    let file = json!({
        "baseDirectoryPath": "files", "fileNamePattern": "a-${System.Runtime.DateTime}", "maximumSizeMiB": "512",
    });
    let settings = json!({"at": "5", "samplingOptions": {"maximumSamplesPerSecond": "5"}});
    let nodes = vec![
        own_node("own", "camera", settings),
        node("SignalGateProcessor", "gate", &["own", "camera"], gate),
    ];
    let sinks = vec![hub("own"), node("FileSink", "file", &["gate"], file)];
    let pipeline = run_with(
        nodes,
        sinks,
        making(|context| {
            let (name, at) = (context.name().to_owned(), context.number("AT")?);
            assert_eq!(at, Some(5.0));
            assert_eq!((context.instance(), context.topology()), ("Sample-Graph-1", "t"));
            let mut number = 0;
            Ok(Box::new(move |frame| {
                number += 1;
                let luma = frame.picture().plane(0).unwrap();
                assert_eq!((luma.width, luma.height), (160, 120));
                assert_eq!((frame.session(), frame.prior_results().len()), (1, 0));
                let thread = std::thread::current();
                assert_eq!(thread.name(), Some("lva-node-own"));
                let emitted =
                    Event::new(name.as_str()).with_property("frame", frame.timestamp_90k().to_string());
                let found = (number % 5 == 1).then(|| Inference::new(emitted));
                Ok(found.into_iter().collect())
            }))
        }),
    )
    .await;
    let (emitted, body) = pipeline.emitted("own", |_| true).await;
    assert_eq!(emitted.output.as_deref(), Some("out"));
    assert_eq!(body["timestamp"], emitted.timestamp_90k);
    assert_eq!(
        frame_of(&emitted),
        (emitted.timestamp_90k, emitted.timestamp_90k.to_string())
    );
    pipeline.events.wait(EventName::RecordingAvailable, 0).await;
    let stats = until(&pipeline.module, |stats| stats.extensions["own"].answered >= 20).await;
    assert!(stats.latencies["own"].frames > 0, "{stats:?}");
    let seconds = (stats.last_picture_90k.unwrap() - stats.first_picture_90k.unwrap()) as f64 / 90_000.0;
    assert!(
        stats.extensions["own"].sent as f64 <= seconds * 5.0 + 2.0,
        "{stats:?}"
    );
    let stats = pipeline.stop().await;
    assert_accounts(&stats, "own");
    assert_eq!(stats.extensions["own"].sessions, 1);
    assert!(stats.clips >= 1 && stats.frame_to_event.count >= 4, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_between_two_extensions_is_given_what_the_first_found_and_gives_it_on() {
    let first = grpc(|sample| match sample.sequence() % 2 {
        0 => vec![person(0.25)],
        _ => Vec::new(),
    })
    .await;
    let last = grpc(|sample| {
        let before = sample.upstream().len().to_string();
        vec![Inference::new(Event::new("last").with_property("before", before))]
    })
    .await;
    let annotated = json!({"samplingOptions": {"skipSamplesWithoutAnnotation": "true"}});
    let nodes = vec![
        grpc_node(
            "first",
            "camera",
            &first.url,
            json!({"maximumSamplesPerSecond": "10"}),
        ),
        own_node("own", "first", annotated),
        grpc_node("last", "own", &last.url, json!({})),
    ];
    let pipeline = run_with(
        nodes,
        vec![hub("last")],
        looking(|frame| {
            assert_eq!(
                frame.prior_results().len(),
                1,
                "no frame in which nothing was found"
            );
            Ok(vec![event("own")])
        }),
    )
    .await;
    let (_, body) = pipeline
        .emitted("last", |body| body["inferences"].as_array().unwrap().len() == 3)
        .await;
    assert_eq!(body["inferences"][0]["entity"]["tag"]["value"], "person");
    assert_eq!(body["inferences"][1]["event"]["name"], "own");
    assert_eq!(body["inferences"][2]["event"]["properties"]["before"], "2");
    // Frames that it is not shown go on to the last.
    let bare = |body: &Value| body["inferences"][0]["event"]["properties"]["before"] == "0";
    pipeline.emitted("last", bare).await;
    let stats = pipeline.stop().await;
    for node in ["first", "own", "last"] {
        assert_accounts(&stats, node);
    }
    assert!(errors(&pipeline, "own").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_follows_what_a_node_finds() {
    let nodes = vec![
        own_node(
            "own",
            "camera",
            json!({"samplingOptions": {"maximumSamplesPerSecond": "10"}}),
        ),
        node("ObjectTrackingProcessor", "tracker", &["own"], json!({})),
    ];
    let pipeline = run_with(
        nodes,
        vec![hub("tracker")],
        looking(|frame| {
            let phase = (frame.timestamp_90k() % 270_000) as f32 / 270_000.0;
            Ok(vec![person(0.1 + 0.7 * phase)])
        }),
    )
    .await;
    let (_, body) = pipeline.emitted("tracker", |_| true).await;
    let id = body["inferences"][0]["sequenceId"].as_str();
    assert!(id.is_some_and(|id| !id.is_empty()), "{body}");
    pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_fails_says_so_once_and_its_frames_go_on_without_it() {
    let behind = grpc(|sample| {
        let before = sample.upstream().len().to_string();
        vec![Inference::new(
            Event::new("behind").with_property("before", before),
        )]
    })
    .await;
    let nodes = vec![
        own_node("own", "camera", json!({})),
        grpc_node("behind", "own", &behind.url, json!({})),
    ];
    let frames = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&frames);
    let pipeline = run_with(
        nodes,
        vec![hub("behind")],
        looking(move |_| match count.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => Err(NodeError::new("the lens is dirty").with_remedy("wipe it")),
            _ => Ok(vec![event("own")]),
        }),
    )
    .await;
    let before = |count: &'static str| {
        move |body: &Value| {
            let found = body["inferences"].as_array().unwrap().last().unwrap();
            found["event"]["properties"]["before"] == count
        }
    };
    pipeline.emitted("behind", before("0")).await;
    pipeline.emitted("behind", before("1")).await;
    until(&pipeline.module, |stats| {
        count_of(stats, "own", DropReason::NodeFailed) >= 10 && stats.extensions["behind"].answered >= 10
    })
    .await;
    let stats = pipeline.stop().await;
    assert_accounts(&stats, "own");
    assert_accounts(&stats, "behind");
    assert_eq!(
        stats.extensions["own"].sessions, 1,
        "an error does not restart the node"
    );
    let emitted = json!({"code": "nodeFailed", "message": "the lens is dirty; wipe it"});
    assert_eq!(errors(&pipeline, "own"), [emitted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_panics_is_made_anew_and_takes_nobody_with_it() {
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let nodes = vec![
        own_node("bad", "camera", json!({"panics": true})),
        own_node("good", "camera", json!({})),
    ];
    let mut good = hub("good");
    good["name"] = "goodHub".into();
    let pipeline = run_with(
        nodes,
        vec![hub("bad"), good],
        making(move |context| {
            if context.string("panics").is_none() {
                return Ok(Box::new(|_| Ok(vec![event("good")])));
            }
            // The second time it cannot be made, and the third time the factory panics too.
            match count.fetch_add(1, Ordering::SeqCst) {
                1 => return Err(NodeError::new("not now")),
                2 => panic!("a factory that panics"),
                _ => {}
            }
            let mut left = 3;
            Ok(Box::new(move |_| {
                left -= 1;
                assert!(left > 0, "a node that panics");
                Ok(vec![event("bad")])
            }))
        }),
    )
    .await;
    pipeline.emitted("bad", |_| true).await;
    until(&pipeline.module, |stats| stats.extensions["bad"].sessions >= 3).await;
    let before = pipeline.module.stats("Sample-Graph-1").unwrap();
    until(&pipeline.module, |stats| {
        stats.extensions["good"].answered >= before.extensions["good"].answered + 30
    })
    .await;
    let stats = pipeline.stop().await;
    assert_accounts(&stats, "bad");
    assert_accounts(&stats, "good");
    let (bad, good) = (stats.extensions["bad"], stats.extensions["good"]);
    assert_eq!(
        bad.sessions + 2,
        made.load(Ordering::SeqCst),
        "two that were not made"
    );
    assert!(count_of(&stats, "bad", DropReason::NodeFailed) >= 4, "{stats:?}");
    assert_eq!((good.sessions, good.answered), (1, good.sent), "{stats:?}");
    let codes: Vec<Value> = errors(&pipeline, "bad")
        .into_iter()
        .map(|body| body["code"].clone())
        .collect();
    assert_eq!(
        codes,
        ["nodePanicked", "nodeFailed"],
        "no more than once a minute for the same"
    );
    assert!(errors(&pipeline, "good").is_empty());
    assert_eq!(stats.camera_sessions, 1);
}

/// A node that blocks until it is released.
fn blocking() -> (
    Sender<()>,
    impl Fn(NodeFrame<'_>) -> Found + Clone + Send + Sync + 'static,
) {
    let (release, released) = channel::<()>();
    let released: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(released));
    (release, move |_: NodeFrame<'_>| {
        let _ = released.lock().unwrap().recv();
        Ok(vec![event("own")])
    })
}

fn assert_timed_out(body: &Value) {
    let text = body["message"].as_str().unwrap_or_default();
    assert!(body["code"] == "nodeHung" && text.contains("in time"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_times_out_loses_its_own_frames_and_works_again_after_it_returns() {
    let behind = grpc(|_| vec![event("behind")]).await;
    let nodes = vec![
        own_node("own", "camera", json!({})),
        grpc_node("behind", "own", &behind.url, json!({})),
    ];
    let (release, looks) = blocking();
    let pipeline = run_with(nodes, vec![hub("behind")], soon(looking(looks))).await;
    let (_, emitted) = pipeline.events.wait(EventName::RuntimeError, 0).await;
    assert_timed_out(&emitted.body.to_json(JsonStyle::Lva));
    let stats = until(&pipeline.module, |stats| {
        count_of(stats, "own", DropReason::ExtensionUnavailable) >= 10
            && stats.extensions["behind"].answered >= 10
    })
    .await;
    assert_eq!(stats.extensions["own"].answered, 0);
    // A node that returns finds something at once.
    drop(release);
    let both = |body: &Value| body["inferences"][0]["event"]["name"] == "own";
    pipeline.emitted("behind", both).await;
    let stats = pipeline.stop().await;
    assert_accounts(&stats, "own");
    assert_accounts(&stats, "behind");
    assert!(count_of(&stats, "own", DropReason::Unanswered) >= 1, "{stats:?}");
    assert_eq!(errors(&pipeline, "own").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deactivation_does_not_wait_for_a_node_that_blocks() {
    let (release, looks) = blocking();
    let nodes = vec![own_node("own", "camera", json!({}))];
    // No time-out comes to its help.
    let patient = |options| looking(looks)(options).with_extension_answer_timeout(Duration::from_secs(3600));
    let pipeline = run_with(nodes, vec![hub("own")], patient).await;
    until(&pipeline.module, |stats| stats.extensions["own"].sent == 1).await;
    let stopped = tokio::time::timeout(Duration::from_secs(60), pipeline.stop()).await;
    let stats = stopped.expect("the deactivation waits for the node");
    assert_eq!(
        pipeline.module.state("Sample-Graph-1"),
        Some(InstanceState::Inactive)
    );
    assert_accounts(&stats, "own");
    drop(release);
}

/// Waits for ever at its first frame, and not any more at the next ones.
struct Waits(bool);

#[async_trait]
impl CustomNode for Waits {
    async fn process(&mut self, _: NodeFrame<'_>) -> Found {
        tokio::time::sleep(Duration::ZERO).await;
        if std::mem::take(&mut self.0) {
            pending::<()>().await;
        }
        Ok(vec![event("own")])
    }
}

struct WaitsFactory;

impl NodeFactory for WaitsFactory {
    fn type_name(&self) -> &str {
        TYPE
    }

    fn create(&self, _: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
        Ok(Box::new(Waits(true)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_in_vain_is_interrupted_and_goes_on_with_the_next_frame() {
    let nodes = vec![own_node("own", "camera", json!({}))];
    let pipeline = run_with(nodes, vec![hub("own")], soon(with_factory(WaitsFactory))).await;
    pipeline.emitted("own", |_| true).await;
    let stats = pipeline.stop().await;
    assert_accounts(&stats, "own");
    assert!(count_of(&stats, "own", DropReason::Unanswered) >= 1, "{stats:?}");
    assert_eq!(stats.extensions["own"].sessions, 1);
    let errors = errors(&pipeline, "own");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_timed_out(&errors[0]);
}

/// The tutorial's topology with a node of this module's own in it.
fn with_own_node(own: Value) -> Value {
    let mut node = json!({"@type": TYPE, "name": "own", "inputs": [{"nodeName": "rtspSource"}]});
    node.as_object_mut()
        .unwrap()
        .extend(own.as_object().unwrap().clone());
    let hub = json!({
        "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "ownHub", "hubOutputName": "own",
        "inputs": [{"nodeName": "own"}],
    });
    topology(vec![node], vec![hub])
}

fn dark_options(options: RuntimeOptions) -> RuntimeOptions {
    let factory = Closures(
        TYPE,
        Box::new(|context| match context.number("below")? {
            Some(0.0) => Err(NodeError::new("nothing is darker than 0").with_remedy("raise 'below'")),
            Some(1.0) => panic!("a factory that panics"),
            _ => Ok(Box::new(|_| Ok(Vec::new()))),
        }),
    );
    options.with_node_factory(factory).unwrap()
}

#[tokio::test]
async fn an_activation_that_the_factory_refuses_names_node_type_reason_and_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module_with(directory.path(), dark_options);
    for (below, parts) in [
        ("0", ["'own'", TYPE, "nothing is darker than 0", "raise 'below'"]),
        (
            "one",
            [
                "'own'",
                TYPE,
                "the value of 'below' is not a number",
                "set 'below' to a number",
            ],
        ),
        ("1", ["'own'", TYPE, "its factory panicked", "read the log"]),
    ] {
        must(
            &module,
            "GraphTopologySet",
            with_own_node(json!({"below": below})),
        )
        .await;
        must(&module, "GraphInstanceSet", instance("rtsp://127.0.0.1:1/x", 1)).await;
        let (status, answer) = module
            .invoke("GraphInstanceActivate", &by_name("Sample-Graph-1"))
            .await;
        assert_eq!(status, 409, "{answer}");
        for part in parts {
            assert!(answer.to_string().contains(part), "{part}: {answer}");
        }
        assert_eq!(module.state("Sample-Graph-1"), Some(InstanceState::Inactive));
    }
}

#[tokio::test]
async fn a_node_may_take_long_to_be_made_and_is_given_up_by_a_deactivation_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let began = Arc::new(Notify::new());
    let begins = Arc::clone(&began);
    let slow = making(move |_| {
        begins.notify_one();
        let _ = released.lock().unwrap().recv();
        Ok(Box::new(|_| Ok(Vec::new())))
    });
    let (module, _) = module_with(directory.path(), slow);
    must(&module, "GraphTopologySet", with_own_node(json!({}))).await;
    must(&module, "GraphInstanceSet", instance("rtsp://127.0.0.1:1/x", 1)).await;
    let other = module.clone();
    let name = by_name("Sample-Graph-1");
    let activation = tokio::spawn(async move { other.invoke("GraphInstanceActivate", &name).await });
    // This test has one thread, which goes on while the factory blocks.
    began.notified().await;
    assert_eq!(module.state("Sample-Graph-1"), Some(InstanceState::Activating));
    must(&module, "GraphInstanceDeactivate", by_name("Sample-Graph-1")).await;
    drop(release);
    let (status, answer) = activation.await.unwrap();
    assert!(status >= 400, "{status} {answer}");
    assert_eq!(module.state("Sample-Graph-1"), Some(InstanceState::Inactive));
    assert!(module.stats("Sample-Graph-1").is_none());
    must(&module, "GraphInstanceActivate", by_name("Sample-Graph-1")).await;
    module.shutdown().await;
}

#[tokio::test]
async fn without_its_factory_a_node_is_refused_with_its_topology_and_after_a_restart_too() {
    let directory = tempfile::tempdir().unwrap();
    let (plain, _) = module(directory.path());
    let own = with_own_node(json!({"below": "20"}));
    let (status, answer) = plain.invoke("GraphTopologySet", &own).await;
    assert_eq!(status, 400, "{answer}");
    for part in ["UnknownNodeType", "with_node_factory"] {
        assert!(answer.to_string().contains(part), "{part}: {answer}");
    }

    let (module, _) = module_with(directory.path(), dark_options);
    assert_eq!(module.custom_types().iter().collect::<Vec<_>>(), [TYPE]);
    activate(&module, own, instance("rtsp://127.0.0.1:1/x", 1)).await;
    let saved = module.save();
    module.shutdown().await;
    let options = RuntimeOptions::new(directory.path());
    let (again, failures) = Module::restore(&saved, dark_options(options.clone()), vec![]).unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(again.state("Sample-Graph-1"), Some(InstanceState::Active));
    again.shutdown().await;
    let (without, failures) = Module::restore(&saved, options, vec![]).unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(without.state("Sample-Graph-1"), Some(InstanceState::Inactive));
}

#[test]
fn a_factory_for_a_type_that_is_taken_is_refused() {
    let options = || dark_options(RuntimeOptions::new("x"));
    let closures = |name| Closures(name, Box::new(|_| Err(NodeError::new(""))));
    let twice = options().with_node_factory(closures("contoso.TEST")).unwrap_err();
    assert!(matches!(twice, CustomNodeTypeError::Duplicate { .. }), "{twice}");
    let contract = options().with_node_factory(closures("#Microsoft.VideoAnalyzer.FileSink"));
    assert!(matches!(contract, Err(CustomNodeTypeError::OfTheContract { .. })));
    assert!(format!("{:?}", options()).contains(TYPE));
}
