//! Counts of people in a zone, and distances between them.

use crate::event::{DistanceReport, DistanceState, EventCause, EventKind, Reason};
use crate::ground::GroundPoint;
use crate::observation::TrackId;
use crate::scene::{Aggregation, CountRule, DistanceRule, Trigger};
use crate::time::ticks_of_ms;

/// Default interval, in milliseconds.
const DEFAULT_INTERVAL_MS: u64 = 1000;
/// Longest interval: a day.
const MAX_INTERVAL_MS: u64 = 86_400_000;

/// Number and mean distance of a frame.
#[derive(Debug, Clone, Copy, Default)]
struct FrameSummary {
    number: u32,
    average: f64,
}

/// The frames of the current interval.
#[derive(Debug, Clone, Default)]
struct Interval {
    number: Option<u64>,
    /// How many frames had each number.
    seen: Vec<(u32, u32)>,
    frames: u32,
    sum: f64,
    averages: f64,
}

impl Interval {
    fn ticks(trigger: Trigger) -> Option<u64> {
        match trigger {
            Trigger::Event => None,
            Trigger::Interval { milliseconds: 0 } => Some(ticks_of_ms(DEFAULT_INTERVAL_MS)),
            Trigger::Interval { milliseconds } => Some(ticks_of_ms(milliseconds.min(MAX_INTERVAL_MS))),
        }
    }

    /// Advances the time; returns the end of an interval that is over, its summary and its number of frames.
    fn advance(
        &mut self,
        now: u64,
        ticks: u64,
        aggregation: Aggregation,
    ) -> Option<(u64, FrameSummary, u32)> {
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
            FrameSummary { number, average },
            frames,
        ))
    }

    fn add(&mut self, frame: FrameSummary) {
        self.frames = self.frames.saturating_add(1);
        self.sum += f64::from(frame.number);
        self.averages += frame.average;
        match self.seen.iter_mut().find(|(number, _)| *number == frame.number) {
            Some((_, times)) => *times = times.saturating_add(1),
            // Bounded by the number of people in a frame.
            None => self.seen.push((frame.number, 1)),
        }
    }
}

/// Passes every n-th event, beginning with the first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EventSampler(u32);

impl EventSampler {
    pub(super) fn passes(&mut self, every: u32) -> bool {
        let passes = self.0 == 0;
        self.0 = if self.0 + 1 >= every.max(1) { 0 } else { self.0 + 1 };
        passes
    }
}

/// A count or a distance.
pub(super) struct GroupEvent {
    pub(super) time: u64,
    pub(super) kind: EventKind,
    pub(super) cause: EventCause,
}

fn cause(reason: Reason, held_90k: u64, samples: u32) -> EventCause {
    EventCause {
        reason,
        distance: 0.0,
        held_90k,
        samples,
    }
}

/// The count of a zone.
#[derive(Debug, Clone, Default)]
pub(super) struct CountState {
    reported: Option<u32>,
    interval: Interval,
    sampler: EventSampler,
}

impl CountState {
    pub(super) fn frame(&mut self, rule: &CountRule, now: u64, people: u32) -> Option<GroupEvent> {
        let event = match Interval::ticks(rule.trigger) {
            None => (self.reported != Some(people)).then(|| {
                self.reported = Some(people);
                (now, people, cause(Reason::Changed, 0, 1))
            }),
            Some(ticks) => {
                let over = self.interval.advance(now, ticks, rule.aggregation);
                self.interval.add(FrameSummary {
                    number: people,
                    average: 0.0,
                });
                over.map(|(end, sum, frames)| (end, sum.number, cause(Reason::Interval, ticks, frames)))
            }
        };
        let (time, people, cause) = event.filter(|_| self.sampler.passes(rule.sample_every))?;
        let kind = EventKind::Count {
            people,
            trigger: rule.trigger,
        };
        Some(GroupEvent { time, kind, cause })
    }
}

/// The distances of a zone.
#[derive(Debug, Clone, Default)]
pub(super) struct DistanceStates {
    reported: Option<(DistanceState, u32)>,
    reported_violators: Vec<TrackId>,
    interval: Interval,
    /// State of the interval's last frame with a violation, or without ground.
    last_state: Option<DistanceState>,
    last_people: u32,
    /// Violators of the frame, or of the interval's last frame with any.
    violators: Vec<TrackId>,
    /// Violators of this frame.
    current: Vec<TrackId>,
    sampler: EventSampler,
}

