//! The clocks of the streams of one camera, and where a time of one stream lies in another.
//!
//! Each stream has media time of its own: by the camera's sender reports, or by arrival. Where both have believed reports, they
//! are times of the same clock. Otherwise the moments count at which their fastest units arrived, which is right within the
//! difference of their delays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use lva_media_types::MediaTime;
use lva_rtsp::ClockSource;
use parking_lot::Mutex;

/// Streams whose times differ by more at the same moment do not have the same clock, whatever their reports are: more than
/// delays of network and encoder, and less than clocks that were never set alike.
const SAME_CLOCK: i64 = 2 * MediaTime::TICKS_PER_SECOND as i64;

/// How long the fastest unit counts, at least; twice that at most. Delay only ever adds.
const WINDOW: Duration = Duration::from_secs(5);

/// The clock of one stream, as its units show it. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamClock(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The latest picture.
    newest: Option<Moment>,
    source: Option<ClockSource>,
    /// The unit that travelled fastest in this window, and in the one before.
    fastest: [Option<Moment>; 2],
    window_began: Option<Instant>,
}

/// A media time, and when its unit arrived.
#[derive(Debug, Clone, Copy)]
struct Moment {
    time_90k: u64,
    arrival: Instant,
}

/// How times of two streams are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    SameClock,
    Arrival { shift_90k: i64 },
}

impl Moment {
    /// How much further media time is than at another moment that arrived at the same time.
    fn ahead_of(self, other: Self) -> i64 {
        let media = signed(self.time_90k).saturating_sub(signed(other.time_90k));
        let later = signed(MediaTime::ticks_in(
            self.arrival.saturating_duration_since(other.arrival),
        ));
        let earlier = signed(MediaTime::ticks_in(
            other.arrival.saturating_duration_since(self.arrival),
        ));
        media.saturating_sub(later).saturating_add(earlier)
    }
}

impl StreamClock {
    /// A picture of the stream has arrived.
    pub(crate) fn observe(&self, time_90k: u64, arrival: Instant, source: ClockSource) {
        let now = Moment { time_90k, arrival };
        let mut state = self.0.lock();
        // A reordered picture does not turn the clock back.
        if state.newest.is_none_or(|newest| newest.time_90k < time_90k) {
            state.newest = Some(now);
        }
        state.source = Some(source);
        let began = *state.window_began.get_or_insert(arrival);
        if arrival.saturating_duration_since(began) >= WINDOW {
            state.window_began = Some(arrival);
            state.fastest = [None, state.fastest[0]];
        }
        let fastest = state.fastest[0].filter(|fastest| fastest.ahead_of(now) >= 0);
        state.fastest[0] = Some(fastest.unwrap_or(now));
    }

    /// The media time of what arrives now; `None` before the first picture. Not the wall clock: media do not follow at once
    /// when that is set, and a camera may have a better one.
    pub(crate) fn media_now_90k(&self, now: Instant) -> Option<u64> {
        let newest = self.0.lock().newest?;
        let since = MediaTime::ticks_in(now.saturating_duration_since(newest.arrival));
        Some(newest.time_90k.saturating_add(since))
    }

    /// The source of its times, and the fastest of the latest units.
    fn fastest(&self) -> Option<(ClockSource, Moment)> {
        let state = self.0.lock();
        let both = state.fastest.iter().flatten().copied();
        let fastest = both.reduce(|one, other| if one.ahead_of(other) >= 0 { one } else { other });
        state.source.zip(fastest)
    }
}

/// From the times of one stream to those of another one of the same camera.
#[derive(Debug, Clone)]
pub(crate) struct CrossClock {
    from: StreamClock,
    to: StreamClock,
    /// What was logged last: nothing, the same clock, arrival.
    logged: Arc<AtomicU8>,
}

impl CrossClock {
    pub(crate) fn new(from: StreamClock, to: StreamClock) -> Self {
        Self {
            from,
            to,
            logged: Arc::default(),
        }
    }

    /// Where a time of one stream lies in the other.
    pub(crate) fn translate(&self, time_90k: u64) -> u64 {
        let Some(comparison) = self.compare() else {
            return time_90k;
        };
        self.log(comparison);
        match comparison {
            Comparison::SameClock => time_90k,
            Comparison::Arrival { shift_90k } => time_90k.saturating_add_signed(shift_90k),
        }
    }

    /// `None` before both streams have had a picture.
    fn compare(&self) -> Option<Comparison> {
        let (from_source, from) = self.from.fastest()?;
        let (to_source, to) = self.to.fastest()?;
        let shift_90k = to.ahead_of(from);
        let reported = [from_source, to_source]
            .iter()
            .all(|source| *source == ClockSource::SenderReport);
        Some(match reported && shift_90k.abs() <= SAME_CLOCK {
            true => Comparison::SameClock,
            false => Comparison::Arrival { shift_90k },
        })
    }

