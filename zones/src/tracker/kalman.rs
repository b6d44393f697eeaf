//! A constant-velocity filter for one coordinate, with variable time steps.

/// Position, velocity (a second) and their covariance.
///
/// The four coordinates of a box are independent in the usual model, so four of these replace an 8×8 filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) at: f64,
    pub(crate) speed: f64,
    var_at: f64,
    covar: f64,
    var_speed: f64,
}

impl Axis {
    pub(crate) fn new(at: f64, sigma_at: f64, sigma_speed: f64) -> Self {
        Self {
            at,
            speed: 0.0,
            var_at: sigma_at * sigma_at,
            covar: 0.0,
            var_speed: sigma_speed * sigma_speed,
        }
    }

    /// Predicts the next state. `acceleration` is the standard deviation of the change of speed in a second: white noise,
    /// whose effect does not depend on how a second is divided into frames.
    pub(crate) fn predict(&mut self, seconds: f64, acceleration: f64) {
        let q = acceleration * acceleration;
        self.at += self.speed * seconds;
        self.var_at += seconds * (2.0 * self.covar + seconds * self.var_speed) + q * seconds.powi(3) / 3.0;
        self.covar += seconds * self.var_speed + q * seconds.powi(2) / 2.0;
        self.var_speed += q * seconds;
    }

    pub(crate) fn update(&mut self, measured: f64, sigma: f64) {
        let total = self.var_at + sigma * sigma;
        if total <= 0.0 {
            return;
        }
        let (gain_at, gain_speed) = (self.var_at / total, self.covar / total);
        let off = measured - self.at;
        self.at += gain_at * off;
        self.speed += gain_speed * off;
        self.var_speed -= gain_speed * self.covar;
        self.covar *= 1.0 - gain_at;
        self.var_at *= 1.0 - gain_at;
    }

    /// Standard deviation of the position.
    pub(crate) fn sigma(&self) -> f64 {
        self.var_at.max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_walk_is_followed_at_any_rate() {
        for rate in [2.0, 15.0] {
            let mut axis = Axis::new(0.0, 0.05, 1.0);
            let mut time = 0.0;
            while time < 4.0 {
                axis.predict(1.0 / rate, 0.3);
                time += 1.0 / rate;
                axis.update(0.4 * time, 0.05);
            }
            assert!(
                (axis.at - 0.4 * time).abs() < 0.01 && (axis.speed - 0.4).abs() < 0.02,
                "{axis:?}"
            );
        }
    }

    #[test]
    fn dividing_time_changes_no_prediction() {
        let mut once = Axis::new(1.0, 0.1, 0.5);
        once.speed = 0.3;
        let mut often = once;
        once.predict(1.0, 0.4);
        for _ in 0..10 {
            often.predict(0.1, 0.4);
        }
        assert!((once.at - often.at).abs() < 1e-12 && (once.sigma() - often.sigma()).abs() < 1e-12);
    }
}
