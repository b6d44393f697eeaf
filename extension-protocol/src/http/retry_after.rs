//! When a server may be asked again. Reads no clock.

use std::time::{Duration, Instant, SystemTime};

use crate::{Backoff, BackoffPolicy};

/// Parses `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date in any of HTTP's three forms, relative to `now`.
///
/// A date in the past is zero, more seconds than fit are `u64::MAX`. `None` for anything else.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use lva_extension_protocol::http::retry_after;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
/// assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(7)));
/// assert_eq!(retry_after("soon", now), None);
/// ```
pub fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// The pause of a server.
#[derive(Debug)]
pub(super) struct RetryAfter {
    until: Option<Instant>,
    policy: BackoffPolicy,
    backoff: Backoff,
    max: Duration,
}

impl RetryAfter {
    pub(super) fn new(policy: BackoffPolicy, max: Duration) -> Self {
        Self {
            until: None,
            policy,
            backoff: Backoff::new(policy),
            max,
        }
    }

    /// The rest of the pause; `None` when the server may be asked.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let remaining = self.until?.checked_duration_since(now)?;
        (!remaining.is_zero()).then_some(remaining)
    }

    /// Pauses for the time that the server asked for, but at least for the minimum delay, so that 0 causes no storm of
    /// requests, and at most for the maximum, so that one wrong number does not silence a camera.
    pub(super) fn requested(&mut self, now: Instant, wait: Duration) -> Duration {
        self.set(now, wait.clamp(self.policy.min_delay.min(self.max), self.max))
    }

    /// Pauses after a failure: longer each time, with jitter.
    pub(super) fn back_off(&mut self, now: Instant, random: u64) -> Duration {
        let wait = self.backoff.next_delay_with(Duration::ZERO, random);
        self.set(now, wait.min(self.max))
    }

    /// Ends the pause after an answer.
    pub(super) fn reset(&mut self) {
        self.until = None;
        self.backoff = Backoff::new(self.policy);
    }

    fn set(&mut self, now: Instant, wait: Duration) -> Duration {
        self.until = now.checked_add(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    fn now() -> SystemTime {
        httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap()
    }

    #[test]
    fn seconds_and_the_three_forms_of_dates_are_parsed() {
        let seconds = |text| retry_after(text, now()).map(|wait| wait.as_secs());
        assert_eq!(seconds(" 7 "), Some(7));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sun Nov  6 08:50:37 1994"), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for nonsense in ["", "-1", "1.5", "soon", "7 s", "Sun, 99 Nov 1994 08:50:37 GMT"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_requested_pause_ends_in_time() {
        let mut pause = RetryAfter::new(BackoffPolicy::default(), MAX);
        let start = Instant::now();
        assert_eq!(pause.remaining(start), None);
        assert_eq!(
            pause.requested(start, Duration::from_secs(5)),
            Duration::from_secs(5)
        );
        assert_eq!(
            pause.remaining(start + Duration::from_secs(2)),
            Some(Duration::from_secs(3))
        );
        assert_eq!(pause.remaining(start + Duration::from_secs(5)), None);
        assert_eq!(pause.requested(start, Duration::MAX), MAX);
        assert_eq!(
            pause.requested(start, Duration::ZERO),
            BackoffPolicy::default().min_delay
        );
    }

    #[test]
    fn backed_off_pauses_grow_until_an_answer() {
        let mut pause = RetryAfter::new(BackoffPolicy::default(), MAX);
        let start = Instant::now();
        let waits: Vec<u128> = (0..4)
            .map(|_| pause.back_off(start, u64::MAX).as_millis())
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000]);
        pause.reset();
        assert_eq!(pause.remaining(start), None);
        assert_eq!(pause.back_off(start, u64::MAX).as_millis(), 250);
    }

    proptest! {
        #[test]
        fn any_string_is_a_wait_or_none(text in "\\PC{0,60}") {
            let _ = retry_after(&text, now());
        }

        #[test]
        fn no_pause_is_longer_than_the_maximum(waits in proptest::collection::vec((any::<bool>(), any::<u64>()), 1..50)) {
            let mut pause = RetryAfter::new(BackoffPolicy::default(), MAX);
            let start = Instant::now();
            for (requested, number) in waits {
                let wait = if requested { pause.requested(start, Duration::from_millis(number)) } else { pause.back_off(start, number) };
                prop_assert!(wait <= MAX && pause.remaining(start) == Some(wait));
            }
        }
    }
}
