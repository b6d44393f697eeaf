//! How fast RTP time runs, measured against arrival: some cameras number ticks of 1 kHz and announce 90, or drop every third
//! picture and not its time.

use super::TICKS;

/// Windows of arrival within which the fastest unit is sought: short ones at first, so that a wrong rate is found soon.
const FIRST_WIDTH: i64 = TICKS * 2 / 5;
const MAX_WIDTH: i64 = 8 * TICKS;
const SHORT_WINDOWS: u32 = 4;
/// So many windows in a row must have the same rate. Delays of the network come and go within fewer.
const AGREEMENT: u32 = 3;
/// The slowest and the fastest clock that is believed. One that counts pictures is 3,000 to 18,000 times too slow.
const LIMITS: (f64, f64) = (1.0 / 128.0, 20_000.0);
/// Closer to the described rate, the small corrections of the clock suffice.
const EXACT: f64 = 0.02;

/// Maps RTP time to time that runs at its described rate.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    base_rtp: i64,
    base_paced: i64,
    /// Ticks of true time for each tick of RTP time.
    rate: f64,
    width: i64,
    windows: u32,
    ends: Option<i64>,
    /// The unit of this window that travelled fastest, and those of the windows before.
    fastest: Option<Point>,
    last: Option<Point>,
    first_agreeing: Option<Point>,
    agreeing: u32,
    last_ratio: f64,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    arrival: i64,
    rtp: i64,
    delay: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            base_rtp: 0,
            base_paced: 0,
            rate: 1.0,
            width: FIRST_WIDTH,
            windows: 0,
            ends: None,
            fastest: None,
            last: None,
            first_agreeing: None,
            agreeing: 0,
            last_ratio: 1.0,
        }
    }
}

impl Pace {
    /// RTP time as it would be at the described rate.
    pub(super) fn paced(&self, rtp: i64) -> i64 {
        let passed = rtp.saturating_sub(self.base_rtp);
        if self.rate == 1.0 {
            return self
                .base_paced
                .saturating_add(passed)
                .clamp(i64::MIN / 4, i64::MAX / 4);
        }
        // `as` saturates.
        let scaled = (passed as f64 * self.rate) as i64;
        self.base_paced
            .saturating_add(scaled)
            .clamp(i64::MIN / 4, i64::MAX / 4)
    }

    /// RTP time jumped: what was measured before it does not predict what follows. The rate stays.
    pub(super) fn restart(&mut self) {
        *self = Self {
            base_rtp: self.base_rtp,
            base_paced: self.base_paced,
            rate: self.rate,
            ..Self::default()
        };
    }

    /// Takes a unit. True: the rate is another one from this unit on.
    pub(super) fn observe(&mut self, rtp: i64, arrival: i64) -> bool {
        let point = Point {
            arrival,
            rtp,
            delay: arrival.saturating_sub(self.paced(rtp)),
        };
        let Some(ends) = self.ends else {
            self.ends = Some(arrival.saturating_add(self.width));
            self.fastest = Some(point);
            return false;
        };
        // The local clock was set back.
        if ends.saturating_sub(arrival) > MAX_WIDTH {
            self.restart();
            return false;
        }
        if arrival < ends {
            if self.fastest.is_none_or(|fastest| point.delay < fastest.delay) {
                self.fastest = Some(point);
            }
            return false;
        }
        let window = self.fastest.replace(point);
        self.ends = Some(arrival.saturating_add(self.width));
        self.windows += 1;
        let (Some(window), Some(last)) = (window, self.last) else {
            self.last = window.or(self.last);
            return false;
        };
        if window.arrival.saturating_sub(last.arrival) < self.width / 2 {
            // Too close for a rate.
            return false;
        }
        self.last = Some(window);
        let changed = self.compare(last, window);
        if self.windows > SHORT_WINDOWS {
            self.width = (self.width * 2).min(MAX_WIDTH);
            self.windows = SHORT_WINDOWS;
        }
        changed
    }

    /// Compares the fastest units of two windows. True: the rate changed.
    fn compare(&mut self, from: Point, to: Point) -> bool {
        let Some(ratio) = self.ratio(from, to) else {
            self.agreeing = 0;
            return false;
        };
        // A tenth of a second of jitter is usual.
        let tolerance =
            0.1 * TICKS as f64 / to.arrival.saturating_sub(from.arrival).max(1) as f64 + EXACT / 2.0;
        if (ratio - 1.0).abs() <= tolerance {
            self.agreeing = 0;
            return false;
        }
        let agrees = self.agreeing > 0 && (ratio / self.last_ratio - 1.0).abs() < 0.2;
        self.last_ratio = ratio;
        if !agrees {
            self.agreeing = 1;
            self.first_agreeing = Some(from);
            return false;
        }
        self.agreeing += 1;
        if self.agreeing < AGREEMENT {
            return false;
        }
        self.agreeing = 0;
        let Some(ratio) = self.first_agreeing.and_then(|first| self.ratio(first, to)) else {
            return false;
        };
        let mut rate = (self.rate * ratio).clamp(LIMITS.0, LIMITS.1);
        if (rate - 1.0).abs() < EXACT {
            rate = 1.0;
        }
        self.base_paced = self.paced(to.rtp);
        self.base_rtp = to.rtp;
        self.rate = rate;
        self.last = None;
        true
    }

    /// True time for each tick of paced time between two units.
    fn ratio(&self, from: Point, to: Point) -> Option<f64> {
        let elapsed = to.arrival.saturating_sub(from.arrival);
        let media = self.paced(to.rtp).saturating_sub(self.paced(from.rtp));
        (elapsed > 0 && media > 0).then(|| elapsed as f64 / media as f64)
    }
}
