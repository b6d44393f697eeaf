//! Decoding no more than is looked at.
//!
//! The rules alone, without a decoder: units and finished pictures come in by time and kind, and what comes out is
//! whether to decode and whether to deliver.

use crate::pacer::Pacer;
use crate::unit::UnitKind;

/// Key frames may come later than the demand by this share of it: cameras jitter.
const LATE_SHARE: u64 = 100;

/// Most units that are held back: ten seconds of most cameras.
const MAX_HELD: usize = 300;

/// Most pictures that are remembered before they come out: those that were held back, and more than any stream reorders.
const MAX_REMEMBERED: usize = MAX_HELD + 64;

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

    /// No picture before this time is wanted, as things stand; `None` where the next one may be. Units may wait until then, and
    /// are never decoded if a key frame comes first.
    fn not_before_90k(&self) -> Option<u64> {
        None
    }

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

    fn not_before_90k(&self) -> Option<u64> {
        self.not_before_90k()
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
    /// Keep it: later units tell whether it is to be decoded.
    Hold,
}

/// What becomes of the units that were held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// They wait on.
    Wait,
    /// Decode them now, in their order.
    Decode,
    /// Leave them out.
    Skip,
}

/// A unit as it comes, before it is decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) time: u64,
    pub(crate) kind: UnitKind,
    /// Every unit of the stream is a key frame.
    pub(crate) intra: bool,
    /// Pictures that are shown before this key frame may follow it, and refer to what was before it.
    pub(crate) open_group: bool,
    /// There is memory to hold it back.
    pub(crate) room: bool,
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
        self.intervals
            .iter()
            .all(|own| (1..=with_jitter(interval)).contains(own))
    }

    /// Whether they may yet turn out to, by what is known at a time after the last one.
    fn may_suffice(&self, time: u64, interval: u64) -> bool {
        let most = with_jitter(interval);
        let since = self.last.and_then(|last| time.checked_sub(last));
        since.is_some_and(|since| since <= most) && self.intervals.iter().all(|own| *own <= most)
    }

    /// When the next one comes if it comes as the last two did.
    fn next(&self) -> Option<u64> {
        let [before, latest] = self.intervals;
        let regular = before > 0 && before.abs_diff(latest) <= before / LATE_SHARE;
        self.last?.checked_add(latest).filter(|_| regular)
    }
}

fn with_jitter(interval: u64) -> u64 {
    interval.saturating_add(interval / LATE_SHARE)
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
    /// Times of units that are held back, ascending. All but the last were asked about: that one may be shown after the
    /// next.
    held: Vec<u64>,
    /// A picture came out, and pictures are not made of two units each.
    may_skip: bool,
}

impl Schedule {
    /// Judges a unit before it is decoded, and first what was held back before it.
    pub(crate) fn unit(&mut self, unit: Arrival, demand: &mut dyn Demand) -> (Held, Verdict) {
        let held = self.ask_for_held(unit, demand);
        if held != Held::Wait {
            self.held.clear();
        }
        if self.holds(unit, demand) {
            self.held.push(unit.time);
            return (held, Verdict::Hold);
        }
        let waited = !std::mem::take(&mut self.held).is_empty();
        let held = if waited { Held::Decode } else { held };
        (held, self.judge(unit, demand))
    }

    /// Asks about the last unit that is held back, now that nothing can be shown before it any more.
    fn ask_for_held(&mut self, next: Arrival, demand: &mut dyn Demand) -> Held {
        let Some(last) = self.held.last().copied() else {
            return Held::Wait;
        };
        if next.kind == UnitKind::NoPicture || next.time <= last {
            self.open.push(last);
            return Held::Decode;
        }
        let wanted = demand.wants(last);
        self.answer(last, wanted);
        match next.kind {
            _ if wanted => Held::Decode,
            UnitKind::Key if next.open_group => Held::Decode,
            UnitKind::Key => {
                self.answered.clear();
                Held::Skip
            }
            UnitKind::Disposable | UnitKind::Needed | UnitKind::NoPicture => Held::Wait,
        }
    }

    /// Whether a unit waits for the next key frame, or for a picture that is wanted before it: as long as key frames may
    /// turn out to suffice, or nothing is wanted yet. Not where pictures come out in another order than units go in.
    fn holds(&self, unit: Arrival, demand: &dyn Demand) -> bool {
        let may_suffice = demand
            .interval_90k()
            .is_some_and(|interval| self.keys.may_suffice(unit.time, interval));
        let in_order = self.open.is_empty() && self.latest_answered.is_some_and(|latest| latest < unit.time);
        matches!(unit.kind, UnitKind::Disposable | UnitKind::Needed)
            && (may_suffice || self.nothing_due(unit.time, demand))
            && in_order
            && self.may_skip
            && !self.keys_only
            && unit.room
            && self.held.len() < MAX_HELD
    }

    /// Whether there is time to decode a unit, and those that wait already, later, before the next picture is wanted; or a key
    /// frame should come before that and spare it all. Decoders are taken to be four times as fast as cameras; one
    /// that is slower is late with that picture by what it lacks.
    fn nothing_due(&self, time: u64, demand: &dyn Demand) -> bool {
        let Some(due) = demand.not_before_90k().filter(|due| time < *due) else {
            return false;
        };
        let before = self.held.last().copied().or(self.latest_answered);
        let step = before.and_then(|before| time.checked_sub(before)).unwrap_or(0);
        let waiting = self
            .held
            .first()
            .and_then(|first| time.checked_sub(*first))
            .unwrap_or(0);
        let decoding = waiting / 4 + 2 * step;
        let key_first = self
            .keys
            .next()
            .is_some_and(|key| key <= due.saturating_add(step));
        key_first || time.saturating_add(decoding) < due
    }

    /// No more units come: what is held back is decoded if its last picture is wanted.
    pub(crate) fn end(&mut self, demand: &mut dyn Demand) -> Held {
        let Some(last) = std::mem::take(&mut self.held).last().copied() else {
            return Held::Wait;
        };
        let wanted = demand.wants(last);
        self.answer(last, wanted);
        if wanted { Held::Decode } else { Held::Skip }
    }

    fn judge(&mut self, unit: Arrival, demand: &mut dyn Demand) -> Verdict {
        let Arrival {
            time, kind, intra, ..
        } = unit;
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
mod tests;
