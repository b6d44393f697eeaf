//! What all nodes together want of the stream, asked by the decoder before it decodes.

use std::collections::VecDeque;

use lva_framing::Demand;

use super::MAX_INSIDE;
use crate::flow::{Admission, NodeInput};

/// What all nodes together want of the stream.
///
/// Their filters decide about each picture once, in the order of presentation, which may be before the picture is
/// decoded; the decisions wait here for the picture.
pub(super) struct DecodeDemand {
    pub(super) node_inputs: Vec<NodeInput>,
    /// Motion nodes examine every picture.
    decode_all: bool,
    /// For pictures to come, by time: the decision of each input.
    pending_admissions: VecDeque<(u64, Box<[Admission]>)>,
}

impl DecodeDemand {
    pub(super) fn new(node_inputs: Vec<NodeInput>, decode_all: bool) -> Self {
        Self {
            node_inputs,
            decode_all,
            pending_admissions: VecDeque::new(),
        }
    }

    /// The pictures that were decided about will not come.
    pub(super) fn forget(&mut self) {
        self.pending_admissions.clear();
    }

    /// The decision of each input about a picture, of those that also take pictures without motion.
    pub(super) fn take_admissions(&mut self, time: u64) -> Box<[Admission]> {
        let pending = &mut self.pending_admissions;
        let index = pending.iter().position(|(of, _)| *of == time);
        index
            .and_then(|index| pending.remove(index))
            .map(|(_, admissions)| admissions)
            .unwrap_or_default()
    }
}

impl Demand for DecodeDemand {
    fn wants(&mut self, time: u64) -> bool {
        let admissions: Box<[Admission]> = self
            .node_inputs
            .iter_mut()
            .map(|node_input| {
                // What passes a motion node is known after it has examined the picture.
                if node_input.motion.is_some() {
                    return Admission::Filtered;
                }
                let admission = node_input.admits(time, false);
                if admission == Admission::Filtered {
                    node_input.count_filtered();
                }
                admission
            })
            .collect();
        let wanted = self.decode_all || admissions.iter().any(|of| *of != Admission::Filtered);
        if wanted {
            if self.pending_admissions.len() == MAX_INSIDE {
                self.pending_admissions.pop_front();
            }
            self.pending_admissions.push_back((time, admissions));
        }
        wanted
    }

    fn interval_90k(&self) -> Option<u64> {
        if self.decode_all {
            return None;
        }
        let intervals = self.node_inputs.iter().map(|input| input.filters.interval_90k());
        // The shortest one counts; `None`, which wants everything, is less than any interval.
        intervals.min().flatten()
    }

    fn not_before_90k(&self) -> Option<u64> {
        if self.decode_all {
            return None;
        }
        // The first one counts; `None`, which may want the next picture, is less than any time.
        let times = self
            .node_inputs
            .iter()
            .map(|input| input.filters.not_before_90k());
        times.min().flatten()
    }

    fn on_skipped(&mut self) {
        for node_input in &self.node_inputs {
            node_input.count_filtered();
        }
    }
}
