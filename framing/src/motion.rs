//! Motion detection by background models on a coarse grid of brightness.
//!
//! # The algorithm, and where it comes from
//!
//! 1. **Grid.** Luma is averaged over square cells, at most 160 across. A cell's noise is that of a pixel divided by the
//!    cell's side, and everything that follows costs next to nothing.
//! 2. **Median of three frames** in each cell, at 8 frames a second and more: a rain streak or a snow flake is in one
//!    place for one frame only (K. Garg, S. Nayar, *Detection and removal of rain from videos*, CVPR 2004).
//! 3. **Slow changes of light are removed.** The median relative change from one frame to the next over a tile of
//!    16 × 16 cells is the change of light there; both models follow it at once, and correct the remainder within some
//!    tenths of a second. Moving objects are a minority of a tile and do not affect its median. Between the centres of
//!    tiles the light is interpolated.
//! 4. **Two running averages with a running variance** for each cell, a slow one that learns little where an object
//!    covers the background (C. Wren et al., *Pfinder*, PAMI 19(7), 1997; selective update after D. Koller et al., ECCV 1994)
//!    and a fast one of half a second. A cell moves if it differs from **both** by more than its own noise explains:
//!    background that was just uncovered differs from the fast one alone, a stationary object from the slow one alone.
//! 5. **Regions.** Cells that differ from the slow average, connected to enough cells that move; large enough; and seen
//!    for long enough before they count.
//!
//! The combination, the constants and the code are original to this crate.

mod grid;
mod model;
mod regions;
mod window;

use crate::geometry::FractionBox;
use crate::picture::{Picture, Plane};
use grid::Grid;
use lva_media_types::MediaTime;
use model::Model;
use regions::Regions;
use std::fmt;
pub use window::{MotionEvent, MotionStep, MotionWindow};

/// Most regions of one picture; of more, the largest are returned.
pub const MAX_MOTION_REGIONS: usize = 64;

/// Ticks of media time in a second.
const SECOND: f64 = MediaTime::TICKS_PER_SECOND as f64;

/// After a gap of so many seconds the scene is learnt again.
const LONG_GAP: f64 = 10.0;

/// Share of the cells above which a change is one of light or camera and not an object that moves.
const WHOLE_PICTURE: f32 = 0.7;

/// How easily motion is detected; `sensitivity` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MotionSensitivity {
    /// Large motion only: objects of at least 1/250 of the picture with a clear contrast.
    Low,
    /// Objects of at least 1/1000 of the picture (default).
    #[default]
    Medium,
    /// Small and faint motion too: objects of at least 1/3500 of the picture.
    High,
}

impl MotionSensitivity {
    /// Every sensitivity.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    fn thresholds(self) -> Thresholds {
        match self {
            Self::Low => Thresholds {
                least: 14.0,
                deviations: 6.0,
                area: 1.0 / 250.0,
                seeds: 6,
                seconds: 0.3,
            },
            Self::Medium => Thresholds {
                least: 8.0,
                deviations: 5.0,
                area: 1.0 / 1000.0,
                seeds: 3,
                seconds: 0.2,
            },
            Self::High => Thresholds {
                least: 4.5,
                deviations: 5.0,
                area: 1.0 / 3500.0,
                seeds: 2,
                seconds: 0.1,
            },
        }
    }
}

impl fmt::Display for MotionSensitivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// The limits behind a sensitivity.
#[derive(Debug, Clone, Copy)]
struct Thresholds {
    /// Least difference in brightness, of 255.
    least: f32,
    /// Least difference in standard deviations of the cell.
    deviations: f32,
    /// Least share of the picture.
    area: f32,
    /// Least number of cells that move.
    seeds: u32,
    /// How long a region exists before it counts.
    seconds: f32,
}

