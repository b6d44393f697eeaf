//! How fast somebody is on the ground.

use crate::ground::GroundPoint;
use crate::observation::TICKS;

/// Time over which a speed is measured, in ticks: shorter and it is jitter, longer and turns cut corners.
const SPAN: u64 = 90_000;

/// Least time that a speed is told of.
const LEAST: u64 = 30_000;

const SIGHTS: usize = 16;

/// The last second of somebody's way, thinned to a few points.
#[derive(Debug, Clone, Default)]
pub(super) struct Motion {
    sights: [(u64, GroundPoint); SIGHTS],
    count: usize,
}

impl Motion {
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a sight; the slope of a straight line through the last second, in feet a second, once there is enough.
    pub(super) fn add(&mut self, now: u64, at: GroundPoint) -> f64 {
        let kept = self.sights.get(..self.count).unwrap_or_default();
        let old = kept
            .iter()
            .take_while(|(time, _)| now.saturating_sub(*time) > SPAN)
            .count();
        // At 2 frames a second the last second has too few sights: two always stay.
        let old = old.min(self.count.saturating_sub(2));
        self.sights.copy_within(old..self.count, 0);
        self.count -= old;
        // At many frames a second the newest sight moves on until it is far enough from the one before.
        let before = self.count.checked_sub(2).and_then(|index| self.sights.get(index));
        let crowded = before.is_some_and(|(time, _)| now.saturating_sub(*time) < SPAN / (SIGHTS as u64 - 3));
        if crowded || self.count == SIGHTS {
            self.count -= 1;
        }
        if let Some(slot) = self.sights.get_mut(self.count) {
            *slot = (now, at);
            self.count += 1;
        }
        self.speed()
    }

    fn speed(&self) -> f64 {
        let sights = self.sights.get(..self.count).unwrap_or_default();
        let (Some((first, _)), Some((last, _))) = (sights.first(), sights.last()) else {
            return 0.0;
        };
        if last - first < LEAST {
            return 0.0;
        }
        let count = sights.len() as f64;
        let seconds = |time: u64| (time - first) as f64 / TICKS;
        let mean = |of: &dyn Fn(&(u64, GroundPoint)) -> f64| sights.iter().map(of).sum::<f64>() / count;
        let (t, x, y) = (
            mean(&|s| seconds(s.0)),
            mean(&|s| s.1.right_ft),
            mean(&|s| s.1.ahead_ft),
        );
        let (mut tt, mut tx, mut ty) = (0.0, 0.0, 0.0);
        for (time, at) in sights {
            let off = seconds(*time) - t;
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
    fn a_walk_of_four_feet_a_second_is_told_at_any_rate() {
        for rate in [2u64, 5, 15, 30, 100] {
            let mut motion = Motion::default();
            let mut speed = 0.0;
            for n in 0..rate * 3 {
                let seconds = n as f64 / rate as f64;
                // A little jitter that a line through two points would not survive.
                let jitter = if n % 2 == 0 { 0.05 } else { -0.05 };
                speed = motion.add(
                    n * 90_000 / rate,
                    GroundPoint::new(3.2 * seconds + jitter, 2.4 * seconds),
                );
            }
            assert!((speed - 4.0).abs() < 0.2, "{rate}: {speed}");
        }
    }
}
