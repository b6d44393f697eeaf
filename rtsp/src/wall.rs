//! This machine's wall clock, which people and programs set.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use crate::clock::wall_90k;

/// This machine's wall clock, or one that a test sets forward and back.
///
/// ```
/// use lva_rtsp::WallClock;
///
/// let clock = WallClock::settable();
/// let before = clock.now_90k();
/// clock.set_forward(std::time::Duration::from_secs(3600));
/// assert!(clock.now_90k() >= before + 3600 * 90_000);
/// ```
#[derive(Clone, Default)]
pub struct WallClock {
    /// Milliseconds that it is ahead of the system's.
    ahead_ms: Option<Arc<AtomicI64>>,
}

impl WallClock {
    /// The system's clock with a shift that can be changed while cameras use it, for tests of what happens when a clock is
    /// set. Clones are the same clock.
    pub fn settable() -> Self {
        Self {
            ahead_ms: Some(Arc::default()),
        }
    }

    /// Sets it forward. The system's own clock stays as it is.
    pub fn set_forward(&self, by: Duration) {
        self.shift(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets it back. The system's own clock stays as it is.
    pub fn set_back(&self, by: Duration) {
        self.shift(-i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// What it shows, in ticks of 1/90000 s since 1970.
    pub fn now_90k(&self) -> u64 {
        self.at_90k(SystemTime::now())
    }

    /// What it shows when the system's clock shows this.
    pub(crate) fn at_90k(&self, system: SystemTime) -> u64 {
        let ahead_ms = match &self.ahead_ms {
            Some(ahead_ms) => ahead_ms.load(Ordering::Relaxed),
            None => 0,
        };
        wall_90k(system).saturating_add_signed(ahead_ms.saturating_mul(90))
    }

    fn shift(&self, by_ms: i64) {
        if let Some(ahead_ms) = &self.ahead_ms {
            ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.ahead_ms {
            Some(_) => "WallClock::settable()",
            None => "WallClock::default()",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_settable_clock_can_be_set_and_all_its_clones_with_it() {
        let hour = Duration::from_secs(3600);
        let at = SystemTime::UNIX_EPOCH + 10 * hour;
        let (own, shared) = (WallClock::default(), WallClock::settable());
        for clock in [own.clone(), shared.clone()] {
            clock.set_forward(hour);
            clock.set_back(3 * hour);
        }
        assert_eq!(own.at_90k(at), 10 * 3600 * 90_000);
        assert_eq!(shared.at_90k(at), 8 * 3600 * 90_000);
        assert_eq!(shared.at_90k(SystemTime::UNIX_EPOCH), 0);
    }
}
