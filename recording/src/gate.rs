//! When to record: the signal gate, without a clock.

use std::collections::VecDeque;
use std::time::Duration;

use lva_media_types::MediaTime;

/// Most events that wait for a decision. An extension that sends one a frame stays far below.
const MAX_PENDING: usize = 1024;

/// Most correlation ids of a recording; further ones are counted and skipped.
const MAX_CORRELATION_IDS: usize = 256;

/// An event this far ahead of the media (a minute) comes from a wrong clock.
pub(crate) const MAX_AHEAD: u64 = 60 * MediaTime::TICKS_PER_SECOND;

/// The times of a signal gate; `SignalGateProcessor` of the contract. All are media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateOptions {
    window: u64,
    offset: i64,
    minimum: u64,
    maximum: u64,
}

/// Invalid times of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateOptionsError {
    /// The minimum is 0, or above the maximum.
    #[error("minimumActivationTime must be above 0 and not longer than maximumActivationTime")]
    MinimumAndMaximum,
    /// A time exceeds the contract's limit.
    #[error("{name} exceeds its limit of {limit_seconds} s")]
    TooLong {
        /// Name of the property.
        name: &'static str,
        /// The limit.
        limit_seconds: u64,
    },
    /// The recording would begin after its end.
    #[error(
        "activationSignalOffset must be shorter than minimumActivationTime; otherwise nothing is recorded"
    )]
    NothingToRecord,
}

impl GateOptions {
    /// A gate that stays open for `minimum` after each event, and at most for `maximum` after the first, without an
    /// evaluation window or an offset.
    pub fn new(minimum: Duration, maximum: Duration) -> Self {
        Self {
            window: 0,
            offset: 0,
            minimum: MediaTime::ticks_in(minimum),
            maximum: MediaTime::ticks_in(maximum),
        }
    }

    /// `activationEvaluationWindow`: how long the gate waits after the first event for earlier ones, 0 to 10 s, default
    /// 0. A longer window delays the start of writing and needs a longer pre-roll.
    #[must_use]
    pub fn with_evaluation_window(mut self, window: Duration) -> Self {
        self.window = MediaTime::ticks_in(window);
        self
    }

    /// A negative `activationSignalOffset`: the recording begins this long before the event, up to 1 min. Its end stays where it was.
    #[must_use]
    pub fn starting_before(mut self, before: Duration) -> Self {
        self.offset = i64::try_from(MediaTime::ticks_in(before)).map_or(i64::MIN, |before| -before);
        self
    }

    /// A positive `activationSignalOffset`: the recording begins this long after the event, up to 1 min.
    #[must_use]
    pub fn starting_after(mut self, after: Duration) -> Self {
        self.offset = i64::try_from(MediaTime::ticks_in(after)).unwrap_or(i64::MAX);
        self
    }

    /// Media that the pre-roll must contain when an event arrives without delay: negative offset plus window, in ticks.
    pub fn lookback_90k(&self) -> u64 {
        let before = if self.offset < 0 {
            self.offset.unsigned_abs()
        } else {
            0
        };
        before.saturating_add(self.window)
    }

    fn check(&self) -> Result<(), GateOptionsError> {
        let limits = [
            ("activationEvaluationWindow", self.window, 10),
            ("activationSignalOffset", self.offset.unsigned_abs(), 60),
            ("minimumActivationTime", self.minimum, 3600),
            ("maximumActivationTime", self.maximum, 3600),
        ];
        for (name, value, limit_seconds) in limits {
            if value > limit_seconds * MediaTime::TICKS_PER_SECOND {
                return Err(GateOptionsError::TooLong { name, limit_seconds });
            }
        }
        if self.minimum == 0 || self.minimum > self.maximum {
            return Err(GateOptionsError::MinimumAndMaximum);
        }
        if i64::try_from(self.minimum).is_ok_and(|minimum| self.offset >= minimum) {
            return Err(GateOptionsError::NothingToRecord);
        }
        Ok(())
    }
}

/// An event that reaches the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Its media time.
    pub timestamp_90k: u64,
    /// Correlation id for tracing, if there is one.
    pub correlation_id: Option<String>,
}

impl Signal {
    /// An event without a correlation id.
    pub fn at(timestamp_90k: u64) -> Self {
        Self {
            timestamp_90k,
            correlation_id: None,
        }
    }
}

