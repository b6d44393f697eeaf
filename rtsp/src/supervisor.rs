//! When to connect, to wait and to give up: sans-I/O.
//!
//! Times are durations since any fixed moment, the same for all calls, and must not go back. The camera's task waits at
//! most until [`Supervisor::deadline`], acts on [`Supervisor::phase`], and reports what happened.

use std::fmt;
use std::time::Duration;

/// Time limits of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// A session without a unit for this long is lost. Default 10 s. Below the camera's slowest frame interval it ends
    /// good sessions; above, it only delays the reconnect.
    pub stall: Duration,
    /// One attempt, from the TCP connection's first packet to the response to PLAY. Default 10 s. Too short never reaches
    /// slow cameras, too long keeps waiting for dead addresses.
    pub attempt: Duration,
    /// The camera stops for good after this long without a healthy session. Default `None`: never.
    pub give_up: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(10),
            attempt: Duration::from_secs(10),
            give_up: None,
        }
    }
}

impl Timeouts {
    /// Sets [`stall`](Self::stall).
    pub fn with_stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// Sets [`attempt`](Self::attempt).
    pub fn with_attempt(mut self, attempt: Duration) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets [`give_up`](Self::give_up).
    pub fn with_give_up(mut self, give_up: Option<Duration>) -> Self {
        self.give_up = give_up;
        self
    }
}

/// How to reconnect after a loss: the n-th wait is random between `min_delay` and the smaller of `max_delay` and
/// `min_delay × 2ⁿ` ("full jitter"), so that cameras behind one failed switch do not reconnect in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconnectPolicy {
    /// Shortest wait. Default 1 s. Shorter floods a camera that drops sessions with requests; longer loses more footage
    /// at each short interruption.
    pub min_delay: Duration,
    /// Longest wait. Default 30 s. Longer puts less load on the camera's network, shorter finds a camera sooner after a
    /// long outage. A camera that never accepted the credentials is tried only this often: many lock an account after a
    /// few wrong passwords.
    pub max_delay: Duration,
    /// A session must deliver units for this long before the waits start small again. Default 10 s. At 0, a camera that
    /// fails after each first picture is flooded with requests forever.
    pub healthy_after: Duration,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            healthy_after: Duration::from_secs(10),
        }
    }
}

impl ReconnectPolicy {
    /// Sets [`min_delay`](Self::min_delay).
    pub fn with_min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// Sets [`max_delay`](Self::max_delay).
    pub fn with_max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets [`healthy_after`](Self::healthy_after).
    pub fn with_healthy_after(mut self, healthy_after: Duration) -> Self {
        self.healthy_after = healthy_after;
        self
    }

    /// The wait before attempt `failures + 1`; `random` is uniform over all its values.
    pub(crate) fn delay(&self, failures: u32, random: u64) -> Duration {
        let max = self.max_delay.max(self.min_delay);
        let factor = 1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX);
        let most = self
            .min_delay
            .saturating_mul(factor)
            .max(Duration::from_millis(1))
            .min(max)
            .max(self.min_delay);
        let range = most - self.min_delay;
        // 53 bits are what an f64 holds exactly.
        let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
        self.min_delay + range.mul_f64(part)
    }
}

/// Which time limit elapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// That of an attempt.
    Attempt,
    /// That of a session without units.
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

/// The phase of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// An attempt is under way.
    Connecting,
    /// A session is established.
    Playing,
    /// Waits before the next attempt.
    Waiting,
    /// Stopped for good.
    Stopped,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Wait this long, then try again.
    Retry {
        /// The wait.
        delay: Duration,
    },
    /// [`Timeouts::give_up`] elapsed without a healthy session.
    GiveUp,
}

/// The state of one camera's connection.
#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    policy: ReconnectPolicy,
    timeouts: Timeouts,
    phase: Phase,
    /// When the phase times out.
    deadline: Option<Duration>,
    failures: u32,
    unhealthy_since: Duration,
    /// When this session delivered its first unit.
    first_unit: Option<Duration>,
    accepted_once: bool,
}

impl Supervisor {
    /// Starts with an attempt at `now`.
    pub(crate) fn new(policy: ReconnectPolicy, timeouts: Timeouts, now: Duration) -> Self {
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

    /// The current phase.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// When [`expired`](Self::expired) has to be called; `None` when stopped.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Failures since the last healthy session.
    #[cfg(test)]
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// The camera answered PLAY.
    pub(crate) fn established(&mut self, now: Duration) {
        self.phase = Phase::Playing;
        self.accepted_once = true;
        self.first_unit = None;
        self.deadline = Some(now.saturating_add(self.timeouts.stall));
    }

    /// A unit arrived.
    pub(crate) fn unit(&mut self, now: Duration) {
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

    /// The time limit that has elapsed at `now`, if any. The end of a wait is not a failure: the next attempt begins.
    pub(crate) fn expired(&mut self, now: Duration) -> Option<TimeoutKind> {
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

    /// The attempt or session failed; `rejected` if the camera did not accept the credentials. Once it has accepted them,
    /// that counts as a passing state: cameras answer 401 when they run out of connections.
    pub(crate) fn failed(&mut self, now: Duration, rejected: bool, random: u64) -> RetryDecision {
        self.failures = self.failures.saturating_add(1);
        if self
            .timeouts
            .give_up
            .is_some_and(|limit| now.saturating_sub(self.unhealthy_since) >= limit)
        {
            self.stop();
            return RetryDecision::GiveUp;
        }
        let delay = if rejected && !self.accepted_once {
            self.policy.max_delay.max(self.policy.min_delay)
        } else {
            self.policy.delay(self.failures, random)
        };
        self.phase = Phase::Waiting;
        self.deadline = Some(now.saturating_add(delay));
        RetryDecision::Retry { delay }
    }

    /// Stops for good.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.deadline = None;
    }
}

#[cfg(test)]
mod tests;
