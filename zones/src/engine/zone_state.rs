//! One person at one zone.

use super::{Happened, Rules, Sight, time_at};
use crate::event::{EventKind, Reason, VisitSpeed, Why};
use crate::geometry::{Flat, lerp};
use crate::scene::CheckedZone;

/// Where a person was last seen with respect to the boundary, when they last changed sides, and the open visit.
#[derive(Debug, Clone, Default)]
pub(crate) struct ZoneState {
    /// Whether there was a sight.
    known: bool,
    inside: bool,
    turn: Turn,
    visit: Option<Visit>,
    passed: Option<Passed>,
}

/// What a state is in short: most need no closer look in most frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    /// Not seen yet, or inside, or passing, and no visit so far.
    #[default]
    Open,
    /// Outside, and nothing that could end.
    Away,
    /// In a visit.
    Visiting,
}

#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    time: u64,
    /// The edge crossed; `None` for the first sight.
    side: Option<u32>,
    /// Number of the first sight since.
    first: u32,
    /// Greatest depth since, while inside.
    deepest: f64,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    entered: u64,
    frames: u32,
    /// Limits of dwelling that were told.
    limits_told: usize,
    speed: SpeedSum,
}

#[derive(Debug, Clone, Copy, Default)]
struct SpeedSum {
    sum: f64,
    least: f64,
    frames: u32,
}

/// In by one edge and out by another, deep enough but not for as long as the hold: a visit, once the person has
/// certainly left again.
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

    /// Whether the last sight was inside, confirmed or not.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside
    }

    pub(crate) fn standing(&self) -> Standing {
        if self.visit.is_some() {
            Standing::Visiting
        } else if !self.known || self.inside || self.passed.is_some() {
            Standing::Open
        } else {
            Standing::Away
        }
    }

    /// One more sight. [`Away`](Standing::Away), and if the step [passes by](crate::geometry::Area::is_passed_by), it
    /// would change nothing and may be left out.
    pub(crate) fn step(
        &mut self,
        zone: &CheckedZone,
        rules: Rules,
        sight: &Sight,
        speed: Option<f64>,
        crossings: &mut Vec<(f64, u32)>,
        mut tell: impl FnMut(Happened),
    ) {
        let Sight { time, at, height, .. } = *sight;
        let (enter_depth, exit_depth) = (
            zone.enter_depth.for_height(height),
            zone.exit_depth.for_height(height),
        );
        let near = (!zone.area.is_beyond(at)).then(|| zone.area.depth(at));
        let inside = match near {
            // On the boundary nothing changes.
            Some(0.0) => self.inside,
            Some(depth) => depth > 0.0,
            None => false,
        };
        match sight.before.filter(|_| self.known) {
            None => {
                self.turn = Turn {
                    time,
                    first: sight.number,
                    ..Turn::default()
                }
            }
            Some(before) => {
                let may_pass = rules.jump_through && self.visit.is_none();
                if inside != self.inside {
                    zone.area.crossings(before.1, at, crossings);
                    if inside && may_pass {
                        pass_through(zone, enter_depth, before, (time, at), crossings, true, &mut tell);
                    }
                    // With several edges on the way, the visit lies between the last one in and the first one out.
                    let crossed = if inside {
                        crossings.last()
                    } else {
                        crossings.first()
                    };
                    let (part, side) = crossed.map_or((1.0, None), |(part, side)| (*part, Some(*side)));
                    let turned = time_at(before.0, time, part);
                    if !inside
                        && may_pass
                        && self.turn.deepest > enter_depth
                        && let (Some(side_in), Some(side_out)) = (self.turn.side, side)
                        && side_in != side_out
                    {
                        self.passed = Some(Passed {
                            entered: (self.turn.time, side_in),
                            left: (turned, side_out),
                            frames: sight.number.saturating_sub(self.turn.first),
                            depth: self.turn.deepest,
                        });
                    } else if inside {
                        self.passed = None;
                    }
                    self.turn = Turn {
                        time: turned,
                        side,
                        first: sight.number,
                        deepest: 0.0,
                    };
                } else if !inside && may_pass {
                    zone.area.crossings(before.1, at, crossings);
                    pass_through(zone, enter_depth, before, (time, at), crossings, false, &mut tell);
                }
            }
        }
        self.inside = inside;
        self.known = true;
        if near.is_none() && self.visit.is_none() && self.passed.is_none() {
            // Outside, and nothing that could end.
            return;
        }
        let depth = near.unwrap_or_else(|| zone.area.depth(at));
        self.turn.deepest = self.turn.deepest.max(depth);
        let held = time - self.turn.time;
        let samples = self.turn.samples(sight.number);
        let why = Why {
            reason: if self.turn.side.is_some() {
                Reason::Crossed
            } else {
                Reason::Appeared
            },
            distance: depth.abs(),
            held_90k: held,
            samples,
        };
        let hold_in = match self.turn.side {
            Some(_) => rules.hold,
            None => rules.appear,
        };
        let arrived_in = depth > enter_depth && held >= hold_in;
        let arrived_out = !inside && depth < -exit_depth && held >= rules.hold;
        if arrived_out && let Some(passed) = self.passed.take() {
            passed.tell(time, &mut tell);
        }
        if inside && let Some(visit) = &mut self.visit {
            visit.frames = visit.frames.saturating_add(1);
            visit.speed.add(speed);
            visit.tell_limits(zone, time, why.samples, &mut tell);
        }
        match &mut self.visit {
            None if arrived_in => {
                let mut visit = Visit {
                    entered: self.turn.time,
                    frames: samples,
                    limits_told: 0,
                    speed: SpeedSum::default(),
                };
                visit.speed.add(speed);
                tell(Happened {
                    time: self.turn.time,
                    kind: EventKind::Enter { side: self.turn.side },
                    why,
                });
                visit.tell_limits(zone, time, why.samples, &mut tell);
                self.visit = Some(visit);
            }
            Some(visit) if arrived_out => {
                let happened = visit.end(self.turn.time, self.turn.side, why);
                self.visit = None;
                tell(happened);
            }
            _ => {}
        }
    }

    /// Speeds of the visit that is open or ends now.
    pub(crate) fn speed(&self) -> Option<VisitSpeed> {
        self.visit.and_then(|visit| visit.speed.summary())
    }

    /// The person was last seen then, so many sights there were, and is given up now, or the zone closes.
    pub(crate) fn vanish(
        &mut self,
        (last_seen, number): (u64, u32),
        now: u64,
        reason: Reason,
        mut tell: impl FnMut(Happened),
    ) {
        // Who was seen outside already has left, only not for long enough.
        if let Some(passed) = self.passed.take() {
            passed.tell(now, &mut tell);
        }
        let Some(visit) = self.visit.take() else { return };
        let (time, side, reason) = if self.inside {
            (last_seen, None, reason)
        } else {
            (self.turn.time, self.turn.side, Reason::Crossed)
        };
        let why = Why {
            reason,
            distance: 0.0,
            held_90k: now - time,
            samples: self.turn.samples(number),
        };
        tell(visit.end(time, side, why));
    }
}

