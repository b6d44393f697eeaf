//! What all nodes together want of the stream, asked by the decoder before it decodes.

use std::collections::VecDeque;

use lva_framing::Demand;

use super::MAX_INSIDE;
use crate::frame::{Admission, Tap};
use crate::stats::Counters;

/// What all nodes together want of the stream.
///
/// Their filters are asked about each picture once, in the order of presentation, which may be before the picture is
/// decoded; the answers wait here for the picture.
pub(super) struct Wishes {
    pub(super) taps: Vec<Tap>,
    /// Motion nodes look at every picture that there is.
    watched: bool,
    /// For pictures to come: what the taps make of them.
    chosen: VecDeque<(u64, Box<[Admission]>)>,
    counters: Counters,
}

impl Wishes {
    pub(super) fn new(taps: Vec<Tap>, watched: bool, counters: Counters) -> Self {
        Self {
            taps,
            watched,
            chosen: VecDeque::new(),
            counters,
        }
    }

    /// The pictures that were chosen will not come.
    pub(super) fn forget(&mut self) {
        self.chosen.clear();
    }

    /// Who takes a picture, of those who take pictures without motion too.
    pub(super) fn chosen(&mut self, time: u64) -> Box<[Admission]> {
        let place = self.chosen.iter().position(|(chosen, _)| *chosen == time);
        place
            .and_then(|place| self.chosen.remove(place))
            .map(|(_, takers)| takers)
            .unwrap_or_default()
    }
}

impl Demand for Wishes {
    fn wants(&mut self, time: u64) -> bool {
        let counters = &self.counters;
        let takers: Box<[Admission]> = self
            .taps
            .iter_mut()
            .map(|tap| {
                // What comes past a motion node is known when the picture has been looked at.
                if tap.motion.is_some() {
                    return Admission::Held;
                }
                let admission = tap.admits(time, false);
                if admission == Admission::Held {
                    counters.extension(&tap.node, |stats| stats.filtered += 1);
                }
                admission
            })
            .collect();
        let wanted = self.watched || takers.iter().any(|admission| *admission != Admission::Held);
        if wanted {
            if self.chosen.len() == MAX_INSIDE {
                self.chosen.pop_front();
            }
            self.chosen.push_back((time, takers));
        }
        wanted
    }

    fn interval_90k(&self) -> Option<u64> {
        if self.watched {
            return None;
        }
        let intervals = self.taps.iter().map(Tap::interval_90k);
        // The most demanding one counts; `None`, which wants everything, is less than any interval.
        intervals.min().flatten()
    }

    fn not_before_90k(&self) -> Option<u64> {
        if self.watched {
            return None;
        }
        // The first one counts; `None`, which may want the next picture, is less than any time.
        self.taps.iter().map(Tap::not_before_90k).min().flatten()
    }

    fn on_skipped(&mut self) {
        for tap in &self.taps {
            self.counters.extension(&tap.node, |stats| stats.filtered += 1);
        }
    }
}
