//! The local wall clock, which users and programs may set.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use lva_media_types::MediaTime;

/// The local wall clock, or one that a test sets forward and back.
///
/// ```
/// use lva_rtsp::WallClock;
///
/// let clock = WallClock::for_tests();
/// let before = clock.now_90k();
/// clock.set_forward(std::time::Duration::from_secs(3600));
/// assert!(clock.now_90k() >= before + 3600 * 90_000);
/// ```
#[derive(Clone, Default)]
pub struct WallClock {
    /// Ticks that it is ahead of the system's clock.
    ahead_90k: Option<Arc<AtomicI64>>,
}

impl WallClock {
    /// The system's clock plus an offset that can change while cameras use it, to test what happens when a clock is set.
    /// Clones share the offset.
    pub fn for_tests() -> Self {
        Self {
            ahead_90k: Some(Arc::default()),
        }
    }

    /// Sets it forward. The system's clock does not change.
    pub fn set_forward(&self, by: Duration) {
        self.shift(ticks(by));
    }

    /// Sets it back. The system's clock does not change.
    pub fn set_back(&self, by: Duration) {
        self.shift(-ticks(by));
    }

    /// The current time in ticks of 1/90000 s since 1970.
    pub fn now_90k(&self) -> u64 {
        self.at_90k(SystemTime::now())
    }

    /// Its time at a time of the system's clock.
    pub(crate) fn at_90k(&self, system: SystemTime) -> u64 {
        let ahead = self
            .ahead_90k
            .as_ref()
            .map_or(0, |ahead| ahead.load(Ordering::Relaxed));
        MediaTime::from_system_time(system)
            .ticks_90k()
            .saturating_add_signed(ahead)
    }

    fn shift(&self, by: i64) {
        if let Some(ahead) = &self.ahead_90k {
            ahead.fetch_add(by, Ordering::Relaxed);
        }
    }
}

fn ticks(duration: Duration) -> i64 {
    i64::try_from(MediaTime::ticks_in(duration)).unwrap_or(i64::MAX)
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.ahead_90k {
            Some(_) => "WallClock::for_tests()",
            None => "WallClock::default()",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_for_tests_can_be_set_and_all_its_clones_with_it() {
        let hour = Duration::from_secs(3600);
        let at = SystemTime::UNIX_EPOCH + 10 * hour;
        let (own, shared) = (WallClock::default(), WallClock::for_tests());
        for clock in [own.clone(), shared.clone()] {
            clock.set_forward(hour);
            clock.set_back(3 * hour);
        }
        assert_eq!(own.at_90k(at), 10 * 3600 * 90_000);
        assert_eq!(shared.at_90k(at), 8 * 3600 * 90_000);
        assert_eq!(shared.at_90k(SystemTime::UNIX_EPOCH), 0);
    }
}
