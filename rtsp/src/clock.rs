//! From RTP timestamps to time since 1970. Sans-I/O: arrival times are parameters. See [`MediaClock`] for the rules.

mod mapping;
mod pace;

use std::time::Duration;

use lva_media_types::MediaTime;

use self::mapping::{MAX_LEAD, MAX_REORDER, Mapping};
use self::pace::Pace;

/// Ticks of media time in a second.
const TICKS: i64 = MediaTime::TICKS_PER_SECOND as i64;
/// Seconds from 1900, the NTP epoch, to 1970.
const NTP_TO_UNIX_SECONDS: i64 = 2_208_988_800;
/// So many units in a row without a usable RTP time, and arrival alone counts; and so many good ones to end that.
const UNUSABLE_UNITS: u32 = 4;
/// More units in a row that are each earlier than the one before are not reordered: B-frames on five levels go back four times.
pub(crate) const MAX_DESCENTS: u32 = 5;
const USABLE_UNITS: u32 = 8;
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
    /// Units whose RTP time was far from that of the units around them.
    pub outliers: u64,
    /// How often RTP time was found to run at another rate than the described one, or not to run at all. Media time then
    /// follows arrival.
    pub off_rate: u64,
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
/// * A jump that only one unit makes is not believed: the unit gets a time between its neighbours.
/// * RTP time that runs at another rate than the described one by more than 3 % is scaled to the pace of arrival. Where it
///   does not run at all, runs backwards, or jumps at every unit, arrival alone gives the time. Media time is never more than 1.5 s ahead of it.
/// * A unit that goes back by less is a reordered picture (a B-frame) and keeps its own time of presentation. Audio is never
///   reordered ([`without_reordering`](Self::without_reordering)). A repeated time becomes one between the latest one and
///   the next; one from before the last jump or session becomes one tick more than the latest one.
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
    reordering: bool,
    pace: Pace,
    /// RTP time of the last unit, and how often it was repeated.
    last_rtp: Option<i64>,
    repeated: u32,
    /// Units in a row that are each earlier than the one before, and that each jumped.
    descents: u32,
    jumps_in_row: u32,
    /// The last distance between two units.
    step: i64,
    suspect: Option<Suspect>,
    /// The mapping before a jump that no second unit has confirmed.
    replaced: Option<Mapping>,
    free_run: Option<FreeRun>,
    /// How far the camera's reported clock was ahead of ours at the last unit.
    skew: i64,
    counters: ClockCounters,
}

/// A unit whose RTP time jumped, until the next one confirms it.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    rtp: i64,
    arrival: i64,
    /// In a row.
    count: u32,
}

