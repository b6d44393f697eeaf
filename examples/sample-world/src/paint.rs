//! Colours and the patterns on cloth.

use crate::random::{noise, rough_noise};
use glam::Vec3;

/// Reflectance per channel in linear light, `0..1`.
pub(crate) type Albedo = Vec3;

/// The linear reflectance of an sRGB colour written as `0xRRGGBB`.
pub(crate) fn srgb(hex: u32) -> Albedo {
    let channel = |shift: u32| libm::powf(((hex >> shift) & 0xFF) as f32 / 255.0, 2.2);
    Vec3::new(channel(16), channel(8), channel(0))
}

/// How a surface is coloured along it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pattern {
    Plain,
    /// Bands around the body, this many metres from one to the next.
    Hoops(Albedo, f32),
    /// A chequered weave, this many metres wide.
    Check(Albedo, f32),
    /// One colour above this height over the ground, the paint's own below.
    Above(Albedo, f32),
    /// Leaves, gravel, knitwear: rough speckle of this grain in metres.
    Speckle(f32),
}

/// The paint of one solid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) base: Albedo,
    pub(crate) pattern: Pattern,
    /// How much folds and dirt darken it, `0..1`.
    pub(crate) wear: f32,
}

impl Paint {
    pub(crate) fn plain(base: Albedo) -> Self {
        Self {
            base,
            pattern: Pattern::Plain,
            wear: 0.18,
        }
    }

    pub(crate) fn with_pattern(self, pattern: Pattern) -> Self {
        Self { pattern, ..self }
    }

    pub(crate) fn with_wear(self, wear: f32) -> Self {
        Self { wear, ..self }
    }

    /// The reflectance at a point given in the solid's own axes.
    pub(crate) fn at(&self, p: Vec3, salt: u32) -> Albedo {
        let color = match self.pattern {
            Pattern::Plain => self.base,
            Pattern::Hoops(other, period) => {
                if (p.z / period).rem_euclid(1.0) < 0.45 {
                    other
                } else {
                    self.base
                }
            }
            Pattern::Check(other, period) => {
                let along = ((p.x + p.y) / period).rem_euclid(1.0) < 0.5;
                let up = (p.z / period).rem_euclid(1.0) < 0.5;
                match (along, up) {
                    (true, true) => other,
                    (false, false) => self.base,
                    _ => (other + self.base) * 0.5,
                }
            }
            Pattern::Above(other, height) => {
                if p.z > height {
                    other
                } else {
                    self.base
                }
            }
            Pattern::Speckle(grain) => {
                let n = noise((p.x + p.z * 0.7) / grain, (p.y - p.z * 0.8) / grain, salt);
                self.base * (0.35 + 1.3 * n * n)
            }
        };
        let folds = rough_noise((p.x - p.y) * 9.0, p.z * 5.0, salt);
        color * (1.0 - self.wear * folds)
    }
}
