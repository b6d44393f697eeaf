//! From RTP timestamps to time since 1970. Sans-I/O: arrival times are parameters. See [`MediaClock`] for the rules.

use std::time::Duration;

use lva_media_types::MediaTime;

/// Ticks of media time in a second.
const TICKS: i64 = MediaTime::TICKS_PER_SECOND as i64;
/// Seconds from 1900, the NTP epoch, to 1970.
const NTP_TO_UNIX_SECONDS: i64 = 2_208_988_800;
/// Corrections below 2 ms are not applied: reports jitter.
const DEAD_BAND: i64 = 2 * TICKS / 1000;
/// Larger forward corrections are applied in one step.
const STEP: i64 = TICKS;
/// Smaller corrections are limited to 1/20 of the media time that passes.
const SLEW_DIVISOR: i64 = 20;
/// RTP time that goes back by more than this has jumped; less is reordering (B-frames).
const MAX_REORDER: i64 = TICKS;
/// RTP time that runs ahead of arrival by more than this between two units has jumped.
const MAX_AHEAD: i64 = 5 * TICKS;
/// Windows over which the fastest unit is sought: the first one, and all others.
const FIRST_WINDOW: i64 = 2 * TICKS;
const WINDOW: i64 = 10 * TICKS;
/// The longest that a step waits for a unit where decoding can start.
const MAX_STEP_DELAY: i64 = 30 * TICKS;
/// Older reports no longer count: both oscillators have drifted since.
const REPORT_LIFETIME: i64 = 120 * TICKS;

/// The source of a unit's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClockSource {
    /// The camera's wall clock, by an RTCP sender report.
    SenderReport,
    /// The local wall clock at arrival; includes the network's delay.
    Arrival,
}

/// When to trust a camera's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockOptions {
    /// Largest difference between a sender report's wall clock and the local one at its arrival. Default 10 s. Smaller
    /// rejects cameras with an inexact clock, whose units then carry their time of arrival; larger lets a wrong clock
    /// shift events against everything else on this machine.
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

/// The time of a unit, from [`MediaClock::unit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaTimestamp {
    /// Time of presentation in ticks of 1/90000 s since 1970-01-01 UTC. Greater than that of the previous unit, except
    /// for reordered pictures (B-frames), which are presented before pictures that arrived earlier.
    pub timestamp_90k: u64,
    /// Its source.
    pub source: ClockSource,
    /// Time jumped: the distance to the previous unit is not media time. Never set on the first unit.
    pub discontinuity: bool,
}

/// Monotonic counters of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct ClockCounters {
    /// Accepted sender reports.
    pub reports: u64,
    /// Sender reports rejected as not plausible.
    pub reports_rejected: u64,
    /// Discontinuities, new sessions included.
    pub jumps: u64,
    /// Units presented before an earlier unit (B-frames), with their own times.
    pub reordered: u64,
    /// Units whose time was replaced by the smallest one above the latest: a repeated RTP time, or one from before the last
    /// jump or session.
    pub clamped: u64,
}

/// The clock of one stream across all its sessions. Arrival times are parameters.
///
/// The rules, and their reasons:
///
/// * A sender report (RFC 3550 section 6.4.1) pairs the camera's wall clock with its RTP clock. It is accepted when its
///   wall clock is close to the local one at arrival ([`ClockOptions::max_skew`]) and its RTP time close to the stream's:
///   cameras whose clock was never set report 1970 or 2000. It expires after two minutes without a new one.
/// * Without an accepted report, the unit that travelled fastest within a window of ten seconds gives the mapping. The
///   first unit after PLAY is often late (a buffered group of pictures), so the first window is two seconds.
/// * Small corrections (new reports, drifting oscillators) are spread out, at most 1/20 of the media time that passes, so
///   that the distance between units stays close to the truth; those below 2 ms are not applied. A forward correction
///   of more than a second is one step, marked as a discontinuity. Backward corrections are always spread out: time
///   that goes backwards breaks recordings.
/// * A jump of RTP time itself (by more than 1 s back, or 5 s ahead of arrival: a camera that reboots within a session,
///   a file that starts over) begins a new mapping and is a discontinuity. A wrap of its 32 bits is not a jump: the
///   caller extends it to 64.
/// * A unit that goes back by less is a reordered picture (a B-frame) and keeps its own time of presentation. A repeated
///   time, or one from before the last jump or session, becomes one tick more than the latest one.
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
    /// `newest` when the mapping began: every picture of the new time line is later.
    lower_bound: Option<u64>,
    /// Whether the next unit may be the first after a step.
    may_step: bool,
    jumped: bool,
    counters: ClockCounters,
}

