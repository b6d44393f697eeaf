//! When frames of several sessions become one batch. No clock, lock or frame inside.
//!
//! A session shows its next frame only after the answer to the last one, so at most one frame of each waits, and a batch is
//! complete when every session is in it: waiting longer gains nothing. While the model runs, frames collect by themselves.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The frames that wait, in the order in which sessions asked.
#[derive(Debug)]
pub(super) struct Batches {
    largest: usize,
    wait: Duration,
    sessions: usize,
    asked: u64,
    waiting: VecDeque<Waiting>,
    running: bool,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    since: Instant,
    /// It may be in a batch with others.
    joins: bool,
}

/// What a waiting session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Others come first, or the model runs.
    Waits,
    /// It runs the next batch, which has space, at this moment at the latest.
    WaitsUntil(Instant),
    /// It runs so many frames now, its own and those after it.
    Runs(usize),
}

impl Batches {
    /// Of at most `largest` frames, for which the first one waits at most so long.
    pub(super) fn new(largest: usize, wait: Duration) -> Self {
        Self {
            largest: largest.max(1),
            wait,
            sessions: 0,
            asked: 0,
            waiting: VecDeque::new(),
            running: false,
        }
    }

    /// Whether a frame may wait for others at all.
    pub(super) fn joins_frames(&self) -> bool {
        self.largest > 1
    }

    pub(super) fn open_session(&mut self) {
        self.sessions += 1;
    }

    pub(super) fn close_session(&mut self) {
        self.sessions = self.sessions.saturating_sub(1);
    }

    /// A session has a frame; returns its ticket.
    pub(super) fn ask(&mut self, now: Instant, joins: bool) -> u64 {
        let ticket = self.asked;
        self.asked += 1;
        self.waiting.push_back(Waiting {
            ticket,
            since: now,
            joins,
        });
        ticket
    }

    /// What the session with this ticket does now.
    pub(super) fn turn(&self, ticket: u64, now: Instant) -> Turn {
        let first = match self.waiting.front() {
            Some(first) if first.ticket == ticket && !self.running => first,
            _ => return Turn::Waits,
        };
        if !first.joins {
            return Turn::Runs(1);
        }
        let together = self.waiting.iter().take_while(|frame| frame.joins).count();
        let full = together >= self.largest.min(self.sessions);
        // A frame that joins nobody ends the batch.
        let ended = together < self.waiting.len();
        let due = first.since.checked_add(self.wait);
        match due.filter(|due| !full && !ended && *due > now) {
            Some(due) => Turn::WaitsUntil(due),
            None => Turn::Runs(together.min(self.largest)),
        }
    }

    /// The model runs so many frames; returns their tickets, the one who runs them first.
    pub(super) fn begin(&mut self, frames: usize) -> Vec<u64> {
        self.running = true;
        let frames = frames.min(self.waiting.len());
        self.waiting.drain(..frames).map(|frame| frame.ticket).collect()
    }

    /// The model has run, or failed to.
    pub(super) fn end(&mut self) {
        self.running = false;
    }

    #[cfg(test)]
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAIT: Duration = Duration::from_millis(5);

    fn batches(largest: usize, sessions: usize) -> Batches {
        let mut batches = Batches::new(largest, WAIT);
        (0..sessions).for_each(|_| batches.open_session());
        batches
    }

    #[test]
    fn a_batch_runs_when_every_session_is_in_it_or_it_is_full() {
        let now = Instant::now();
        let mut three = batches(8, 3);
        let first = three.ask(now, true);
        three.ask(now, true);
        assert_eq!(three.turn(first, now), Turn::WaitsUntil(now + WAIT));
        let last = three.ask(now, true);
        assert_eq!(
            (three.turn(first, now), three.turn(last, now)),
            (Turn::Runs(3), Turn::Waits)
        );
        let mut many = batches(2, 9);
        let first = many.ask(now, true);
        many.ask(now, true);
        assert_eq!(many.turn(first, now), Turn::Runs(2));
    }

    #[test]
    fn the_first_frame_waits_no_longer_than_the_deadline() {
        let now = Instant::now();
        let mut batches = batches(8, 8);
        let first = batches.ask(now, true);
        let later = now + WAIT / 2;
        batches.ask(later, true);
        assert_eq!(batches.turn(first, later), Turn::WaitsUntil(now + WAIT));
        assert_eq!(batches.turn(first, now + WAIT), Turn::Runs(2));
    }

    #[test]
    fn a_session_alone_waits_for_nobody() {
        let now = Instant::now();
        let mut batches = batches(8, 2);
        batches.close_session();
        let only = batches.ask(now, true);
        assert_eq!(batches.turn(only, now), Turn::Runs(1));
    }

    #[test]
    fn frames_collect_while_the_model_runs_and_then_go_together() {
        let now = Instant::now();
        let mut batches = batches(8, 4);
        batches.ask(now, false);
        assert_eq!(batches.begin(1), [0]);
        let (first, second) = (batches.ask(now, true), batches.ask(now, true));
        assert_eq!(batches.turn(first, now + WAIT), Turn::Waits, "the model runs");
        batches.end();
        assert_eq!(batches.turn(first, now + WAIT), Turn::Runs(2));
        assert_eq!(batches.begin(2), [first, second]);
    }

    #[test]
    fn a_call_with_frames_of_its_own_runs_alone_and_in_its_order() {
        let now = Instant::now();
        let mut batches = batches(8, 8);
        let (first, alone) = (batches.ask(now, true), batches.ask(now, false));
        assert_eq!(
            batches.turn(first, now),
            Turn::Runs(1),
            "nobody can join any more"
        );
        batches.begin(1);
        batches.end();
        batches.ask(now, true);
        assert_eq!(batches.turn(alone, now), Turn::Runs(1));
    }

    proptest! {
        /// Whatever happens, each frame runs once, in order, in batches that are not too large, and no frame that leads waits
        /// beyond the deadline.
        #[test]
        fn every_frame_runs_once_in_order(largest in 1usize..6, steps in prop::collection::vec(0u8..4, 1..200)) {
            let mut now = Instant::now();
            let mut batches = batches(largest, 4);
            let (mut waiting, mut run) = (VecDeque::new(), Vec::new());
            for step in steps {
                match step {
                    0 | 1 => waiting.push_back((batches.ask(now, step == 0), now)),
                    2 => now += WAIT / 3,
                    _ => batches.end(),
                }
                let Some(&(first, since)) = waiting.front() else { continue };
                match batches.turn(first, now) {
                    Turn::Runs(frames) => {
                        prop_assert!((1..=largest).contains(&frames));
                        let tickets = batches.begin(frames);
                        prop_assert_eq!(tickets.len(), frames);
                        waiting.drain(..frames);
                        run.extend(tickets);
                    }
                    Turn::WaitsUntil(due) => prop_assert!(due > now && due == since + WAIT),
                    Turn::Waits => {}
                }
            }
            let expected: Vec<u64> = (0..run.len() as u64).collect();
            prop_assert_eq!(run, expected);
        }
    }
}
