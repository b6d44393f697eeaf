//! What of a zone is told besides entering and leaving, and the zones and lines as they are watched.

use super::check::check_share;
use super::{Focus, SceneError, Schedule, Threshold, Zone};
use crate::geometry::{Area, Segment};
use std::sync::Arc;

/// Most limits of a [`DwellWatch`].
pub const MAX_DWELL_LIMITS: usize = 16;

/// When something about everybody in a zone is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// At the first frame, and whenever it has changed.
    Event,
    /// Once in each interval, whether it has changed or not: at the multiples of the interval in media time, however
    /// irregular the frames are. What is told sums up the interval that has ended. A gap without frames is told of once.
    Interval {
        /// How long an interval is, 1 to 86 400 000; 0 counts as 1000.
        milliseconds: u64,
    },
}

/// How the frames of an interval become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Aggregation {
    /// What most frames have shown; of equally frequent ones the larger. The default.
    #[default]
    Mode,
    /// The mean; numbers of people are rounded to the nearest.
    Average,
}

/// Tells how many people are inside a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountWatch {
    /// When. Default: by event.
    pub trigger: Trigger,
    /// How an interval is summed up. Default: mode.
    pub aggregation: Aggregation,
    /// Only every so many-th is told; 0 counts as 1, the default.
    pub every_nth: u32,
    /// Which point of a person counts.
    pub focus: Focus,
    /// How deep inside a person must be to be counted.
    pub depth: Threshold,
}

impl Default for CountWatch {
    fn default() -> Self {
        Self {
            trigger: Trigger::Event,
            aggregation: Aggregation::Mode,
            every_nth: 1,
            focus: Focus::default(),
            depth: Threshold::default(),
        }
    }
}

/// Tells which people inside a zone are too close to each other, or too far from each other.
///
/// Distances are on the ground, in feet as in the contract. Until the ground is known the state is
/// [`DistanceState::Unknown`](crate::DistanceState::Unknown).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceWatch {
    /// When; with [`Trigger::Event`] whenever the state or the people who break the rule have changed. Default: by event.
    pub trigger: Trigger,
    /// How an interval is summed up. Default: mode.
    pub aggregation: Aggregation,
    /// Only every so many-th is told; 0 counts as 1, the default.
    pub every_nth: u32,
    /// Which point of a person stands on the ground; [`Focus::Center`] never does and gives wrong distances.
    pub focus: Focus,
    /// How deep inside a person must be.
    pub depth: Threshold,
    /// Two who are less than this many feet apart are too close; `None`: nobody is.
    pub minimum_ft: Option<f64>,
    /// Two who are more than this many feet apart are too far; `None`: nobody is. Told only when nobody is too close.
    pub maximum_ft: Option<f64>,
}

impl Default for DistanceWatch {
    fn default() -> Self {
        Self {
            trigger: Trigger::Event,
            aggregation: Aggregation::Mode,
            every_nth: 1,
            focus: Focus::default(),
            depth: Threshold::default(),
            minimum_ft: Some(6.0),
            maximum_ft: None,
        }
    }
}

/// Tells how long people stay in a zone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DwellWatch {
    /// Whether the time is told when a visit ends.
    pub at_exit: bool,
    /// Times in milliseconds after which a visit that still goes on is told, at most [`MAX_DWELL_LIMITS`].
    pub limits_ms: Vec<u64>,
    /// Only every so many-th end is told; 0 counts as 1.
    pub every_nth: u32,
    /// Which point of a person counts.
    pub focus: Focus,
    /// How deep inside a person must be to have entered.
    pub enter_depth: Threshold,
    /// How far outside a person must be to have left.
    pub exit_depth: Threshold,
}

/// One way of being inside a zone: a point of the person and two depths, and what is told by it.
#[derive(Debug, Clone)]
pub(crate) struct CheckedZone {
    pub(crate) name: Arc<str>,
    pub(crate) area: Area,
    pub(crate) focus: Focus,
    pub(crate) enter_depth: Threshold,
    pub(crate) exit_depth: Threshold,
    pub(crate) schedule: Schedule,
    /// Every so many-th entering and leaving; `None`: none.
    pub(crate) crossings: Option<u32>,
    /// Every so many-th end of a visit; `None`: none.
    pub(crate) dwell: Option<u32>,
    /// Rising, in ticks.
    pub(crate) dwell_limits: Vec<u64>,
    pub(crate) count: Option<CountWatch>,
    pub(crate) distance: Option<DistanceWatch>,
}

