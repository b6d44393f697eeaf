//! What was seen while nothing was recorded: it belongs to the recording whose pre-roll shows it.

use std::collections::VecDeque;

/// Bytes of waiting annotations.
const MAX_BYTES: usize = 4 << 20;

/// Annotations of the time that the pre-roll holds.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    waiting: VecDeque<(u64, String)>,
    bytes: usize,
}

impl Notes {
    /// Keeps one, and says how many went for it.
    pub(crate) fn push(&mut self, timestamp_90k: u64, json: &str) -> u64 {
        self.bytes += json.len();
        self.waiting.push_back((timestamp_90k, json.to_owned()));
        let mut gone = 0;
        while self.bytes > MAX_BYTES && self.pop().is_some() {
            gone += 1;
        }
        gone
    }

    /// Lets go what lies before a time, and says how many that were.
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

    /// All, oldest first.
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
        let mut notes = Notes::default();
        let long = "x".repeat(MAX_BYTES / 4);
        let gone: u64 = (0..6).map(|time| notes.push(time, &long)).sum();
        assert_eq!(gone, 2);
        assert_eq!(notes.forget_before(3), 1);
        let times: Vec<u64> = notes.take().into_iter().map(|(time, _)| time).collect();
        assert_eq!(times, [3, 4, 5]);
        assert!(notes.take().is_empty());
        assert_eq!(notes.push(6, &"x".repeat(MAX_BYTES)), 0, "there is room again");
    }
}
