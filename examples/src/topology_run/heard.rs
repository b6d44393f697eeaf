//! What a graph said while it ran, kept apart by who said it and by which output it left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use lva_inference_schema::EventName;

/// Counts of what was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Inferences, by the node that said them and the output by which they left.
    pub inferences: BTreeMap<(String, Option<String>), u64>,
    /// Recordings that began, by the sink.
    pub recordings: BTreeMap<String, u64>,
}

/// Listens to a module. Clones hear the same.
#[derive(Debug, Clone, Default)]
pub struct Listener(Arc<Mutex<Heard>>);

impl Listener {
    /// What was said so far.
    pub fn heard(&self) -> Heard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl MessageSink for Listener {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let Some((_, node)) = event.subject.node_name() else {
            return Ok(());
        };
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match event.name {
            EventName::Inference => {
                let way = (node.to_owned(), event.output.clone());
                heard.inferences.entry(way).or_default()
            }
            EventName::RecordingStarted => heard.recordings.entry(node.to_owned()).or_default(),
            _ => return Ok(()),
        };
        *count += 1;
        Ok(())
    }
}
