//! What a zone reports besides entering and leaving, and the checked zones and lines.

use super::check::check_share;
use super::{SceneFinding, Threshold, Zone};
use crate::classes::Classes;
use crate::geometry::{Area, Segment, Vec2};
use crate::point::Focus;
use crate::time::ticks_of_ms;
use std::sync::Arc;

/// Most limits of a [`DwellRule`].
pub const MAX_DWELL_LIMITS: usize = 16;

/// When a count or a distance is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// At the first frame, and whenever it changes.
    Event,
    /// Once per interval, changed or not: at the multiples of the interval in media time, however irregular the frames are.
    /// The event summarises the interval that has ended. A gap without frames is reported once.
    Interval {
        /// Length of the interval, 1 to 86 400 000; 0 counts as 1000.
        milliseconds: u64,
    },
}

/// How the frames of an interval are summarised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Aggregation {
    /// The most frequent number; the larger one of a tie. The default.
    #[default]
    Mode,
    /// The mean; numbers of people are rounded to the nearest.
    Average,
}

/// Reports how many people are inside a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct CountRule {
    /// When to report. Default: on change.
    pub trigger: Trigger,
    /// How an interval is summarised. Default: mode.
    pub aggregation: Aggregation,
    /// Report every n-th event only; 0 counts as 1, the default.
    pub sample_every: u32,
    /// The point of a person that counts.
    pub focus: Focus,
    /// How deep inside a person must be to be counted.
    pub depth: Threshold,
    /// The classes that are counted. Default: all.
    pub classes: Classes,
}

impl Default for CountRule {
    fn default() -> Self {
        Self {
            trigger: Trigger::Event,
            aggregation: Aggregation::Mode,
            sample_every: 1,
            focus: Focus::default(),
            depth: Threshold::default(),
            classes: Classes::default(),
        }
    }
}

/// Reports people inside a zone who are too close to each other, or too far apart.
///
/// Distances are on the ground, in feet as in the contract. While the ground is not known, the state is
/// [`DistanceState::Unknown`](crate::event::DistanceState::Unknown).
#[derive(Debug, Clone, PartialEq)]
pub struct DistanceRule {
    /// When to report; with [`Trigger::Event`] whenever the state or the violating people change. Default: on change.
    pub trigger: Trigger,
    /// How an interval is summarised. Default: mode.
    pub aggregation: Aggregation,
    /// Report every n-th event only; 0 counts as 1, the default.
    pub sample_every: u32,
    /// The point of a person that stands on the ground; [`Focus::Center`] does not, and gives wrong distances.
    pub focus: Focus,
    /// How deep inside a person must be.
    pub depth: Threshold,
    /// The classes between which distances are kept. Default: all.
    pub classes: Classes,
    /// Two people less than this many feet apart are too close; `None`: no limit.
    pub minimum_ft: Option<f64>,
    /// Two people more than this many feet apart are too far; `None`: no limit. Reported only when no two are too close.
    pub maximum_ft: Option<f64>,
}

impl Default for DistanceRule {
    fn default() -> Self {
        Self {
            trigger: Trigger::Event,
            aggregation: Aggregation::Mode,
            sample_every: 1,
            focus: Focus::default(),
            depth: Threshold::default(),
            classes: Classes::default(),
            minimum_ft: Some(6.0),
            maximum_ft: None,
        }
    }
}

/// Reports how long people stay in a zone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DwellRule {
    /// Whether to report the time when a visit ends.
    pub at_exit: bool,
    /// Report a visit that reaches these times, in milliseconds; at most [`MAX_DWELL_LIMITS`].
    pub limits_ms: Vec<u64>,
    /// Report every n-th end only; 0 counts as 1.
    pub sample_every: u32,
    /// The point of a person that counts.
    pub focus: Focus,
    /// How deep inside a person must be to have entered.
    pub enter_depth: Threshold,
    /// How far outside a person must be to have left.
    pub exit_depth: Threshold,
    /// The classes whose visits are timed. Default: all.
    pub classes: Classes,
}

/// One definition of being inside a zone, by a point of the person, two depths and classes, and what is reported by it.
#[derive(Debug, Clone)]
pub(crate) struct CheckedZone {
    pub(crate) name: Arc<str>,
    pub(crate) area: Area,
    pub(crate) focus: Focus,
    pub(crate) enter_depth: Threshold,
    pub(crate) exit_depth: Threshold,
    pub(crate) classes: Classes,
    /// Report every n-th entering and leaving; `None`: none.
    pub(crate) crossings: Option<u32>,
    /// Report every n-th end of a visit; `None`: none.
    pub(crate) dwell: Option<u32>,
    /// Ascending, in ticks.
    pub(crate) dwell_limits: Vec<u64>,
    pub(crate) count: Option<CountRule>,
    pub(crate) distance: Option<DistanceRule>,
}

