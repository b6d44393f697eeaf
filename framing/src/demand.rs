//! Decoding no more than is looked at.
//!
//! The rules alone, without a decoder: units and finished pictures come in by time and kind, and what comes out is
//! whether to decode and whether to deliver.

use crate::pacer::Pacer;
use crate::unit::UnitKind;

/// Key frames may come later than the demand by this share of it: cameras jitter.
const LATE_SHARE: u64 = 100;

/// Most pictures that are remembered before they come out: more than any stream reorders.
const MAX_REMEMBERED: usize = 64;

/// What somebody wants of a stream's pictures.
///
/// A [`Decoder`](crate::Decoder) asks [`wants`](Self::wants) once for each picture, in the order of presentation and as
/// soon as that order is known: before decoding where a picture can be left out, else when it comes out. So a rate is
/// kept by the same frames as if everything were decoded.
pub trait Demand {
    /// Whether the picture of this media time is wanted.
    fn wants(&mut self, timestamp_90k: u64) -> bool;

    /// Time between wanted pictures, in ticks of 1/90000 s, where key frames suffice as long as they come no less often;
    /// `None` where every picture counts.
    ///
    /// Then nothing but key frames is decoded, and `wants` is asked about those alone: the picture of a moment is that of
    /// the next key frame. Their number is the same as with full decoding; where the demand is a multiple of the camera's
    /// key frame interval, they are the same pictures too.
    fn interval_90k(&self) -> Option<u64>;

    /// A picture between key frames was passed over without being asked about.
    fn passed_over(&mut self) {}
}

impl Demand for Pacer {
    fn wants(&mut self, timestamp_90k: u64) -> bool {
        self.admit(timestamp_90k)
    }

    fn interval_90k(&self) -> Option<u64> {
        Some(self.rate().interval_90k())
    }
}

/// What to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Decode it among the others.
    Decode,
    /// Decode it by itself: what is in the decoder comes out before, and it comes out at once.
    DecodeAlone,
    /// Leave it out.
    Skip,
}

/// Key frames by the clock: how far apart they are.
#[derive(Debug, Default)]
struct KeyClock {
    last: Option<u64>,
    intervals: [u64; 2],
}

impl KeyClock {
    fn tick(&mut self, time: u64) {
        if let Some(interval) = self.last.replace(time).and_then(|last| time.checked_sub(last)) {
            self.intervals = [self.intervals[1], interval];
        } else {
            self.intervals = [0; 2];
        }
    }

    /// Whether key frames alone keep up with a demand, as far as the last two intervals tell.
    fn suffices(&self, interval: u64) -> bool {
        let most = interval.saturating_add(interval / LATE_SHARE);
        self.intervals.iter().all(|own| (1..=most).contains(own))
    }
}

/// Which units are decoded, and which pictures delivered.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    keys: KeyClock,
    /// Units between here and the next key frame cannot be decoded: what they refer to was left out.
    keys_only: bool,
    /// Times that nobody was asked about yet, ascending.
    open: Vec<u64>,
    /// Answers to pictures that have not come out.
    answered: Vec<(u64, bool)>,
    latest_answered: Option<u64>,
    /// A picture came out, and pictures are not made of two units each.
    may_skip: bool,
}

