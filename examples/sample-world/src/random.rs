//! Random numbers that are the same on every machine: one generator for decisions, one hash for textures.

use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg32;

/// A stream of decisions. Two streams of one seed with different `purpose`s are independent, so that
/// adding a decision to the clothing does not move the benches.
#[derive(Debug, Clone)]
pub(crate) struct Random(Pcg32);

impl Random {
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mixed = u64::from(hash3(seed as u32, (seed >> 32) as u32, purpose as u32));
        Self(Pcg32::seed_from_u64(
            seed ^ (mixed << 32) ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ))
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// Uniform between `low` and `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..count`; `count` must not be 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u64::from(self.0.next_u32()) * count as u64) >> 32) as usize
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Mixes three words into one; every input bit reaches every output bit.
pub(crate) fn hash3(a: u32, b: u32, c: u32) -> u32 {
    let mut h = a.wrapping_mul(0x85EB_CA6B) ^ b.rotate_left(11).wrapping_mul(0xC2B2_AE35);
    h = (h ^ c.rotate_left(19)).wrapping_mul(0x27D4_EB2F);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// The hash as a number in `0.0..1.0`.
pub(crate) fn hash_unit(a: i32, b: i32, c: u32) -> f32 {
    (hash3(a as u32, b as u32, c) >> 8) as f32 / 16_777_216.0
}

/// Smooth noise in `0.0..1.0` with features about one unit wide.
pub(crate) fn noise(x: f32, y: f32, salt: u32) -> f32 {
    let (fx, fy) = (libm::floorf(x), libm::floorf(y));
    let (ix, iy) = (fx as i32, fy as i32);
    let (tx, ty) = (smooth(x - fx), smooth(y - fy));
    let top = mix(
        hash_unit(ix, iy, salt),
        hash_unit(ix.wrapping_add(1), iy, salt),
        tx,
    );
    let bottom = mix(
        hash_unit(ix, iy.wrapping_add(1), salt),
        hash_unit(ix.wrapping_add(1), iy.wrapping_add(1), salt),
        tx,
    );
    mix(top, bottom, ty)
}

/// Three octaves of [`noise`], in `0.0..1.0`.
pub(crate) fn rough_noise(x: f32, y: f32, salt: u32) -> f32 {
    (noise(x, y, salt) * 4.0
        + noise(x * 2.1, y * 2.1, salt ^ 0x51) * 2.0
        + noise(x * 4.3, y * 4.3, salt ^ 0xA3))
        / 7.0
}

pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Eases `0..1` so that both ends are flat; clamps outside.
pub(crate) fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_by_purpose_and_repeat_exactly() {
        let draw = |purpose| {
            let mut random = Random::new(7, purpose);
            [random.unit(), random.unit(), random.unit()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn draws_stay_in_range() {
        let mut random = Random::new(3, 0);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&random.unit()));
            assert!(random.below(7) < 7);
        }
    }

    #[test]
    fn noise_is_continuous_across_cells() {
        let step = (noise(1.999_9, 0.4, 9) - noise(2.000_1, 0.4, 9)).abs();
        assert!(step < 1e-3, "jump of {step}");
    }
}