/// Detects motion in one stream. It has no clock and only looks at media time, so any frame rate from 1 to 240 gives the
/// same behaviour, as far as fewer frames can show it.
///
/// Slow changes of light, sensor noise and flicker of single frames (rain) are not motion; moving shadows are. The first
/// second of a stream is used for learning and reports nothing, as is the half second after a change of the whole
/// picture (a light is switched, the camera turned). An object that stops is reported for about one more second.
///
/// **After the first picture of a size nothing is allocated.** A picture of 1080p takes some tenths of a millisecond.
///
/// ```
/// use lva_framing::Plane;
/// use lva_framing::motion::{MotionDetector, MotionSensitivity};
///
/// let mut detector = MotionDetector::new(MotionSensitivity::Medium);
/// let mut moved = 0;
/// for frame in 0..60_usize {
///     let mut luma = vec![90; 320 * 180];
///     for row in luma.chunks_mut(320).skip(60).take(60) {
///         if frame >= 30 {
///             row[4 * (frame - 30)..][..40].fill(200); // a block comes in after a second
///         }
///     }
///     let plane = Plane { data: &luma, stride: 320, width: 320, height: 180, bytes_per_sample: 1 };
///     moved += usize::from(!detector.detect_in_luma(plane, frame as u64 * 3000).is_empty());
/// }
/// assert!((20..=30).contains(&moved), "{moved}");
/// ```
#[derive(Debug)]
pub struct MotionDetector {
    sensitivity: MotionSensitivity,
    thresholds: Thresholds,
    grid: Grid,
    model: Model,
    regions: Regions,
    latest: Option<u64>,
}

impl MotionDetector {
    /// A detector of this sensitivity. Higher ones find people further away, and more leaves, shadows and insects.
    pub fn new(sensitivity: MotionSensitivity) -> Self {
        Self {
            sensitivity,
            thresholds: sensitivity.thresholds(),
            grid: Grid::default(),
            model: Model::default(),
            regions: Regions::default(),
            latest: None,
        }
    }

    /// How easily motion is detected.
    pub fn sensitivity(&self) -> MotionSensitivity {
        self.sensitivity
    }

    /// Detects motion in a picture; the regions are those of [`detect_in_luma`](Self::detect_in_luma).
    pub fn detect(&mut self, picture: &Picture) -> &[FractionBox] {
        let Some(luma) = picture.plane(0) else {
            return &[];
        };
        self.detect_in_luma(luma, picture.timestamp_90k())
    }

    /// Detects motion in a plane of luma, of 10 bits in the upper 8, and returns the boxes that move, the largest first, in
    /// fractions of the picture. Boxes do not overlap. An empty slice means no motion.
    ///
    /// Frames come in presentation order. Detection starts over when time goes back, after a gap of more than 10 s, and
    /// when the size changes. A plane shorter than its size is ignored.
    pub fn detect_in_luma(&mut self, luma: Plane<'_>, timestamp_90k: u64) -> &[FractionBox] {
        if self.grid.fit(luma.width, luma.height) {
            let (columns, rows) = self.grid.size();
            self.model.fit(columns, rows);
            self.regions.fit(columns, rows);
            self.latest = None;
        }
        if !self.grid.average(&luma) {
            return &[];
        }
        let elapsed = match self.latest.replace(timestamp_90k) {
            None => 0.0,
            Some(before) => match timestamp_90k.checked_sub(before) {
                Some(ticks) if (ticks as f64) < LONG_GAP * SECOND => (ticks as f64 / SECOND) as f32,
                _ => {
                    self.model.forget();
                    self.regions.forget();
                    0.0
                }
            },
        };
        let learning = self.model.learn(&self.grid, elapsed, &self.thresholds);
        if learning {
            self.regions.forget();
            return &[];
        }
        if self.model.changed_share() > WHOLE_PICTURE {
            self.model.relearn();
            self.regions.forget();
            return &[];
        }
        let (grid, model) = (&self.grid, &self.model);
        self.regions.find(grid, model.state(), elapsed, &self.thresholds)
    }

    /// Learns the scene again, as when the camera was turned.
    pub fn reset(&mut self) {
        self.model.forget();
        self.regions.forget();
        self.latest = None;
    }
}
