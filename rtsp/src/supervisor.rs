//! When to connect, to wait, and to give up: rules without clock, task or socket.
//!
//! Times are durations since any fixed moment, the same for all calls, and must not go back. The shell in
//! [`Camera`](crate::Camera) asks [`Supervisor::deadline`] how long it may wait, does what
//! [`Supervisor::phase`] says, and reports what happened.

use std::fmt;
use std::time::Duration;

use crate::Timeouts;

/// How to come back after a loss: the n-th wait is random between `floor` and the smaller of `cap` and
/// `floor × 2ⁿ` ("full jitter"), so that cameras behind one failed switch do not come back in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconnectPolicy {
    /// Shortest wait. Default 1 s. Shorter, and a camera that drops sessions is stormed; longer, and every short cut
    /// costs more footage.
    pub floor: Duration,
    /// Longest wait. Default 30 s. Longer is kinder to the camera's network, shorter finds a camera sooner that was
    /// gone for long. A camera that never accepted the credentials is asked only this often: many lock an account
    /// after a few wrong passwords.
    pub cap: Duration,
    /// A session has to give units for this long before the waits start small again. Default 10 s. At 0, a camera
    /// that dies after each first picture is stormed for ever.
    pub healthy_after: Duration,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            floor: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            healthy_after: Duration::from_secs(10),
        }
    }
}

impl ReconnectPolicy {
    /// The same with another [`floor`](Self::floor).
    pub fn with_floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// The same with another [`cap`](Self::cap).
    pub fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// The same with another [`healthy_after`](Self::healthy_after).
    pub fn with_healthy_after(mut self, healthy_after: Duration) -> Self {
        self.healthy_after = healthy_after;
        self
    }

    /// The wait before attempt `failures + 1`; `random` is uniform over all its values.
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let cap = self.cap.max(self.floor);
        let factor = 1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX);
        let most = self
            .floor
            .saturating_mul(factor)
            .max(Duration::from_millis(1))
            .min(cap)
            .max(self.floor);
        let range = most - self.floor;
        // 53 bits are what an f64 holds exactly.
        let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
        self.floor + range.mul_f64(part)
    }
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// An attempt did not lead to a session.
    Attempt,
    /// A session gave no unit.
    Stall,
}

impl fmt::Display for TimeoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempt => "the camera did not answer an attempt to connect",
            Self::Stall => "the camera sent no media",
        })
    }
}

/// What a camera is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// An attempt is under way.
    Connecting,
    /// A session is established.
    Playing,
    /// Until the next attempt.
    Waiting,
    /// For good: stopped or given up.
    Stopped,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Wait this long, then try again.
    Retry {
        /// The wait.
        delay: Duration,
    },
    /// [`Timeouts::give_up`] has passed without a healthy session.
    GiveUp,
}

/// The state of one camera's connection.
#[derive(Debug, Clone)]
pub struct Supervisor {
    policy: ReconnectPolicy,
    timeouts: Timeouts,
    phase: Phase,
    /// When the phase ends by itself.
    deadline: Option<Duration>,
    failures: u32,
    unhealthy_since: Duration,
    /// When this session gave its first unit.
    first_unit: Option<Duration>,
    accepted_once: bool,
}

impl Supervisor {
    /// Begins with an attempt at `now`.
    pub fn new(policy: ReconnectPolicy, timeouts: Timeouts, now: Duration) -> Self {
        Self {
            policy,
            timeouts,
            phase: Phase::Connecting,
            deadline: Some(now.saturating_add(timeouts.attempt)),
            failures: 0,
            unhealthy_since: now,
            first_unit: None,
            accepted_once: false,
        }
    }

    /// What the camera is doing.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When [`expired`](Self::expired) will answer; `None` when stopped.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Failures since the last healthy session.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// PLAY was answered.
    pub fn established(&mut self, now: Duration) {
        self.phase = Phase::Playing;
        self.accepted_once = true;
        self.first_unit = None;
        self.deadline = Some(now.saturating_add(self.timeouts.stall));
    }

    /// A unit came.
    pub fn unit(&mut self, now: Duration) {
        if self.phase != Phase::Playing {
            return;
        }
        self.deadline = Some(now.saturating_add(self.timeouts.stall));
        let first = *self.first_unit.get_or_insert(now);
        if now.saturating_sub(first) >= self.policy.healthy_after {
            self.failures = 0;
            self.unhealthy_since = now;
        }
    }

