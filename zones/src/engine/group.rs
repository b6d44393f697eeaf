//! Everybody in a zone: how many, and how far from each other.

use crate::event::{DistanceReport, DistanceState, EventKind, Reason, Why};
use crate::ground::GroundPoint;
use crate::observation::TrackId;
use crate::scene::{Aggregation, CountWatch, DistanceWatch, Trigger};

/// An interval where the contract names none, in milliseconds.
const DEFAULT_INTERVAL_MS: u64 = 1000;
/// The longest: a day.
const LONGEST_INTERVAL_MS: u64 = 86_400_000;

/// Number and violations of a frame, as far as intervals sum them up.
#[derive(Debug, Clone, Copy, Default)]
struct FrameSum {
    number: u32,
    average: f64,
}

/// What an interval has shown so far.
#[derive(Debug, Clone, Default)]
struct Interval {
    number: Option<u64>,
    /// How often each number was seen.
    seen: Vec<(u32, u32)>,
    frames: u32,
    sum: f64,
    averages: f64,
}

impl Interval {
    fn ticks(trigger: Trigger) -> Option<u64> {
        match trigger {
            Trigger::Event => None,
            Trigger::Interval { milliseconds: 0 } => Some(DEFAULT_INTERVAL_MS * 90),
            Trigger::Interval { milliseconds } => Some(milliseconds.min(LONGEST_INTERVAL_MS) * 90),
        }
    }

    /// Time passes; the end of the interval that is over, its sum and its frames.
    fn pass(&mut self, now: u64, ticks: u64, aggregation: Aggregation) -> Option<(u64, FrameSum, u32)> {
        let number = now / ticks;
        let before = self.number.replace(number)?;
        if before == number || self.frames == 0 {
            return None;
        }
        let frames = self.frames;
        let number = match aggregation {
            Aggregation::Mode => {
                let most = self.seen.iter().max_by_key(|(number, times)| (*times, *number));
                most.map_or(0, |(number, _)| *number)
            }
            Aggregation::Average => (self.sum / f64::from(frames)).round() as u32,
        };
        let average = self.averages / f64::from(frames);
        self.seen.clear();
        self.frames = 0;
        self.sum = 0.0;
        self.averages = 0.0;
        Some((
            (before + 1).saturating_mul(ticks),
            FrameSum { number, average },
            frames,
        ))
    }

    fn add(&mut self, frame: FrameSum) {
        self.frames = self.frames.saturating_add(1);
        self.sum += f64::from(frame.number);
        self.averages += frame.average;
        match self.seen.iter_mut().find(|(number, _)| *number == frame.number) {
            Some((_, times)) => *times = times.saturating_add(1),
            // Numbers are those of people in a frame, and there is a limit to them.
            None => self.seen.push((frame.number, 1)),
        }
    }
}

/// Lets every so many-th through, beginning with the first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EveryNth(u32);

impl EveryNth {
    pub(super) fn passes(&mut self, nth: u32) -> bool {
        let passes = self.0 == 0;
        self.0 = if self.0 + 1 >= nth.max(1) { 0 } else { self.0 + 1 };
        passes
    }
}

/// Something to be told of a zone as a whole.
pub(super) struct GroupEvent {
    pub(super) time: u64,
    pub(super) kind: EventKind,
    pub(super) why: Why,
}

fn why(reason: Reason, held_90k: u64, samples: u32) -> Why {
    Why {
        reason,
        distance: 0.0,
        held_90k,
        samples,
    }
}

/// The count of a zone.
#[derive(Debug, Clone, Default)]
pub(super) struct CountState {
    told: Option<u32>,
    interval: Interval,
    nth: EveryNth,
}

impl CountState {
    pub(super) fn frame(&mut self, watch: &CountWatch, now: u64, people: u32) -> Option<GroupEvent> {
        let event = match Interval::ticks(watch.trigger) {
            None => (self.told != Some(people)).then(|| {
                self.told = Some(people);
                (now, people, why(Reason::Changed, 0, 1))
            }),
            Some(ticks) => {
                let over = self.interval.pass(now, ticks, watch.aggregation);
                self.interval.add(FrameSum {
                    number: people,
                    average: 0.0,
                });
                over.map(|(end, sum, frames)| (end, sum.number, why(Reason::Interval, ticks, frames)))
            }
        };
        let (time, people, why) = event.filter(|_| self.nth.passes(watch.every_nth))?;
        let kind = EventKind::Count {
            people,
            trigger: watch.trigger,
        };
        Some(GroupEvent { time, kind, why })
    }
}

