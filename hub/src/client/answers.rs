//! Answers to methods on their way to the broker; the clock is a parameter.

use std::collections::VecDeque;
use std::time::Instant;

use crate::method::MethodAnswer;

/// Most answers that wait for the broker, each with up to 128 KiB.
const MAX_ANSWERS: usize = 1000;

/// **An answer is sent until the broker has it, and no longer than its caller waits.**
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    answer: MethodAnswer,
    /// Handed to the present connection.
    is_sent: bool,
}

impl Answers {
    /// Takes in an answer; false where there are too many.
    pub(super) fn push(&mut self, answer: MethodAnswer) -> bool {
        let has_room = self.waiting.len() < MAX_ANSWERS;
        if has_room {
            self.waiting.push_back(Waiting {
                answer,
                is_sent: false,
            });
        }
        has_room
    }

    /// All are to be sent over the new connection.
    pub(super) fn on_connected(&mut self) {
        for waiting in &mut self.waiting {
            waiting.is_sent = false;
        }
    }

    /// The next answer to send over this connection.
    pub(super) fn take_next(&mut self) -> Option<&MethodAnswer> {
        let next = self.waiting.iter_mut().find(|waiting| !waiting.is_sent)?;
        next.is_sent = true;
        Some(&next.answer)
    }

    /// The broker has the answer to this call, or will never take it.
    pub(super) fn settle(&mut self, call: u64) {
        self.waiting.retain(|waiting| waiting.answer.call != call);
    }

    /// The request id stands for a new call: answers to earlier ones would be taken for its answer. Returns how many were
    /// not sent.
    pub(super) fn forget(&mut self, request_id: &str) -> usize {
        self.drop_where(|answer| answer.request_id == request_id)
    }

    /// Drops answers whose callers have left, and returns how many were not sent.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        self.drop_where(|answer| answer.useful_until <= now)
    }

    fn drop_where(&mut self, is_dropped: impl Fn(&MethodAnswer) -> bool) -> usize {
        let mut unsent = 0;
        self.waiting.retain(|waiting| {
            let is_dropped = is_dropped(&waiting.answer);
            unsent += usize::from(is_dropped && !waiting.is_sent);
            !is_dropped
        });
        unsent
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.waiting
            .iter()
            .map(|waiting| waiting.answer.useful_until)
            .min()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::method::{MethodOptions, PendingCalls};

    const SECOND: Duration = Duration::from_secs(1);

    /// Some answer to a request with this id.
    fn answer(methods: &mut PendingCalls, request_id: &str, now: Instant) -> MethodAnswer {
        methods.on_malformed(request_id.to_owned(), now)
    }

    fn new() -> (Answers, PendingCalls, Instant) {
        let methods = PendingCalls::new(MethodOptions::default());
        (Answers::default(), methods, Instant::now())
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_over_the_next_connection() {
        let (mut answers, mut methods, now) = new();
        let [first, second] = ["1", "2"].map(|id| answer(&mut methods, id, now));
        assert!(answers.push(first.clone()) && answers.push(second.clone()));
        assert_eq!(answers.take_next(), Some(&first));
        assert_eq!(answers.take_next(), Some(&second));
        assert_eq!(answers.take_next(), None);
        answers.settle(first.call);
        answers.on_connected();
        assert_eq!(answers.take_next(), Some(&second));
        assert_eq!(answers.take_next(), None);
    }

    #[test]
    fn answers_that_are_never_acknowledged_make_room_when_their_callers_leave() {
        let (mut answers, mut methods, now) = new();
        for id in 0..MAX_ANSWERS {
            assert!(answers.push(answer(&mut methods, &id.to_string(), now)));
        }
        for _ in 0..400 {
            answers.take_next();
        }
        assert!(!answers.push(answer(&mut methods, "more", now)));
        assert_eq!(answers.next_expiry(), Some(now + 24 * SECOND));
        assert_eq!(answers.expire(now + 23 * SECOND), 0);
        assert_eq!(answers.expire(now + 24 * SECOND), MAX_ANSWERS - 400);
        assert_eq!(answers.len(), 0);
        assert!(answers.push(answer(&mut methods, "more", now)));
    }

    #[test]
    fn an_answer_to_an_earlier_call_with_the_same_id_neither_goes_out_nor_settles_the_new_one() {
        let (mut answers, mut methods, now) = new();
        let old = answer(&mut methods, "1", now);
        let new = answer(&mut methods, "1", now);
        answers.push(old.clone());
        assert_eq!(answers.forget("1"), 1);
        answers.push(new.clone());
        assert_eq!(answers.take_next(), Some(&new));
        answers.settle(old.call);
        assert_eq!(answers.len(), 1);
        answers.settle(new.call);
        assert_eq!(answers.len(), 0);
    }
}
