//! Sent frames that wait for an answer, and what an acknowledgement means: a sans-I/O core with time as a parameter.
//!
//! A frame is overdue `answer_timeout` after the *next* frame was sent (or after the half-close): some servers answer a
//! frame only when the next one arrives, and a slow camera must not make that look like a failure. The memory of an
//! overdue frame stays allocated, because the server may still read it; an acknowledgement or the end of the session
//! releases it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The descriptor is message 1.
const FIRST_FRAME: u64 = 2;

/// Limits of the window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most frames in flight, at least 2.
    pub(super) window: usize,
    /// Time for an answer after the first one.
    pub(super) answer_timeout: Duration,
    /// Time for the first answer of the session.
    pub(super) first_answer_timeout: Duration,
}

/// Frames in flight: `C` belongs to the caller, `M` is the memory that the server may read.
#[derive(Debug)]
pub(super) struct InFlightWindow<C, M> {
    limits: Limits,
    next_sequence: u64,
    frames: BTreeMap<u64, Frame<C, M>>,
    overdue: usize,
    last_answer_at: Option<Instant>,
    finished_at: Option<Instant>,
}

#[derive(Debug)]
struct Frame<C, M> {
    /// `None` once it was reported as overdue.
    context: Option<C>,
    memory: M,
    sent_at: Instant,
    next_sent_at: Option<Instant>,
}

/// What an acknowledgement refers to.
#[derive(Debug)]
pub(super) enum Acknowledged<C, M> {
    /// A frame in flight.
    Frame {
        sequence: u64,
        context: C,
        memory: M,
        round_trip: Duration,
    },
    /// A frame that was reported as overdue before; its memory is released now.
    Late { memory: M },
    /// Number 0: no frame.
    Nothing,
    /// A frame that was acknowledged before (the descriptor counts as acknowledged).
    Repeated,
    /// A frame that was never sent.
    Unknown,
}

/// A frame without an answer in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overdue<C> {
    /// The server skipped one frame and answers others.
    Frame { sequence: u64, context: C },
    /// The server stopped answering, or holds so many frames that fewer than two more fit in the window.
    PeerStalled { sequence: u64, waited: Duration },
}

