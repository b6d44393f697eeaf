//! Events about instances themselves, and when they are emitted.

use std::time::Duration;

use lva_graph_model::methods::InstanceState;
use lva_graph_runtime::{GraphEvent, InstanceStats, Module, RuntimeOptions};
use lva_inference_schema::EventName;
use lva_inference_schema::body::{EventBody, StateChange, StateReason};
use lva_rtsp::Timeouts;
use serde_json::json;

use crate::support::*;

const INSTANCE: &str = "/graphInstances/Sample-Graph-1";
const NOWHERE: &str = "rtsp://127.0.0.1:1/media/x.mp4";

fn change(event: &GraphEvent) -> &StateChange {
    match &event.body {
        EventBody::StateChange(change) => change,
        other => panic!("{other:?}"),
    }
}

fn names(events: &EventLog) -> Vec<EventName> {
    events.all().iter().map(|event| event.name).collect()
}

fn emitted(stats: &InstanceStats, name: EventName) -> u64 {
    stats.events.get(&name).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_is_the_first_word_of_an_instance_and_stopped_the_last() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Script::every(3), 0).await;
    let (module, events) = module(&directory.path().join("recordings"));
    let instance = instance(&simulator.url("clip.mp4"), server.port);
    activate(&module, topology(vec![], vec![]), instance).await;
    for round in 0..2 {
        let from = events.all().len();
        if round > 0 {
            must(&module, "GraphInstanceActivate", by_name("Sample-Graph-1")).await;
        }
        events.wait(EventName::RecordingStarted, from).await;
        let stats = deactivate(&module).await;
        let all = events.all();
        let stops = all
            .iter()
            .filter(|event| event.name == EventName::GraphInstanceStopped)
            .count();
        assert_eq!(stops, round + 1, "at once, when the answer is there");
        let last = all.last().unwrap();
        assert_eq!(last.name, EventName::GraphInstanceStopped);
        assert_eq!(
            (last.subject.to_string().as_str(), &last.output),
            (INSTANCE, &None)
        );
        assert_eq!(*change(last), StateChange::new("Deactivating", "Inactive"));
        assert_eq!(
            (
                emitted(&stats, EventName::GraphInstanceStarted),
                emitted(&stats, EventName::GraphInstanceStopped)
            ),
            (1, 1)
        );
        let own: Vec<EventName> = names(&events);
        let begin = own
            .iter()
            .rposition(|name| *name == EventName::GraphInstanceStarted)
            .unwrap();
        let expected = if round == 0 { 0 } else { from.min(begin) };
        assert_eq!(begin, expected, "{own:?}");
        assert_eq!(*change(&all[begin]), StateChange::new("Activating", "Active"));
        let round: Vec<EventName> = own[begin..].to_vec();
        assert!(round.contains(&EventName::RecordingAvailable), "{round:?}");
        assert!(round[1] == EventName::MediaSessionEstablished, "{round:?}");
    }
    server.kill().await;
}

#[tokio::test]
async fn an_instance_that_cannot_be_started_reports_the_node_at_fault_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    must(&module, "GraphTopologySet", topology(vec![], vec![])).await;
    must(&module, "GraphInstanceSet", instance("rtsp://cam[1]/x", 1)).await;
    let (status, answer) = module
        .invoke("GraphInstanceActivate", &by_name("Sample-Graph-1"))
        .await;
    assert_eq!(status, 409, "{answer}");
    assert!(module.flush(Duration::from_secs(60)).await);
    let all = events.all();
    assert_eq!(names(&events), [EventName::GraphInstanceFailed]);
    assert_eq!(all[0].subject.to_string(), INSTANCE);
    let change = change(&all[0]);
    assert_eq!(
        (change.previous_state.as_str(), change.state.as_str()),
        ("Activating", "Inactive")
    );
    assert_eq!(change.reason, Some(StateReason::ActivationFailed));
    assert_eq!(change.node.as_deref(), Some("rtspSource"));
    assert!(
        change
            .message
            .as_ref()
            .unwrap()
            .contains("correct the endpoint's url"),
        "{change:?}"
    );
}

