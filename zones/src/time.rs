//! Media time in the units that the rules use.

use lva_media_types::MediaTime;

/// Ticks of media time in a second.
pub(crate) const SECOND: u64 = MediaTime::TICKS_PER_SECOND;

/// Ticks of a number of milliseconds; saturates.
pub(crate) fn ticks_of_ms(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(MediaTime::TICKS_PER_MILLISECOND)
}

/// A number of ticks in seconds.
pub(crate) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / SECOND as f64
}