impl Schedule {
    /// Judges a unit before it is decoded.
    pub(crate) fn unit(
        &mut self,
        time: u64,
        kind: UnitKind,
        intra: bool,
        demand: &mut dyn Demand,
    ) -> Verdict {
        match kind {
            UnitKind::NoPicture => return Verdict::Decode,
            UnitKind::Key => {
                self.keys.tick(time);
                let suffices = demand
                    .interval_90k()
                    .is_some_and(|interval| self.keys.suffices(interval));
                // Every picture is a key frame, and each of them was to be asked about.
                self.keys_only = suffices && self.may_skip && !intra;
                if self.keys_only || (intra && self.may_skip) {
                    // What came before it comes out before it, too.
                    self.ask_up_to(time.saturating_sub(1), demand);
                    return if demand.wants(time) {
                        self.answer(time, true);
                        if intra {
                            Verdict::Decode
                        } else {
                            Verdict::DecodeAlone
                        }
                    } else {
                        Verdict::Skip
                    };
                }
            }
            UnitKind::Disposable | UnitKind::Needed if self.keys_only => {
                demand.passed_over();
                return Verdict::Skip;
            }
            UnitKind::Disposable | UnitKind::Needed => {}
        }
        if self.open.len() >= MAX_REMEMBERED {
            self.open.remove(0);
        }
        let place = self.open.partition_point(|open| *open <= time);
        self.open.insert(place, time);
        if kind == UnitKind::Disposable
            && self.may_skip
            && self.latest_answered.is_none_or(|latest| latest < time)
        {
            self.ask_up_to(time, demand);
            if self.answered.last() == Some(&(time, false)) {
                self.answered.pop();
                return Verdict::Skip;
            }
        }
        Verdict::Decode
    }

    /// Whether to deliver a picture that came out.
    pub(crate) fn picture(&mut self, time: u64, demand: &mut dyn Demand) -> bool {
        if let Some((_, wanted)) = self
            .answered
            .iter()
            .copied()
            .find(|(answered, _)| *answered == time)
        {
            // Earlier ones that have not come out were damaged, and never will.
            self.answered.retain(|(answered, _)| *answered > time);
            return wanted;
        }
        // Pictures that were to come out before did not: they were damaged, and nobody is asked about them.
        self.open.retain(|open| *open > time);
        self.answered.retain(|(answered, _)| *answered > time);
        self.latest_answered = Some(time);
        demand.wants(time)
    }

    /// Leaves out nothing until told otherwise: as long as pictures have not shown that each is made of one unit.
    pub(crate) fn allow_skipping(&mut self, allowed: bool) {
        self.may_skip = allowed;
    }

