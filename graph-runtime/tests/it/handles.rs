//! Instances started and stopped with types, beside the methods.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lva_graph_model::methods::{Fault, InstanceState, MethodCall, Request};
use lva_graph_model::{Generation, Instance, Topology};
use lva_graph_runtime::{CustomNode, InstanceHandle, Module, NodeContext, NodeError, NodeFactory, NodeFrame};
use lva_inference_schema::{EventName, Inference};
use lva_rtsp::Timeouts;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::*;

const NAME: &str = "Sample-Graph-1";

fn parsed(topology: Value) -> Topology {
    Topology::from_value(topology).unwrap()
}

/// An instance whose camera is nowhere, so that it runs until it is stopped.
fn waiting() -> Instance {
    Instance::from_value(instance("rtsp://127.0.0.1:1/x", 1)).unwrap()
}

async fn started(module: &Module) -> InstanceHandle {
    let topology = parsed(topology(vec![], vec![]));
    module.start(topology, waiting()).await.unwrap()
}

#[tokio::test]
async fn an_instance_started_with_types_is_the_one_that_the_methods_see() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    let handle = started(&module).await;
    assert_eq!((handle.name(), handle.state()), (NAME, InstanceState::Active));
    let shown = must(&module, "GraphInstanceGet", by_name(NAME)).await;
    assert_eq!(shown["properties"]["state"], "Active");
    assert_eq!(handle.stats().events[&EventName::GraphInstanceStarted], 1);
    handle.stop().await.unwrap();
    assert_eq!(module.state(NAME), Some(InstanceState::Inactive));
    assert_eq!(handle.stats().events[&EventName::GraphInstanceStopped], 1);
    assert_eq!(handle.wait().await, Ok(()));
    assert!(module.flush(Duration::from_secs(60)).await);
    assert_eq!(events.count(EventName::GraphInstanceStopped), 1);
}

#[tokio::test]
async fn stopping_again_or_twice_at_once_or_by_a_method_is_fine() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    let handle = started(&module).await;
    let method = must(&module, "GraphInstanceDeactivate", by_name(NAME));
    let (first, second, _) = tokio::join!(handle.stop(), handle.stop(), method);
    first.unwrap();
    second.unwrap();
    handle.stop().await.unwrap();
    assert!(module.flush(Duration::from_secs(60)).await);
    assert_eq!(events.count(EventName::GraphInstanceStopped), 1);
}

#[tokio::test]
async fn stopping_while_the_module_shuts_down_waits_for_the_end_of_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    let handle = started(&module).await;
    let stop = async {
        let stopped = handle.stop().await;
        (
            stopped,
            handle
                .stats()
                .events
                .get(&EventName::GraphInstanceStopped)
                .copied(),
        )
    };
    let ((), (stopped, reported)) = tokio::join!(module.shutdown(), stop);
    stopped.unwrap();
    assert_eq!(reported, Some(1), "the run has ended before its stop returns");
    let ended = tokio::time::timeout(Duration::from_secs(60), handle.wait()).await;
    assert_eq!(ended, Ok(Ok(())));
    let next = started(&module).await;
    handle.stop().await.unwrap();
    assert_eq!(next.state(), InstanceState::Active);
    module.shutdown().await;
    assert_eq!(events.count(EventName::GraphInstanceStopped), 2);
}

#[tokio::test]
async fn shutting_down_waits_for_a_run_that_is_being_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    let handle = started(&module).await;
    let shutdown = async {
        module.shutdown().await;
        events.count(EventName::GraphInstanceStopped)
    };
    let (stopped, reported) = tokio::join!(handle.stop(), shutdown);
    stopped.unwrap();
    assert_eq!(reported, 1);
}

#[tokio::test]
async fn a_handle_of_an_earlier_run_leaves_the_next_run_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let first = started(&module).await;
    first.stop().await.unwrap();
    let second = started(&module).await;
    first.stop().await.unwrap();
    assert_eq!(first.state(), InstanceState::Inactive);
    assert_eq!(second.state(), InstanceState::Active);
    let refused = first.delete().await.unwrap_err();
    assert!(matches!(refused.fault, Fault::StateConflict { .. }), "{refused}");
    module.shutdown().await;
    assert_eq!(second.wait().await, Ok(()));
}

#[tokio::test]
async fn a_dropped_handle_leaves_the_instance_running() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    drop(started(&module).await);
    let handle = module.instance(NAME).unwrap();
    assert_eq!(handle.state(), InstanceState::Active);
    handle.stop().await.unwrap();
    assert!(module.instance("another").is_none());
}

#[tokio::test]
async fn the_last_handle_keeps_the_module_and_its_instances() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    let handle = started(&module).await;
    drop(module);
    handle.stop().await.unwrap();
    assert_eq!(handle.state(), InstanceState::Inactive);
    drop(handle);
    events.wait(EventName::GraphInstanceStopped, 0).await;
}

