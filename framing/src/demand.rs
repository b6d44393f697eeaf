//! Which access units to decode when only some pictures are wanted.
//!
//! The rules alone, without a decoder: they take the time and kind of units and of decoded pictures, and return whether
//! to decode and whether to deliver.

use crate::pacer::Pacer;
use crate::unit::UnitKind;

/// Keyframes may come later than the demand by this fraction of it: cameras jitter.
const JITTER_DIVISOR: u64 = 100;

/// Most units that are deferred: ten seconds of most cameras.
const MAX_DEFERRED: usize = 300;

/// Most pictures that are tracked before they come out: the deferred ones, and more than any stream reorders.
const MAX_PENDING: usize = MAX_DEFERRED + 64;

/// Which pictures of a stream are wanted.
///
/// A [`Decoder`](crate::Decoder) asks [`wants`](Self::wants) once for each picture, in the order of presentation and as
/// soon as that order is known: before decoding where a picture can be skipped, else when it comes out. A rate limit
/// therefore selects the same pictures as with full decoding.
pub trait Demand {
    /// Whether the picture of this media time is wanted.
    fn wants(&mut self, timestamp_90k: u64) -> bool;

    /// Time between wanted pictures, in ticks of 1/90000 s, if keyframes suffice as long as they come at least that often;
    /// `None` if every picture counts.
    ///
    /// Then only keyframes are decoded, and `wants` is called for those alone: a moment is represented by the next
    /// keyframe. Their number is the same as with full decoding; if the interval is a multiple of the camera's keyframe
    /// interval, they are the same pictures too.
    fn interval_90k(&self) -> Option<u64>;

    /// No picture before this time is wanted so far; `None` if the next one may be. Units may be deferred until then,
    /// and are never decoded if a keyframe comes first.
    fn not_before_90k(&self) -> Option<u64> {
        None
    }

    /// A picture between keyframes was skipped without a call of [`wants`](Self::wants).
    fn on_skipped(&mut self) {}
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
pub(crate) enum Decision {
    /// Decode it among the others.
    Decode,
    /// Drain the decoder first, then decode it and take its picture at once.
    DecodeAlone,
    /// Do not decode it.
    Skip,
    /// Keep it: later units decide whether it is decoded.
    Defer,
}

/// What to do with the units that were deferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deferred {
    /// Keep them.
    Wait,
    /// Decode them now, in their order.
    Decode,
    /// Do not decode them.
    Skip,
}

/// A unit before it is decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrivingUnit {
    pub(crate) time: u64,
    pub(crate) kind: UnitKind,
    /// Every unit of the stream is a keyframe.
    pub(crate) intra: bool,
    /// Pictures that are shown before this keyframe may follow it, and refer to what was before it.
    pub(crate) open_group: bool,
    /// There is memory to defer it.
    pub(crate) has_memory: bool,
}

/// How far apart keyframes are.
#[derive(Debug, Default)]
struct KeyframeClock {
    last: Option<u64>,
    intervals: [u64; 2],
}

impl KeyframeClock {
    fn tick(&mut self, time: u64) {
        if let Some(interval) = self.last.replace(time).and_then(|last| time.checked_sub(last)) {
            self.intervals = [self.intervals[1], interval];
        } else {
            self.intervals = [0; 2];
        }
    }

    /// Whether keyframes alone satisfy a demand, judged by the last two intervals.
    fn suffices(&self, interval: u64) -> bool {
        self.intervals
            .iter()
            .all(|own| (1..=with_jitter(interval)).contains(own))
    }

    /// Whether they may still turn out to, as of a time after the last one.
    fn may_suffice(&self, time: u64, interval: u64) -> bool {
        let most = with_jitter(interval);
        let since = self.last.and_then(|last| time.checked_sub(last));
        since.is_some_and(|since| since <= most) && self.intervals.iter().all(|own| *own <= most)
    }