    /// The stream begins anew.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            may_skip: self.may_skip,
            ..Self::default()
        };
    }

    /// The decoder was emptied; what is known of key frames stays, and so does the answer to the one that comes next.
    pub(crate) fn emptied(&mut self) {
        self.open.clear();
    }

    fn ask_up_to(&mut self, time: u64, demand: &mut dyn Demand) {
        while let Some(open) = self.open.first().copied().filter(|open| *open <= time) {
            self.open.remove(0);
            let wanted = demand.wants(open);
            self.answer(open, wanted);
        }
    }

    fn answer(&mut self, time: u64, wanted: bool) {
        if self.answered.len() >= MAX_REMEMBERED {
            self.answered.remove(0);
        }
        self.answered.push((time, wanted));
        self.latest_answered = Some(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacer::FrameRate;

    const FRAME: u64 = 3000;

    /// Decode order of groups of a reference and three B-frames, the middle one of which is referred to.
    fn pyramid(groups: u64) -> Vec<(u64, UnitKind)> {
        let mut units = vec![(0, UnitKind::Key)];
        for group in 0..groups {
            let at = |frame: u64| (group * 4 + frame) * FRAME;
            units.extend([
                (at(4), UnitKind::Needed),
                (at(2), UnitKind::Needed),
                (at(1), UnitKind::Disposable),
                (at(3), UnitKind::Disposable),
            ]);
        }
        units
    }

    fn pacer(rate: &str) -> Pacer {
        Pacer::new(rate.parse::<FrameRate>().unwrap())
    }

    /// Runs units through; pictures come out two units late, in order. Returns delivered times and units decoded.
    fn run(units: &[(u64, UnitKind)], rate: &str) -> (Vec<u64>, usize) {
        let (mut schedule, mut pacer) = (Schedule::default(), pacer(rate));
        schedule.allow_skipping(true);
        let (mut inside, mut out, mut decoded) = (Vec::new(), Vec::new(), 0);
        for (time, kind) in units {
            match schedule.unit(*time, *kind, false, &mut pacer) {
                Verdict::Skip => continue,
                Verdict::Decode => {
                    inside.push(*time);
                    inside.sort_unstable();
                    while inside.len() > 2 {
                        let time = inside.remove(0);
                        out.extend(schedule.picture(time, &mut pacer).then_some(time));
                    }
                }
                Verdict::DecodeAlone => {
                    for time in inside.drain(..).chain([*time]) {
                        out.extend(schedule.picture(time, &mut pacer).then_some(time));
                    }
                }
            }
            decoded += 1;
        }
        for time in inside {
            out.extend(schedule.picture(time, &mut pacer).then_some(time));
        }
        (out, decoded)
    }

    fn full(units: &[(u64, UnitKind)], rate: &str) -> Vec<u64> {
        let mut pacer = pacer(rate);
        let mut times: Vec<u64> = units.iter().map(|(time, _)| *time).collect();
        times.sort_unstable();
        times.into_iter().filter(|time| pacer.admit(*time)).collect()
    }

    #[test]
    fn disposable_pictures_that_nobody_wants_are_left_out_and_the_others_are_the_same() {
        let units = pyramid(150);
        for rate in ["1", "2", "7", "10", "15", "29", "30", "60"] {
            let (delivered, decoded) = run(&units, rate);
            assert_eq!(delivered, full(&units, rate), "{rate}");
            match rate {
                "1" | "2" => assert!(decoded <= units.len() * 54 / 100, "{rate}: {decoded}"),
                "30" | "60" => assert_eq!(decoded, units.len()),
                _ => {}
            }
        }
    }

    #[test]
    fn key_frames_suffice_where_they_come_as_often_as_is_asked() {
        let units: Vec<_> = (0..600)
            .map(|frame| {
                (
                    frame * FRAME,
                    if frame % 15 == 0 {
                        UnitKind::Key
                    } else {
                        UnitKind::Needed
                    },
                )
            })
            .collect();
        let (delivered, decoded) = run(&units, "2");
        assert_eq!(
            delivered,
            full(&units, "2"),
            "each half second begins with a key frame"
        );
        assert!(
            decoded <= 30 + 38,
            "two intervals to learn, then key frames: {decoded}"
        );
        let (slower, decoded) = run(&units, "0.3");
        assert_eq!(slower.len(), full(&units, "0.3").len());
        assert!(slower.iter().skip(1).all(|time| time % (15 * FRAME) == 0));
        assert!(
            decoded <= 30 + 6,
            "key frames that nobody wants are not decoded either: {decoded}"
        );
        let (faster, decoded) = run(&units, "3");
        assert_eq!((faster, decoded), (full(&units, "3"), 600));
    }

    #[test]
    fn longer_key_intervals_end_it_at_the_next_key_frame() {
        let key = |frame: u64| {
            frame < 90 && frame.is_multiple_of(15) || frame >= 90 && (frame - 90).is_multiple_of(60)
        };
        let units: Vec<_> = (0..390)
            .map(|frame| {
                (
                    frame * FRAME,
                    if key(frame) {
                        UnitKind::Key
                    } else {
                        UnitKind::Needed
                    },
                )
            })
            .collect();
        let (delivered, _) = run(&units, "2");
        let late = delivered.iter().filter(|time| **time >= 150 * FRAME).count();
        assert_eq!(late, 16, "eight seconds at full decoding again");
        let gap = delivered.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(gap <= 60 * FRAME, "one long interval is lost, no more: {gap}");
    }

    #[test]
    fn a_jump_back_learns_the_interval_anew() {
        let mut keys = KeyClock::default();
        for time in [0, 45_000, 90_000] {
            keys.tick(time);
        }
        assert!(keys.suffices(45_000) && keys.suffices(44_600) && !keys.suffices(40_000));
        keys.tick(10);
        assert!(!keys.suffices(1_000_000));
    }

    #[test]
    fn nothing_is_left_out_before_pictures_have_shown_what_they_are() {
        let mut schedule = Schedule::default();
        let mut pacer = pacer("1");
        for (time, kind) in pyramid(3) {
            assert_eq!(schedule.unit(time, kind, false, &mut pacer), Verdict::Decode);
        }
    }
}