impl<C, M> InFlightWindow<C, M> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_sequence: FIRST_FRAME,
            frames: BTreeMap::new(),
            overdue: 0,
            last_answer_at: None,
            finished_at: None,
        }
    }

    /// The number of the next frame.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Frames whose memory the server may still read.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Records a sent frame and returns its number.
    pub(super) fn on_sent(&mut self, context: C, memory: M, now: Instant) -> u64 {
        if let Some((_, last)) = self.frames.last_key_value()
            && last.next_sent_at.is_none()
            && let Some(mut last) = self.frames.last_entry()
        {
            last.get_mut().next_sent_at = Some(now);
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let frame = Frame {
            context: Some(context),
            memory,
            sent_at: now,
            next_sent_at: None,
        };
        self.frames.insert(sequence, frame);
        sequence
    }

    /// No more frames will be sent.
    pub(super) fn finish(&mut self, now: Instant) {
        self.finished_at.get_or_insert(now);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished_at.is_some()
    }

    /// Handles an answer.
    pub(super) fn acknowledge(&mut self, sequence: u64, now: Instant) -> Acknowledged<C, M> {
        if sequence == 0 {
            return Acknowledged::Nothing;
        }
        if sequence >= self.next_sequence {
            return Acknowledged::Unknown;
        }
        let Some(frame) = self.frames.remove(&sequence) else {
            return Acknowledged::Repeated;
        };
        self.last_answer_at = Some(now);
        match frame.context {
            Some(context) => Acknowledged::Frame {
                sequence,
                context,
                memory: frame.memory,
                round_trip: now.saturating_duration_since(frame.sent_at),
            },
            None => {
                self.overdue -= 1;
                Acknowledged::Late { memory: frame.memory }
            }
        }
    }

    /// The next overdue frame. Call until `None`.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Overdue<C>> {
        let (sequence, sent_at) = self
            .frames
            .iter()
            .find(|(_, frame)| frame.context.is_some() && self.due(frame).is_some_and(|due| due <= now))
            .map(|(sequence, frame)| (*sequence, frame.sent_at))?;
        let silent = self.last_answer_at.is_none_or(|answer| answer < sent_at);
        let left = self.limits.window.saturating_sub(self.overdue + 1);
        if silent || left < 2 {
            return Some(Overdue::PeerStalled {
                sequence,
                waited: now.saturating_duration_since(sent_at),
            });
        }
        let context = self.frames.get_mut(&sequence)?.context.take()?;
        self.overdue += 1;
        Some(Overdue::Frame { sequence, context })
    }

    /// When to check for overdue frames again. Frames sent meanwhile are due later.
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        self.frames
            .values()
            .filter(|frame| frame.context.is_some())
            .filter_map(|frame| self.due(frame))
            .fold(now + self.timeout(), Instant::min)
    }

    /// The session has ended: returns every frame that was not reported yet, oldest first.
    pub(super) fn drain(&mut self) -> Vec<(u64, C)> {
        self.overdue = 0;
        std::mem::take(&mut self.frames)
            .into_iter()
            .filter_map(|(sequence, frame)| Some((sequence, frame.context?)))
            .collect()
    }

    fn due(&self, frame: &Frame<C, M>) -> Option<Instant> {
        Some(frame.next_sent_at.or(self.finished_at)? + self.timeout())
    }

    fn timeout(&self) -> Duration {
        match self.last_answer_at {
            Some(_) => self.limits.answer_timeout,
            None => self.limits.first_answer_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        window: 4,
        answer_timeout: Duration::from_secs(10),
        first_answer_timeout: Duration::from_secs(60),
    };

    fn in_flight() -> (InFlightWindow<u32, ()>, Instant) {
        (InFlightWindow::new(LIMITS), Instant::now())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn answers_find_their_frame_by_number_in_any_order() {
        let (mut in_flight, now) = in_flight();
        let first = in_flight.on_sent(100, (), now);
        let second = in_flight.on_sent(200, (), now);
        assert_eq!((first, second), (2, 3));
        let answered = in_flight.acknowledge(second, now + seconds(1));
        assert!(
            matches!(answered, Acknowledged::Frame { sequence: 3, context: 200, round_trip, .. }
            if round_trip == seconds(1))
        );
        assert!(matches!(
            in_flight.acknowledge(first, now),
            Acknowledged::Frame { context: 100, .. }
        ));
    }

    #[test]
    fn zero_unknown_and_repeated_numbers_touch_no_frame() {
        let (mut in_flight, now) = in_flight();
        in_flight.on_sent(1, (), now);
        assert!(matches!(in_flight.acknowledge(0, now), Acknowledged::Nothing));
        assert!(matches!(in_flight.acknowledge(3, now), Acknowledged::Unknown));
        assert!(matches!(
            in_flight.acknowledge(u64::MAX, now),
            Acknowledged::Unknown
        ));
        assert!(matches!(in_flight.acknowledge(1, now), Acknowledged::Repeated));
        assert_eq!(in_flight.len(), 1);
        in_flight.acknowledge(2, now);
        assert!(matches!(in_flight.acknowledge(2, now), Acknowledged::Repeated));
    }

    #[test]
    fn the_newest_frame_is_not_overdue_until_the_next_one_is_sent() {
        let (mut in_flight, now) = in_flight();
        in_flight.on_sent(1, (), now);
        in_flight.acknowledge(2, now);
        in_flight.on_sent(2, (), now);
        assert_eq!(in_flight.take_overdue(now + seconds(1000)), None);
        in_flight.on_sent(3, (), now + seconds(1000));
        assert_eq!(in_flight.take_overdue(now + seconds(1009)), None);
        assert!(in_flight.take_overdue(now + seconds(1010)).is_some());
    }

    #[test]
    fn a_frame_that_a_live_server_skipped_is_overdue_alone_and_keeps_its_memory() {
        let (mut in_flight, now) = in_flight();
        in_flight.on_sent(1, (), now);
        in_flight.on_sent(2, (), now);
        in_flight.acknowledge(3, now + seconds(1));
        in_flight.on_sent(3, (), now + seconds(2));
        let due = now + seconds(10);
        assert_eq!(
            in_flight.take_overdue(due),
            Some(Overdue::Frame {
                sequence: 2,
                context: 1
            })
        );
        assert_eq!(in_flight.take_overdue(due), None);
        assert_eq!(in_flight.len(), 2);
        assert!(matches!(in_flight.acknowledge(2, due), Acknowledged::Late { .. }));
        assert_eq!(in_flight.len(), 1);
    }

    #[test]
    fn a_silent_server_is_stalled() {
        let (mut in_flight, now) = in_flight();
        in_flight.on_sent(1, (), now);
        in_flight.on_sent(2, (), now + seconds(1));
        assert_eq!(in_flight.take_overdue(now + seconds(60)), None);
        assert_eq!(in_flight.wake_at(now + seconds(2)), now + seconds(61));
        let stalled = Overdue::PeerStalled {
            sequence: 2,
            waited: seconds(61),
        };
        assert_eq!(in_flight.take_overdue(now + seconds(61)), Some(stalled));
    }

    #[test]
    fn a_server_that_holds_all_but_one_frame_is_stalled() {
        let (mut in_flight, now) = in_flight();
        for context in 1..=3 {
            in_flight.on_sent(context, (), now);
        }
        for round in 0..3 {
            let newest = in_flight.on_sent(9, (), now);
            in_flight.acknowledge(newest, now + seconds(1 + round));
        }
        let due = now + seconds(11);
        assert!(matches!(
            in_flight.take_overdue(due),
            Some(Overdue::Frame { sequence: 2, .. })
        ));
        assert!(matches!(
            in_flight.take_overdue(due),
            Some(Overdue::Frame { sequence: 3, .. })
        ));
        assert!(matches!(
            in_flight.take_overdue(due),
            Some(Overdue::PeerStalled { sequence: 4, .. })
        ));
    }

    #[test]
    fn after_the_half_close_the_last_frame_may_be_overdue_too() {
        let (mut in_flight, now) = in_flight();
        in_flight.on_sent(1, (), now);
        in_flight.finish(now + seconds(5));
        assert_eq!(in_flight.take_overdue(now + seconds(64)), None);
        assert!(matches!(
            in_flight.take_overdue(now + seconds(65)),
            Some(Overdue::PeerStalled { sequence: 2, .. })
        ));
    }

    #[test]
    fn the_end_returns_what_was_not_reported() {
        let (mut in_flight, now) = in_flight();
        for context in 1..=3 {
            in_flight.on_sent(context, (), now);
        }
        in_flight.acknowledge(4, now);
        assert_eq!(in_flight.drain(), [(2, 1), (3, 2)]);
        assert_eq!(in_flight.len(), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Send,
        Acknowledge(u64),
        Wait(u64),
    }

    proptest! {
        #[test]
        fn every_frame_is_reported_exactly_once(steps in proptest::collection::vec(
            prop_oneof![
                3 => Just(Step::Send),
                3 => (0u64..40).prop_map(Step::Acknowledge),
                1 => (0u64..30).prop_map(Step::Wait),
            ],
            0..120,
        )) {
            let mut in_flight: InFlightWindow<u64, ()> = InFlightWindow::new(LIMITS);
            let mut now = Instant::now();
            let mut reported = BTreeSet::new();
            let mut sent = 0;
            for step in steps {
                match step {
                    Step::Send => {
                        let sequence = in_flight.next_sequence();
                        prop_assert_eq!(in_flight.on_sent(sequence, (), now), sequence);
                        sent += 1;
                    }
                    Step::Acknowledge(number) => {
                        if let Acknowledged::Frame { sequence, context, .. } = in_flight.acknowledge(number, now) {
                            prop_assert_eq!((sequence, context), (number, number));
                            prop_assert!(reported.insert(sequence));
                        }
                    }
                    Step::Wait(count) => {
                        now += seconds(count);
                        while let Some(overdue) = in_flight.take_overdue(now) {
                            let Overdue::Frame { sequence, context } = overdue else { break };
                            prop_assert_eq!(sequence, context);
                            prop_assert!(reported.insert(sequence));
                        }
                        prop_assert!(in_flight.wake_at(now) <= now + LIMITS.first_answer_timeout);
                    }
                }
                prop_assert_eq!(in_flight.overdue, in_flight.frames.values().filter(|f| f.context.is_none()).count());
            }
            for (sequence, _) in in_flight.drain() {
                prop_assert!(reported.insert(sequence));
            }
            prop_assert_eq!(reported.len(), sent);
        }
    }
}
