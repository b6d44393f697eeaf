//! When to connect, when to renew the token, and how long to pause after a failure.

use std::time::{Duration, Instant};

use crate::sas::renewal_after;

/// How a connection is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Shortest pause between two connections, but for the one retry at once after a connection that was stable. Default
    /// 1 s. Far shorter, a broker that refuses is flooded; far longer, brief interruptions grow.
    pub min_pause: Duration,
    /// Longest pause. Default 40 s: with the 20 s that an attempt may take, a client is back within a minute of its broker.
    pub max_pause: Duration,
    /// How long a connection must last until failures before it are forgotten. Default 60 s. Far shorter, two clients
    /// with one identity displace each other in a fast circle.
    pub stable_after: Duration,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            min_pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(40),
            stable_after: Duration::from_secs(60),
        }
    }
}

/// Why a connection is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// Nothing answers, or what answers does not speak MQTT over trusted TLS.
    Unreachable,
    /// The broker does not accept who we are: CONNACK 4 or 5. A wrong key or clock, or an unknown identity.
    NotAuthorized,
    /// The broker refuses for another reason.
    Refused,
    /// An established connection ended.
    Closed,
}

/// The state of the one connection; the clock is a parameter.
///
/// **It never gives up**: after every failure there is a next attempt, at most [`max_pause`](SessionOptions::max_pause) later.
#[derive(Debug)]
pub struct SessionPolicy {
    options: SessionOptions,
    state: State,
    /// Failures since a connection was stable.
    failures: u32,
    /// Connections since then that were accepted and soon lost.
    short_lived: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting {
        until: Instant,
    },
    Connecting,
    Connected {
        since: Instant,
        renewal: Option<Renewal>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Renewal {
    due: Instant,
    /// From here on it does not wait for calls in progress.
    overdue: Instant,
}

impl SessionPolicy {
    /// Due to connect at once.
    pub fn new(options: SessionOptions, now: Instant) -> Self {
        Self {
            options,
            state: State::Waiting { until: now },
            failures: 0,
            short_lived: 0,
        }
    }

    /// When to connect; `None` while connecting or connected.
    pub fn connect_at(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Connecting | State::Connected { .. } => None,
        }
    }

    /// An attempt begins.
    pub fn on_connecting(&mut self) {
        self.state = State::Connecting;
    }

    /// The broker accepted. `token_life` is the life of the token in use, counted from now; `None` without a token.
    pub fn on_connected(&mut self, token_life: Option<Duration>, now: Instant) {
        let renewal = token_life.map(|life| Renewal {
            due: now + renewal_after(life),
            overdue: now + life * 9 / 10,
        });
        self.state = State::Connected { since: now, renewal };
    }

    /// The attempt failed, or the connection ended. `jitter` is a random number from 0 to 1. Returns the pause until the
    /// next attempt.
    pub fn on_lost(&mut self, loss: Loss, jitter: f64, now: Instant) -> Duration {
        let was_up = match self.state {
            State::Connected { since, .. } => Some(now.saturating_duration_since(since)),
            State::Waiting { .. } | State::Connecting => None,
        };
        match was_up {
            Some(up) if up >= self.options.stable_after => {
                self.failures = 0;
                self.short_lived = 0;
            }
            Some(_) => {
                self.short_lived = self.short_lived.saturating_add(1);
                self.failures = self.failures.saturating_add(1);
            }
            None => self.failures = self.failures.saturating_add(1),
        }
        let pause = self.pause(loss, jitter);
        self.state = State::Waiting { until: now + pause };
        pause
    }

    /// The token is to be renewed: connects again at once, since the hub knows no renewal within a connection. One that
    /// lasted until then was stable, and failures before it are forgotten.
    pub fn on_renewal(&mut self, now: Instant) {
        self.failures = 0;
        self.short_lived = 0;
        self.state = State::Waiting { until: now };
    }

    /// Whether the token is to be renewed now. Calls in progress are waited for until 90 % of its life.
    pub fn is_renewal_due(&self, is_busy: bool, now: Instant) -> bool {
        match self.state {
            State::Connected {
                renewal: Some(renewal),
                ..
            } => now >= if is_busy { renewal.overdue } else { renewal.due },
            _ => false,
        }
    }

    /// When [`is_renewal_due`](Self::is_renewal_due) changes next.
    pub fn renewal_at(&self, is_busy: bool) -> Option<Instant> {
        match self.state {
            State::Connected {
                renewal: Some(renewal),
                ..
            } => Some(if is_busy { renewal.overdue } else { renewal.due }),
            _ => None,
        }
    }

    /// Whether another client seems to use the same identity: the broker accepted several times in a row and soon closed.
    pub fn seems_displaced(&self) -> bool {
        self.short_lived >= 3
    }

    /// Failures since the last stable connection.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn pause(&self, loss: Loss, jitter: f64) -> Duration {
        let SessionOptions {
            min_pause, max_pause, ..
        } = self.options;
        let longest = match (loss, self.failures) {
            // The first loss of a stable connection: most often the broker restarts.
            (Loss::Closed | Loss::Unreachable | Loss::Refused, 0) => return Duration::ZERO,
            (Loss::NotAuthorized, _) => max_pause,
            (_, failures) => min_pause
                .saturating_mul(1 << (failures - 1).min(16))
                .min(max_pause),
        };
        // Half of it by chance: clients that a broker's restart disconnected should not return all at once.
        let jitter = jitter.clamp(0.0, 1.0);
        longest
            .mul_f64(0.5 + jitter / 2.0)
            .clamp(min_pause.min(max_pause), max_pause)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MAX_ATTEMPT: Duration = Duration::from_secs(20);

    fn new() -> (SessionPolicy, Instant) {
        let now = Instant::now();
        (SessionPolicy::new(SessionOptions::default(), now), now)
    }

    /// The times of attempts while each one fails at once.
    fn attempts(loss: Loss, jitter: f64, until: Duration) -> Vec<Duration> {
        let (mut session, start) = new();
        let mut times = Vec::new();
        while let Some(at) = session.connect_at()
            && at <= start + until
        {
            times.push(at - start);
            session.on_connecting();
            session.on_lost(loss, jitter, at);
        }
        times
    }

    #[test]
    fn a_broker_that_refuses_sees_few_connects_and_never_the_last() {
        for loss in [Loss::Unreachable, Loss::NotAuthorized, Loss::Refused] {
            for jitter in [0.0, 0.5, 1.0] {
                let times = attempts(loss, jitter, 3600 * SECOND);
                let early = times.iter().filter(|at| **at <= 20 * SECOND).count();
                assert!(early <= 20, "{loss:?}: {early} in 20 s");
                assert!(times.len() >= 80, "{loss:?} gave up: {times:?}");
                let longest = times.windows(2).map(|two| two[1] - two[0]).max().unwrap();
                // A broker that comes up in the middle of an attempt that times out is found by the next one.
                assert!(longest + MAX_ATTEMPT < 70 * SECOND, "{longest:?}");
            }
        }
    }

    #[test]
    fn a_stable_connection_is_tried_again_at_once_and_then_with_pauses() {
        let (mut session, mut now) = new();
        session.on_connecting();
        session.on_connected(None, now);
        now += 61 * SECOND;
        assert_eq!(session.on_lost(Loss::Closed, 0.0, now), Duration::ZERO);
        session.on_connecting();
        assert_eq!(session.on_lost(Loss::Unreachable, 1.0, now), SECOND);
        session.on_connecting();
        assert_eq!(session.on_lost(Loss::Unreachable, 1.0, now), 2 * SECOND);
    }

    #[test]
    fn two_clients_with_one_identity_do_not_chase_each_other() {
        let (mut session, start) = new();
        let mut now = start;
        let mut connects = 0;
        while now < start + 600 * SECOND {
            session.on_connecting();
            session.on_connected(None, now);
            connects += 1;
            now += SECOND; // the other client takes over
            now += session.on_lost(Loss::Closed, 0.5, now);
        }
        assert!(connects < 30, "{connects} connects in ten minutes");
        assert!(session.seems_displaced());
        session.on_connected(None, now);
        session.on_lost(Loss::Closed, 0.5, now + 61 * SECOND);
        assert!(!session.seems_displaced());
    }

    #[test]
    fn a_token_is_renewed_at_80_percent_and_calls_delay_that_to_90() {
        let (mut session, now) = new();
        session.on_connecting();
        session.on_connected(Some(100 * SECOND), now);
        assert_eq!(session.renewal_at(false), Some(now + 80 * SECOND));
        assert!(!session.is_renewal_due(false, now + 79 * SECOND));
        assert!(session.is_renewal_due(false, now + 80 * SECOND));
        assert!(!session.is_renewal_due(true, now + 89 * SECOND));
        assert!(session.is_renewal_due(true, now + 90 * SECOND));
        session.on_renewal(now + 80 * SECOND);
        assert_eq!(session.connect_at(), Some(now + 80 * SECOND));
        assert_eq!(session.failures(), 0);
    }

    #[test]
    fn failures_before_a_connection_that_lasted_until_its_renewal_are_forgotten() {
        let (mut session, now) = new();
        for _ in 0..8 {
            session.on_connecting();
            session.on_connected(None, now);
            session.on_lost(Loss::Closed, 1.0, now);
        }
        session.on_connecting();
        // Renewed after 48 s, before a connection counts as stable by its age.
        session.on_connected(Some(60 * SECOND), now);
        session.on_renewal(now + 48 * SECOND);
        assert!(!session.seems_displaced());
        session.on_connecting();
        assert_eq!(session.on_lost(Loss::Unreachable, 1.0, now + 48 * SECOND), SECOND);
    }

    proptest! {
        #[test]
        fn pauses_stay_within_their_limits(jitter in any::<f64>(), losses in 1u32..100, refused in any::<bool>()) {
            let (mut session, now) = new();
            let loss = if refused { Loss::NotAuthorized } else { Loss::Unreachable };
            for _ in 0..losses {
                session.on_connecting();
                let pause = session.on_lost(loss, if jitter.is_nan() { 0.0 } else { jitter }, now);
                prop_assert!(pause >= SECOND && pause <= 40 * SECOND, "{:?}", pause);
            }
        }
    }
}
