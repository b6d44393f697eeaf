//! Counters.

use std::ops::AddAssign;
use std::sync::Arc;

use lva_zones::{EventKind, SpatialEvent};
use parking_lot::Mutex;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one session, or of all sessions of an extension.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct AnalysisStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for AnalysisStats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)*
            }
        }

        impl AnalysisStats {
            /// The difference from `before`, an earlier state of the same counts.
            pub(crate) fn since(self, before: Self) -> Self {
                Self { $($name: self.$name.saturating_sub(before.$name),)* }
            }
        }
    };
}

counters! {
    /// Sessions started; 1 in the counts of a session.
    sessions,
    /// Frames, including those below.
    frames,
    /// Frames ignored because they were older than the newest one.
    late_frames,
    /// How often a session started over because the time jumped back, or frames of another shape came.
    restarts,
    /// Frames whose bytes are not a picture as announced.
    unreadable_frames,
    /// Frames on which the detector or the rules failed.
    failed_frames,
    /// People detected, over all frames.
    people,
    /// Detections of other classes, ignored.
    other_classes,
    /// People dropped because the box has no area or is not in fractions of the frame, or the score is NaN. Many of them: the
    /// detector is at fault, or the camera's aspect is wrong.
    invalid_detections,
    /// Zones entered.
    zone_enters,
    /// Zones left.
    zone_exits,
    /// Lines crossed.
    line_crossings,
    /// Dwell times reported.
    zone_dwells,
    /// Counts of people reported.
    people_counts,
    /// Distances of people reported.
    people_distances,
}

impl AnalysisStats {
    /// Events of all kinds.
    pub fn events(&self) -> u64 {
        let all = [
            self.zone_enters,
            self.zone_exits,
            self.line_crossings,
            self.zone_dwells,
            self.people_counts,
            self.people_distances,
        ];
        all.into_iter().fold(0, u64::saturating_add)
    }

    /// Counts an event by its kind.
    pub(crate) fn count_event(&mut self, event: &SpatialEvent) {
        match event.kind {
            EventKind::Enter { .. } => self.zone_enters += 1,
            EventKind::Exit { .. } => self.zone_exits += 1,
            EventKind::Cross(_) => self.line_crossings += 1,
            EventKind::Dwell(_) | EventKind::DwellExceeded { .. } => self.zone_dwells += 1,
            EventKind::Count { .. } => self.people_counts += 1,
            EventKind::Distance(_) => self.people_distances += 1,
            // Kinds that are added later have no counter yet.
            _ => {}
        }
    }
}

/// Reads the counts of an extension at any time, also while it is served.
#[derive(Debug, Clone, Default)]
pub struct AnalysisStatsReader(Arc<Mutex<AnalysisStats>>);

impl AnalysisStatsReader {
    /// The counts now.
    pub fn read(&self) -> AnalysisStats {
        *self.0.lock()
    }

    pub(crate) fn add(&self, counts: AnalysisStats) {
        *self.0.lock() += counts;
    }
}