/// The distances of a zone.
#[derive(Debug, Clone, Default)]
pub(super) struct DistanceStates {
    told: Option<(DistanceState, u32)>,
    told_violators: Vec<TrackId>,
    interval: Interval,
    /// The last frame of the interval with a violation, or without ground.
    last_state: Option<DistanceState>,
    last_people: u32,
    /// Who breaks the rule, of the frame or of the last such frame of the interval.
    violators: Vec<TrackId>,
    /// Of this frame.
    current: Vec<TrackId>,
    nth: EveryNth,
}

impl DistanceStates {
    /// `places` is `None` while the ground is not known.
    pub(super) fn frame(
        &mut self,
        watch: &DistanceWatch,
        now: u64,
        places: Option<&[(TrackId, GroundPoint)]>,
    ) -> Option<GroupEvent> {
        let (state, average) = self.look(watch, places);
        let people = places.map_or(0, |places| places.len() as u32);
        let report = |state, people, violators, average_ft| {
            EventKind::Distance(DistanceReport {
                state,
                people,
                violators,
                average_ft,
                minimum_ft: watch.minimum_ft,
                maximum_ft: watch.maximum_ft,
                trigger: watch.trigger,
            })
        };
        let Some(ticks) = Interval::ticks(watch.trigger) else {
            self.violators.clone_from(&self.current);
            let Some(state) = state else {
                self.told = None;
                self.told_violators.clear();
                return None;
            };
            let same =
                self.told.is_some_and(|(told, _)| told == state) && self.told_violators == self.violators;
            if same {
                return None;
            }
            let violators = self.violators.len() as u32;
            self.told = Some((state, violators));
            self.told_violators.clone_from(&self.violators);
            return self.nth.passes(watch.every_nth).then(|| GroupEvent {
                time: now,
                kind: report(state, people, violators, average),
                why: why(Reason::Changed, 0, 1),
            });
        };
        let over = self.interval.pass(now, ticks, watch.aggregation);
        let ended = over.and_then(|(end, sum, frames)| {
            let state = self.last_state.take()?;
            // When most frames kept the rule, the interval did.
            (sum.number > 0 || state == DistanceState::Unknown).then(|| GroupEvent {
                time: end,
                kind: report(state, self.last_people, sum.number, sum.average),
                why: why(Reason::Interval, ticks, frames),
            })
        });
        let told = ended.filter(|_| self.nth.passes(watch.every_nth));
        // Whom the ended interval is about, before this frame is remembered.
        self.told_violators.clone_from(&self.violators);
        self.interval.add(FrameSum {
            number: self.current.len() as u32,
            average,
        });
        if let Some(state) = state {
            self.last_state = Some(state);
            self.violators.clone_from(&self.current);
        }
        self.last_people = people;
        told
    }

    /// Whom the event that was just told is about.
    pub(super) fn told_violators(&self) -> &[TrackId] {
        &self.told_violators
    }

    /// Which rule this frame breaks, and the mean distance of all pairs.
    fn look(
        &mut self,
        watch: &DistanceWatch,
        places: Option<&[(TrackId, GroundPoint)]>,
    ) -> (Option<DistanceState>, f64) {
        self.current.clear();
        let Some(places) = places else {
            return (Some(DistanceState::Unknown), 0.0);
        };
        let (mut sum, mut pairs) = (0.0, 0u64);
        let (mut close, mut far) = (false, false);
        for (index, (_, a)) in places.iter().enumerate() {
            for (_, b) in places.iter().skip(index + 1) {
                let distance = a.distance(*b);
                sum += distance;
                pairs += 1;
                close |= watch.minimum_ft.is_some_and(|least| distance < least);
                far |= watch.maximum_ft.is_some_and(|most| distance > most);
            }
        }
        let state = match (close, far) {
            (true, _) => Some(DistanceState::TooClose),
            (false, true) => Some(DistanceState::TooFar),
            (false, false) => None,
        };
        if let Some(state) = state {
            for (index, (track, a)) in places.iter().enumerate() {
                let breaks = places.iter().enumerate().any(|(other, (_, b))| {
                    let distance = a.distance(*b);
                    other != index
                        && match state {
                            DistanceState::TooClose => watch.minimum_ft.is_some_and(|least| distance < least),
                            _ => watch.maximum_ft.is_some_and(|most| distance > most),
                        }
                });
                if breaks {
                    self.current.push(*track);
                }
            }
        }
        (state, if pairs > 0 { sum / pairs as f64 } else { 0.0 })
    }
}
