//! Limits the frame rate, by media time.

use lva_media_types::MediaTime;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Ticks of media time in a second.
const SECOND: u64 = MediaTime::TICKS_PER_SECOND;

/// Tolerance for jitter: a second counts as over this many ticks (20 ms) early.
const JITTER: u64 = 1_800;

/// Most admitted frames that are remembered; faster rates rely on the slots alone.
const MAX_REMEMBERED: u64 = 1_000;

/// A rate in frames a second, as an exact fraction.
///
/// Parses the forms that topologies use: `15`, `15.0`, `0.2`, and `30000/1001`; no exponents.
///
/// ```
/// use lva_framing::FrameRate;
///
/// assert_eq!("0.2".parse::<FrameRate>()?, FrameRate::new(1, 5)?);
/// # Ok::<(), lva_framing::FrameRateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRate {
    frames: NonZeroU32,
    seconds: NonZeroU32,
}

/// Why a frame rate is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameRateError {
    /// The rate is 0, so no frame would pass.
    #[error("a frame rate must be above 0; omit the limit to pass every frame")]
    NotPositive,
    /// The string is not a number.
    #[error("{0:?} is not a frame rate; use a number such as 15 or 0.2, or a fraction such as 30000/1001")]
    NotANumber(String),
    /// More digits than a fraction of two 32-bit numbers holds.
    #[error("the frame rate {0:?} has too many digits; nine are enough")]
    TooLong(String),
}

impl FrameRate {
    /// `frames` in `seconds`.
    ///
    /// # Errors
    ///
    /// One of the two is 0.
    pub fn new(frames: u32, seconds: u32) -> Result<Self, FrameRateError> {
        let divisor = gcd(frames, seconds).max(1);
        match (
            NonZeroU32::new(frames / divisor),
            NonZeroU32::new(seconds / divisor),
        ) {
            (Some(frames), Some(seconds)) => Ok(Self { frames, seconds }),
            _ => Err(FrameRateError::NotPositive),
        }
    }

    /// `frames` in `seconds`, of which neither is 0.
    pub fn of(frames: NonZeroU32, seconds: NonZeroU32) -> Self {
        Self::new(frames.get(), seconds.get()).unwrap_or(Self { frames, seconds })
    }

    /// The rate as a floating-point number, for display.
    pub fn as_f64(self) -> f64 {
        f64::from(self.frames.get()) / f64::from(self.seconds.get())
    }

    /// Time from one frame to the next in ticks of 1/90000 s, rounded down.
    pub fn interval_90k(self) -> u64 {
        SECOND * u64::from(self.seconds.get()) / u64::from(self.frames.get())
    }

    fn per_second_rounded_up(self) -> u64 {
        u64::from(self.frames.get()).div_ceil(u64::from(self.seconds.get()))
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds.get() {
            1 => write!(f, "{}", self.frames),
            seconds => write!(f, "{}/{seconds}", self.frames),
        }
    }
}

impl FromStr for FrameRate {
    type Err = FrameRateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || text.chars().take(64).collect::<String>();
        let not_a_number = || FrameRateError::NotANumber(shown());
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = |part: &str| part.parse::<u32>().map_err(|_| FrameRateError::TooLong(shown()));
        let trimmed = text.trim();
        if let Some((frames, seconds)) = trimmed.split_once('/') {
            if !digits(frames) || !digits(seconds) {
                return Err(not_a_number());
            }
            return Self::new(number(frames)?, number(seconds)?);
        }
        let (whole, fraction) = trimmed.split_once('.').unwrap_or((trimmed, "0"));
        if !digits(whole) || !digits(fraction) {
            return Err(not_a_number());
        }
        let fraction = fraction.trim_end_matches('0');
        let seconds = u32::try_from(fraction.len())
            .ok()
            .and_then(|count| 10_u32.checked_pow(count))
            .ok_or_else(|| FrameRateError::TooLong(shown()))?;
        Self::new(number(&format!("{whole}{fraction}"))?, seconds)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Admits at most a given number of frames a second. It has no clock: it only looks at media time.
///
/// Time is divided into slots of one interval each, starting with the first frame, and the first frame in each slot
/// passes. The rate does not drift: after an hour at 15 of 30 frames a second exactly 54,000 have passed. Slots begin
/// 20 ms (or a quarter of an interval, if that is less) before the frame that is due, so jitter loses no frame.
///
/// **Rule:** among the frames that pass, any run of one more than the rate (rounded up to an integer) takes at least a
/// second of media time, less a tolerance of 20 ms or half an interval, whichever is shorter. No burst follows a stall.
///
/// If time goes back by more than a second, the limit starts over; if by less, no frame passes until the old time is
/// reached.
///
/// ```
/// use lva_framing::{FrameRate, Pacer};
///
/// let mut pacer = Pacer::new(FrameRate::new(2, 1)?);
/// let passed = (0..300).filter(|frame| pacer.admit(frame * 3000)).count(); // 10 s of 30 frames a second
/// assert_eq!(passed, 20);
/// # Ok::<(), lva_framing::FrameRateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pacer {
    rate: FrameRate,
    tolerance: u64,
    lead: u64,
    origin: Option<u64>,
    last_slot: Option<u128>,
    latest: u64,
    passed: VecDeque<u64>,
}

