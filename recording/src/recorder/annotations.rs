//! Annotations that are not of the file being written: they go to an earlier file, wait for a recording, or are skipped
//! and counted.

use super::pending::PendingAnnotations;
use crate::report::ClipReport;
use std::collections::VecDeque;

/// Number of finished files that still accept annotations.
const ANNOTATED_FILES: usize = 4;

/// Annotations that the open file does not accept.
#[derive(Debug)]
pub(super) struct Annotations {
    /// Of media that are not recorded, but may be.
    pending: PendingAnnotations,
    /// How old they may be; `None` if each recording begins with the newest picture.
    lookback: Option<u64>,
    recent: VecDeque<ClipReport>,
    skipped: u64,
}

impl Annotations {
    /// Without annotations. A recording begins at most `lookback` before the newest picture.
    pub(super) fn new(lookback: Option<u64>) -> Self {
        Self {
            pending: PendingAnnotations::default(),
            lookback,
            recent: VecDeque::new(),
            skipped: 0,
        }
    }

    /// Adds a finished file, which still accepts annotations of its time.
    pub(super) fn remember(&mut self, report: &ClipReport) {
        if self.recent.len() == ANNOTATED_FILES {
            self.recent.pop_front();
        }
        self.recent.push_back(ClipReport {
            newest_keyframe: None, // frees it as soon as its reader does
            ..report.clone()
        });
    }

    /// The newest of these files that contains a time.
    pub(super) fn file_that_shows(&self, timestamp_90k: u64) -> Option<&ClipReport> {
        self.recent
            .iter()
            .rev()
            .find(|report| (report.first_timestamp_90k..=report.last_timestamp_90k).contains(&timestamp_90k))
    }

    /// Keeps an annotation for a later recording. Returns `false` if none will contain its time.
    pub(super) fn place_later(&mut self, timestamp_90k: u64, json: &str, newest_90k: u64) -> bool {
        let Some(lookback) = self.lookback else {
            return false;
        };
        let horizon = newest_90k.saturating_sub(lookback);
        self.skipped += self.pending.forget_before(horizon);
        if timestamp_90k < horizon {
            return false;
        }
        self.skipped += self.pending.push(timestamp_90k, json);
        true
    }

    /// Takes the annotations for a new recording, oldest first. Later recordings do not begin earlier.
    pub(super) fn take_from(&mut self, start_90k: u64) -> Vec<(u64, String)> {
        let mut waited = Vec::from(self.pending.take());
        let all = waited.len();
        waited.retain(|(time, _)| *time >= start_90k);
        self.skipped += (all - waited.len()) as u64;
        waited
    }

    /// Starts a new timeline: no recording will contain the waiting annotations.
    pub(super) fn forget(&mut self) {
        self.skipped += self.pending.take().len() as u64;
    }

    /// Counts a skipped annotation.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Number of skipped annotations.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}
