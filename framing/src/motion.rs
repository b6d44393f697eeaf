//! Where a picture moves: background models on a coarse grid of brightness.
//!
//! # The algorithm, and where it comes from
//!
//! 1. **Grid.** Luma is averaged over square cells, at most 160 across. A cell's noise is that of a pixel divided by the
//!    cell's side, and everything that follows costs next to nothing.
//! 2. **Median of three frames** in each cell, at 8 frames a second and more: a rain streak or a snow flake is in one
//!    place for one frame only (K. Garg, S. Nayar, *Detection and removal of rain from videos*, CVPR 2004).
//! 3. **Slow light is taken out.** The median relative change from one frame to the next over a tile of 16 × 16 cells is
//!    what the light did there; both models follow it at once, and what little is left of it after some tenths of a second. Moving things are a minority of a tile, and do not move
//!    its median. Between the middles of tiles the light changes smoothly.
//! 4. **Two running averages with a running variance** for each cell, a slow one that learns little where something
//!    stands before it (C. Wren et al., *Pfinder*, PAMI 19(7), 1997; selective update after D. Koller et al., ECCV 1994)
//!    and a fast one of half a second. Something moves where a cell differs from **both** by more than its own noise
//!    explains: what has just been uncovered differs from the fast one alone, what stands still from the slow one alone.
//! 5. **Regions.** Cells that differ from the slow average, connected to enough cells that move; large enough; and seen
//!    for long enough before they count.
//!
//! Combination, constants and code are this crate's own.

mod grid;
mod model;
mod regions;
mod window;

use crate::geometry::FractionBox;
use crate::picture::{Picture, Plane};
use grid::Grid;
use model::Model;
use regions::Regions;
use std::fmt;
use std::str::FromStr;
pub use window::{MotionEvent, MotionStep, MotionWindow};

/// Most regions of one picture; of more the largest are given.
pub const MAX_MOTION_REGIONS: usize = 64;

/// Ticks of media time in a second.
const SECOND: f64 = 90_000.0;

/// After a gap of so many seconds the scene is learnt anew.
const LONG_GAP: f64 = 10.0;

/// Share of the watched cells above which a change is the light, the camera or a cover and not something moving in the
/// scene.
const WHOLE_PICTURE: f32 = 0.7;

/// How easily motion is seen; `sensitivity` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MotionSensitivity {
    /// Large motion only: things of at least 1/250 of the picture that stand out clearly.
    Low,
    /// The usual (default): things of at least 1/1000 of the picture.
    #[default]
    Medium,
    /// Small and faint motion too: things of at least 1/3500 of the picture.
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

/// A word that names no sensitivity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no motion sensitivity; use low, medium or high")]
pub struct UnknownSensitivity(String);

impl FromStr for MotionSensitivity {
    type Err = UnknownSensitivity;

    /// Reads the contract's word, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|word| word.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownSensitivity(text.chars().take(64).collect()))
    }
}

/// What a sensitivity means.
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
    /// How long a region is watched before it counts.
    seconds: f32,
}

/// How to look for motion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MotionOptions {
    sensitivity: MotionSensitivity,
    zones: Vec<Vec<[f64; 2]>>,
}

impl MotionOptions {
    /// How easily motion is seen, default [`MotionSensitivity::Medium`]. Higher finds people further away, and more
    /// leaves, shadows and insects.
    #[must_use]
    pub fn with_sensitivity(mut self, sensitivity: MotionSensitivity) -> Self {
        self.sensitivity = sensitivity;
        self
    }

    /// Looks only inside these polygons, whose corners are fractions of the picture (`[left, top]`, not closed or
    /// closed, even-odd). Default: none, and the whole picture counts. A cell of the grid is inside when its centre is,
    /// so a zone narrower than 1/160 of the picture may hold none and then sees nothing.
    #[must_use]
    pub fn with_zones(mut self, zones: Vec<Vec<[f64; 2]>>) -> Self {
        self.zones = zones;
        self
    }

    /// How easily motion is seen.
    pub fn sensitivity(&self) -> MotionSensitivity {
        self.sensitivity
    }

    /// Where motion is looked for; empty: everywhere.
    pub fn zones(&self) -> &[Vec<[f64; 2]>] {
        &self.zones
    }
}

/// Looks for motion in one stream. State without a clock: media time alone counts, so any frame rate from 1 to 240 gives
/// the same behaviour, as far as fewer frames can show it.
///
/// Slow changes of the light, sensor noise and flicker of single frames (rain) are not motion; shadows that move are. The
/// first second of a stream is learnt from and reports nothing, as does the half second after a change of the whole
/// picture (a light is switched, the camera turned). What stops is no motion any more within about a second.
///
/// **After the first picture of a size nothing is allocated.** A picture of 1080p takes some tenths of a millisecond.
///
/// ```
/// use lva_framing::{MotionDetector, MotionOptions, Plane};
///
/// let mut detector = MotionDetector::new(MotionOptions::default());
/// let mut moved = 0;
/// for frame in 0..60_usize {
///     let mut luma = vec![90; 320 * 180];
///     for row in luma.chunks_mut(320).skip(60).take(60) {
///         if frame >= 30 {
///             row[4 * (frame - 30)..][..40].fill(200); // a block comes in after a second
///         }
///     }
///     let plane = Plane { data: &luma, stride: 320, width: 320, height: 180 };
///     moved += usize::from(!detector.look(plane, frame as u64 * 3000).is_empty());
/// }
/// assert!((20..=30).contains(&moved), "{moved}");
/// ```
#[derive(Debug)]
pub struct MotionDetector {
    options: MotionOptions,
    thresholds: Thresholds,
    grid: Grid,
    model: Model,
    regions: Regions,
    latest: Option<u64>,
}

impl MotionDetector {
    /// A detector that has seen nothing.
    pub fn new(options: MotionOptions) -> Self {
        Self {
            thresholds: options.sensitivity.thresholds(),
            options,
            grid: Grid::default(),
            model: Model::default(),
            regions: Regions::default(),
            latest: None,
        }
    }

    /// How it looks.
    pub fn options(&self) -> &MotionOptions {
        &self.options
    }

    /// Looks at a picture's luma; the regions are those of [`look`](Self::look). Pictures of 10 bits are looked at by
    /// their upper 8.
    pub fn look_at(&mut self, picture: &Picture) -> &[FractionBox] {
        let Some(luma) = picture.plane(0) else {
            return &[];
        };
        let words = picture.format().bytes_per_sample() == 2;
        self.step(luma, words, picture.timestamp_90k())
    }

    /// Looks at a plane of luma, 8 bits a sample, and gives the boxes that move, the largest first, in fractions of the
    /// picture. Boxes do not overlap. No box: nothing moves.
    ///
    /// Frames come in the order of presentation. A time that goes back, or a gap of more than 10 s, starts anew; so does
    /// a new size. A plane shorter than its size says is not looked at.
    pub fn look(&mut self, luma: Plane<'_>, timestamp_90k: u64) -> &[FractionBox] {
        self.step(luma, false, timestamp_90k)
    }

    /// Forgets the scene, as when the camera was turned.
    pub fn reset(&mut self) {
        self.model.forget();
        self.regions.forget();
        self.latest = None;
    }

    fn step(&mut self, luma: Plane<'_>, words: bool, timestamp_90k: u64) -> &[FractionBox] {
        if self.grid.fit(luma.width, luma.height, &self.options.zones) {
            let (columns, rows) = self.grid.size();
            self.model.fit(columns, rows);
            self.regions.fit(columns, rows);
            self.latest = None;
        }
        if !self.grid.average(&luma, words) {
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
}
