//! All recorders of an instance, and the inputs by which other nodes reach them.

use std::io;

use super::{RecorderContext, start};
use crate::flow::{CrossClock, MetadataInput, RecorderInput, SignalInput, StreamClock};
use crate::plan::{RecordingId, RecordingPlan, SourceId};
use crate::thread::Worker;

/// The recorders in the order of the plan.
pub(crate) struct Recorders {
    inputs: Vec<(SourceId, RecorderInput)>,
    /// By the number of the recording, until they are closed.
    entries: Vec<Entry>,
    /// By the number of the source.
    clocks: Vec<StreamClock>,
    pub(crate) workers: Vec<Worker>,
}

/// The ways into a recorder besides the camera's.
struct Entry {
    /// What it records.
    recorded: SourceId,
    signals: SignalInput,
    metadata: MetadataInput,
}

impl Recorders {
    /// The clocks are those of the sources.
    pub(crate) fn start(
        plans: Vec<RecordingPlan>,
        clocks: Vec<StreamClock>,
        context: &RecorderContext,
    ) -> io::Result<Self> {
        let mut all = Self {
            inputs: Vec::new(),
            entries: Vec::new(),
            clocks,
            workers: Vec::new(),
        };
        for plan in plans {
            let recorded = plan.source;
            let (input, signals, worker) = start(plan, all.clock(recorded), context)?;
            all.entries.push(Entry {
                recorded,
                signals,
                metadata: input.metadata(),
            });
            all.inputs.push((recorded, input));
            all.workers.push(worker);
        }
        Ok(all)
    }

    /// The inputs by which messages open gates.
    pub(crate) fn gates(&self, ids: &[RecordingId]) -> Vec<SignalInput> {
        self.of(ids).map(|entry| entry.signals.clone()).collect()
    }

    /// The inputs by which a node opens gates that looks at this source.
    pub(crate) fn gates_for(&self, ids: &[RecordingId], source: SourceId) -> Vec<SignalInput> {
        self.of(ids)
            .map(|entry| match self.cross(source, entry.recorded) {
                Some(cross) => entry.signals.across(cross),
                None => entry.signals.clone(),
            })
            .collect()
    }

    /// The inputs by which results about this source get into sidecars.
    pub(crate) fn metadata_sinks(&self, ids: &[RecordingId], source: SourceId) -> Vec<MetadataInput> {
        self.of(ids)
            .map(|entry| match self.cross(source, entry.recorded) {
                Some(cross) => entry.metadata.across(cross),
                None => entry.metadata.clone(),
            })
            .collect()
    }

    /// Takes the inputs for the units of this source.
    pub(crate) fn take_inputs(&mut self, source: SourceId) -> Vec<RecorderInput> {
        let own = self.inputs.extract_if(.., |(of, _)| *of == source);
        own.map(|(_, input)| input).collect()
    }

    /// Drops the recorders' own inputs for signals and results, which would keep their threads alive.
    pub(crate) fn close(&mut self) {
        self.entries.clear();
    }

    fn of(&self, ids: &[RecordingId]) -> impl Iterator<Item = &Entry> {
        ids.iter().filter_map(|id| self.entries.get(id.0))
    }

    fn clock(&self, source: SourceId) -> StreamClock {
        self.clocks.get(source.0).cloned().unwrap_or_default()
    }

    fn cross(&self, from: SourceId, to: SourceId) -> Option<CrossClock> {
        (from != to).then(|| CrossClock::new(self.clock(from), self.clock(to)))
    }
}
