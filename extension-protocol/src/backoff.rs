//! When to reconnect after a session ended. Reads no clock.

use std::time::Duration;

/// Delays between sessions: exponential with full jitter, so that many graphs do not reconnect to one extension at the
/// same moment. A session that lasted long enough resets the count of failures.
///
/// ```
/// use std::time::Duration;
/// use lva_extension_protocol::{Backoff, BackoffPolicy};
///
/// let mut backoff = Backoff::new(BackoffPolicy::default());
/// let lifetime = Duration::from_millis(3);
/// assert!(backoff.next_delay(lifetime) >= BackoffPolicy::default().min_delay);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Shortest delay. Default 250 ms. With 0, reconnecting to a dead extension keeps a core busy; with seconds, live
    /// frames are lost.
    pub min_delay: Duration,
    /// Longest delay. Default 15 s. With a long one, an extension that recovers waits for its frames.
    pub max_delay: Duration,
    /// A session that lasted this long counts as healthy. Default 30 s. With a short value, a server that crashes on
    /// its first frame each time is never backed off from.
    pub healthy_after: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(15),
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
    /// A state without failures.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self { policy, failures: 0 }
    }

    /// The delay after a session that lasted for `lived`; zero if none was established.
    pub fn next_delay(&mut self, lived: Duration) -> Duration {
        // Without randomness from the system, half the jitter is as good as any.
        self.next_delay_with(lived, getrandom::u64().unwrap_or(u64::MAX / 2))
    }

    /// The same with the caller's random number; all 64 bits are used.
    pub fn next_delay_with(&mut self, lived: Duration, random: u64) -> Duration {
        if lived >= self.policy.healthy_after {
            self.failures = 0;
        }
        let doubled = self
            .policy
            .min_delay
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let most = doubled.min(self.policy.max_delay).max(self.policy.min_delay);
        self.failures = self.failures.saturating_add(1);
        let part = random as f64 / u64::MAX as f64;
        self.policy.min_delay + (most - self.policy.min_delay).mul_f64(part)
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
    fn only_a_healthy_session_resets_the_count() {
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
        fn delays_stay_between_minimum_and_maximum(
            min_delay in 0u64..10_000,
            above in 0u64..100_000,
            lives in proptest::collection::vec((0u64..100, any::<u64>()), 1..100),
        ) {
            let policy = BackoffPolicy {
                min_delay: Duration::from_millis(min_delay),
                max_delay: Duration::from_millis(min_delay + above),
                healthy_after: Duration::from_secs(30),
            };
            let mut backoff = Backoff::new(policy);
            for (lived, random) in lives {
                let delay = backoff.next_delay_with(Duration::from_secs(lived), random);
                prop_assert!(delay >= policy.min_delay && delay <= policy.max_delay);
            }
        }
    }
}