/// `media time = RTP time + offset`, both in ticks of 1/90000 s.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    offset: i64,
    /// The offset according to arrival times.
    arrival_target: i64,
    window_minimum: i64,
    window_ends: i64,
    /// The furthest RTP time so far, and the latest arrival.
    last_rtp: i64,
    last_arrival: i64,
    /// RTP time since which a step is due but not allowed.
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
            max_skew: signed(MediaTime::ticks_in(options.max_skew)),
            clock_rate_hz: if clock_rate_hz == 0 {
                TICKS as u32
            } else {
                clock_rate_hz
            },
            mapping: None,
            report: None,
            newest: None,
            lower_bound: None,
            may_step: true,
            jumped: false,
            counters: ClockCounters::default(),
        }
    }

    /// Begins a new session: RTP times restart, media time continues.
    pub fn begin_session(&mut self, clock_rate_hz: u32) {
        if clock_rate_hz != 0 {
            self.clock_rate_hz = clock_rate_hz;
        }
        self.mapping = None;
        self.report = None;
        self.jumped = self.newest.is_some();
    }

    /// Takes a sender report: NTP time (32.32 bits since 1900) and RTP time in ticks of the stream's clock, extended to 64
    /// bits as for [`unit`](Self::unit). True if it is accepted.
    pub fn sender_report(&mut self, ntp: u64, rtp_ticks: i64, arrival_90k: u64) -> bool {
        let rtp = self.to_90k(rtp_ticks);
        let arrival = signed(arrival_90k);
        let plausible = ntp_to_90k(ntp)
            .filter(|reported| (reported - arrival).abs() <= self.max_skew)
            .filter(|_| {
                self.mapping.is_none_or(|m| {
                    rtp.saturating_sub(m.last_rtp).saturating_abs()
                        <= self
                            .max_skew
                            .saturating_add(arrival.saturating_sub(m.last_arrival).saturating_abs())
                })
            });
        match plausible {
            Some(reported) => {
                self.counters.reports += 1;
                self.report = Some(Report {
                    offset: reported.saturating_sub(rtp),
                    arrival,
                });
                true
            }
            None => {
                self.counters.reports_rejected += 1;
                self.report = None;
                false
            }
        }
    }

    /// Allows forward steps with the next units (the default), or defers them until they are allowed again, at most for
    /// half a minute. A step between two key frames would tear a group of pictures apart, and a recording cannot be cut
    /// there.
    pub fn allow_steps(&mut self, allow: bool) {
        self.may_step = allow;
    }

    /// The time of a unit with RTP time `rtp_ticks` (ticks of the stream's clock, extended to 64 bits) that arrived at
    /// `arrival_90k` by the local wall clock.
    pub fn unit(&mut self, rtp_ticks: i64, arrival_90k: u64) -> MediaTimestamp {
        let rtp = self.to_90k(rtp_ticks);
        let arrival = signed(arrival_90k);
        let by_arrival = arrival.saturating_sub(rtp);

        if self.mapping.is_some_and(|m| m.has_jumped(rtp, arrival)) {
            self.mapping = None;
            self.jumped = true;
            // The report maps other RTP times.
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
                // Later than the last unit; corrections then bring the mapping back gradually.
                self.lower_bound = self.newest;
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
        if mapping.correct(target, passed, self.may_step) {
            self.jumped = true;
        }

        let own = u64::try_from(rtp.saturating_add(mapping.offset)).unwrap_or(0);
        let timestamp_90k = match self.newest {
            Some(newest) if own == newest || self.lower_bound.is_some_and(|bound| own <= bound) => {
                self.counters.clamped += 1;
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
        MediaTimestamp {
            timestamp_90k,
            source,
            discontinuity,
        }
    }

    /// The counters so far.
    pub fn counters(&self) -> ClockCounters {
        self.counters
    }

    fn to_90k(&self, rtp_ticks: i64) -> i64 {
        let scaled = (i128::from(rtp_ticks) * i128::from(TICKS)).div_euclid(i128::from(self.clock_rate_hz));
        // Limited to a quarter of the range, so that sums and differences of two values fit.
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
        // The local clock may have been set back meanwhile; that is not a jump of the camera.
        let elapsed = arrival.saturating_sub(self.last_arrival).max(0);
        media < -MAX_REORDER || media > elapsed.saturating_add(MAX_AHEAD)
    }

    fn arrived(&mut self, rtp: i64, arrival: i64, by_arrival: i64) {
        self.last_rtp = self.last_rtp.max(rtp);
        self.last_arrival = arrival;
        self.window_minimum = self.window_minimum.min(by_arrival);
        // The second condition: the local clock was set back.
        if arrival >= self.window_ends || self.window_ends.saturating_sub(arrival) > WINDOW {
            self.arrival_target = self.window_minimum;
            self.window_minimum = by_arrival;
            self.window_ends = arrival.saturating_add(WINDOW);
        }
    }

    /// Moves the offset towards `target`; true if it stepped.
    fn correct(&mut self, target: i64, passed: i64, may_step: bool) -> bool {
        let difference = target.saturating_sub(self.offset);
        if difference > STEP {
            let due = *self.step_due.get_or_insert(self.last_rtp);
            if !may_step && self.last_rtp.saturating_sub(due) < MAX_STEP_DELAY {
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

/// NTP's 32.32 bits as ticks since 1970. `None` for 0, which means "no clock" (RFC 3550 section 6.4.1). Values with
/// the first bit clear are after 2036 (RFC 4330 section 3).
fn ntp_to_90k(ntp: u64) -> Option<i64> {
    if ntp == 0 {
        return None;
    }
    let era = if ntp >> 63 == 1 { 0 } else { 1_i64 << 32 };
    let seconds = (ntp >> 32) as i64 + era - NTP_TO_UNIX_SECONDS;
    // Rounded, so that the sender's own rounding does not add up.
    let fraction = ((ntp & 0xffff_ffff) * TICKS as u64 + (1 << 31)) >> 32;
    Some(seconds * TICKS + fraction as i64)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