impl Pacer {
    /// A limit without history; the first frame passes.
    pub fn new(rate: FrameRate) -> Self {
        let half_interval = SECOND * u64::from(rate.seconds.get()) / (2 * u64::from(rate.frames.get()));
        Self {
            rate,
            tolerance: half_interval.min(JITTER),
            lead: (half_interval / 2).min(JITTER),
            origin: None,
            last_slot: None,
            latest: 0,
            passed: VecDeque::new(),
        }
    }

    /// The limit.
    pub fn rate(&self) -> FrameRate {
        self.rate
    }

    /// Whether the frame of this time passes. Call it once for every frame, in presentation order.
    pub fn admit(&mut self, timestamp_90k: u64) -> bool {
        if self.origin.is_some() && timestamp_90k.saturating_add(SECOND) < self.latest {
            self.reset();
        }
        let origin = *self.origin.get_or_insert(timestamp_90k);
        self.latest = timestamp_90k;
        let Some(since_origin) = timestamp_90k.checked_sub(origin) else {
            return false;
        };
        let slot = self.slot(since_origin);
        if self.last_slot.is_some_and(|last| slot <= last) || self.would_exceed(timestamp_90k) {
            return false;
        }
        self.last_slot = Some(slot);
        self.remember(timestamp_90k);
        true
    }

    /// No frame before this time passes, unless time goes back; `None` if the next one may pass.
    pub fn not_before_90k(&self) -> Option<u64> {
        let next = self.last_slot?.checked_add(1)?;
        let seconds = u128::from(SECOND) * u128::from(self.rate.seconds.get());
        let begin = next
            .checked_mul(seconds)?
            .div_ceil(u128::from(self.rate.frames.get()));
        let begin = u64::try_from(begin).ok()?.saturating_sub(self.lead);
        self.origin?.checked_add(begin)
    }

    /// Clears the history, as after a discontinuity; the next frame passes.
    pub fn reset(&mut self) {
        self.origin = None;
        self.last_slot = None;
        self.passed.clear();
    }

    /// The slot of a time, computed exactly: rounding errors of the lead cannot add up.
    fn slot(&self, since_origin: u64) -> u128 {
        let led = u128::from(since_origin) + u128::from(self.lead);
        led * u128::from(self.rate.frames.get()) / (u128::from(SECOND) * u128::from(self.rate.seconds.get()))
    }

    fn would_exceed(&self, timestamp_90k: u64) -> bool {
        let limit = self.rate.per_second_rounded_up();
        let Ok(limit) = usize::try_from(limit) else {
            return false;
        };
        if self.passed.len() < limit {
            return false;
        }
        self.passed
            .front()
            .is_some_and(|oldest| timestamp_90k.saturating_sub(*oldest) < SECOND - self.tolerance)
    }