/// Result for an event. Each variant is counted in [`GateStats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalOutcome {
    /// It opens the gate or keeps it open.
    Accepted,
    /// Its time is before a decision that was already made; dropped.
    Late,
    /// It is more than a minute ahead of the media; dropped.
    Ahead,
    /// Too many events wait for a decision; dropped.
    Overflow,
}

/// Counters of events by outcome. They only increase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GateStats {
    /// Events that opened the gate or kept it open.
    pub accepted: u64,
    /// Events dropped as late.
    pub late: u64,
    /// Events dropped because they lie ahead of the media.
    pub ahead: u64,
    /// Events dropped because too many were waiting.
    pub overflow: u64,
    /// Correlation ids skipped because the recording has the maximum.
    pub correlation_ids_skipped: u64,
}

/// Why the gate closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// No event extended it.
    MinimumElapsed,
    /// It was open for the maximum.
    MaximumReached,
}

/// A decision of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateDecision {
    /// Media from `start_90k` on pass, currently until `end_90k`. Either may be before or after the newest media.
    Open {
        /// Time of the event that opened it.
        event_90k: u64,
        /// The event's time plus offset.
        start_90k: u64,
        /// The event's time plus minimum.
        end_90k: u64,
        /// The event's correlation id.
        correlation_id: Option<String>,
    },
    /// Another event belongs to the recording; the end may have changed.
    Event {
        /// Time of the event.
        event_90k: u64,
        /// The new end.
        end_90k: u64,
        /// The event's correlation id.
        correlation_id: Option<String>,
    },
    /// Media from `end_90k` on do not pass. The next event opens a new recording.
    Close {
        /// The end.
        end_90k: u64,
        /// Why.
        reason: CloseReason,
    },
}

/// Decides which media pass, based on events and media time alone.
///
/// Feed [`signal`](Self::signal) with events and [`advance`](Self::advance) with media time, then take all decisions
/// with [`poll`](Self::poll). The rules are those of the published gate:
///
/// 1. The first event starts the evaluation window; the earliest event that arrived when media time reaches the
///    window's end opens the gate.
/// 2. The gate is open from the event plus offset until the event plus minimum.
/// 3. An event within that time moves the end to its own time plus minimum.
/// 4. The end is never after the opening event plus maximum; the next event after it opens a new recording.
/// 5. An event before a decision (before the opening event, before the end of the last recording, or older than the first
///    by more than the window) is late and dropped.
/// 6. Correlation ids keep the order of their events.
#[derive(Debug)]
pub struct SignalGate {
    options: GateOptions,
    clock: Option<u64>,
    open: Option<OpenGate>,
    first: Option<u64>,
    pending: Vec<Signal>,
    decided: Option<u64>,
    decisions: VecDeque<GateDecision>,
    stats: GateStats,
}

#[derive(Debug, Clone, Copy)]
struct OpenGate {
    event: u64,
    end: u64,
    limit: u64,
    ids: usize,
}

impl SignalGate {
    /// A closed gate.
    ///
    /// # Errors
    ///
    /// The times contradict each other or exceed the contract's limits.
    pub fn new(options: GateOptions) -> Result<Self, GateOptionsError> {
        options.check()?;
        Ok(Self {
            options,
            clock: None,
            open: None,
            first: None,
            pending: Vec::new(),
            decided: None,
            decisions: VecDeque::new(),
            stats: GateStats::default(),
        })
    }

    /// Adds an event.
    pub fn signal(&mut self, signal: Signal) -> SignalOutcome {
        let time = signal.timestamp_90k;
        let outcome = self.judge(time);
        match outcome {
            SignalOutcome::Accepted => {
                self.stats.accepted += 1;
                if self.open.is_none() && self.first.is_none() {
                    self.first = Some(time);
                }
                let place = self
                    .pending
                    .partition_point(|pending| pending.timestamp_90k <= time);
                self.pending.insert(place, signal);
                self.settle();
            }
            SignalOutcome::Late => self.stats.late += 1,
            SignalOutcome::Ahead => self.stats.ahead += 1,
            SignalOutcome::Overflow => self.stats.overflow += 1,
        }
        outcome
    }

