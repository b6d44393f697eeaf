//! What goes wrong time and again is said once a minute.

use std::time::{Duration, Instant};

/// How long a node is quiet about more of what it spoke of.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// Which of the things that go wrong with a node are news.
#[derive(Debug, Default)]
pub(crate) struct OnceAMinute {
    said: Option<Instant>,
}

impl OnceAMinute {
    /// Whether one is to be said now: the first, and one a minute.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let quiet = self
            .said
            .is_some_and(|said| now.saturating_duration_since(said) < QUIET);
        if !quiet {
            self.said = Some(now);
        }
        !quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_one_a_minute() {
        let mut defects = OnceAMinute::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let said: Vec<u64> = (0..200).filter(|second| defects.is_due(at(*second))).collect();
        assert_eq!(said, [0, 60, 120, 180]);
    }
}
