//! What happened.

use crate::observation::{Observation, TrackId};
use std::sync::Arc;

/// Something that a person did at a line or a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct SpatialEvent {
    /// Time of the frame that confirmed it, in ticks of 1/90000 s since 1970; never before [`time_90k`](Self::time_90k).
    pub timestamp_90k: u64,
    /// When it happened, interpolated between frames.
    pub time_90k: u64,
    /// The person, as last seen; in the frame of confirmation or, for those who vanished, before.
    pub person: Observation,
    /// Name of the zone or line.
    pub name: Arc<str>,
    /// What happened there.
    pub kind: EventKind,
    /// What it was judged by.
    pub why: Why,
}

impl SpatialEvent {
    /// Who.
    pub fn track(&self) -> TrackId {
        self.person.track
    }
}

/// Kind of a [`SpatialEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Distance from the boundary when it was confirmed, as a share of the frame's width.
    pub distance: f64,
    /// How long the person had been on the new side by then, in ticks of 1/90000 s.
    pub held_90k: u64,
    /// Frames in which the person was seen on the new side by then.
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
    /// Outside before and after, with the zone between: a fast person or a slow feed.
    PassedThrough,
}