#[derive(Debug, Clone)]
pub(crate) struct CheckedLine {
    pub(crate) name: Arc<str>,
    pub(crate) segment: Segment,
    pub(crate) focus: Focus,
    pub(crate) band: Threshold,
    pub(crate) every_nth: u32,
    pub(crate) schedule: Schedule,
}

impl Zone {
    /// Whether depths, limits and distances are possible.
    pub(super) fn check_watches(&self, errors: &mut Vec<SceneError>) {
        let bad = |member, value, expected| SceneError::BadNumber {
            element: self.name.clone(),
            member,
            value,
            expected,
        };
        if let Some(dwell) = &self.dwell {
            check_share(&self.name, "dwell threshold", dwell.enter_depth, errors);
            check_share(&self.name, "dwell exit threshold", dwell.exit_depth, errors);
            if dwell.limits_ms.len() > MAX_DWELL_LIMITS {
                errors.push(SceneError::TooMany {
                    what: format!("dwell limits of zone {:?}", self.name),
                    count: dwell.limits_ms.len(),
                    limit: MAX_DWELL_LIMITS,
                });
            }
        }
        if let Some(count) = &self.count {
            check_share(&self.name, "count threshold", count.depth, errors);
        }
        if let Some(distance) = &self.distance {
            check_share(&self.name, "distance threshold", distance.depth, errors);
            for (member, value) in [
                ("minimum_distance_threshold", distance.minimum_ft),
                ("maximum_distance_threshold", distance.maximum_ft),
            ] {
                if let Some(value) = value.filter(|value| !(0.0..=10_000.0).contains(value)) {
                    errors.push(bad(member, value, "feet, 0 to 10000"));
                }
            }
            if let (Some(least), Some(most)) = (distance.minimum_ft, distance.maximum_ft)
                && least > most
            {
                errors.push(bad(
                    "minimum_distance_threshold",
                    least,
                    "less than maximum_distance_threshold",
                ));
            }
        }
    }

    /// The zone as it is watched: what asks for the same point and depths shares its visits.
    pub(super) fn watchers(&self, area: &Area) -> Vec<CheckedZone> {
        let mut watchers: Vec<CheckedZone> = Vec::new();
        let name: Arc<str> = self.name.as_str().into();
        let mut at = |focus, enter_depth, exit_depth| -> usize {
            let same = |w: &CheckedZone| {
                w.focus == focus && w.enter_depth == enter_depth && w.exit_depth == exit_depth
            };
            if let Some(index) = watchers.iter().position(same) {
                return index;
            }
            watchers.push(CheckedZone {
                name: Arc::clone(&name),
                area: area.clone(),
                focus,
                enter_depth,
                exit_depth,
                schedule: self.schedule.clone(),
                crossings: None,
                dwell: None,
                dwell_limits: Vec::new(),
                count: None,
                distance: None,
            });
            watchers.len() - 1
        };
        let nothing_else = self.dwell.is_none() && self.count.is_none() && self.distance.is_none();
        // A zone of which nothing is told is still watched: its occupancy may be asked for.
        let crossings =
            (self.crossings || nothing_else).then(|| at(self.focus, self.enter_depth, self.exit_depth));
        let dwell = self.dwell.as_ref();
        let dwell_at = dwell.map(|d| at(d.focus, d.enter_depth, d.exit_depth));
        let count_at = self.count.map(|c| at(c.focus, c.depth, self.exit_depth));
        let distance_at = self.distance.map(|d| at(d.focus, d.depth, self.exit_depth));
        for (index, watcher) in watchers.iter_mut().enumerate() {
            if self.crossings && crossings == Some(index) {
                watcher.crossings = Some(self.every_nth.max(1));
            }
            if let Some(dwell) = dwell.filter(|_| dwell_at == Some(index)) {
                watcher.dwell = dwell.at_exit.then_some(dwell.every_nth.max(1));
                watcher.dwell_limits = dwell.limits_ms.iter().map(|ms| ms.saturating_mul(90)).collect();
                watcher.dwell_limits.sort_unstable();
                watcher.dwell_limits.dedup();
            }
            if count_at == Some(index) {
                watcher.count = self.count;
            }
            if distance_at == Some(index) {
                watcher.distance = self.distance;
            }
        }
        watchers
    }
}