/// Time by arrival alone, smoothed.
#[derive(Debug, Clone, Copy)]
struct FreeRun {
    period: i64,
    last_arrival: i64,
    /// Units in a row whose RTP time was usable.
    usable: u32,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    /// The camera's wall clock in ticks since 1970, at this RTP time.
    reported: i64,
    rtp: i64,
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
            reordering: true,
            pace: Pace::default(),
            last_rtp: None,
            repeated: 0,
            descents: 0,
            jumps_in_row: 0,
            step: 0,
            suspect: None,
            replaced: None,
            free_run: None,
            skew: 0,
            counters: ClockCounters::default(),
        }
    }

    /// The same for a stream whose units come in the order of their times: audio.
    pub fn without_reordering(mut self) -> Self {
        self.reordering = false;
        self
    }

    /// Begins a new session: RTP times restart, media time continues.
    pub fn begin_session(&mut self, clock_rate_hz: u32) {
        if clock_rate_hz != 0 {
            self.clock_rate_hz = clock_rate_hz;
        }
        self.mapping = None;
        self.report = None;
        self.pace.restart();
        (self.last_rtp, self.repeated, self.descents, self.jumps_in_row) = (None, 0, 0, 0);
        (self.suspect, self.replaced, self.free_run) = (None, None, None);
        self.jumped = self.newest.is_some();
    }

    /// Takes a sender report: NTP time (32.32 bits since 1900) and RTP time in ticks of the stream's clock, extended to 64
    /// bits as for [`unit`](Self::unit). True if it is accepted.
    pub fn sender_report(&mut self, ntp: u64, rtp_ticks: i64, arrival_90k: u64) -> bool {
        let raw = self.to_90k(rtp_ticks);
        let rtp = self.pace.paced(raw);
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
                    reported,
                    rtp: raw,
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
        let raw = self.to_90k(rtp_ticks);
        let arrival = signed(arrival_90k);
        self.compare_with_last(raw);
        if let Some(time) = self.by_arrival_alone(raw, arrival) {
            return self.stamp(time, ClockSource::Arrival);
        }
        let rtp = self.pace.paced(raw);
        if self.mapping.is_some_and(|m| m.has_jumped(rtp, arrival)) {
            if let Some(replaced) = self.replaced.take().filter(|m| !m.has_jumped(rtp, arrival)) {
                // Only the unit before was elsewhere.
                self.counters.outliers += 1;
                self.mapping = Some(replaced);
            } else if self.may_step || self.suspect.is_some_and(|s| s.is_continued_by(rtp, arrival)) {
                self.replaced = if self.suspect.is_none() {
                    self.mapping
                } else {
                    None
                };
                self.mapping = None;
                self.jumped = true;
                self.jumps_in_row += 1;
                // The report maps other RTP times.
                self.report = None;
                self.pace.restart();
            } else {
                return self.outlier(rtp, arrival);
            }
        } else if self.suspect.is_none() {
            self.replaced = None;
            self.jumps_in_row = 0;
        }
        self.suspect = None;
        if self.pace.observe(raw, arrival) {
            self.counters.off_rate += 1;
            let rtp = self.pace.paced(raw);
            if let Some(mapping) = &mut self.mapping {
                // The last distance was at the old pace.
                self.step = arrival.saturating_sub(mapping.last_arrival).clamp(1, TICKS);
                mapping.change_pace(rtp, arrival);
            }
        }
        let rtp = self.pace.paced(raw);
        let by_arrival = arrival.saturating_sub(rtp);
        if self
            .report
            .is_some_and(|r| arrival.saturating_sub(r.arrival) > REPORT_LIFETIME)
        {
            self.report = None;
        }
        self.check_first_report(raw, arrival);
        let reported = self
            .report
            .map(|r| r.reported.saturating_sub(self.pace.paced(r.rtp)));
        let skew = self
            .report
            .map_or(0, |r| r.reported.saturating_sub(r.arrival).max(0));
        let set_back = self.skew.saturating_sub(skew).max(0);
        self.skew = skew;

        let (mapping, passed) = match &mut self.mapping {
            Some(mapping) => {
                let passed = rtp.saturating_sub(mapping.last_rtp).max(0);
                mapping.arrived(rtp, arrival, by_arrival);
                mapping.lead_allowed = mapping.lead_allowed.saturating_add(set_back);
                (mapping, passed)
            }
            none => {
                let mapping = none.insert(Mapping::begin(rtp, arrival, by_arrival));
                if let Some(reported) = reported {
                    mapping.offset = reported;
                }
                // Later than the last unit; corrections then bring the mapping back gradually.
                self.lower_bound = self.newest;
                if let Some(last) = self.newest {
                    mapping.offset = mapping
                        .offset
                        .max(signed(last).saturating_add(1).saturating_sub(rtp));
                }
                mapping.lead_allowed =
                    MAX_LEAD.max(mapping.offset.saturating_sub(by_arrival).saturating_sub(skew));
                (mapping, 0)
            }
        };
        if passed > 0 {
            self.step = passed;
        }
        let (target, source) = match reported {
            Some(reported) => (reported, ClockSource::SenderReport),
            None => (mapping.arrival_target, ClockSource::Arrival),
        };
        if mapping.correct(target, passed, self.may_step) {
            self.jumped = true;
        }
        mapping.limit_lead(rtp, arrival.saturating_add(skew), self.newest.map(signed), passed);

        let own = u64::try_from(rtp.saturating_add(mapping.offset)).unwrap_or(0);
        self.stamp(own, source)
    }

    /// A report that came before the first unit may be about other RTP times.
    fn check_first_report(&mut self, raw: i64, arrival: i64) {
        let Some(report) = self.report.filter(|_| self.mapping.is_none()) else {
            return;
        };
        let apart = self.pace.paced(raw).saturating_sub(self.pace.paced(report.rtp));
        let elapsed = arrival.saturating_sub(report.arrival).saturating_abs();
        if apart.saturating_abs() > self.max_skew.saturating_add(elapsed) {
            self.counters.reports_rejected += 1;
            self.report = None;
        }
    }

    /// The time of a unit whose RTP time is of no use: between the latest one and the next.
    fn outlier(&mut self, rtp: i64, arrival: i64) -> MediaTimestamp {
        let count = self.suspect.map_or(1, |suspect| suspect.count + 1);
        self.suspect = Some(Suspect { rtp, arrival, count });
        self.counters.outliers += 1;
        let source = if self.report.is_some() {
            ClockSource::SenderReport
        } else {
            ClockSource::Arrival
        };
        let between = self.newest.unwrap_or_default().saturating_add(self.half_step());
        self.stamp(between, source)
    }

    fn half_step(&self) -> u64 {
        u64::try_from(self.step / 2).unwrap_or(0).max(1)
    }

    fn compare_with_last(&mut self, raw: i64) {
        let last = self.last_rtp.replace(raw);
        let more = |count: u32, is_more| if is_more { count.saturating_add(1) } else { 0 };
        self.repeated = more(self.repeated, last == Some(raw));
        self.descents = more(self.descents, last.is_some_and(|last| raw < last));
    }

    /// The time of a unit while RTP time is not usable.
    fn by_arrival_alone(&mut self, raw: i64, arrival: i64) -> Option<u64> {
        let unusable = self.repeated >= UNUSABLE_UNITS
            || self.descents > if self.reordering { MAX_DESCENTS } else { 1 }
            || self.jumps_in_row >= UNUSABLE_UNITS
            || self
                .suspect
                .is_some_and(|suspect| suspect.count >= UNUSABLE_UNITS);
        let newest = signed(self.newest?);
        let free_run = match &mut self.free_run {
            Some(free_run) => free_run,
            none if unusable => {
                self.counters.off_rate += 1;
                let last_arrival = self.mapping.map_or(arrival, |mapping| mapping.last_arrival);
                none.insert(FreeRun {
                    period: arrival.saturating_sub(last_arrival).clamp(1, TICKS),
                    last_arrival,
                    usable: 0,
                })
            }
            _ => return None,
        };
        let elapsed = arrival.saturating_sub(free_run.last_arrival);
        free_run.last_arrival = arrival;
        free_run.period += (elapsed.clamp(1, 10 * TICKS) - free_run.period) / 16;
        let error = arrival.saturating_sub(newest.saturating_add(free_run.period));
        let time = newest.saturating_add((free_run.period + error / 8).max(1));
        let rtp = self.pace.paced(raw);
        let moved = self.mapping.is_some_and(|mapping| {
            rtp > mapping.last_rtp
                && rtp - mapping.last_rtp < elapsed.saturating_mul(3).saturating_add(TICKS / 10)
        });
        free_run.usable = if moved && self.repeated == 0 {
            free_run.usable + 1
        } else {
            0
        };
        let ends = free_run.usable >= USABLE_UNITS;
        if let Some(mapping) = &mut self.mapping {
            (mapping.last_rtp, mapping.last_arrival) = (rtp, arrival);
        }
        if ends {
            (self.free_run, self.mapping, self.suspect) = (None, None, None);
            self.jumps_in_row = 0;
            self.pace.restart();
        }
        u64::try_from(time).ok()
    }

    /// A unit's final time: later than all before, unless its picture is reordered.
    fn stamp(&mut self, own: u64, source: ClockSource) -> MediaTimestamp {
        let timestamp_90k = match self.newest {
            Some(newest) if self.lower_bound.is_some_and(|bound| own <= bound) => {
                self.counters.clamped += 1;
                newest.saturating_add(1)
            }
            Some(newest)
                if own == newest
                    || own < newest && self.repeated > 0
                    || own < newest && (!self.reordering || newest - own > MAX_REORDER.unsigned_abs()) =>
            {
                self.counters.clamped += 1;
                newest.saturating_add(self.half_step())
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

impl Suspect {
    /// Whether the next unit is where this one was.
    fn is_continued_by(&self, rtp: i64, arrival: i64) -> bool {
        let media = rtp.saturating_sub(self.rtp);
        let elapsed = arrival.saturating_sub(self.arrival).max(0);
        media >= -MAX_REORDER && media <= elapsed.saturating_add(TICKS)
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