    fn log(&self, comparison: Comparison) {
        let (number, shift_90k) = match comparison {
            Comparison::SameClock => (1, 0),
            Comparison::Arrival { shift_90k } => (2, shift_90k),
        };
        if self.logged.swap(number, Ordering::Relaxed) == number {
            return;
        }
        let shift_ms = shift_90k / 90;
        match comparison {
            Comparison::SameClock => tracing::info!(
                "the camera's sender reports place events of one stream in the other: as exact as its clock"
            ),
            Comparison::Arrival { .. } => tracing::warn!(
                shift_ms,
                "the streams have no sender reports of one clock, so their arrival places events of one in the other: within \
                 the difference of their delays, usually less than half a second; give the camera an NTP server, or begin \
                 clips earlier with activationSignalOffset"
            ),
        }
    }
}

fn signed(ticks: u64) -> i64 {
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 90_000;

    fn ms(began: Instant, ms: u64) -> Instant {
        began + Duration::from_millis(ms)
    }

    fn pair() -> (StreamClock, StreamClock, CrossClock) {
        let (sub, main) = (StreamClock::default(), StreamClock::default());
        let cross = CrossClock::new(sub.clone(), main.clone());
        (sub, main, cross)
    }

    #[test]
    fn media_time_goes_on_from_the_newest_picture_whatever_the_wall_clock_shows() {
        let clock = StreamClock::default();
        let began = Instant::now();
        let seconds = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(clock.media_now_90k(began), None);
        let received = |time, at| clock.observe(time, at, ClockSource::Arrival);
        received(1000 * SECOND, seconds(0));
        received(1001 * SECOND, seconds(1));
        received(1000 * SECOND + SECOND / 2, seconds(2)); // reordered
        assert_eq!(clock.media_now_90k(seconds(3)), Some(1003 * SECOND));
        received(4600 * SECOND, seconds(4));
        assert_eq!(clock.media_now_90k(seconds(4)), Some(4600 * SECOND));
    }

    #[test]
    fn times_by_reports_of_one_clock_are_taken_as_they_are_however_late_a_stream_is() {
        let (sub, main, cross) = pair();
        let began = Instant::now();
        assert_eq!(cross.translate(7), 7, "neither has had a picture");
        sub.observe(1000 * SECOND, began, ClockSource::SenderReport);
        assert_eq!(cross.translate(7), 7, "one has had none");
        // The main stream comes 1.5 s later.
        main.observe(1000 * SECOND, ms(began, 1500), ClockSource::SenderReport);
        assert_eq!(cross.translate(1001 * SECOND), 1001 * SECOND);
        assert_eq!(cross.compare(), Some(Comparison::SameClock));
    }

    #[test]
    fn times_of_different_clocks_are_placed_by_arrival() {
        let (sub, main, cross) = pair();
        let began = Instant::now();
        // The sub-stream has the camera's clock, an hour late; the main stream, without reports, ours.
        for second in 0..20 {
            let at = ms(began, second * 1000);
            sub.observe((1000 + second) * SECOND, at, ClockSource::SenderReport);
            main.observe((4600 + second) * SECOND, ms(at, 40), ClockSource::Arrival);
        }
        let shift = 3600 * SECOND - 40 * 90;
        assert_eq!(cross.translate(1010 * SECOND), 1010 * SECOND + shift);
        // Reports of both that disagree by more than delays explain count as little.
        main.observe(4620 * SECOND, ms(began, 20_040), ClockSource::SenderReport);
        assert_eq!(cross.translate(1010 * SECOND), 1010 * SECOND + shift);
    }

    #[test]
    fn units_that_the_network_held_back_do_not_count() {
        let (sub, main, cross) = pair();
        let began = Instant::now();
        for unit in 0..100 {
            let at = ms(began, unit * 100);
            sub.observe(1000 * SECOND + unit * 9000, at, ClockSource::Arrival);
            // Nine of ten are late by 300 ms.
            let late = if unit % 10 == 0 { 0 } else { 300 };
            main.observe(1000 * SECOND + unit * 9000, ms(at, late), ClockSource::Arrival);
        }
        assert_eq!(cross.translate(1005 * SECOND), 1005 * SECOND);
    }

    #[test]
    fn a_clock_that_falls_back_is_followed_within_ten_seconds() {
        let (sub, main, cross) = pair();
        let began = Instant::now();
        for second in 0..31 {
            let at = ms(began, second * 1000);
            sub.observe((1000 + second) * SECOND, at, ClockSource::Arrival);
            let behind = if second < 20 { 0 } else { 3 };
            main.observe((1000 + second - behind) * SECOND, at, ClockSource::Arrival);
        }
        assert_eq!(cross.translate(1030 * SECOND), 1027 * SECOND);
    }
}
