//! One person at one zone.

use super::{Happened, Sight, time_at};
use crate::event::{EventKind, Reason, Why};
use crate::geometry::{Flat, lerp};
use crate::scene::{CheckedZone, Scene};

/// Where a person was last seen with respect to the boundary, when they last changed sides, and the open visit.
#[derive(Debug, Clone, Default)]
pub(crate) struct ZoneState {
    last: Option<(u64, Flat)>,
    inside: bool,
    turn: Turn,
    visit: Option<Visit>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    time: u64,
    /// The edge crossed; `None` for the first sight.
    side: Option<u32>,
    samples: u32,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    entered: u64,
    frames: u32,
}

impl ZoneState {
    pub(crate) fn is_visiting(&self) -> bool {
        self.visit.is_some()
    }

    pub(crate) fn step(
        &mut self,
        zone: &CheckedZone,
        scene: &Scene,
        sight: Sight,
        mut tell: impl FnMut(Happened),
    ) {
        let Sight { time, at, height } = sight;
        let (enter_depth, exit_depth) = (
            zone.enter_depth.for_height(height),
            zone.exit_depth.for_height(height),
        );
        let depth = zone.area.depth(at);
        // On the boundary nothing changes.
        let inside = if depth == 0.0 { self.inside } else { depth > 0.0 };
        match self.last {
            None => {
                self.turn = Turn {
                    time,
                    side: None,
                    samples: 0,
                }
            }
            Some((before, from)) if inside != self.inside => {
                let mut crossings = Vec::new();
                zone.area.crossings(from, at, &mut crossings);
                // With several edges on the way, the visit lies between the last one in and the first one out.
                let crossed = if inside {
                    crossings.last()
                } else {
                    crossings.first()
                };
                let (part, side) = crossed.map_or((1.0, None), |(part, side)| (*part, Some(*side)));
                self.turn = Turn {
                    time: time_at(before, time, part),
                    side,
                    samples: 0,
                };
            }
            Some((before, from)) if !inside && self.visit.is_none() && scene.jump_through => {
                pass_through(zone, enter_depth, (before, from), (time, at), &mut tell);
            }
            Some(_) => {}
        }
        self.inside = inside;
        self.last = Some((time, at));
        self.turn.samples = self.turn.samples.saturating_add(1);
        let held = time - self.turn.time;
        let why = |turn: &Turn| Why {
            reason: if turn.side.is_some() {
                Reason::Crossed
            } else {
                Reason::Appeared
            },
            distance: depth.abs(),
            held_90k: held,
            samples: turn.samples,
        };
        match &mut self.visit {
            None if depth > enter_depth && held >= scene.hold => {
                let turn = self.turn;
                self.visit = Some(Visit {
                    entered: turn.time,
                    frames: turn.samples,
                });
                let kind = EventKind::Enter { side: turn.side };
                tell(Happened {
                    time: turn.time,
                    kind,
                    why: why(&turn),
                });
            }
            Some(visit) if depth < -exit_depth && held >= scene.hold => {
                let kind = visit.end(self.turn.time, self.turn.side);
                self.visit = None;
                tell(Happened {
                    time: self.turn.time,
                    kind,
                    why: why(&self.turn),
                });
            }
            Some(visit) if inside => visit.frames = visit.frames.saturating_add(1),
            _ => {}
        }
    }

    /// The person was last seen then and is given up now.
    pub(crate) fn vanish(&mut self, last_seen: u64, now: u64) -> Option<Happened> {
        let visit = self.visit.take()?;
        // Who was seen outside already has left, only not for long enough.
        let (time, side, reason) = if self.inside {
            (last_seen, None, Reason::Vanished)
        } else {
            (self.turn.time, self.turn.side, Reason::Crossed)
        };
        let why = Why {
            reason,
            distance: 0.0,
            held_90k: now - time,
            samples: self.turn.samples,
        };
        Some(Happened {
            time,
            kind: visit.end(time, side),
            why,
        })
    }
}

impl Visit {
    fn end(self, time: u64, side: Option<u32>) -> EventKind {
        EventKind::Exit {
            side,
            dwell_90k: time.saturating_sub(self.entered),
            dwell_frames: self.frames,
        }
    }
}

/// In and out between two frames: a visit when its chord is as deep as an entry has to be.
fn pass_through(
    zone: &CheckedZone,
    enter_depth: f64,
    (before, from): (u64, Flat),
    (time, at): (u64, Flat),
    tell: &mut impl FnMut(Happened),
) {
    let mut crossings = Vec::new();
    zone.area.crossings(from, at, &mut crossings);
    let (Some((part_in, side_in)), Some((part_out, side_out))) = (crossings.first(), crossings.last()) else {
        return;
    };
    let depth = zone.area.depth(lerp(from, at, (part_in + part_out) / 2.0));
    if part_in >= part_out || depth <= enter_depth {
        return;
    }
    let (entered, left) = (time_at(before, time, *part_in), time_at(before, time, *part_out));
    let why = |since| Why {
        reason: Reason::PassedThrough,
        distance: depth,
        held_90k: time - since,
        samples: 0,
    };
    let kind = EventKind::Enter { side: Some(*side_in) };
    tell(Happened {
        time: entered,
        kind,
        why: why(entered),
    });
    let kind = Visit { entered, frames: 0 }.end(left, Some(*side_out));
    tell(Happened {
        time: left,
        kind,
        why: why(left),
    });
}
