//! Daylight: one sun, one sky, and clouds that pass slowly.

use crate::random::Random;
use glam::Vec3;

/// The light of a scene.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Light {
    /// Unit vector towards the sun.
    pub(crate) to_sun: Vec3,
    /// Colour and strength of the sun on a surface that faces it.
    pub(crate) sun: Vec3,
    /// Light from above and from the ground below, seen by surfaces that face up and down.
    pub(crate) sky: Vec3,
    pub(crate) bounce: Vec3,
    /// Deepest cloud, `0` (never clouds over) to `1` (the sun goes out).
    clouds: f32,
    phases: [f32; 3],
}

/// How strong sun and sky are at one moment, relative to the clear scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    pub(crate) sun: f32,
    pub(crate) sky: f32,
}

impl Light {
    /// A sun at the given height and direction (degrees; 0 is to the right, 90 away from the camera).
    pub(crate) fn new(elevation_deg: f32, azimuth_deg: f32, clouds: f32, random: &mut Random) -> Self {
        let (elevation, azimuth) = (elevation_deg.to_radians(), azimuth_deg.to_radians());
        let flat = libm::cosf(elevation);
        // A low sun is warmer.
        let warmth = 1.0 - (elevation_deg / 60.0).clamp(0.0, 1.0);
        Self {
            to_sun: Vec3::new(
                flat * libm::cosf(azimuth),
                flat * libm::sinf(azimuth),
                libm::sinf(elevation),
            ),
            sun: Vec3::new(1.22, 1.12 - 0.1 * warmth, 0.98 - 0.28 * warmth),
            sky: Vec3::new(0.36, 0.42, 0.52),
            bounce: Vec3::new(0.22, 0.20, 0.17),
            clouds,
            phases: std::array::from_fn(|_| random.between(0.0, std::f32::consts::TAU)),
        }
    }

    /// Light that reaches a surface from sky and ground.
    pub(crate) fn ambient(&self, normal: Vec3) -> Vec3 {
        self.bounce.lerp(self.sky, normal.z * 0.5 + 0.5)
    }

    /// Light that reaches a surface from an unhidden sun.
    pub(crate) fn direct(&self, normal: Vec3) -> Vec3 {
        self.sun * normal.dot(self.to_sun).max(0.0)
    }

    /// The state of the sky after `seconds`.
    pub(crate) fn at(&self, seconds: f32) -> Moment {
        let wave = |period: f32, phase: f32| libm::sinf(seconds * std::f32::consts::TAU / period + phase);
        let cover = 0.5
            + 0.3 * wave(61.0, self.phases[0])
            + 0.15 * wave(23.0, self.phases[1])
            + 0.05 * wave(9.0, self.phases[2]);
        let cover = self.clouds * cover.clamp(0.0, 1.0);
        Moment {
            sun: 1.0 - 0.85 * cover,
            sky: 1.0 + 0.12 * cover,
        }
    }
}
