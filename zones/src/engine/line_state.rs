//! One person at one line.

use super::{Happened, Sight, time_at};
use crate::event::{Direction, EventKind, Reason, Why};
use crate::geometry::Flat;
use crate::scene::CheckedLine;

/// The side on which a person certainly is, and how often the segment was crossed since.
///
/// What counts is not the crossing itself but to have arrived: beyond the band, for the time of the hold. Jitter moves
/// the last change about and never arrives. Of the ways there, those over the segment count and those over its extension
/// do not, and a way back takes one back: who goes round an end has crossed nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineState {
    settled: Option<Direction>,
    last: Option<Sample>,
    /// When the side last changed, and frames since.
    turned: u64,
    samples: u32,
    /// Crossings of the segment since settled, to the right less to the left.
    net: i32,
    /// When it was last crossed to each side.
    crossed: [u64; 2],
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
            && let (Some(old), Some(new)) = (before.side, side)
            && old != new
        {
            self.turned = time_at(before.time, time, before.off / (before.off - off));
            self.samples = 0;
            if line.segment.is_met_by(before.at, at) {
                let (step, slot) = match new {
                    Direction::Left => (-1, 0),
                    Direction::Right => (1, 1),
                };
                self.net = self.net.saturating_add(step);
                self.crossed[slot] = self.turned;
            }
        }
        self.last = Some(Sample { time, at, off, side });
        self.samples = self.samples.saturating_add(1);
        let side = side.filter(|_| off.abs() >= line.band.for_height(height))?;
        match self.settled {
            Some(settled) if settled == side => {
                // Back on the old side: what was crossed meanwhile was taken back, or went round an end.
                if time - self.turned >= hold {
                    self.net = 0;
                }
                None
            }
            Some(_) => {
                if time - self.turned < hold {
                    return None;
                }
                self.settled = Some(side);
                let net = std::mem::take(&mut self.net);
                let (over, slot) = match side {
                    Direction::Left => (net < 0, 0),
                    Direction::Right => (net > 0, 1),
                };
                let crossed = self.crossed[slot];
                over.then_some(Happened {
                    time: crossed,
                    kind: EventKind::Cross(side),
                    why: Why {
                        reason: Reason::Crossed,
                        distance: off.abs(),
                        held_90k: time - crossed,
                        samples: self.samples,
                    },
                })
            }
            None => {
                self.settled = Some(side);
                self.net = 0;
                None
            }
        }
    }
}
