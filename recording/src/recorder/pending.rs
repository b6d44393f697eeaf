//! Annotations of media that are not recorded yet: a later recording may contain them in its pre-roll.

use std::collections::VecDeque;

/// Most bytes of waiting annotations.
const MAX_BYTES: usize = 4 << 20;

/// Annotations of the time that the pre-roll contains.
#[derive(Debug, Default)]
pub(crate) struct PendingAnnotations {
    waiting: VecDeque<(u64, String)>,
    bytes: usize,
}

impl PendingAnnotations {
    /// Adds one, and returns how many were dropped for it.
    pub(crate) fn push(&mut self, timestamp_90k: u64, json: &str) -> u64 {
        self.bytes += json.len();
        self.waiting.push_back((timestamp_90k, json.to_owned()));
        let mut gone = 0;
        while self.bytes > MAX_BYTES && self.pop().is_some() {
            gone += 1;
        }
        gone
    }

    /// Drops those before a time, and returns how many.
    pub(crate) fn forget_before(&mut self, timestamp_90k: u64) -> u64 {
        let mut gone = 0;
        while self
            .waiting
            .front()
            .is_some_and(|(time, _)| *time < timestamp_90k)
        {
            self.pop();
            gone += 1;
        }
        gone
    }

    /// Takes all, oldest first.
    pub(crate) fn take(&mut self) -> VecDeque<(u64, String)> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    fn pop(&mut self) -> Option<(u64, String)> {
        let oldest = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(oldest.1.len());
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_in_bytes_and_time() {
        let mut pending = PendingAnnotations::default();
        let long = "x".repeat(MAX_BYTES / 4);
        let gone: u64 = (0..6).map(|time| pending.push(time, &long)).sum();
        assert_eq!(gone, 2);
        assert_eq!(pending.forget_before(3), 1);
        let times: Vec<u64> = pending.take().into_iter().map(|(time, _)| time).collect();
        assert_eq!(times, [3, 4, 5]);
        assert!(pending.take().is_empty());
        assert_eq!(pending.push(6, &"x".repeat(MAX_BYTES)), 0, "there is space again");
    }
}