/// Width of the band along an edge in which jitter can change the side, in thresholds.
const BAND: f64 = 3.0;

impl CheckedZone {
    /// The band along the edges in which a person of this height is where they stand on average; `None`: nowhere, a depth is
    /// given for both ways.
    pub(crate) fn band(&self, height: f64) -> Option<f64> {
        let by_mean = self.enter_depth == Threshold::Auto || self.exit_depth == Threshold::Auto;
        by_mean.then(|| BAND * Threshold::Auto.for_height(height))
    }

    /// Whether a person is outside of the zone's bounding box and of the band around it.
    pub(crate) fn is_out_of_reach(&self, at: Vec2, height: f64) -> bool {
        self.area.is_farther(at, self.band(height).unwrap_or(0.0))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct CheckedLine {
    pub(crate) name: Arc<str>,
    pub(crate) segment: Segment,
    pub(crate) focus: Focus,
    pub(crate) band: Threshold,
    pub(crate) sample_every: u32,
    pub(crate) classes: Classes,
}

impl Zone {
    /// Checks depths, limits and distances.
    pub(super) fn check_rules(&self, errors: &mut Vec<SceneFinding>) {
        let bad = |member, value, expected| SceneFinding::BadNumber {
            element: self.name.clone(),
            member,
            value,
            expected,
        };
        if let Some(dwell) = &self.dwell {
            check_share(&self.name, "dwell threshold", dwell.enter_depth, errors);
            check_share(&self.name, "dwell exit threshold", dwell.exit_depth, errors);
            if dwell.limits_ms.len() > MAX_DWELL_LIMITS {
                errors.push(SceneFinding::TooMany {
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

    /// The definitions of being inside that the rules need: rules with the same point, depths and classes share one.
    /// `area` is for feet, which the frame's bottom may cut off, and `plain` for the middle of boxes.
    pub(super) fn checked(&self, area: &Area, plain: &Area) -> Vec<CheckedZone> {
        let mut zones: Vec<CheckedZone> = Vec::new();
        let name: Arc<str> = self.name.as_str().into();
        let mut at = |focus, enter_depth, exit_depth, classes: &Classes| -> usize {
            let same = |z: &CheckedZone| {
                let same_depths = z.enter_depth == enter_depth && z.exit_depth == exit_depth;
                z.focus == focus && same_depths && z.classes == *classes
            };
            if let Some(index) = zones.iter().position(same) {
                return index;
            }
            zones.push(CheckedZone {
                name: Arc::clone(&name),
                area: match focus {
                    Focus::Center => plain.clone(),
                    Focus::Footprint | Focus::BottomCenter => area.clone(),
                },
                focus,
                enter_depth,
                exit_depth,
                classes: classes.clone(),
                crossings: None,
                dwell: None,
                dwell_limits: Vec::new(),
                count: None,
                distance: None,
            });
            zones.len() - 1
        };
        let nothing_else = self.dwell.is_none() && self.count.is_none() && self.distance.is_none();
        // A zone without reports still has an occupancy.
        let crossings = (self.crossings || nothing_else)
            .then(|| at(self.focus, self.enter_depth, self.exit_depth, &self.classes));
        let (dwell, exit) = (self.dwell.as_ref(), self.exit_depth);
        let dwell_at = dwell.map(|d| at(d.focus, d.enter_depth, d.exit_depth, &d.classes));
        let count_at = self
            .count
            .as_ref()
            .map(|c| at(c.focus, c.depth, exit, &c.classes));
        let distance_at = self
            .distance
            .as_ref()
            .map(|d| at(d.focus, d.depth, exit, &d.classes));
        for (index, zone) in zones.iter_mut().enumerate() {
            if self.crossings && crossings == Some(index) {
                zone.crossings = Some(self.sample_every.max(1));
            }
            if let Some(dwell) = dwell.filter(|_| dwell_at == Some(index)) {
                zone.dwell = dwell.at_exit.then_some(dwell.sample_every.max(1));
                zone.dwell_limits = dwell.limits_ms.iter().copied().map(ticks_of_ms).collect();
                zone.dwell_limits.sort_unstable();
                zone.dwell_limits.dedup();
            }
            if count_at == Some(index) {
                zone.count.clone_from(&self.count);
            }
            if distance_at == Some(index) {
                zone.distance.clone_from(&self.distance);
            }
        }
        zones
    }
}
