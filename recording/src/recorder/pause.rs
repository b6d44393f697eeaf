//! How long a disk that refused is left alone.

use crate::unit::TICKS_PER_SECOND;

const FIRST: u64 = TICKS_PER_SECOND;
const LONGEST: u64 = 30 * TICKS_PER_SECOND;

/// Media time after which a disk that refused is tried again; it doubles with each refusal up to the longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause(u64);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Pause {
    /// The disk refused: how long it is left alone. The next time it will be longer.
    pub(super) fn next_90k(&mut self) -> u64 {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }

    /// The disk took a file, or there is something else to try it with.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
