//! When to try again after a session ended: a rule without a clock and without a generator of its own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Waiting times between sessions: doubling from a floor to a cap, with full jitter, so that many graphs whose one
/// extension died do not come back in step. A session that lived long enough starts the count again.
///
/// ```
/// use std::time::Duration;
/// use lva_extension_protocol::{Backoff, BackoffPolicy};
///
/// let mut backoff = Backoff::new(BackoffPolicy::default());
/// let died_at_once = Duration::from_millis(3);
/// assert!(backoff.next_delay(died_at_once) >= BackoffPolicy::default().floor);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Shortest wait. Default 250 ms. Nought makes a dead extension cost a core; seconds lose live pictures.
    pub floor: Duration,
    /// Longest wait. Default 15 s. Long caps make an extension that came back wait for its frames.
    pub cap: Duration,
    /// A session that lived this long counts as healthy. Default 30 s. Short values forgive a server that
    /// takes the first frame and dies of it, again and again.
    pub healthy_after: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            floor: Duration::from_millis(250),
            cap: Duration::from_secs(15),
            healthy_after: Duration::from_secs(30),
        }
    }
}

/// The state of a [`BackoffPolicy`].
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: BackoffPolicy,
    failures: u32,
}

impl Backoff {
    /// Without failures yet.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self { policy, failures: 0 }
    }

    /// How long to wait, after a session that lived for `lived` (nought where none came to be).
    pub fn next_delay(&mut self, lived: Duration) -> Duration {
        // Each state of the standard library's hasher is seeded by the system: random enough for jitter.
        let random = RandomState::new().build_hasher().finish();
        self.next_delay_with(lived, random)
    }

    /// The same with the caller's random number, of which all 64 bits count.
    pub fn next_delay_with(&mut self, lived: Duration, random: u64) -> Duration {
        if lived >= self.policy.healthy_after {
            self.failures = 0;
        }
        let doubled = self
            .policy
            .floor
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let most = doubled.min(self.policy.cap).max(self.policy.floor);
        self.failures = self.failures.saturating_add(1);
        let part = random as f64 / u64::MAX as f64;
        self.policy.floor + (most - self.policy.floor).mul_f64(part)
    }

    /// Failures since the last healthy session.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_wait_doubles_up_to_the_cap() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        let longest: Vec<u128> = (0..9)
            .map(|_| backoff.next_delay_with(Duration::ZERO, u64::MAX).as_millis())
            .collect();
        assert_eq!(longest, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    }

    #[test]
    fn only_a_healthy_session_starts_the_count_again() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        for _ in 0..5 {
            backoff.next_delay_with(Duration::from_secs(29), 0);
        }
        assert_eq!(backoff.failures(), 5);
        assert_eq!(
            backoff.next_delay_with(Duration::from_secs(30), u64::MAX),
            Duration::from_millis(250)
        );
        assert_eq!(backoff.failures(), 1);
    }

    proptest! {
        #[test]
        fn never_under_the_floor_nor_over_the_cap(
            floor in 0u64..10_000,
            above in 0u64..100_000,
            lives in proptest::collection::vec((0u64..100, any::<u64>()), 1..100),
        ) {
            let policy = BackoffPolicy {
                floor: Duration::from_millis(floor),
                cap: Duration::from_millis(floor + above),
                healthy_after: Duration::from_secs(30),
            };
            let mut backoff = Backoff::new(policy);
            for (lived, random) in lives {
                let delay = backoff.next_delay_with(Duration::from_secs(lived), random);
                prop_assert!(delay >= policy.floor && delay <= policy.cap);
            }
        }
    }
}
