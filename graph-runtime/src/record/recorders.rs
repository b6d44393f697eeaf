//! All recorders of an instance, and the inputs by which other nodes reach them.

use std::io;

use super::{RecorderContext, start};
use crate::flow::{MetadataInput, RecorderInput, SignalInput};
use crate::plan::{RecordingId, RecordingPlan};
use crate::thread::Worker;

/// The recorders in the order of the plan.
pub(crate) struct Recorders {
    pub(crate) inputs: Vec<RecorderInput>,
    signals: Vec<SignalInput>,
    pub(crate) workers: Vec<Worker>,
}

impl Recorders {
    pub(crate) fn start(plans: Vec<RecordingPlan>, context: &RecorderContext) -> io::Result<Self> {
        let mut all = Self {
            inputs: Vec::new(),
            signals: Vec::new(),
            workers: Vec::new(),
        };
        for plan in plans {
            let (input, signals, worker) = start(plan, context)?;
            all.inputs.push(input);
            all.signals.push(signals);
            all.workers.push(worker);
        }
        Ok(all)
    }

    /// The inputs by which a node opens gates.
    pub(crate) fn gates(&self, ids: &[RecordingId]) -> Vec<SignalInput> {
        let signals = ids.iter().filter_map(|id| self.signals.get(id.0));
        signals.cloned().collect()
    }

    /// The inputs by which results get into sidecars.
    pub(crate) fn metadata_sinks(&self, ids: &[RecordingId]) -> Vec<MetadataInput> {
        let inputs = ids.iter().filter_map(|id| self.inputs.get(id.0));
        inputs.map(RecorderInput::metadata).collect()
    }

    /// Drops the recorders' own signal inputs, which would keep their threads alive.
    pub(crate) fn close_gates(&mut self) {
        self.signals.clear();
    }
}
