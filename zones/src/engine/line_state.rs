//! One person at one line.

use super::{Happened, Sight, time_at};
use crate::event::{Direction, EventKind, Reason, Why};
use crate::geometry::Flat;
use crate::scene::CheckedLine;

/// The side on which a person certainly is, and the last time that they changed to the other one.
///
/// What counts is not the crossing itself but to have arrived: beyond the band, for the time of the hold. Jitter moves
/// the last change about and never arrives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineState {
    settled: Option<Direction>,
    last: Option<Sample>,
    turn: Option<Turn>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    time: u64,
    at: Flat,
    /// Signed distance from the endless line.
    off: f64,
    /// The side; on the line itself that of before.
    side: Option<Direction>,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    time: u64,
    /// Where on the line: between its ends from 0 to 1.
    along: f64,
    samples: u32,
}

impl LineState {
    pub(crate) fn step(&mut self, line: &CheckedLine, hold: u64, sight: Sight) -> Option<Happened> {
        let Sight { time, at, height } = sight;
        let off = line.segment.side(at);
        let before = self.last;
        let side = if off < 0.0 {
            Some(Direction::Left)
        } else if off > 0.0 {
            Some(Direction::Right)
        } else {
            before.and_then(|sample| sample.side)
        };
        if let Some(before) = before
            && before.side.is_some()
            && before.side != side
        {
            let part = before.off / (before.off - off);
            let (from, to) = (line.segment.along(before.at), line.segment.along(at));
            let along = from + (to - from) * part;
            self.turn = Some(Turn {
                time: time_at(before.time, time, part),
                along,
                samples: 0,
            });
        }
        self.last = Some(Sample { time, at, off, side });
        if let Some(turn) = &mut self.turn {
            turn.samples = turn.samples.saturating_add(1);
        }
        let side = side.filter(|_| off.abs() >= line.band.for_height(height))?;
        match self.settled {
            Some(settled) if settled == side => None,
            Some(_) => {
                let turn = self.turn.filter(|turn| time - turn.time >= hold)?;
                self.settled = Some(side);
                // Round the end of a line is not over it.
                let held_90k = time - turn.time;
                let why = Why {
                    reason: Reason::Crossed,
                    distance: off.abs(),
                    held_90k,
                    samples: turn.samples,
                };
                let over = (0.0..=1.0).contains(&turn.along);
                over.then_some(Happened {
                    time: turn.time,
                    kind: EventKind::Cross(side),
                    why,
                })
            }
            None => {
                self.settled = Some(side);
                None
            }
        }
    }
}
