//! An instance whose tasks panic.

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
    let quickly = Duration::from_millis(20);
    let options = RuntimeOptions::new("recordings").with_camera_reconnect(
        ReconnectPolicy::default()
            .with_min_delay(quickly)
            .with_max_delay(quickly),
    );
    let module = Module::new(options, vec![Box::new(EventRecorder(events))]);
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
    (module, received)
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
