//! An instance whose tasks panic, and what the end of a run does.

use async_trait::async_trait;
use lva_inference_schema::EventName;
use lva_rtsp::ReconnectPolicy;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::panics::set_failpoint;
use crate::{GraphEvent, SinkError};

struct EventRecorder(mpsc::UnboundedSender<EventName>);

#[async_trait]
impl MessageSink for EventRecorder {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        Ok(self.0.send(event.name)?)
    }
}

/// An instance `i` with a camera of this name that is nowhere, active.
async fn active(camera: &str) -> (Module, mpsc::UnboundedReceiver<EventName>) {
    let (events, received) = mpsc::unbounded_channel();
    (active_with(camera, EventRecorder(events)).await, received)
}

async fn active_with(camera: &str, sink: impl MessageSink) -> Module {
    let quickly = Duration::from_millis(20);
    let options = RuntimeOptions::new("recordings").with_camera_reconnect(
        ReconnectPolicy::default()
            .with_min_delay(quickly)
            .with_max_delay(quickly),
    );
    let module = Module::new(options, vec![Box::new(sink)]);
    let topology = json!({
        "@apiVersion": "2.0", "name": "t", "properties": {
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": camera,
                "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "rtsp://127.0.0.1:1/x"},
            }],
        },
    });
    let instance = json!({"@apiVersion": "2.0", "name": "i", "properties": {"topologyName": "t"}});
    for (method, payload) in [("GraphTopologySet", topology), ("GraphInstanceSet", instance)] {
        let (status, answer) = module.invoke(method, &payload).await;
        assert!((200..300).contains(&status), "{method}: {answer}");
    }
    activate(&module).await;
    module
}

async fn activate(module: &Module) {
    let name = json!({"@apiVersion": "2.0", "name": "i"});
    let (status, answer) = module.invoke("GraphInstanceActivate", &name).await;
    assert_eq!(status, 200, "{answer}");
}

/// The next event, without reports of drops, which may come at any time.
async fn next(received: &mut mpsc::UnboundedReceiver<EventName>) -> EventName {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(60), received.recv()).await;
        match next.unwrap().unwrap() {
            EventName::DataDropped => {}
            name => return name,
        }
    }
}

#[tokio::test]
async fn a_panic_in_a_camera_s_task_is_reported_and_the_camera_goes_on() {
    set_failpoint("source", "camera that panics", 1);
    let (module, mut received) = active("camera that panics").await;
    for expected in [
        EventName::GraphInstanceStarted,
        EventName::RuntimeError,
        EventName::NetworkError,
    ] {
        assert_eq!(next(&mut received).await, expected);
    }
    assert_eq!(module.state("i"), Some(InstanceState::Active));
    let stats = module.stats("i").unwrap();
    assert_eq!(stats.dropped_for(crate::DropReason::InternalError), 1);
    module.shutdown().await;
}

#[tokio::test]
async fn an_instance_whose_task_panics_has_failed_and_can_be_activated_again() {
    set_failpoint("instance", "instance that panics", 1);
    let (module, mut received) = active("instance that panics").await;
    for expected in [EventName::GraphInstanceStarted, EventName::GraphInstanceFailed] {
        assert_eq!(next(&mut received).await, expected);
    }
    assert_eq!(module.state("i"), Some(InstanceState::Inactive));
    activate(&module).await;
    for expected in [EventName::GraphInstanceStarted, EventName::NetworkError] {
        assert_eq!(next(&mut received).await, expected);
    }
    module.shutdown().await;
}

/// What happened to a sink: an event, or `None` for a flush.
struct Journal(Arc<Mutex<Vec<Option<EventName>>>>);

#[async_trait]
impl MessageSink for Journal {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        // Reports of drops may come at any time.
        if event.name != EventName::DataDropped {
            self.0.lock().push(Some(event.name));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.0.lock().push(None);
        Ok(())
    }
}

#[tokio::test]
async fn the_end_of_a_run_flushes_a_sink_once_after_the_last_event() {
    let journal = Arc::default();
    let module = active_with("camera", Journal(Arc::clone(&journal))).await;
    let name = json!({"@apiVersion": "2.0", "name": "i"});
    let (status, answer) = module.invoke("GraphInstanceDeactivate", &name).await;
    assert_eq!(status, 200, "{answer}");
    // Waits for the other flush, and adds one.
    assert!(module.flush(Duration::from_secs(60)).await);
    let journal = journal.lock();
    assert!(
        journal.ends_with(&[Some(EventName::GraphInstanceStopped), None, None]),
        "{journal:?}"
    );
    assert_eq!(
        journal.iter().filter(|entry| entry.is_none()).count(),
        2,
        "{journal:?}"
    );
}
