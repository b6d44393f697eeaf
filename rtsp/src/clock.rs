//! From RTP timestamps to time since 1970.
//!
//! Sans-I/O: arrival times come in as parameters. The rules stand at [`MediaClock`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Ticks of media time in a second.
const TICKS: i64 = 90_000;
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX_SECONDS: i64 = 2_208_988_800;
/// A mapping that is off by less than 2 ms is left alone: reports jitter.
const DEAD_BAND: i64 = 2 * TICKS / 1000;
/// A mapping that moves forward by more than this is followed at once.
const STEP: i64 = TICKS;
/// The mapping moves by at most this part of the media time that passes.
const SLEW_DIVISOR: i64 = 20;
/// RTP time that goes back by more than this has jumped; less is reordering (B-frames).
const MAX_REORDER: i64 = TICKS;
/// RTP time that runs ahead of arrival by more than this between two units has jumped.
const MAX_AHEAD: i64 = 5 * TICKS;
const FIRST_WINDOW: i64 = 2 * TICKS;
const WINDOW: i64 = 10 * TICKS;
/// A step waits for no more media than this for a unit where decoding can start.
const LONGEST_HOLD: i64 = 30 * TICKS;
/// A report older than this no longer counts: both crystals have drifted since.
const REPORT_LIFETIME: i64 = 120 * TICKS;

/// Where a unit's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClockSource {
    /// The camera's wall clock, by an RTCP sender report.
    SenderReport,
    /// Our wall clock when units arrived; includes the network's delay.
    Arrival,
}

/// When to believe a camera's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockOptions {
    /// Largest difference between a sender report's wall clock and ours when it arrives. Default 10 s. Smaller
    /// refuses cameras with a lazy clock, whose units then carry arrival time; larger lets a wrong clock shift events
    /// against everything else that this machine sees.
    pub max_skew: Duration,
}

impl Default for ClockOptions {
    fn default() -> Self {
        Self {
            max_skew: Duration::from_secs(10),
        }
    }
}

impl ClockOptions {
    /// The same with another [`max_skew`](Self::max_skew).
    pub fn with_max_skew(mut self, max_skew: Duration) -> Self {
        self.max_skew = max_skew;
        self
    }
}

/// What [`MediaClock::unit`] says about a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Ticks of 1/90000 s since 1970-01-01 UTC: when the unit is presented. Greater than that of the unit before, but for
    /// reordered pictures (B-frames), which are presented before pictures that came before them.
    pub timestamp_90k: u64,
    /// Where it comes from.
    pub source: ClockSource,
    /// Time jumped here: the distance to the unit before says nothing about media time. Never set on the first unit.
    pub discontinuity: bool,
}

/// What a clock has met; all of them only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClockCounters {
    /// Sender reports that were believed.
    pub reports: u64,
    /// Sender reports that were not plausible.
    pub reports_refused: u64,
    /// Discontinuities, new sessions included.
    pub jumps: u64,
    /// Units that were presented before one that came before them (B-frames), with their own times.
    pub reordered: u64,
    /// Units that got another time than their own, just above the latest: the same RTP time twice, or one from before the
    /// last jump or session.
    pub held: u64,
}

/// The clock of one stream, over all its sessions. Arrival times come in as parameters.
///
/// Rules, and why they are so:
///
/// * A sender report (RFC 3550 section 6.4.1) pairs the camera's wall clock with its RTP clock. It is believed when its
///   wall clock is near ours at arrival ([`ClockOptions::max_skew`]) and its RTP time near the stream's: cameras that
///   were never told the time report 1970 or 2000. Two minutes without a new one end its authority.
/// * Without a believed report, the unit that travelled fastest within a window of ten seconds gives the mapping. The
///   first unit after PLAY is often late (a buffered group of pictures), so the first window is two seconds.
/// * A mapping that moves a little (reports come in, crystals drift) is followed by at most 1/20 of the media time that
///   passes, so that the distance between units stays close to the truth; less than 2 ms is left alone. One that moves
///   forward by more than a second is followed at once and said as a discontinuity. Backward it is only ever followed
///   slowly: time that goes backwards breaks recordings.
/// * RTP time that itself jumps (by more than 1 s back, or 5 s ahead of arrival: a camera that reboots within a session,
///   a file that starts over) begins a new mapping and is a discontinuity. A wrap of its 32 bits is none: the caller
///   extends it to 64.
/// * A unit that goes back by less than that is a reordered picture (a B-frame) and keeps its own time of presentation. A
///   time that comes twice, and one from before the last jump or session, becomes one tick more than the latest one.
///
/// ```
/// use lva_rtsp::{ClockOptions, ClockSource, MediaClock};
///
/// let mut clock = MediaClock::new(ClockOptions::default(), 90_000);
/// let arrival_90k = 143_039_375_044_290; // 2020-05-12T23:33:09.381Z
/// let first = clock.unit(1_000, arrival_90k);
/// let second = clock.unit(1_000 + 3_000, arrival_90k + 3_100);
/// assert_eq!((first.timestamp_90k, first.source), (arrival_90k, ClockSource::Arrival));
/// assert_eq!(second.timestamp_90k, arrival_90k + 3_000);
/// ```
#[derive(Debug, Clone)]
pub struct MediaClock {
    max_skew: i64,
    clock_rate_hz: u32,
    mapping: Option<Mapping>,
    report: Option<Report>,
    /// The latest time so far.
    newest: Option<u64>,
    /// What that was when the mapping began: no picture of the new time line lies before.
    floor: Option<u64>,
    /// Whether the next unit may be the first after a step.
    may_step: bool,
    jumped: bool,
    counters: ClockCounters,
}

