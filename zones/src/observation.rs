//! What the rules look at: boxes, and people with an identity.

use crate::ground::Place;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Ticks of media time in a second.
pub(crate) const TICKS: f64 = 90_000.0;

/// Ticks of a time in milliseconds; saturates.
pub(crate) fn ticks_of_ms(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(90)
}

/// A point in fractions of the frame's width and height, origin at the top left.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    /// From the left edge, 0, to the right edge, 1.
    pub x: f64,
    /// From the top edge, 0, to the bottom edge, 1.
    pub y: f64,
}

impl Point {
    /// A point.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }
}

/// An axis-parallel box in fractions of the frame, origin at the top left. It may reach beyond the frame.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Left edge.
    pub left: f32,
    /// Top edge.
    pub top: f32,
    /// Width, above 0.
    pub width: f32,
    /// Height, above 0.
    pub height: f32,
}

impl BoundingBox {
    /// A box by left, top, width and height.
    pub fn new(left: f32, top: f32, width: f32, height: f32) -> Self {
        Self {
            left,
            top,
            width,
            height,
        }
    }

    /// Right edge.
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f32 {
        self.top + self.height
    }

    /// Whether all four numbers are finite, no further than ten frames away, and the box has an area. What is not
    /// sound is dropped and counted by the tracker, and refused by the engine.
    pub fn is_sound(&self) -> bool {
        let near = |v: f32| v.abs() <= 10.0;
        near(self.left)
            && near(self.top)
            && near(self.width)
            && near(self.height)
            && self.width > 0.0
            && self.height > 0.0
    }

    /// Intersection over union with another box of the same frame, 0 to 1.
    pub fn iou(&self, other: &Self) -> f64 {
        iou(self.edges(), other.edges())
    }

    /// Share of the smaller of two boxes that lies in the other, 0 to 1.
    pub(crate) fn shared_part(&self, other: &Self) -> f64 {
        let (a, b) = (self.edges(), other.edges());
        let side = |low: f64, high: f64| (high - low).max(0.0);
        let common = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
        let smaller = [a, b]
            .map(|e| side(e[0], e[2]) * side(e[1], e[3]))
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        if smaller > 0.0 { common / smaller } else { 0.0 }
    }

    pub(crate) fn edges(&self) -> [f64; 4] {
        [self.left, self.top, self.right(), self.bottom()].map(f64::from)
    }
}

/// Intersection over union of boxes by left, top, right and bottom.
pub(crate) fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let side = |low: f64, high: f64| (high - low).max(0.0);
    let common = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
    let area = |e: [f64; 4]| side(e[0], e[2]) * side(e[1], e[3]);
    let union = area(a) + area(b) - common;
    if union > 0.0 { common / union } else { 0.0 }
}

/// What a detector found: a box without identity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Where.
    pub bbox: BoundingBox,
    /// What, as the detector numbers its classes. Only detections of one class are joined to a track.
    pub class: u16,
    /// How sure, 0 to 1.
    pub score: f32,
}

/// Number of a track: unique within one tracker, rising in the order of birth, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrackId(pub u64);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A person (or another thing) in one frame, with an identity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Who.
    pub track: TrackId,
    /// The box as the detector gave it; this is what is reported.
    pub bbox: BoundingBox,
    /// The box with its jitter filtered; the rules look at this one.
    pub steady: BoundingBox,
    /// What, as the detector numbers its classes.
    pub class: u16,
    /// How sure, 0 to 1.
    pub score: f32,
    /// Whether the track has been seen often enough to be believed. Until then it counts nowhere; what it did before
    /// is counted when it is confirmed.
    pub confirmed: bool,
    /// How long the track had not been seen before this sight, in ticks of 1/90000 s, when it was lost and has been
    /// found again with it; otherwise 0.
    pub refound_after_90k: u64,
    /// Where on the ground, filled in by the engine where the ground is known.
    pub place: Option<Place>,
}

impl Observation {
    /// A person whom somebody else tracks: confirmed, of class 0, with score 1.
    pub fn new(track: TrackId, bbox: BoundingBox) -> Self {
        Self {
            track,
            bbox,
            steady: bbox,
            class: 0,
            score: 1.0,
            confirmed: true,
            refound_after_90k: 0,
            place: None,
        }
    }
}
