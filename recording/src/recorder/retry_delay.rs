//! The delay before a failed disk is retried.

use lva_media_types::MediaTime;

const FIRST: u64 = MediaTime::TICKS_PER_SECOND;
const LONGEST: u64 = 30 * MediaTime::TICKS_PER_SECOND;

/// Media time before a failed disk is retried; each failure doubles it, up to the longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryDelay(u64);

impl Default for RetryDelay {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl RetryDelay {
    /// Returns the delay after a failure, and doubles the next one.
    pub(super) fn next_90k(&mut self) -> u64 {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }

    /// Resets it, after a completed file or for a new recording.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
