use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Media time: ticks of 1/90000 s since 1970-01-01 UTC.
///
/// The number of ticks is what events, recordings and the extension protocol carry as `timestamp_90k`. Conversions from
/// and to wall time are these, and no others; all of them round down and saturate.
///
/// ```
/// use lva_media_types::MediaTime;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let time = MediaTime::from_system_time(UNIX_EPOCH + Duration::from_secs(2));
/// assert_eq!(time.ticks_90k(), 180_000);
/// assert_eq!(time.to_system_time(), UNIX_EPOCH + Duration::from_secs(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(u64);

impl MediaTime {
    /// Ticks in a second.
    pub const TICKS_PER_SECOND: u64 = 90_000;
    /// Ticks in a millisecond.
    pub const TICKS_PER_MILLISECOND: u64 = 90;
    /// The latest time, some 6.5 million years from now.
    pub const MAX: Self = Self(u64::MAX);

    /// A time from its ticks.
    pub const fn from_ticks_90k(ticks: u64) -> Self {
        Self(ticks)
    }

    /// A time from ticks of another rate, as a peer may announce one; rounds down and saturates. A rate of 0 means 90 kHz.
    pub fn from_ticks_at(ticks: u64, ticks_per_second: u32) -> Self {
        let rate = match ticks_per_second {
            0 => Self::TICKS_PER_SECOND,
            rate => u64::from(rate),
        };
        let ticks_90k = u128::from(ticks) * u128::from(Self::TICKS_PER_SECOND) / u128::from(rate);
        Self(u64::try_from(ticks_90k).unwrap_or(u64::MAX))
    }

    /// Ticks since 1970.
    pub const fn ticks_90k(self) -> u64 {
        self.0
    }

    /// The media time of a wall clock's time; 0 for times before 1970.
    pub fn from_system_time(time: SystemTime) -> Self {
        Self(duration_to_ticks_90k(
            time.duration_since(UNIX_EPOCH).unwrap_or_default(),
        ))
    }

    /// The wall clock's time, rounded down to a nanosecond. Saturates where the platform's `SystemTime` ends.
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(ticks_90k_to_duration(self.0))
            .unwrap_or(UNIX_EPOCH)
    }

    /// The media time of milliseconds since 1970; `None` when its ticks exceed 64 bits.
    pub const fn from_unix_milliseconds(milliseconds: u64) -> Option<Self> {
        match milliseconds.checked_mul(Self::TICKS_PER_MILLISECOND) {
            Some(ticks) => Some(Self(ticks)),
            None => None,
        }
    }

    /// Milliseconds since 1970, rounded down.
    pub const fn unix_milliseconds(self) -> u64 {
        self.0 / Self::TICKS_PER_MILLISECOND
    }

    /// Nanoseconds since 1970, rounded down.
    pub const fn unix_nanoseconds(self) -> u128 {
        self.0 as u128 * 100_000 / 9
    }

    /// The ticks that a duration takes, rounded down; saturates.
    pub fn ticks_in(duration: Duration) -> u64 {
        duration_to_ticks_90k(duration)
    }

    /// The duration of a number of ticks, rounded down to a nanosecond.
    pub fn duration_of(ticks: u64) -> Duration {
        ticks_90k_to_duration(ticks)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        ticks_90k_to_duration(self.0.saturating_sub(earlier.0))
    }
}

fn duration_to_ticks_90k(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos() * 9 / 100_000).unwrap_or(u64::MAX)
}

fn ticks_90k_to_duration(ticks: u64) -> Duration {
    let (seconds, rest) = (
        ticks / MediaTime::TICKS_PER_SECOND,
        ticks % MediaTime::TICKS_PER_SECOND,
    );
    // Below 90,000 ticks the product fits and the quotient is below a second.
    Duration::from_secs(seconds) + Duration::from_nanos(rest * 100_000 / 9)
}

impl From<SystemTime> for MediaTime {
    fn from(time: SystemTime) -> Self {
        Self::from_system_time(time)
    }
}

impl fmt::Display for MediaTime {
    /// The ticks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_before_1970_are_zero() {
        assert_eq!(
            MediaTime::from_system_time(UNIX_EPOCH - Duration::from_secs(1)),
            MediaTime::default()
        );
    }

    #[test]
    fn other_rates_become_90_khz() {
        let at = |ticks, rate| MediaTime::from_ticks_at(ticks, rate).ticks_90k();
        assert_eq!(at(1000, 1000), 90_000);
        assert_eq!(at(7, 90_000), 7);
        assert_eq!(at(7, 0), 7);
        assert_eq!(at(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn the_latest_times_saturate() {
        assert_eq!(MediaTime::ticks_in(Duration::MAX), u64::MAX);
        assert_eq!(MediaTime::from_unix_milliseconds(u64::MAX), None);
        assert!(MediaTime::MAX.to_system_time() >= UNIX_EPOCH);
        assert_eq!(
            MediaTime::MAX.unix_nanoseconds(),
            u128::from(u64::MAX) * 100_000 / 9
        );
    }

    proptest! {
        #[test]
        fn wall_time_and_back_loses_less_than_a_tick(ticks in 0_u64..=u64::MAX / 1_000_000) {
            let time = MediaTime::from_ticks_90k(ticks);
            let back = MediaTime::from_system_time(time.to_system_time());
            prop_assert!(time.ticks_90k() - back.ticks_90k() <= 1);
        }

        #[test]
        fn milliseconds_and_back_are_exact(milliseconds in 0_u64..=u64::MAX / 90) {
            let time = MediaTime::from_unix_milliseconds(milliseconds).unwrap();
            prop_assert_eq!(time.unix_milliseconds(), milliseconds);
        }
    }
}