    /// When the next one is due, if the last two intervals were regular.
    fn next(&self) -> Option<u64> {
        let [before, latest] = self.intervals;
        let regular = before > 0 && before.abs_diff(latest) <= before / JITTER_DIVISOR;
        self.last?.checked_add(latest).filter(|_| regular)
    }
}

fn with_jitter(interval: u64) -> u64 {
    interval.saturating_add(interval / JITTER_DIVISOR)
}

/// Which units are decoded, and which pictures delivered.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    keys: KeyframeClock,
    /// Units up to the next keyframe cannot be decoded: their references were skipped.
    keyframes_only: bool,
    /// Times of pictures that the demand was not asked about yet, ascending.
    open: Vec<u64>,
    /// Answers for pictures that have not come out yet.
    answered: Vec<(u64, bool)>,
    latest_answered: Option<u64>,
    /// Times of deferred units, ascending. The demand was asked about all but the last, which may be shown after the
    /// next one.
    deferred: Vec<u64>,
    /// A picture came out, and each picture is one unit (not interlaced).
    may_skip: bool,
}

impl Schedule {
    /// Decides about a unit before it is decoded, and first about the units deferred before it.
    pub(crate) fn unit(&mut self, unit: ArrivingUnit, demand: &mut dyn Demand) -> (Deferred, Decision) {
        let deferred = self.decide_deferred(unit, demand);
        if deferred != Deferred::Wait {
            self.deferred.clear();
        }
        if self.should_defer(unit, demand) {
            self.deferred.push(unit.time);
            return (deferred, Decision::Defer);
        }
        let waited = !std::mem::take(&mut self.deferred).is_empty();
        let deferred = if waited { Deferred::Decode } else { deferred };
        (deferred, self.decide(unit, demand))
    }

    /// Asks about the last deferred unit, now that no later unit can be shown before it.
    fn decide_deferred(&mut self, next: ArrivingUnit, demand: &mut dyn Demand) -> Deferred {
        let Some(last) = self.deferred.last().copied() else {
            return Deferred::Wait;
        };
        if next.kind == UnitKind::NoPicture || next.time <= last {
            self.open.push(last);
            return Deferred::Decode;
        }
        let wanted = demand.wants(last);
        self.answer(last, wanted);
        match next.kind {
            _ if wanted => Deferred::Decode,
            UnitKind::Keyframe if next.open_group => Deferred::Decode,
            UnitKind::Keyframe => {
                self.answered.clear();
                Deferred::Skip
            }
            UnitKind::Disposable | UnitKind::Reference | UnitKind::NoPicture => Deferred::Wait,
        }
    }

    /// Whether a unit waits until the next keyframe, or until a picture before it is wanted: as long as keyframes may
    /// turn out to suffice, or no picture is due yet. Never where pictures are reordered.
    fn should_defer(&self, unit: ArrivingUnit, demand: &dyn Demand) -> bool {
        let may_suffice = demand
            .interval_90k()
            .is_some_and(|interval| self.keys.may_suffice(unit.time, interval));
        let in_order = self.open.is_empty() && self.latest_answered.is_some_and(|latest| latest < unit.time);
        matches!(unit.kind, UnitKind::Disposable | UnitKind::Reference)
            && (may_suffice || self.nothing_due(unit.time, demand))
            && in_order
            && self.may_skip
            && !self.keyframes_only
            && unit.has_memory
            && self.deferred.len() < MAX_DEFERRED
    }