    fn remember(&mut self, timestamp_90k: u64) {
        let limit = self.rate.per_second_rounded_up();
        if limit > MAX_REMEMBERED {
            return;
        }
        self.passed.push_back(timestamp_90k);
        while self.passed.len() as u64 > limit {
            self.passed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(text: &str) -> FrameRate {
        text.parse().unwrap()
    }

    fn count(limit: &str, times: impl Iterator<Item = u64>) -> usize {
        let mut pacer = Pacer::new(rate(limit));
        times.filter(|time| pacer.admit(*time)).count()
    }

    /// Frame times of a camera at `fps` from a moment of 2026, with rounding to ticks.
    fn camera(fps: u64, frames: u64) -> impl Iterator<Item = u64> {
        (0..frames).map(move |frame| 159_000_000_000_000 + frame * SECOND / fps)
    }

    #[test]
    fn counts_are_exact_over_an_hour() {
        const HOUR: u64 = 3600;
        assert_eq!(count("15", camera(30, 30 * HOUR)), 15 * 3600);
        assert_eq!(count("2", camera(30, 30 * HOUR)), 2 * 3600);
        assert_eq!(count("20", camera(30, 30 * HOUR)), 20 * 3600);
        assert_eq!(count("0.2", camera(30, 30 * HOUR)), 720);
        assert_eq!(count("7.5", camera(30, 30 * HOUR)), 27_000);
        assert_eq!(count("7", camera(30, 30 * HOUR)), 7 * 3600);
        assert_eq!(count("30", camera(30, 30 * HOUR)), 30 * 3600);
        assert_eq!(count("60", camera(30, 30 * HOUR)), 30 * 3600);
    }

    #[test]
    fn every_second_frame_of_thirty_passes_at_fifteen() {
        let mut pacer = Pacer::new(rate("15"));
        let passed: Vec<bool> = camera(30, 8).map(|time| pacer.admit(time)).collect();
        assert_eq!(passed, [true, false, true, false, true, false, true, false]);
    }

    #[test]
    fn a_camera_slightly_fast_or_jittering_loses_nothing() {
        let fast = (0..54_000).map(|frame: u64| frame * 2_999);
        assert_eq!(
            count("15", fast),
            26_991,
            "54,000 frames of 2,999 ticks are 1,799.4 s"
        );
        let jittering = (0..54_000).map(|frame: u64| 10_000 + frame * 3_000 + (frame * 7_919) % 901);
        assert_eq!(count("15", jittering.clone()), 27_000);
        assert_eq!(count("30", jittering), 54_000);
    }

    #[test]
    fn no_burst_follows_a_stall() {
        let times =
            camera(30, 30).chain((0..90).map(|frame| 159_000_000_000_000 + 60 * SECOND + frame * 3_000));
        assert_eq!(count("2", times), 2 + 6);
    }

    #[test]
    fn a_jump_back_starts_over_and_a_small_step_back_waits() {
        let mut pacer = Pacer::new(rate("1"));
        assert!(pacer.admit(1_000_000));
        assert!(!pacer.admit(990_000));
        assert!(!pacer.admit(1_050_000));
        assert!(pacer.admit(1_090_000));
        assert!(pacer.admit(5_000), "an hour back is a new time line");
        assert!(!pacer.admit(50_000));
        assert!(pacer.admit(u64::MAX));
        assert!(!pacer.admit(u64::MAX));
    }

    #[test]
    fn rates_parse_in_the_forms_of_topologies() {
        assert_eq!(rate("15.0"), rate("15"));
        assert_eq!(rate(" 0.20 "), FrameRate::new(1, 5).unwrap());
        assert_eq!(rate("30000/1001").to_string(), "30000/1001");
        assert_eq!("0".parse::<FrameRate>(), Err(FrameRateError::NotPositive));
        assert_eq!("0.0".parse::<FrameRate>(), Err(FrameRateError::NotPositive));
        for wrong in ["", "-1", "1e3", "fast", ".5", "5.", "1/", "inf"] {
            assert!(
                matches!(wrong.parse::<FrameRate>(), Err(FrameRateError::NotANumber(_))),
                "{wrong}"
            );
        }
        assert!(matches!(
            "0.12345678901".parse::<FrameRate>(),
            Err(FrameRateError::TooLong(_))
        ));
    }

    proptest! {
        #[test]
        fn never_more_than_asked_over_any_second(
            steps in proptest::collection::vec(0u64..20_000, 1..400),
            frames in 1u32..40, seconds in 1u32..5,
        ) {
            let rate = FrameRate::new(frames, seconds).unwrap();
            let mut pacer = Pacer::new(rate);
            let mut time = 7_000_000;
            let mut passed = Vec::new();
            for step in steps {
                time += step;
                if pacer.admit(time) {
                    passed.push(time);
                }
            }
            let limit = frames.div_ceil(seconds) as usize;
            for run in passed.windows(limit + 1) {
                prop_assert!(run[limit] - run[0] >= SECOND - pacer.tolerance, "{run:?}");
            }
            // And over the whole: one frame a slot, the first of which began a quarter of an interval early.
            let slots = (time - 7_000_000) as f64 * rate.as_f64() / SECOND as f64 + 1.25;
            prop_assert!(passed.len() as f64 <= slots, "{} of {slots}", passed.len());
        }

        #[test]
        fn any_times_at_all_are_taken(times in proptest::collection::vec(any::<u64>(), 0..50), frames in 1u32.., seconds in 1u32..) {
            let mut pacer = Pacer::new(FrameRate::new(frames, seconds).unwrap());
            for time in times {
                pacer.admit(time);
            }
        }
    }
}
