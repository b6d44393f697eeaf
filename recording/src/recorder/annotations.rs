//! What was seen at a time, and is not about the file that is being written: it finds its place in a file before, waits for
//! a recording to come, or is left out and counted.

use crate::clip::ClipReport;
use crate::notes::Notes;
use std::collections::VecDeque;

/// Finished files that late annotations still find.
const ANNOTATED_FILES: usize = 4;

/// Where annotations go that the open file does not take.
#[derive(Debug)]
pub(super) struct Annotations {
    /// Of media that are not recorded, but may be.
    notes: Notes,
    /// How long they may be; `None` where each recording begins with the newest picture.
    reach_back: Option<u64>,
    recent: VecDeque<ClipReport>,
    left_out: u64,
}

impl Annotations {
    /// None so far. A recording may begin as long before the newest picture as `reach_back` says.
    pub(super) fn new(reach_back: Option<u64>) -> Self {
        Self {
            notes: Notes::default(),
            reach_back,
            recent: VecDeque::new(),
            left_out: 0,
        }
    }

    /// A file is finished. Annotations of its time may still come.
    pub(super) fn remember(&mut self, report: &ClipReport) {
        if self.recent.len() == ANNOTATED_FILES {
            self.recent.pop_front();
        }
        self.recent.push_back(ClipReport {
            newest_keyframe: None, // not held any longer than its reader does
            ..report.clone()
        });
    }

    /// The newest of the remembered files that shows a time.
    pub(super) fn file_that_shows(&self, timestamp_90k: u64) -> Option<&ClipReport> {
        self.recent
            .iter()
            .rev()
            .find(|report| (report.first_timestamp_90k..=report.last_timestamp_90k).contains(&timestamp_90k))
    }

    /// Keeps one for a recording that begins later. `false`: none will show its time.
    pub(super) fn place_later(&mut self, timestamp_90k: u64, json: &str, newest_90k: u64) -> bool {
        let Some(reach_back) = self.reach_back else {
            return false;
        };
        let horizon = newest_90k.saturating_sub(reach_back);
        self.left_out += self.notes.forget_before(horizon);
        if timestamp_90k < horizon {
            return false;
        }
        self.left_out += self.notes.push(timestamp_90k, json);
        true
    }

    /// A recording begins: those that waited for it, oldest first. None begins earlier from now on.
    pub(super) fn take_from(&mut self, start_90k: u64) -> Vec<(u64, String)> {
        let mut waited = Vec::from(self.notes.take());
        let all = waited.len();
        waited.retain(|(time, _)| *time >= start_90k);
        self.left_out += (all - waited.len()) as u64;
        waited
    }

    /// Time begins anew: no recording will show what was seen before.
    pub(super) fn forget(&mut self) {
        self.left_out += self.notes.take().len() as u64;
    }

    /// One found no place.
    pub(super) fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// How many found no place.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}
