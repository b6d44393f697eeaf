//! The state of one person at one zone.

use super::lingering::{DepthSample, Lingering};
use super::{ElementEvent, PositionSample, Rules, time_at};
use crate::event::{EventCause, EventKind, Reason, VisitSpeed};
use crate::geometry::{Vec2, lerp};
use crate::scene::{CheckedZone, Threshold};

/// On which side a person was last seen, when they last changed sides, and the open visit.
#[derive(Debug, Clone, Default)]
pub(crate) struct ZoneState {
    /// Whether there was a sample.
    known: bool,
    inside: bool,
    side_change: SideChange,
    lingering: Lingering,
    /// The last change of sides when the mean position of a lingering person changed sides.
    turned: SideChange,
    visit: Option<Visit>,
    passed: Option<Passed>,
}

/// Summary of a state. In most frames, most states need no further evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ZonePresence {
    /// Not seen yet, or inside, or at the edge, or passing through; no visit so far.
    #[default]
    Open,
    /// Outside, without anything that could end.
    Away,
    /// In a visit.
    Visiting,
}

#[derive(Debug, Clone, Copy, Default)]
struct SideChange {
    time: u64,
    /// The edge crossed; `None` for the first sample.
    side: Option<u32>,
    /// Number of the first sample since.
    first: u32,
    /// Greatest depth since, while inside.
    deepest: f64,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    entered: u64,
    frames: u32,
    /// Dwell limits reported so far.
    limits_emitted: usize,
    speed: SpeedSum,
}

#[derive(Debug, Clone, Copy, Default)]
struct SpeedSum {
    sum: f64,
    least: f64,
    frames: u32,
}

/// A pass in by one edge and out by another, deep enough but shorter than the hold: a visit, once the person has left for
/// the hold.
#[derive(Debug, Clone, Copy)]
struct Passed {
    entered: (u64, u32),
    left: (u64, u32),
    frames: u32,
    depth: f64,
}

impl ZoneState {
    pub(crate) fn is_visiting(&self) -> bool {
        self.visit.is_some()
    }