    /// Whether a unit and the deferred ones can still be decoded in time for the next wanted picture, or a keyframe is
    /// due before that and makes them unnecessary. Assumes that decoding is four times as fast as the camera; a slower
    /// decoder delivers that picture late.
    fn nothing_due(&self, time: u64, demand: &dyn Demand) -> bool {
        let Some(due) = demand.not_before_90k().filter(|due| time < *due) else {
            return false;
        };
        let before = self.deferred.last().copied().or(self.latest_answered);
        let step = before.and_then(|before| time.checked_sub(before)).unwrap_or(0);
        let waiting = self
            .deferred
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

    /// The stream ended: deferred units are decoded if the last picture is wanted.
    pub(crate) fn end(&mut self, demand: &mut dyn Demand) -> Deferred {
        let Some(last) = std::mem::take(&mut self.deferred).last().copied() else {
            return Deferred::Wait;
        };
        let wanted = demand.wants(last);
        self.answer(last, wanted);
        if wanted { Deferred::Decode } else { Deferred::Skip }
    }

    fn decide(&mut self, unit: ArrivingUnit, demand: &mut dyn Demand) -> Decision {
        let ArrivingUnit {
            time, kind, intra, ..
        } = unit;
        match kind {
            UnitKind::NoPicture => return Decision::Decode,
            UnitKind::Keyframe => {
                self.keys.tick(time);
                let suffices = demand
                    .interval_90k()
                    .is_some_and(|interval| self.keys.suffices(interval));
                // In an intra-only stream the demand is asked about every picture.
                self.keyframes_only = suffices && self.may_skip && !intra;
                if self.keyframes_only || (intra && self.may_skip) {
                    // Earlier pictures come out before it.
                    self.decide_up_to(time.saturating_sub(1), demand);
                    return if demand.wants(time) {
                        self.answer(time, true);
                        if intra {
                            Decision::Decode
                        } else {
                            Decision::DecodeAlone
                        }
                    } else {
                        Decision::Skip
                    };
                }
            }
            UnitKind::Disposable | UnitKind::Reference if self.keyframes_only => {
                demand.on_skipped();
                return Decision::Skip;
            }
            UnitKind::Disposable | UnitKind::Reference => {}
        }
        if self.open.len() >= MAX_PENDING {
            self.open.remove(0);
        }
        let place = self.open.partition_point(|open| *open <= time);
        self.open.insert(place, time);
        if kind == UnitKind::Disposable
            && self.may_skip
            && self.latest_answered.is_none_or(|latest| latest < time)
        {
            self.decide_up_to(time, demand);
            if self.answered.last() == Some(&(time, false)) {
                self.answered.pop();
                return Decision::Skip;
            }
        }
        Decision::Decode
    }

    /// Whether to deliver a picture that came out.
    pub(crate) fn picture(&mut self, time: u64, demand: &mut dyn Demand) -> bool {
        if let Some((_, wanted)) = self
            .answered
            .iter()
            .copied()
            .find(|(answered, _)| *answered == time)
        {
            // Earlier pictures that have not come out are lost to damage.
            self.answered.retain(|(answered, _)| *answered > time);
            return wanted;
        }
        // Earlier pictures that have not come out are lost to damage; the demand is not asked about them.
        self.open.retain(|open| *open > time);
        self.answered.retain(|(answered, _)| *answered > time);
        self.latest_answered = Some(time);
        demand.wants(time)
    }

    /// Whether units may be skipped. Not before a picture has shown that each is made of one unit.
    pub(crate) fn allow_skipping(&mut self, allowed: bool) {
        self.may_skip = allowed;
    }

    /// The stream restarts.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            may_skip: self.may_skip,
            ..Self::default()
        };
    }

    /// The decoder was drained; keyframe intervals and the answer for the next picture stay.
    pub(crate) fn emptied(&mut self) {
        self.open.clear();
    }

    fn decide_up_to(&mut self, time: u64, demand: &mut dyn Demand) {
        while let Some(open) = self.open.first().copied().filter(|open| *open <= time) {
            self.open.remove(0);
            let wanted = demand.wants(open);
            self.answer(open, wanted);
        }
    }

    fn answer(&mut self, time: u64, wanted: bool) {
        if self.answered.len() >= MAX_PENDING {
            self.answered.remove(0);
        }
        self.answered.push((time, wanted));
        self.latest_answered = Some(time);
    }
}

#[cfg(test)]
mod tests;