    /// Advances media time. A time before an earlier one has no effect.
    pub fn advance(&mut self, media_90k: u64) {
        let clock = self.clock.map_or(media_90k, |clock| clock.max(media_90k));
        self.clock = Some(clock);
        self.pending.retain(|signal| {
            let ahead = signal.timestamp_90k > clock.saturating_add(MAX_AHEAD);
            self.stats.ahead += u64::from(ahead);
            !ahead
        });
        if self.pending.is_empty() {
            self.first = None;
        }
        self.settle();
    }

    /// The next decision, oldest first.
    pub fn poll(&mut self) -> Option<GateDecision> {
        self.decisions.pop_front()
    }

    /// Whether media pass.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Ends the stream: decides all waiting events, and closes.
    pub fn end(&mut self) {
        self.clock = Some(u64::MAX);
        self.settle();
        self.reset();
    }

    /// Resets after a jump in time: forgets media time, decisions and waiting events. Decisions not yet polled remain.
    pub fn reset(&mut self) {
        self.clock = None;
        self.open = None;
        self.first = None;
        self.pending.clear();
        self.decided = None;
    }

    /// Counters of events.
    pub fn stats(&self) -> GateStats {
        self.stats
    }

    fn judge(&self, time: u64) -> SignalOutcome {
        let before_decided = match (self.open, self.decided) {
            (Some(open), _) => time < open.event,
            (None, Some(decided)) => time <= decided,
            (None, None) => false,
        };
        let older_than_window = self
            .first
            .is_some_and(|first| time.saturating_add(self.options.window) < first);
        if before_decided || older_than_window {
            SignalOutcome::Late
        } else if self
            .clock
            .is_some_and(|clock| time > clock.saturating_add(MAX_AHEAD))
        {
            SignalOutcome::Ahead
        } else if self.pending.len() >= MAX_PENDING {
            SignalOutcome::Overflow
        } else {
            SignalOutcome::Accepted
        }
    }

    fn settle(&mut self) {
        let Some(clock) = self.clock else { return };
        loop {
            match self.open {
                Some(open) => {
                    let open = self.absorb(open);
                    self.open = Some(open);
                    if clock < open.end {
                        return;
                    }
                    self.close(open);
                }
                None => {
                    let Some(earliest) = self.pending.first() else {
                        return;
                    };
                    let first = self.first.unwrap_or(earliest.timestamp_90k);
                    if clock < first.saturating_add(self.options.window) {
                        return;
                    }
                    self.open_gate();
                }
            }
        }
    }

    fn open_gate(&mut self) {
        let signal = self.pending.remove(0);
        let event = signal.timestamp_90k;
        let end = event.saturating_add(self.options.minimum);
        self.first = None;
        self.open = Some(OpenGate {
            event,
            end,
            limit: event.saturating_add(self.options.maximum),
            ids: usize::from(signal.correlation_id.is_some()),
        });
        self.decisions.push_back(GateDecision::Open {
            event_90k: event,
            start_90k: event.saturating_add_signed(self.options.offset),
            end_90k: end,
            correlation_id: signal.correlation_id,
        });
    }

    /// Adds the events within the time that the gate is open.
    fn absorb(&mut self, mut open: OpenGate) -> OpenGate {
        while self
            .pending
            .first()
            .is_some_and(|signal| signal.timestamp_90k <= open.end)
        {
            let mut signal = self.pending.remove(0);
            let extended = signal
                .timestamp_90k
                .saturating_add(self.options.minimum)
                .min(open.limit);
            let moved = extended > open.end;
            open.end = open.end.max(extended);
            if signal.correlation_id.is_some() && open.ids >= MAX_CORRELATION_IDS {
                signal.correlation_id = None;
                self.stats.correlation_ids_skipped += 1;
            }
            open.ids += usize::from(signal.correlation_id.is_some());
            if moved || signal.correlation_id.is_some() {
                self.decisions.push_back(GateDecision::Event {
                    event_90k: signal.timestamp_90k,
                    end_90k: open.end,
                    correlation_id: signal.correlation_id,
                });
            }
        }
        open
    }

    fn close(&mut self, open: OpenGate) {
        let reason = if open.end == open.limit {
            CloseReason::MaximumReached
        } else {
            CloseReason::MinimumElapsed
        };
        self.decisions.push_back(GateDecision::Close {
            end_90k: open.end,
            reason,
        });
        self.decided = Some(open.end);
        self.open = None;
        // The earliest event after the end starts the next window.
        self.first = self.pending.first().map(|signal| signal.timestamp_90k);
    }
}

#[cfg(test)]
mod tests;
