//! Where a node's results go.

use lva_inference_schema::body::EventBody;
use lva_inference_schema::{AnalyticsBody, Inference, JsonStyle};

use super::frame::FrameMeta;
use super::recorder_input::{MetadataInput, SignalInput};
use crate::emitter::NodeReporter;

/// The message sinks, gates and sidecars behind a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResultOutputs {
    /// Outputs of the message sinks.
    pub(crate) outputs: Vec<Option<String>>,
    pub(crate) gates: Vec<SignalInput>,
    /// Recordings that keep the results in sidecars.
    pub(crate) metadata_sinks: Vec<MetadataInput>,
}

impl ResultOutputs {
    /// Emits inferences as an event of the node, which also opens its gates.
    pub(crate) fn emit(&self, node: &NodeReporter, time: u64, inferences: &[Inference]) {
        self.emit_body(node, time, || {
            EventBody::Analytics(AnalyticsBody::new(time, inferences.to_vec()))
        });
    }

    /// The same with a body made by the caller.
    fn emit_body(&self, node: &NodeReporter, time: u64, body: impl Fn() -> EventBody) {
        // Gates first: a clip's media do not wait.
        for gate in &self.gates {
            gate.signal(time);
        }
        for sink in &self.metadata_sinks {
            // Only Video Analyzer has sinks that keep results.
            sink.add(time, body().to_json(JsonStyle::VideoAnalyzer).to_string());
        }
        for output in &self.outputs {
            node.emit_inference_event(output.clone(), time, body());
        }
    }
}

/// The outputs of an analysis node.
#[derive(Debug, Clone)]
pub(crate) struct NodeOutputs {
    pub(crate) node: NodeReporter,
    pub(crate) outputs: ResultOutputs,
}

impl NodeOutputs {
    /// Emits the results that a frame carries, those of extensions upstream included.
    pub(crate) fn emit_results(&self, meta: &FrameMeta) {
        let (time, results) = (meta.timestamp_90k, &meta.results);
        if !results.is_empty() {
            self.emit(meta, || {
                EventBody::Analytics(AnalyticsBody::new(time, results.to_vec()))
            });
        }
    }

    pub(crate) fn emit(&self, meta: &FrameMeta, body: impl Fn() -> EventBody) {
        self.outputs.emit_body(&self.node, meta.timestamp_90k, body);
        let counters = self.node.emitter().counters();
        counters.event_after(meta.received_at.elapsed());
    }
}