    /// What ran out at `now`, if anything did. The end of a wait is no failure: it begins the next attempt.
    pub fn expired(&mut self, now: Duration) -> Option<TimeoutKind> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return None;
        }
        match self.phase {
            Phase::Connecting => Some(TimeoutKind::Attempt),
            Phase::Playing => Some(TimeoutKind::Stall),
            Phase::Waiting => {
                self.phase = Phase::Connecting;
                self.deadline = Some(now.saturating_add(self.timeouts.attempt));
                None
            }
            Phase::Stopped => None,
        }
    }

    /// The attempt or session failed. `refused` says that the camera did not accept the credentials. After it
    /// accepted them once, that is taken for a passing state: cameras answer 401 when they run out of connections.
    pub fn failed(&mut self, now: Duration, refused: bool, random: u64) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        if self
            .timeouts
            .give_up
            .is_some_and(|limit| now.saturating_sub(self.unhealthy_since) >= limit)
        {
            self.stop();
            return Verdict::GiveUp;
        }
        let delay = if refused && !self.accepted_once {
            self.policy.cap.max(self.policy.floor)
        } else {
            self.policy.delay(self.failures, random)
        };
        self.phase = Phase::Waiting;
        self.deadline = Some(now.saturating_add(delay));
        Verdict::Retry { delay }
    }

    /// For good.
    pub fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.deadline = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HALF: u64 = 1 << 63;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn supervisor() -> Supervisor {
        Supervisor::new(ReconnectPolicy::default(), Timeouts::default(), s(0))
    }

    #[test]
    fn waits_grow_from_the_floor_to_the_cap() {
        let policy = ReconnectPolicy::default();
        let most: Vec<_> = (1..8)
            .map(|n| policy.delay(n, u64::MAX).as_secs_f64().round())
            .collect();
        assert_eq!(most, [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert!((1..40).all(|n| policy.delay(n, 0) == s(1)));
        assert_eq!(policy.delay(2, HALF), Duration::from_millis(2500));
    }

    #[test]
    fn an_attempt_that_is_not_answered_runs_out() {
        let mut camera = supervisor();
        assert_eq!(camera.deadline(), Some(s(10)));
        assert_eq!(camera.expired(s(9)), None);
        assert_eq!(camera.expired(s(10)), Some(TimeoutKind::Attempt));
        assert_eq!(camera.failed(s(10), false, 0), Verdict::Retry { delay: s(1) });
        assert_eq!((camera.phase(), camera.deadline()), (Phase::Waiting, Some(s(11))));
        assert_eq!(camera.expired(s(11)), None);
        assert_eq!(
            (camera.phase(), camera.deadline()),
            (Phase::Connecting, Some(s(21)))
        );
    }

    #[test]
    fn each_unit_puts_off_the_stall() {
        let mut camera = supervisor();
        camera.established(s(1));
        camera.unit(s(10));
        assert_eq!(camera.expired(s(19)), None);
        assert_eq!(camera.expired(s(20)), Some(TimeoutKind::Stall));
    }

    #[test]
    fn a_session_that_dies_young_does_not_reset_the_waits() {
        let mut camera = supervisor();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..6 {
            camera.established(s(now));
            camera.unit(s(now));
            camera.unit(s(now + 9));
            now += 9;
            let Verdict::Retry { delay } = camera.failed(s(now), false, u64::MAX) else {
                panic!()
            };
            waits.push(delay.as_secs_f64().round() as u64);
            now += delay.as_secs() + 1;
            camera.expired(s(now));
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
        camera.established(s(now));
        camera.unit(s(now));
        camera.unit(s(now + 10));
        assert_eq!(camera.failures(), 0);
        assert_eq!(
            camera.failed(s(now + 11), false, 0),
            Verdict::Retry { delay: s(1) }
        );
    }

    #[test]
    fn wrong_credentials_are_tried_rarely_until_they_were_right_once() {
        let mut camera = supervisor();
        assert_eq!(camera.failed(s(1), true, 0), Verdict::Retry { delay: s(30) });
        camera.expired(s(31));
        camera.established(s(32));
        assert_eq!(camera.failed(s(33), true, 0), Verdict::Retry { delay: s(1) });
    }

    #[test]
    fn giving_up_counts_from_the_last_healthy_moment() {
        let timeouts = Timeouts {
            give_up: Some(s(60)),
            ..Timeouts::default()
        };
        let mut camera = Supervisor::new(ReconnectPolicy::default(), timeouts, s(0));
        camera.established(s(0));
        (0..=100).for_each(|t| camera.unit(s(t)));
        assert!(matches!(camera.failed(s(110), false, 0), Verdict::Retry { .. }));
        camera.expired(s(112));
        assert!(matches!(camera.failed(s(159), false, 0), Verdict::Retry { .. }));
        camera.expired(s(162));
        assert_eq!(camera.failed(s(163), false, 0), Verdict::GiveUp);
        assert_eq!((camera.phase(), camera.deadline()), (Phase::Stopped, None));
    }

    /// A camera that answers but for `outage` (begin and end in seconds): when attempts were made, and when it played
    /// again. Sessions die when the outage begins; attempts within it fail at once.
    fn through_an_outage(outage: (u64, u64), answers_nothing: bool) -> (Vec<Duration>, Duration) {
        let mut camera = supervisor();
        let (begin, end) = (s(outage.0), s(outage.1));
        let (mut now, mut attempts, mut random) = (s(0), Vec::new(), 1_u64);
        camera.established(now);
        while now < begin {
            camera.unit(now);
            now += Duration::from_millis(40);
        }
        // A cut is noticed by the silence, a reboot at once.
        if answers_nothing {
            now = camera.deadline().unwrap();
            assert_eq!(camera.expired(now), Some(TimeoutKind::Stall));
        }
        loop {
            random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            assert!(matches!(camera.failed(now, false, random), Verdict::Retry { .. }));
            now = camera.deadline().unwrap();
            assert_eq!(camera.expired(now), None);
            assert_eq!(camera.phase(), Phase::Connecting);
            attempts.push(now);
            if now >= end {
                return (attempts, now);
            }
            if answers_nothing {
                now = camera.deadline().unwrap();
                assert_eq!(camera.expired(now), Some(TimeoutKind::Attempt));
            }
        }
    }

    #[test]
    fn a_cut_of_a_minute_costs_few_attempts_and_ends_soon() {
        let (attempts, back) = through_an_outage((100, 160), true);
        assert!(attempts.len() <= 6, "{attempts:?}");
        // An attempt that nobody answered, and the longest wait.
        assert!(back < s(160 + 10 + 30), "{back:?}");
    }

    #[test]
    fn an_outage_of_five_minutes_costs_few_attempts_and_ends_within_the_cap() {
        for answers_nothing in [true, false] {
            let (attempts, back) = through_an_outage((100, 400), answers_nothing);
            assert!((8..=40).contains(&attempts.len()), "{attempts:?}");
            assert!(attempts.windows(2).all(|two| two[1] - two[0] >= s(1)));
            assert!(back < s(400 + 10 + 30), "{back:?}");
        }
    }

    #[test]
    fn a_camera_that_kills_each_session_after_15_s_is_back_within_two_seconds_each_time() {
        let mut camera = supervisor();
        let mut now = s(0);
        for _ in 0..100 {
            camera.established(now);
            for _ in 0..15 * 25 {
                camera.unit(now);
                now += Duration::from_millis(40);
            }
            let Verdict::Retry { delay } = camera.failed(now, false, u64::MAX) else {
                panic!()
            };
            assert!(delay <= s(2), "{delay:?}");
            now += delay;
            camera.expired(now);
        }
    }

    #[test]
    fn by_default_a_camera_is_never_given_up() {
        let mut camera = supervisor();
        let mut now = 0;
        for _ in 0..10_000 {
            now += 60;
            assert!(matches!(
                camera.failed(s(now), false, HALF),
                Verdict::Retry { .. }
            ));
            camera.expired(s(now + 30));
        }
    }

    proptest! {
        #[test]
        fn waits_stay_between_floor_and_cap(
            floor in 0..100_000_u64, cap in 0..10_000_000_u64, failures: u32, random: u64,
        ) {
            let policy = ReconnectPolicy {
                floor: Duration::from_millis(floor),
                cap: Duration::from_millis(cap),
                ..ReconnectPolicy::default()
            };
            let delay = policy.delay(failures, random);
            prop_assert!(delay >= policy.floor && delay <= policy.cap.max(policy.floor));
        }
    }
}