    /// Whether the last sample was inside, confirmed or not.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside
    }

    pub(crate) fn presence(&self) -> ZonePresence {
        if self.visit.is_some() {
            ZonePresence::Visiting
        } else if !self.known || self.inside || self.passed.is_some() || self.lingering.is_active() {
            ZonePresence::Open
        } else {
            ZonePresence::Away
        }
    }

    /// Adds a sample. While [`Away`](ZonePresence::Away), steps that [pass by](crate::geometry::Area::is_passed_by) and end
    /// [out of reach](CheckedZone::is_out_of_reach) change nothing and may be skipped.
    pub(crate) fn step(
        &mut self,
        zone: &CheckedZone,
        rules: Rules,
        sample: &PositionSample,
        speed: Option<f64>,
        crossings: &mut Vec<(f64, u32)>,
        mut emit: impl FnMut(ElementEvent),
    ) {
        let PositionSample {
            time,
            at,
            given,
            height,
            ..
        } = *sample;
        let (enter_depth, exit_depth) = (
            zone.enter_depth.for_height(height),
            zone.exit_depth.for_height(height),
        );
        let near = (!zone.is_out_of_reach(at, height)).then(|| zone.area.depth(at));
        let inside = match near {
            // Nothing changes on the boundary.
            Some(0.0) => self.inside,
            Some(depth) => depth > 0.0,
            None => false,
        };
        match sample.before.filter(|_| self.known) {
            None => {
                self.side_change = SideChange {
                    time,
                    first: sample.number,
                    ..SideChange::default()
                }
            }
            Some(before) => {
                let may_pass = rules.jump_through && self.visit.is_none() && self.lingering.is_plain();
                if inside != self.inside {
                    zone.area.crossings(before.1, at, crossings);
                    if inside && may_pass {
                        pass_through(zone, enter_depth, before, (time, at), crossings, true, &mut emit);
                    }
                    // When a step crosses several edges, the visit lies between the last one in and the first one out.
                    let crossed = if inside {
                        crossings.last()
                    } else {
                        crossings.first()
                    };
                    let (part, side) = crossed.map_or((1.0, None), |(part, side)| (*part, Some(*side)));
                    let changed_at = time_at(before.0, time, part);
                    if !inside
                        && may_pass
                        && self.side_change.deepest > enter_depth
                        && let (Some(side_in), Some(side_out)) = (self.side_change.side, side)
                        && side_in != side_out
                    {
                        self.passed = Some(Passed {
                            entered: (self.side_change.time, side_in),
                            left: (changed_at, side_out),
                            frames: sample.number.saturating_sub(self.side_change.first),
                            depth: self.side_change.deepest,
                        });
                    } else if inside {
                        self.passed = None;
                    }
                    self.side_change = SideChange {
                        time: changed_at,
                        side,
                        first: sample.number,
                        deepest: 0.0,
                    };
                } else if !inside && may_pass {
                    zone.area.crossings(before.1, at, crossings);
                    pass_through(zone, enter_depth, before, (time, at), crossings, false, &mut emit);
                }
            }
        }
        let changed = self.known && inside != self.inside;
        self.inside = inside;
        self.known = true;
        if near.is_none() && self.visit.is_none() && self.passed.is_none() && !self.lingering.is_active() {
            // Outside, without anything that could end.
            return;
        }
        let depth = near.unwrap_or_else(|| zone.area.depth(at));
        self.side_change.deepest = self.side_change.deepest.max(depth);
        if let Some(band) = zone.band(height) {
            let depth = DepthSample {
                time,
                depth: if given == at {
                    depth
                } else {
                    zone.area.depth(given)
                },
                inside,
                band,
                changed,
                held: time - self.side_change.time,
                samples: self.side_change.samples(sample.number),
            };
            if self.lingering.add(depth, rules.hold) {
                self.turned = self.side_change;
            }
        }
        let (arrived_in, arrived_out) = (
            self.arrived_in(zone, rules, time, depth, enter_depth),
            self.arrived_out(zone, rules, time, depth, exit_depth),
        );
        if arrived_out.is_some()
            && let Some(passed) = self.passed.take()
        {
            passed.emit(time, &mut emit);
        }
        if inside && let Some(visit) = &mut self.visit {
            visit.frames = visit.frames.saturating_add(1);
            visit.speed.add(speed);
            visit.emit_limits(zone, time, self.side_change.samples(sample.number), &mut emit);
        }
        match (&mut self.visit, arrived_in, arrived_out) {
            (None, Some(change), _) => {
                let cause = change.cause(time, depth, sample.number);
                let mut visit = Visit {
                    entered: change.time,
                    frames: cause.samples,
                    limits_emitted: 0,
                    speed: SpeedSum::default(),
                };
                visit.speed.add(speed);
                emit(ElementEvent {
                    time: change.time,
                    kind: EventKind::Enter { side: change.side },
                    cause,
                });
                visit.emit_limits(zone, time, cause.samples, &mut emit);
                self.visit = Some(visit);
            }
            (Some(visit), _, Some(change)) => {
                let event = visit.end(change.time, change.side, change.cause(time, depth, sample.number));
                self.visit = None;
                emit(event);
            }
            _ => {}
        }
    }

    /// How the person came in, once that is certain.
    ///
    /// Who walks over the edge is in when far enough for the hold. Who lingers at the edge is in when they stand inside on
    /// average; a depth of the user's is a depth for all.
    fn arrived_in(
        &self,
        zone: &CheckedZone,
        rules: Rules,
        time: u64,
        depth: f64,
        enter_depth: f64,
    ) -> Option<SideChange> {
        let by_mean = zone.enter_depth == Threshold::Auto;
        let hold = |change: &SideChange| match change.side {
            Some(_) => rules.hold,
            None => rules.appear,
        };
        let held = |change: &SideChange| time - change.time >= hold(change);
        if depth > enter_depth && held(&self.side_change) && (!by_mean || self.lingering.is_beyond_jitter()) {
            return Some(self.side_change);
        }
        let stands = by_mean && self.inside && self.lingering.side() == Some(true);
        (stands && held(&self.turned)).then_some(self.turned)
    }

    /// How the person left, once that is certain.
    fn arrived_out(
        &self,
        zone: &CheckedZone,
        rules: Rules,
        time: u64,
        depth: f64,
        exit_depth: f64,
    ) -> Option<SideChange> {
        if self.inside {
            return None;
        }
        let by_mean = zone.exit_depth == Threshold::Auto;
        let held = |change: &SideChange| time - change.time >= rules.hold;
        if depth < -exit_depth && held(&self.side_change) && (!by_mean || self.lingering.is_beyond_jitter()) {
            return Some(self.side_change);
        }
        let stands = by_mean && self.lingering.side() == Some(false);
        (stands && held(&self.turned)).then_some(self.turned)
    }

    /// Speeds of the open visit.
    pub(crate) fn speed(&self) -> Option<VisitSpeed> {
        self.visit.and_then(|visit| visit.speed.summary())
    }

    /// Ends the visit of a person who was last seen at a time, in a sample of this number.
    pub(crate) fn vanish(
        &mut self,
        (last_seen, number): (u64, u32),
        now: u64,
        mut emit: impl FnMut(ElementEvent),
    ) {
        // A person last seen outside has left, only not for long enough yet.
        if let Some(passed) = self.passed.take() {
            passed.emit(now, &mut emit);
        }
        let Some(visit) = self.visit.take() else { return };
        let (time, side, reason) = if self.inside {
            (last_seen, None, Reason::Vanished)
        } else {
            (self.side_change.time, self.side_change.side, Reason::Crossed)
        };
        let cause = EventCause {
            reason,
            distance: 0.0,
            held_90k: now - time,
            samples: self.side_change.samples(number),
        };
        emit(visit.end(time, side, cause));
    }
}

