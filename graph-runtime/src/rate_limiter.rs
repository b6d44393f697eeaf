//! Repeated reports of one problem, limited to one a minute.

use std::time::{Duration, Instant};

/// The shortest time between two reports of the same problem.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Lets the first report through, and then one a minute.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    last: Option<Instant>,
}

impl RateLimiter {
    /// Whether to report now.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= REPORT_INTERVAL);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_report_passes_and_then_one_a_minute() {
        let mut limiter = RateLimiter::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let passed: Vec<u64> = (0..200).filter(|second| limiter.is_due(at(*second))).collect();
        assert_eq!(passed, [0, 60, 120, 180]);
    }
}