#[tokio::test]
async fn a_module_that_ends_and_comes_back_says_so_for_each_instance() {
    let directory = tempfile::tempdir().unwrap();
    let (before, events) = module(directory.path());
    activate(&before, topology(vec![], vec![]), instance(NOWHERE, 1)).await;
    let saved = before.save();
    before.shutdown().await;
    let all = events.all();
    let last = change(all.last().unwrap());
    assert_eq!(
        *last,
        StateChange::new("Active", "Inactive").because(StateReason::Shutdown)
    );

    let events = EventLog::default();
    let options = RuntimeOptions::new(directory.path());
    let (after, failures) = Module::restore(&saved, options, vec![events.sink()]).unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    let (place, started) = events.wait(EventName::GraphInstanceStarted, 0).await;
    assert_eq!(place, 0);
    let expected = StateChange::new("Activating", "Active").because(StateReason::Restored);
    assert_eq!(*change(&started), expected);
    after.shutdown().await;
}

#[tokio::test]
async fn a_pipeline_says_the_same_in_the_words_of_its_family() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    let topology = json!({
        "@apiVersion": "1.1", "name": "t", "properties": {
            "sources": [{
                "@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera",
                "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": NOWHERE},
            }],
            "sinks": [{
                "@type": "#Microsoft.VideoAnalyzer.VideoSink", "name": "video", "videoName": "v",
                "videoCreationProperties": {"title": "t", "segmentLength": "PT30S"},
                "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9",
                "inputs": [{"nodeName": "camera"}],
            }],
        },
    });
    let pipeline = json!({"@apiVersion": "1.1", "name": "p", "properties": {"topologyName": "t"}});
    let name = || json!({"@apiVersion": "1.1", "name": "p"});
    must(&module, "pipelineTopologySet", topology).await;
    must(&module, "livePipelineSet", pipeline).await;
    must(&module, "livePipelineActivate", name()).await;
    must(&module, "livePipelineDeactivate", name()).await;
    assert!(module.flush(Duration::from_secs(60)).await);
    let all = events.all();
    let own = all
        .iter()
        .filter(|event| event.name == EventName::PipelineStateChanged);
    let changes: Vec<String> = own
        .map(|event| {
            assert_eq!(event.subject.to_string(), "/edgeModules/lvaEdge/livePipelines/p");
            let json: serde_json::Value = serde_json::from_str(&event.envelope("/t").to_string()).unwrap();
            json["body"].to_string()
        })
        .collect();
    let expected = [
        r#"{"previousState":"activating","state":"active"}"#,
        r#"{"previousState":"deactivating","state":"inactive"}"#,
    ];
    assert_eq!(changes, expected);
    assert!(!names(&events).contains(&EventName::GraphInstanceStarted));
}

#[tokio::test]
async fn an_instance_whose_camera_does_not_answer_has_failed_and_can_be_activated_again() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module_with(directory.path(), |options| {
        let timeouts = Timeouts::default().with_give_up(Some(Duration::from_millis(100)));
        options.with_camera_timeouts(timeouts)
    });
    activate(&module, topology(vec![], vec![]), instance(NOWHERE, 1)).await;
    let mut from = 0;
    for _ in 0..2 {
        let (place, failed) = events.wait(EventName::GraphInstanceFailed, from).await;
        let change = change(&failed);
        assert_eq!(
            (change.previous_state.as_str(), change.state.as_str()),
            ("Active", "Inactive")
        );
        assert_eq!(change.reason, Some(StateReason::Failed));
        assert!(
            change
                .message
                .as_ref()
                .unwrap()
                .contains("reconnecting has stopped"),
            "{change:?}"
        );
        assert_eq!(module.state("Sample-Graph-1"), Some(InstanceState::Inactive));
        from = place + 1;
        must(&module, "GraphInstanceActivate", by_name("Sample-Graph-1")).await;
    }
    module.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn activations_and_deactivations_at_once_leave_nothing_running_that_is_inactive() {
    let directory = tempfile::tempdir().unwrap();
    let (module, events) = module(directory.path());
    activate(&module, topology(vec![], vec![]), instance(NOWHERE, 1)).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let module = module.clone();
        let method = ["GraphInstanceActivate", "GraphInstanceDeactivate"][number % 2];
        calls.spawn(async move { module.invoke(method, &by_name("Sample-Graph-1")).await });
    }
    while calls.join_next().await.is_some() {}
    must(&module, "GraphInstanceDeactivate", by_name("Sample-Graph-1")).await;
    assert!(module.flush(Duration::from_secs(60)).await);
    assert!(format!("{module:?}").contains("running: []"), "{module:?}");
    let own = names(&events).into_iter().filter(|name| {
        matches!(
            name,
            EventName::GraphInstanceStarted | EventName::GraphInstanceStopped
        )
    });
    let own: Vec<EventName> = own.collect();
    for pair in own.chunks(2) {
        assert_eq!(
            pair,
            [EventName::GraphInstanceStarted, EventName::GraphInstanceStopped]
        );
    }
}
