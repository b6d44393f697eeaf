//! All recorders of an instance, and the ends by which others reach them.

use std::io;
use std::path::Path;

use super::{MetadataInput, Names, RecorderInput, SignalInput, start};
use crate::budget::Budget;
use crate::plan::RecordingPlan;
use crate::speaker::Speaker;
use crate::thread::Worker;

/// The recorders in the order of the plan.
pub(crate) struct Recorders {
    pub(crate) inputs: Vec<RecorderInput>,
    signals: Vec<SignalInput>,
    pub(crate) workers: Vec<Worker>,
}

impl Recorders {
    /// The ends by which a node opens the gates at these places.
    pub(crate) fn gates(&self, places: &[usize]) -> Vec<SignalInput> {
        let places = places.iter();
        places
            .filter_map(|place| self.signals.get(*place).cloned())
            .collect()
    }

    /// The ends by which results come to lie beside the media of these places.
    pub(crate) fn notes(&self, places: &[usize]) -> Vec<MetadataInput> {
        let inputs = places.iter().filter_map(|place| self.inputs.get(*place));
        inputs.map(RecorderInput::metadata).collect()
    }

    /// Ends the gates' own ends, which would keep the recorders alive.
    pub(crate) fn close_gates(&mut self) {
        self.signals.clear();
    }

    pub(crate) fn start(
        plans: Vec<RecordingPlan>,
        names: &Names,
        root: &Path,
        speaker: &Speaker,
        budget: &Budget,
    ) -> io::Result<Self> {
        let mut all = Self {
            inputs: Vec::new(),
            signals: Vec::new(),
            workers: Vec::new(),
        };
        for plan in plans {
            let (input, signals, worker) = start(
                plan,
                names.clone(),
                root.to_owned(),
                speaker.clone(),
                budget.clone(),
            )?;
            all.inputs.push(input);
            all.signals.push(signals);
            all.workers.push(worker);
        }
        Ok(all)
    }
}
