//! People with an identity.

use crate::ground::GroundPosition;
use lva_media_types::BoundingBox;
use std::fmt;

/// Number of a track: unique within one tracker, assigned in rising order, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u64);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A tracked person (or another object) in one frame, with its box in fractions of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Who.
    pub track: TrackId,
    /// The box in fractions of the frame, as the detector gave it; reports carry this one.
    pub bbox: BoundingBox,
    /// The box in fractions of the frame, with its jitter filtered; rules use this one.
    pub smoothed: BoundingBox,
    /// The detector's index of the class.
    pub class: u16,
    /// How sure, 0 to 1.
    pub score: f32,
    /// Whether the track was seen often enough. Until then it counts nowhere; what it did before is counted when it is
    /// confirmed.
    pub confirmed: bool,
    /// For a track that was lost and is found again in this frame: how long it was not seen, in ticks of 1/90000 s.
    /// Otherwise 0.
    pub reidentified_after_90k: u64,
    /// Position and speed on the ground. The engine fills it in where the ground is known.
    pub ground_position: Option<GroundPosition>,
}

impl Observation {
    /// A person from another tracker, with a box in fractions of the frame: confirmed, of class 0, with score 1.
    pub fn new(track: TrackId, bbox: BoundingBox) -> Self {
        Self {
            track,
            bbox,
            smoothed: bbox,
            class: 0,
            score: 1.0,
            confirmed: true,
            reidentified_after_90k: 0,
            ground_position: None,
        }
    }
}