/// `media time = RTP time + offset`, both in ticks of 1/90000 s.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    offset: i64,
    /// Where arrival wants the offset.
    arrival_target: i64,
    window_minimum: i64,
    window_ends: i64,
    /// The furthest RTP time so far, and the latest arrival.
    last_rtp: i64,
    last_arrival: i64,
    /// RTP time since which a step is due that may not be made.
    step_due: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    offset: i64,
    arrival: i64,
}

impl MediaClock {
    /// A clock for a stream whose RTP clock runs at `clock_rate_hz`; 0 counts as 90000.
    pub fn new(options: ClockOptions, clock_rate_hz: u32) -> Self {
        Self {
            max_skew: ticks(options.max_skew),
            clock_rate_hz: if clock_rate_hz == 0 { 90_000 } else { clock_rate_hz },
            mapping: None,
            report: None,
            newest: None,
            floor: None,
            may_step: true,
            jumped: false,
            counters: ClockCounters::default(),
        }
    }

    /// A new session begins: RTP times are new, media time goes on.
    pub fn begin_session(&mut self, clock_rate_hz: u32) {
        if clock_rate_hz != 0 {
            self.clock_rate_hz = clock_rate_hz;
        }
        self.mapping = None;
        self.report = None;
        self.jumped = self.newest.is_some();
    }

    /// A sender report: NTP time (32.32 bits since 1900) and RTP time in ticks of the stream's clock, extended to 64
    /// bits as for [`unit`](Self::unit). True if it was believed.
    pub fn sender_report(&mut self, ntp: u64, rtp_ticks: i64, arrival_90k: u64) -> bool {
        let rtp = self.to_90k(rtp_ticks);
        let arrival = signed(arrival_90k);
        let plausible = ntp_to_90k(ntp)
            .filter(|wall| (wall - arrival).abs() <= self.max_skew)
            .filter(|_| {
                self.mapping.is_none_or(|m| {
                    rtp.saturating_sub(m.last_rtp).saturating_abs()
                        <= self
                            .max_skew
                            .saturating_add(arrival.saturating_sub(m.last_arrival).saturating_abs())
                })
            });
        match plausible {
            Some(wall) => {
                self.counters.reports += 1;
                self.report = Some(Report {
                    offset: wall.saturating_sub(rtp),
                    arrival,
                });
                true
            }
            None => {
                self.counters.reports_refused += 1;
                self.report = None;
                false
            }
        }
    }

    /// Whether a mapping that moves forward by more than a second is followed with the next units (the default), or only when
    /// they may again, or half a minute has passed. Between two key frames a step would make a hole in the middle of a group
    /// of pictures, which no recording can be cut at.
    pub fn allow_steps(&mut self, may: bool) {
        self.may_step = may;
    }

    /// The time of a unit with RTP time `rtp_ticks` (ticks of the stream's clock, extended to 64 bits) that arrived at
    /// `arrival_90k` by our wall clock.
    pub fn unit(&mut self, rtp_ticks: i64, arrival_90k: u64) -> Stamp {
        let rtp = self.to_90k(rtp_ticks);
        let arrival = signed(arrival_90k);
        let by_arrival = arrival.saturating_sub(rtp);

        if self.mapping.is_some_and(|m| m.has_jumped(rtp, arrival)) {
            self.mapping = None;
            self.jumped = true;
            // It maps other RTP times.
            self.report = None;
        }
        if self
            .report
            .is_some_and(|r| arrival.saturating_sub(r.arrival) > REPORT_LIFETIME)
        {
            self.report = None;
        }

        let (mapping, passed) = match &mut self.mapping {
            Some(mapping) => {
                let passed = rtp.saturating_sub(mapping.last_rtp).max(0);
                mapping.arrived(rtp, arrival, by_arrival);
                (mapping, passed)
            }
            none => {
                let mapping = none.insert(Mapping::begin(rtp, arrival, by_arrival));
                if let Some(report) = self.report {
                    mapping.offset = report.offset;
                }
                // Later than the last unit by construction; from here the mapping is led back slowly.
                self.floor = self.newest;
                if let Some(last) = self.newest {
                    mapping.offset = mapping
                        .offset
                        .max(signed(last).saturating_add(1).saturating_sub(rtp));
                }
                (mapping, 0)
            }
        };
        let (target, source) = match self.report {
            Some(report) => (report.offset, ClockSource::SenderReport),
            None => (mapping.arrival_target, ClockSource::Arrival),
        };
        if mapping.follow(target, passed, self.may_step) {
            self.jumped = true;
        }

        let own = u64::try_from(rtp.saturating_add(mapping.offset)).unwrap_or(0);
        let timestamp_90k = match self.newest {
            Some(newest) if own == newest || self.floor.is_some_and(|floor| own <= floor) => {
                self.counters.held += 1;
                newest.saturating_add(1)
            }
            Some(newest) if own < newest => {
                self.counters.reordered += 1;
                own
            }
            _ => own,
        };
        let discontinuity = std::mem::take(&mut self.jumped) && self.newest.is_some();
        self.counters.jumps += u64::from(discontinuity);
        self.newest = self.newest.max(Some(timestamp_90k));
        Stamp {
            timestamp_90k,
            source,
            discontinuity,
        }
    }

