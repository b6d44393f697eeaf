//! From light to bytes: exposure, the tone curve, and the noise of a small sensor.

use crate::random::hash3;
use glam::Vec3;

/// A camera's electronics.
#[derive(Debug, Clone)]
pub(crate) struct Sensor {
    exposure: f32,
    /// Standard deviation of the noise in steps of 1/255.
    noise: f32,
    curve: Vec<f32>,
}

const STEPS: usize = 4096;

impl Sensor {
    pub(crate) fn new(exposure: f32, noise: f32) -> Self {
        // Straight in the shadows, bent over in the lights, so that sunlit paving keeps its joints.
        let curve = (0..=STEPS)
            .map(|i| {
                let light = i as f32 / STEPS as f32 * 2.0;
                let bent = light * (1.0 + light * 0.08) / (1.0 + light * 0.45);
                255.0 * libm::powf(bent.min(1.0), 1.0 / 2.2)
            })
            .collect();
        Self {
            exposure,
            noise,
            curve,
        }
    }

    /// Writes the linear picture as RGB, three bytes a pixel; the noise depends on `frame` and place alone.
    pub(crate) fn read_out(&self, linear: &[Vec3], frame: u32, salt: u32, rgb: &mut [u8]) {
        for (at, (light, out)) in linear.iter().zip(rgb.chunks_exact_mut(3)).enumerate() {
            // Four uniform bytes add up to something near enough to a bell.
            let grain = |n: u32| {
                let h = hash3(at as u32, frame, salt ^ n);
                let sum = (h & 0xFF) + ((h >> 8) & 0xFF) + ((h >> 16) & 0xFF) + (h >> 24);
                (sum as f32 - 510.0) / 147.8
            };
            let shared = grain(0) * self.noise;
            let tint = grain(1) * self.noise * 0.4;
            for (channel, own) in [(0, tint), (1, -0.3 * tint), (2, -tint)] {
                let value = (light[channel] * self.exposure * (STEPS as f32 / 2.0)).clamp(0.0, STEPS as f32);
                let index = (value as usize).min(STEPS - 1);
                let level =
                    self.curve[index] + (self.curve[index + 1] - self.curve[index]) * (value - index as f32);
                out[channel] = (level + shared + own + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
}
