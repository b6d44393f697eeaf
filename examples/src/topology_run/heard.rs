//! Events of a running graph, counted by node and output.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use lva_inference_schema::EventName;
use parking_lot::Mutex;

/// Counters of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Inference messages by their node and output.
    pub inferences: BTreeMap<(String, Option<String>), u64>,
    /// Started recordings by sink.
    pub recordings: BTreeMap<String, u64>,
}

/// A message sink that counts. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub struct Listener(Arc<Mutex<Heard>>);

impl Listener {
    /// The counters now.
    pub fn heard(&self) -> Heard {
        self.0.lock().clone()
    }
}

#[async_trait]
impl MessageSink for Listener {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let Some((_, node)) = event.subject.node_name() else {
            return Ok(());
        };
        let mut heard = self.0.lock();
        let count = match event.name {
            EventName::Inference => {
                let key = (node.to_owned(), event.output.clone());
                heard.inferences.entry(key).or_default()
            }
            EventName::RecordingStarted => heard.recordings.entry(node.to_owned()).or_default(),
            _ => return Ok(()),
        };
        *count += 1;
        Ok(())
    }
}