    /// What was met so far.
    pub fn counters(&self) -> ClockCounters {
        self.counters
    }

    fn to_90k(&self, rtp_ticks: i64) -> i64 {
        let scaled = (i128::from(rtp_ticks) * i128::from(TICKS)).div_euclid(i128::from(self.clock_rate_hz));
        // A quarter of the range: sums and differences of two such values fit.
        scaled.clamp(i128::from(i64::MIN / 4), i128::from(i64::MAX / 4)) as i64
    }
}

impl Mapping {
    fn begin(rtp: i64, arrival: i64, by_arrival: i64) -> Self {
        Self {
            offset: by_arrival,
            arrival_target: by_arrival,
            window_minimum: by_arrival,
            window_ends: arrival.saturating_add(FIRST_WINDOW),
            last_rtp: rtp,
            last_arrival: arrival,
            step_due: None,
        }
    }

    fn has_jumped(&self, rtp: i64, arrival: i64) -> bool {
        let media = rtp.saturating_sub(self.last_rtp);
        // Our own clock may have been set back meanwhile: that is no jump of the camera's.
        let wall = arrival.saturating_sub(self.last_arrival).max(0);
        media < -MAX_REORDER || media > wall.saturating_add(MAX_AHEAD)
    }

    fn arrived(&mut self, rtp: i64, arrival: i64, by_arrival: i64) {
        self.last_rtp = self.last_rtp.max(rtp);
        self.last_arrival = arrival;
        self.window_minimum = self.window_minimum.min(by_arrival);
        // The second condition is a wall clock that was set back.
        if arrival >= self.window_ends || self.window_ends.saturating_sub(arrival) > WINDOW {
            self.arrival_target = self.window_minimum;
            self.window_minimum = by_arrival;
            self.window_ends = arrival.saturating_add(WINDOW);
        }
    }

    /// Moves the offset towards `target`; true if it stepped.
    fn follow(&mut self, target: i64, passed: i64, may_step: bool) -> bool {
        let difference = target.saturating_sub(self.offset);
        if difference > STEP {
            let due = *self.step_due.get_or_insert(self.last_rtp);
            if !may_step && self.last_rtp.saturating_sub(due) < LONGEST_HOLD {
                return false;
            }
            self.step_due = None;
            self.offset = target;
            return true;
        }
        self.step_due = None;
        if difference.saturating_abs() > DEAD_BAND {
            let most = passed / SLEW_DIVISOR;
            self.offset = self.offset.saturating_add(difference.clamp(-most, most));
        }
        false
    }
}

/// Ticks of 1/90000 s since 1970; 0 for times before.
pub(crate) fn wall_90k(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() * 9 / 100_000).unwrap_or(u64::MAX)
}

/// NTP's 32.32 bits as ticks since 1970. `None` for 0, which says "no clock" (RFC 3550 section 6.4.1). Values with
/// the first bit clear lie after 2036 (RFC 4330 section 3).
fn ntp_to_90k(ntp: u64) -> Option<i64> {
    if ntp == 0 {
        return None;
    }
    let era = if ntp >> 63 == 1 { 0 } else { 1_i64 << 32 };
    let seconds = (ntp >> 32) as i64 + era - NTP_TO_UNIX_SECONDS;
    // Rounded, so that a sender's own rounding does not add up.
    let fraction = ((ntp & 0xffff_ffff) * TICKS as u64 + (1 << 31)) >> 32;
    Some(seconds * TICKS + fraction as i64)
}

fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() * 9 / 100_000)
        .unwrap_or(i64::MAX / 4)
        .min(i64::MAX / 4)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
