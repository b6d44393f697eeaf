//! Events that are sent and not acknowledged; the clock is a parameter.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::message::OutputMessage;
use crate::outbox::record::StoredEvent;

/// How long the broker may take for the next acknowledgement. After it the connection is made anew, and what is missing is
/// sent again.
pub(super) const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Events in order until the broker acknowledges them.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    events: VecDeque<Entry>,
    acknowledged_at: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    stored: StoredEvent,
    /// When it was queued for the present connection.
    queued_at: Option<Instant>,
    /// Written to this connection or an earlier one.
    was_sent: bool,
}

/// An event to send.
#[derive(Debug)]
pub(super) struct ToSend<'a> {
    pub(super) sequence: u64,
    pub(super) event: &'a OutputMessage,
    /// The broker may have it already.
    pub(super) was_sent: bool,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn push(&mut self, stored: StoredEvent) {
        self.events.push_back(Entry {
            stored,
            queued_at: None,
            was_sent: false,
        });
    }

    /// All are to be sent over the new connection.
    pub(super) fn on_connected(&mut self) {
        for entry in &mut self.events {
            entry.queued_at = None;
        }
    }

    /// The next event to queue for this connection.
    pub(super) fn take_next(&mut self, now: Instant) -> Option<ToSend<'_>> {
        let entry = self.events.iter_mut().find(|entry| entry.queued_at.is_none())?;
        entry.queued_at = Some(now);
        Some(ToSend {
            sequence: entry.stored.sequence,
            event: &entry.stored.event,
            was_sent: entry.was_sent,
        })
    }

    /// The event was written to the connection.
    pub(super) fn on_sent(&mut self, sequence: u64) {
        let mut events = self.events.iter_mut();
        if let Some(entry) = events.find(|entry| entry.stored.sequence == sequence) {
            entry.was_sent = true;
        }
    }

    pub(super) fn settle(&mut self, sequence: u64) {
        self.events.retain(|entry| entry.stored.sequence != sequence);
    }

    /// The broker acknowledged something: it lives and works.
    pub(super) fn on_acknowledged(&mut self, now: Instant) {
        self.acknowledged_at = Some(now);
    }

    /// When the broker is late: 30 s after its last acknowledgement while something waits for one, and for each event after
    /// ten times as long.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let oldest = self.events.iter().filter_map(|entry| entry.queued_at).min()?;
        let last = self.acknowledged_at.map_or(oldest, |at| at.max(oldest));
        Some((last + ACKNOWLEDGE_TIMEOUT).min(oldest + ACKNOWLEDGE_TIMEOUT * 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn with_events(count: u64) -> InFlight {
        let mut in_flight = InFlight::default();
        for sequence in 0..count {
            in_flight.push(StoredEvent {
                sequence,
                created_ms: 0,
                event: OutputMessage::json("out", "{}"),
            });
        }
        in_flight
    }

    fn queue_all(in_flight: &mut InFlight, now: Instant) -> Vec<(u64, bool)> {
        let mut queued = Vec::new();
        while let Some(next) = in_flight.take_next(now) {
            queued.push((next.sequence, next.was_sent));
        }
        queued
    }

    #[test]
    fn a_broker_that_acknowledges_slowly_is_not_late() {
        let mut in_flight = with_events(10);
        let start = Instant::now();
        queue_all(&mut in_flight, start);
        assert_eq!(in_flight.overdue_at(), Some(start + 30 * SECOND));
        let mut now = start;
        for sequence in 0..10 {
            now += 4 * SECOND;
            assert!(in_flight.overdue_at().unwrap() > now, "event {sequence}");
            in_flight.on_acknowledged(now);
            in_flight.settle(sequence);
        }
        assert_eq!(in_flight.overdue_at(), None);
    }

    #[test]
    fn an_event_that_is_left_out_is_noticed_though_others_are_acknowledged() {
        let mut in_flight = with_events(1);
        let start = Instant::now();
        queue_all(&mut in_flight, start);
        in_flight.on_acknowledged(start + 290 * SECOND);
        assert_eq!(in_flight.overdue_at(), Some(start + 300 * SECOND));
    }

    #[test]
    fn a_new_connection_has_its_own_time() {
        let mut in_flight = with_events(1);
        let start = Instant::now();
        queue_all(&mut in_flight, start);
        in_flight.on_acknowledged(start + SECOND);
        in_flight.on_connected();
        assert_eq!(in_flight.overdue_at(), None);
        queue_all(&mut in_flight, start + 100 * SECOND);
        assert_eq!(in_flight.overdue_at(), Some(start + 130 * SECOND));
    }

    #[test]
    fn only_what_was_written_counts_as_sent_before() {
        let mut in_flight = with_events(2);
        let now = Instant::now();
        assert_eq!(queue_all(&mut in_flight, now), [(0, false), (1, false)]);
        in_flight.on_sent(0);
        in_flight.on_connected();
        assert_eq!(queue_all(&mut in_flight, now), [(0, true), (1, false)]);
    }
}