#[tokio::test]
async fn an_unknown_parameter_is_named_with_its_place_and_a_corrected_start_works() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let mut wrong = instance("rtsp://127.0.0.1:1/x", 1);
    wrong["properties"]["parameters"][0]["name"] = "rtspURI".into();
    let wrong = Instance::from_value(wrong).unwrap();
    let topology = parsed(topology(vec![], vec![]));
    let error = module.start(topology.clone(), wrong).await.unwrap_err();
    assert_eq!(error.method, "GraphInstanceSet");
    let Fault::InvalidInstance { findings } = &error.fault else {
        panic!("{error}");
    };
    let pointers: Vec<&str> = findings.iter().map(|finding| finding.pointer.as_str()).collect();
    assert!(pointers.contains(&"/properties/parameters/0"), "{findings:?}");
    assert_eq!(module.state(NAME), None);
    module
        .start(topology, waiting())
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_topology_that_runs_is_not_changed_and_one_that_does_not_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let handle = started(&module).await;
    let mut other = topology(vec![], vec![]);
    other["properties"]["description"] = "another content".into();
    let error = module.start(parsed(other.clone()), waiting()).await.unwrap_err();
    assert_eq!(error.method, "GraphTopologySet");
    let Fault::TopologyInUse { instances, .. } = &error.fault else {
        panic!("{error}");
    };
    assert_eq!(instances, &[NAME]);
    assert_eq!(handle.state(), InstanceState::Active, "it was left alone");
    handle.stop().await.unwrap();
    let handle = module.start(parsed(other), waiting()).await.unwrap();
    let shown = must(&module, "GraphTopologyGet", by_name("InferencingWithCVExtension")).await;
    assert_eq!(shown["properties"]["description"], "another content");
    handle.stop().await.unwrap();
}

#[tokio::test]
async fn starting_what_runs_gives_its_run_and_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    let first = started(&module).await;
    let again = started(&module).await;
    again.stop().await.unwrap();
    assert_eq!(first.state(), InstanceState::Inactive);
    assert!(module.flush(Duration::from_secs(60)).await);
    assert_eq!(events.count(EventName::GraphInstanceStarted), 1);
}

#[tokio::test]
async fn a_node_that_cannot_run_is_named_once_and_the_instance_stays_inactive() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let topology = parsed(topology(vec![], vec![]));
    let instance = Instance::from_value(instance("rtsp://cam[1]/x", 1)).unwrap();
    let error = module.start(topology, instance).await.unwrap_err();
    let Fault::ActivationFailed { node, .. } = &error.fault else {
        panic!("{error}");
    };
    assert_eq!(node.as_deref(), Some("rtspSource"));
    assert_eq!(error.to_string().matches("rtspSource").count(), 1, "{error}");
    assert_eq!(module.state(NAME), Some(InstanceState::Inactive));
    assert!(module.instance(NAME).is_none(), "it never ran");
}

#[tokio::test]
async fn a_run_that_ends_by_itself_gives_the_reason_and_can_be_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module_with(directory.path(), |options| {
        let timeouts = Timeouts::default().with_give_up(Some(Duration::from_millis(100)));
        options.with_camera_timeouts(timeouts)
    });
    for _ in 0..2 {
        let handle = started(&module).await;
        let failed = handle.wait().await.unwrap_err();
        assert_eq!(failed.instance, NAME);
        assert!(failed.message.contains("reconnecting has stopped"), "{failed}");
        assert_eq!(handle.state(), InstanceState::Inactive);
        handle.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_instance_leaves_its_statistics_with_the_handle_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let handle = started(&module).await;
    handle.clone().delete().await.unwrap();
    assert_eq!(module.state(NAME), None);
    assert!(module.stats(NAME).is_none());
    assert_eq!(handle.state(), InstanceState::Inactive);
    assert_eq!(handle.stats().events[&EventName::GraphInstanceStopped], 1);
    let delete = MethodCall {
        family: Generation::Lva1.family(),
        generation: Generation::Lva1,
        request: Request::TopologyDelete("InferencingWithCVExtension".to_owned()),
    };
    assert_eq!(module.call(&delete).await.unwrap().status, 200);
}

/// Creates nodes once it is released.
struct Slow {
    created: Arc<Notify>,
    released: Mutex<Receiver<()>>,
}

struct Nothing;

#[async_trait::async_trait]
impl CustomNode for Nothing {
    async fn process(&mut self, _: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError> {
        Ok(Vec::new())
    }
}

impl NodeFactory for Slow {
    fn type_name(&self) -> &str {
        "#Contoso.Slow"
    }

    fn create(&self, _: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
        self.created.notify_one();
        self.released.lock().unwrap().recv().map_err(NodeError::new)?;
        Ok(Box::new(Nothing))
    }
}

#[tokio::test]
async fn a_start_waits_for_an_activation_that_is_in_progress() {
    let directory = tempfile::tempdir().unwrap();
    let created = Arc::new(Notify::new());
    let (release, released) = channel();
    let slow = Slow {
        created: Arc::clone(&created),
        released: Mutex::new(released),
    };
    let (module, events) = module_with(directory.path(), |options| {
        options.with_node_factory(slow).unwrap()
    });
    let topology = parsed(json!({
        "@apiVersion": "1.1", "name": "t", "properties": {
            "sources": [{
                "@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera", "endpoint": {
                    "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "rtsp://127.0.0.1:1/x",
                },
            }],
            "processors": [{"@type": "#Contoso.Slow", "name": "slow", "inputs": [{"nodeName": "camera"}]}],
        },
    }));
    let start = {
        let (module, topology) = (module.clone(), topology.clone());
        move || {
            let (module, topology) = (module.clone(), topology.clone());
            async move { module.start(topology, Instance::new("p", "t", [])).await }
        }
    };
    let first = tokio::spawn(start());
    created.notified().await;
    assert_eq!(module.state("p"), Some(InstanceState::Activating));
    let second = tokio::spawn(start());
    // This test has one thread: the second start runs until it has to wait.
    tokio::task::yield_now().await;
    release.send(()).unwrap();
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!(second.state(), InstanceState::Active);
    first.stop().await.unwrap();
    assert_eq!(second.state(), InstanceState::Inactive, "both are the same run");
    assert!(module.flush(Duration::from_secs(60)).await);
    assert_eq!(events.count(EventName::PipelineStateChanged), 2);
}