impl DistanceStates {
    /// `points` is `None` while the ground is not known.
    pub(super) fn frame(
        &mut self,
        rule: &DistanceRule,
        now: u64,
        points: Option<&[(TrackId, GroundPoint)]>,
    ) -> Option<GroupEvent> {
        let (state, average) = self.evaluate(rule, points);
        let people = points.map_or(0, |points| points.len() as u32);
        let report = |state, people, violators, average_ft| {
            EventKind::Distance(DistanceReport {
                state,
                people,
                violators,
                average_ft,
                minimum_ft: rule.minimum_ft,
                maximum_ft: rule.maximum_ft,
                trigger: rule.trigger,
            })
        };
        let Some(ticks) = Interval::ticks(rule.trigger) else {
            self.violators.clone_from(&self.current);
            let Some(state) = state else {
                self.reported = None;
                self.reported_violators.clear();
                return None;
            };
            let same = self.reported.is_some_and(|(reported, _)| reported == state)
                && self.reported_violators == self.violators;
            if same {
                return None;
            }
            let violators = self.violators.len() as u32;
            self.reported = Some((state, violators));
            self.reported_violators.clone_from(&self.violators);
            return self.sampler.passes(rule.sample_every).then(|| GroupEvent {
                time: now,
                kind: report(state, people, violators, average),
                cause: cause(Reason::Changed, 0, 1),
            });
        };
        let over = self.interval.advance(now, ticks, rule.aggregation);
        let ended = over.and_then(|(end, sum, frames)| {
            let state = self.last_state.take()?;
            // An interval keeps the rule when most of its frames do.
            (sum.number > 0 || state == DistanceState::Unknown).then(|| GroupEvent {
                time: end,
                kind: report(state, self.last_people, sum.number, sum.average),
                cause: cause(Reason::Interval, ticks, frames),
            })
        });
        let reported = ended.filter(|_| self.sampler.passes(rule.sample_every));
        // The violators of the ended interval, before this frame replaces them.
        self.reported_violators.clone_from(&self.violators);
        self.interval.add(FrameSummary {
            number: self.current.len() as u32,
            average,
        });
        if let Some(state) = state {
            self.last_state = Some(state);
            self.violators.clone_from(&self.current);
        }
        self.last_people = people;
        reported
    }

    /// Violators of the event just reported.
    pub(super) fn reported_violators(&self) -> &[TrackId] {
        &self.reported_violators
    }

    /// Which rule this frame violates, and the mean distance of all pairs.
    fn evaluate(
        &mut self,
        rule: &DistanceRule,
        points: Option<&[(TrackId, GroundPoint)]>,
    ) -> (Option<DistanceState>, f64) {
        self.current.clear();
        let Some(points) = points else {
            return (Some(DistanceState::Unknown), 0.0);
        };
        let (mut sum, mut pairs) = (0.0, 0u64);
        let (mut close, mut far) = (false, false);
        for (index, (_, a)) in points.iter().enumerate() {
            for (_, b) in points.iter().skip(index + 1) {
                let distance = a.distance(*b);
                sum += distance;
                pairs += 1;
                close |= rule.minimum_ft.is_some_and(|least| distance < least);
                far |= rule.maximum_ft.is_some_and(|most| distance > most);
            }
        }
        let state = match (close, far) {
            (true, _) => Some(DistanceState::TooClose),
            (false, true) => Some(DistanceState::TooFar),
            (false, false) => None,
        };
        if let Some(state) = state {
            for (index, (track, a)) in points.iter().enumerate() {
                let violates = points.iter().enumerate().any(|(other, (_, b))| {
                    let distance = a.distance(*b);
                    other != index
                        && match state {
                            DistanceState::TooClose => rule.minimum_ft.is_some_and(|least| distance < least),
                            _ => rule.maximum_ft.is_some_and(|most| distance > most),
                        }
                });
                if violates {
                    self.current.push(*track);
                }
            }
        }
        (state, if pairs > 0 { sum / pairs as f64 } else { 0.0 })
    }
}
