//! Speed of a person on the ground.

use crate::ground::GroundPoint;
use crate::time::{SECOND, seconds};

/// Time over which a speed is measured, in ticks: a shorter one measures jitter, a longer one cuts corners.
const SPAN: u64 = SECOND;

/// Shortest time over which a speed is measured.
const MIN_SPAN: u64 = SECOND / 3;

const MAX_SAMPLES: usize = 16;

/// The last second of a person's path, thinned to a few points.
#[derive(Debug, Clone, Default)]
pub(super) struct Motion {
    samples: [(u64, GroundPoint); MAX_SAMPLES],
    count: usize,
}

impl Motion {
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a sample. Returns the slope of a straight line through the last second, in feet a second, or 0 while there are
    /// too few samples.
    pub(super) fn add(&mut self, now: u64, at: GroundPoint) -> f64 {
        let kept = self.samples.get(..self.count).unwrap_or_default();
        let old = kept
            .iter()
            .take_while(|(time, _)| now.saturating_sub(*time) > SPAN)
            .count();
        // At 2 frames a second the last second has too few samples: always keep two.
        let old = old.min(self.count.saturating_sub(2));
        self.samples.copy_within(old..self.count, 0);
        self.count -= old;
        // At high frame rates, replace the newest sample until it is far enough from the one before.
        let before = self
            .count
            .checked_sub(2)
            .and_then(|index| self.samples.get(index));
        let crowded =
            before.is_some_and(|(time, _)| now.saturating_sub(*time) < SPAN / (MAX_SAMPLES as u64 - 3));
        if crowded || self.count == MAX_SAMPLES {
            self.count -= 1;
        }
        if let Some(slot) = self.samples.get_mut(self.count) {
            *slot = (now, at);
            self.count += 1;
        }
        self.speed()
    }

    fn speed(&self) -> f64 {
        let samples = self.samples.get(..self.count).unwrap_or_default();
        let (Some((first, _)), Some((last, _))) = (samples.first(), samples.last()) else {
            return 0.0;
        };
        if last - first < MIN_SPAN {
            return 0.0;
        }
        let count = samples.len() as f64;
        let since_first = |time: u64| seconds(time - first);
        let mean = |of: &dyn Fn(&(u64, GroundPoint)) -> f64| samples.iter().map(of).sum::<f64>() / count;
        let (t, x, y) = (
            mean(&|s| since_first(s.0)),
            mean(&|s| s.1.right_ft),
            mean(&|s| s.1.ahead_ft),
        );
        let (mut tt, mut tx, mut ty) = (0.0, 0.0, 0.0);
        for (time, at) in samples {
            let off = since_first(*time) - t;
            tt += off * off;
            tx += off * (at.right_ft - x);
            ty += off * (at.ahead_ft - y);
        }
        if tt > 0.0 { (tx / tt).hypot(ty / tt) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_of_four_feet_a_second_is_measured_at_any_rate() {
        for rate in [2u64, 5, 15, 30, 100] {
            let mut motion = Motion::default();
            let mut speed = 0.0;
            for n in 0..rate * 3 {
                let seconds = n as f64 / rate as f64;
                // Jitter that a line through two points would follow.
                let jitter = if n % 2 == 0 { 0.05 } else { -0.05 };
                speed = motion.add(
                    n * SECOND / rate,
                    GroundPoint::new(3.2 * seconds + jitter, 2.4 * seconds),
                );
            }
            assert!((speed - 4.0).abs() < 0.2, "{rate}: {speed}");
        }
    }
}
