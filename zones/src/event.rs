//! What happened.

use crate::observation::{Observation, TrackId};
use crate::scene::Trigger;
use std::sync::Arc;

/// Something that happened at a line or a zone: what one person did, or how it stands with everybody inside.
#[derive(Debug, Clone, PartialEq)]
pub struct SpatialEvent {
    /// Time of the frame that confirmed it, in ticks of 1/90000 s since 1970; never before [`time_90k`](Self::time_90k).
    pub timestamp_90k: u64,
    /// When it happened, interpolated between frames.
    pub time_90k: u64,
    /// Who did it, as last seen: in the frame of confirmation or, for those who vanished, before. `None` for counts and
    /// distances.
    pub person: Option<Observation>,
    /// Whom a count or a distance is about, in the order of their numbers: everybody counted, or those who break the
    /// rule. Empty for what one person did.
    pub people: Vec<Observation>,
    /// Name of the zone or line.
    pub name: Arc<str>,
    /// What happened there.
    pub kind: EventKind,
    /// What it was judged by.
    pub why: Why,
}

impl SpatialEvent {
    /// Who did it; `None` for counts and distances.
    pub fn track(&self) -> Option<TrackId> {
        self.person.map(|person| person.track)
    }

    /// Everybody whom it is about.
    pub fn everybody(&self) -> impl Iterator<Item = &Observation> {
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
        /// The edge crossed, counted from 1 in the order of the polygon; `None` for who appeared inside.
        side: Option<u32>,
    },
    /// A zone was left.
    Exit {
        /// The edge crossed; `None` for who vanished inside.
        side: Option<u32>,
        /// How long the visit lasted, between its interpolated ends, in ticks of 1/90000 s.
        dwell_90k: u64,
        /// Frames in which the person was seen inside.
        dwell_frames: u32,
    },
    /// A visit ended, in a zone with [`DwellWatch::at_exit`](crate::DwellWatch::at_exit).
    Dwell(DwellTime),
    /// A visit has lasted as long as a limit of [`DwellWatch::limits_ms`](crate::DwellWatch::limits_ms), and goes on.
    DwellExceeded {
        /// The limit in ticks of 1/90000 s.
        limit_90k: u64,
        /// How long it has lasted so far.
        dwell_90k: u64,
    },
    /// So many people are inside.
    Count {
        /// How many.
        people: u32,
        /// By what the event was caused.
        trigger: Trigger,
    },
    /// People inside are too close to each other, or too far.
    Distance(DistanceReport),
}

/// A visit that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DwellTime {
    /// The edge by which it ended; `None` for who vanished inside.
    pub side: Option<u32>,
    /// How long it lasted, between its interpolated ends, in ticks of 1/90000 s.
    pub dwell_90k: u64,
    /// Frames in which the person was seen inside.
    pub dwell_frames: u32,
    /// How fast the person was; `None` where the ground is not known.
    pub speed: Option<VisitSpeed>,
}

/// Speeds during a visit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisitSpeed {
    /// Mean over the frames, in feet a second.
    pub average_ft_s: f64,
    /// The least.
    pub minimum_ft_s: f64,
}

/// How it stands with distances in a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceReport {
    /// Which rule is broken.
    pub state: DistanceState,
    /// People inside; 0 while the ground is not known.
    pub people: u32,
    /// How many of them break the rule.
    pub violators: u32,
    /// Mean distance of all pairs inside, in feet; 0 without a pair.
    pub average_ft: f64,
    /// The rule: least distance in feet.
    pub minimum_ft: Option<f64>,
    /// The rule: greatest distance in feet.
    pub maximum_ft: Option<f64>,
    /// By what the event was caused.
    pub trigger: Trigger,
}

/// Which rule of distance is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DistanceState {
    /// Somebody is nearer to somebody than the minimum.
    TooClose,
    /// Nobody is too close, and somebody is further from somebody than the maximum.
    TooFar,
    /// The ground is not known.
    Unknown,
}

impl DistanceState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TooClose, Self::TooFar, Self::Unknown];

    /// The container's word; Video Analyzer writes `Unknown` for `unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooClose => "TooClose",
            Self::TooFar => "TooFar",
            Self::Unknown => "unknown",
        }
    }
}

/// Which way a line was crossed, for someone who stands at its start and looks to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From right to left: the contract's `CrossLeft`.
    Left,
    /// From left to right: the contract's `CrossRight`.
    Right,
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::Left, Self::Right];

    /// The contract's word.
    pub fn status(self) -> &'static str {
        match self {
            Self::Left => "CrossLeft",
            Self::Right => "CrossRight",
        }
    }

    /// The opposite.
    pub fn reversed(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What an event was judged by: the answer to "why was this counted?".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Why {
    /// How the boundary was passed.
    pub reason: Reason,
    /// Distance from the boundary when it was confirmed, as a share of the frame's width; 0 for counts and distances.
    pub distance: f64,
    /// How long the person had been on the new side by then, in ticks of 1/90000 s.
    pub held_90k: u64,
    /// Frames in which the person was seen on the new side by then; of an interval, its frames.
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
    /// Outside before and after, with the zone between, for less than the hold: a fast person or a slow feed.
    PassedThrough,
    /// The zone's schedule has ended.
    Closed,
    /// A visit has become this long.
    Lasted,
    /// The first frame, or another number or state than told before.
    Changed,
    /// An interval is over.
    Interval,
}