impl Turn {
    /// Sights since, the one of this number among them.
    fn samples(&self, number: u32) -> u32 {
        number.saturating_sub(self.first).saturating_add(1)
    }
}

impl Visit {
    fn end(&self, time: u64, side: Option<u32>, why: Why) -> Happened {
        let kind = EventKind::Exit {
            side,
            dwell_90k: time.saturating_sub(self.entered),
            dwell_frames: self.frames,
        };
        Happened { time, kind, why }
    }

    fn tell_limits(&mut self, zone: &CheckedZone, now: u64, samples: u32, tell: &mut impl FnMut(Happened)) {
        let dwell_90k = now - self.entered;
        while let Some(limit_90k) = zone.dwell_limits.get(self.limits_told).copied() {
            if dwell_90k < limit_90k {
                break;
            }
            self.limits_told += 1;
            tell(Happened {
                time: self.entered + limit_90k,
                kind: EventKind::DwellExceeded { limit_90k, dwell_90k },
                why: Why {
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
    fn tell(&self, now: u64, tell: &mut impl FnMut(Happened)) {
        let why = |since: u64| Why {
            reason: Reason::PassedThrough,
            distance: self.depth,
            held_90k: now - since,
            samples: self.frames,
        };
        let (entered, side) = self.entered;
        tell(Happened {
            time: entered,
            kind: EventKind::Enter { side: Some(side) },
            why: why(entered),
        });
        let (left, side) = self.left;
        let kind = EventKind::Exit {
            side: Some(side),
            dwell_90k: left.saturating_sub(entered),
            dwell_frames: self.frames,
        };
        tell(Happened {
            time: left,
            kind,
            why: why(left),
        });
    }
}

/// In and out between two frames: a visit when its chord is as deep as an entry has to be. A step that `ends_inside`
/// has its last chord open, which is no such visit.
fn pass_through(
    zone: &CheckedZone,
    enter_depth: f64,
    (before, from): (u64, Flat),
    (time, at): (u64, Flat),
    crossings: &[(f64, u32)],
    ends_inside: bool,
    tell: &mut impl FnMut(Happened),
) {
    // A corner is met by two edges at once: what is shorter than this is no chord.
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
        // A chord that only touches an edge on its way is one chord.
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
            .tell(time, tell);
        }
    }
}