impl SideChange {
    fn cause(&self, now: u64, depth: f64, number: u32) -> EventCause {
        EventCause {
            reason: match self.side {
                Some(_) => Reason::Crossed,
                None => Reason::Appeared,
            },
            distance: depth.abs(),
            held_90k: now - self.time,
            samples: self.samples(number),
        }
    }

    /// Number of samples since, up to the one of this number.
    fn samples(&self, number: u32) -> u32 {
        number.saturating_sub(self.first).saturating_add(1)
    }
}

impl Visit {
    fn end(&self, time: u64, side: Option<u32>, cause: EventCause) -> ElementEvent {
        let kind = EventKind::Exit {
            side,
            dwell_90k: time.saturating_sub(self.entered),
            dwell_frames: self.frames,
        };
        ElementEvent { time, kind, cause }
    }

    fn emit_limits(
        &mut self,
        zone: &CheckedZone,
        now: u64,
        samples: u32,
        emit: &mut impl FnMut(ElementEvent),
    ) {
        let dwell_90k = now - self.entered;
        while let Some(limit_90k) = zone.dwell_limits.get(self.limits_emitted).copied() {
            if dwell_90k < limit_90k {
                break;
            }
            self.limits_emitted += 1;
            emit(ElementEvent {
                time: self.entered + limit_90k,
                kind: EventKind::DwellExceeded { limit_90k, dwell_90k },
                cause: EventCause {
                    reason: Reason::Lasted,
                    distance: 0.0,
                    held_90k: dwell_90k,
                    samples,
                },
            });
        }
    }
}

impl SpeedSum {
    fn add(&mut self, speed: Option<f64>) {
        let Some(speed) = speed else { return };
        self.least = if self.frames == 0 {
            speed
        } else {
            self.least.min(speed)
        };
        self.sum += speed;
        self.frames = self.frames.saturating_add(1);
    }

    fn summary(&self) -> Option<VisitSpeed> {
        (self.frames > 0).then(|| VisitSpeed {
            average_ft_s: self.sum / f64::from(self.frames),
            minimum_ft_s: self.least,
        })
    }
}

impl Passed {
    fn emit(&self, now: u64, emit: &mut impl FnMut(ElementEvent)) {
        let cause = |since: u64| EventCause {
            reason: Reason::PassedThrough,
            distance: self.depth,
            held_90k: now - since,
            samples: self.frames,
        };
        let (entered, side) = self.entered;
        emit(ElementEvent {
            time: entered,
            kind: EventKind::Enter { side: Some(side) },
            cause: cause(entered),
        });
        let (left, side) = self.left;
        let kind = EventKind::Exit {
            side: Some(side),
            dwell_90k: left.saturating_sub(entered),
            dwell_frames: self.frames,
        };
        emit(ElementEvent {
            time: left,
            kind,
            cause: cause(left),
        });
    }
}

/// Visits between two frames: chords that are as deep as an entry has to be. The last chord of a step that `ends_inside` is
/// open, and not such a visit.
fn pass_through(
    zone: &CheckedZone,
    enter_depth: f64,
    (before, from): (u64, Vec2),
    (time, at): (u64, Vec2),
    crossings: &[(f64, u32)],
    ends_inside: bool,
    emit: &mut impl FnMut(ElementEvent),
) {
    // Two edges meet at a corner: shorter pieces than this are not chords.
    const CHORD: f64 = 1e-9;
    let mut pairs = crossings.windows(2);
    let mut entered: Option<(f64, u32, f64)> = None;
    while let Some([(part, side), (next, next_side)]) = pairs.next() {
        if next - part < CHORD {
            continue;
        }
        let depth = zone.area.depth(lerp(from, at, (part + next) / 2.0));
        if depth <= 0.0 {
            entered = None;
            continue;
        }
        // A chord that only touches an edge is one chord.
        let (in_part, in_side, deepest) = entered.unwrap_or((*part, *side, 0.0));
        let deepest = deepest.max(depth);
        entered = Some((in_part, in_side, deepest));
        let goes_on = match pairs
            .clone()
            .find(|pair| matches!(pair, [(a, _), (b, _)] if b - a >= CHORD))
        {
            Some([(a, _), (b, _)]) => zone.area.depth(lerp(from, at, (a + b) / 2.0)) > 0.0,
            _ => {
                ends_inside
                    && 1.0 - next >= CHORD
                    && zone.area.depth(lerp(from, at, (next + 1.0) / 2.0)) > 0.0
            }
        };
        if goes_on {
            continue;
        }
        entered = None;
        if deepest > enter_depth {
            Passed {
                entered: (time_at(before, time, in_part), in_side),
                left: (time_at(before, time, *next), *next_side),
                frames: 0,
                depth: deepest,
            }
            .emit(time, emit);
        }
    }
}
