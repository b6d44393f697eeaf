//! What happened at lines and zones.

use crate::geometry::Direction;
use crate::observation::{Observation, TrackId};
use crate::scene::Trigger;
use std::sync::Arc;

/// An event at a line or a zone: what one person did, or the state of everybody inside.
#[derive(Debug, Clone, PartialEq)]
pub struct SpatialEvent {
    /// Time of the frame that confirmed it, in ticks of 1/90000 s since 1970; never before [`time_90k`](Self::time_90k).
    pub timestamp_90k: u64,
    /// When it happened, interpolated between frames.
    pub time_90k: u64,
    /// Who did it, as last seen: in the confirming frame or, for people who vanished, before it. `None` for counts and
    /// distances.
    pub person: Option<Observation>,
    /// The people of a count or a distance, in the order of their track ids: all who were counted, or those who violate
    /// the rule. Empty for what one person did.
    pub people: Vec<Observation>,
    /// Name of the zone or line.
    pub name: Arc<str>,
    /// What happened there.
    pub kind: EventKind,
    /// Why it was counted.
    pub cause: EventCause,
}

impl SpatialEvent {
    /// Who did it; `None` for counts and distances.
    pub fn track(&self) -> Option<TrackId> {
        self.person.map(|person| person.track)
    }

    /// The person or the people of the event.
    pub fn all_people(&self) -> impl Iterator<Item = &Observation> {
        self.person.iter().chain(&self.people)
    }
}

/// Kind of a [`SpatialEvent`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A line was crossed.
    Cross(Direction),
    /// A zone was entered.
    Enter {
        /// The edge crossed, counted from 1 in the order of the polygon; `None` for a person who appeared inside.
        side: Option<u32>,
    },
    /// A zone was left.
    Exit {
        /// The edge crossed; `None` for a person who vanished inside.
        side: Option<u32>,
        /// How long the visit lasted, between its interpolated ends, in ticks of 1/90000 s.
        dwell_90k: u64,
        /// Frames in which the person was seen inside.
        dwell_frames: u32,
    },
    /// A visit ended, in a zone with [`DwellRule::at_exit`](crate::DwellRule::at_exit).
    Dwell(DwellTime),
    /// A visit has reached one of [`DwellRule::limits_ms`](crate::DwellRule::limits_ms) and goes on.
    DwellExceeded {
        /// The limit in ticks of 1/90000 s.
        limit_90k: u64,
        /// How long the visit has lasted so far.
        dwell_90k: u64,
    },
    /// The number of people inside.
    Count {
        /// How many.
        people: u32,
        /// What triggered the event.
        trigger: Trigger,
    },
    /// People inside are too close to each other, or too far apart.
    Distance(DistanceReport),
}

/// A visit that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DwellTime {
    /// The edge by which it ended; `None` for a person who vanished inside.
    pub side: Option<u32>,
    /// How long it lasted, between its interpolated ends, in ticks of 1/90000 s.
    pub dwell_90k: u64,
    /// Frames in which the person was seen inside.
    pub dwell_frames: u32,
    /// The person's speed; `None` where the ground is not known.
    pub speed: Option<VisitSpeed>,
}

/// Speeds during a visit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisitSpeed {
    /// Mean over the frames, in feet a second.
    pub average_ft_s: f64,
    /// The lowest.
    pub minimum_ft_s: f64,
}

/// Distances between the people in a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceReport {
    /// Which rule is violated.
    pub state: DistanceState,
    /// People inside; 0 while the ground is not known.
    pub people: u32,
    /// How many of them violate the rule.
    pub violators: u32,
    /// Mean distance of all pairs inside, in feet; 0 without a pair.
    pub average_ft: f64,
    /// The rule: least distance in feet.
    pub minimum_ft: Option<f64>,
    /// The rule: greatest distance in feet.
    pub maximum_ft: Option<f64>,
    /// What triggered the event.
    pub trigger: Trigger,
}

/// Which rule of distance is violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DistanceState {
    /// Two people are closer than the minimum.
    TooClose,
    /// No two people are too close, and two are further apart than the maximum.
    TooFar,
    /// The ground is not known.
    Unknown,
}

impl DistanceState {
    /// The container's word; Video Analyzer writes `Unknown` for `unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooClose => "TooClose",
            Self::TooFar => "TooFar",
            Self::Unknown => "unknown",
        }
    }
}

/// Why an event was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventCause {
    /// How the boundary was passed.
    pub reason: Reason,
    /// Distance from the boundary when the event was confirmed, as a share of the frame's width; 0 for counts and
    /// distances.
    pub distance: f64,
    /// How long the person had been on the new side by then, in ticks of 1/90000 s.
    pub held_90k: u64,
    /// Frames in which the person was seen on the new side by then; for an interval, its frames.
    pub samples: u32,
}

/// How a boundary was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Seen on both sides.
    Crossed,
    /// First seen inside.
    Appeared,
    /// Last seen inside, and not again in time.
    Vanished,
    /// Outside before and after, with the zone between, for less than the hold: a fast person or a low frame rate.
    PassedThrough,
    /// A visit has reached a limit.
    Lasted,
    /// The first frame, or a number or state that differs from the last one reported.
    Changed,
    /// An interval is over.
    Interval,
}
