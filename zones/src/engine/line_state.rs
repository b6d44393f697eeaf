//! One person at one line.

use super::{Happened, Sight, time_at};
use crate::event::{Direction, EventKind, Reason, Why};
use crate::scene::CheckedLine;

/// The side on which a person certainly is, and how often the segment was crossed since.
///
/// What counts is not the crossing itself but to have arrived: beyond the band, for the time of the hold. Jitter moves
/// the last change about and never arrives. Of the ways there, those over the segment count and those over its extension
/// do not, and a way back takes one back: who goes round an end has crossed nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineState {
    settled: Option<Direction>,
    /// The side when last seen; on the line itself that of before.
    side: Option<Direction>,
    /// When the side last changed, and number of the first sight since.
    turned: u64,
    first: u32,
    /// Crossings of the segment since settled, to the right less to the left.
    net: i32,
    /// When it was last crossed to each side.
    crossed: [u64; 2],
}

impl LineState {
    pub(crate) fn step(&mut self, line: &CheckedLine, hold: u64, sight: &Sight) -> Option<Happened> {
        let Sight { time, at, height, .. } = *sight;
        // Most people stay on their side of most lines, and nothing changes.
        if let Some(side) = self
            .side
            .filter(|side| self.net == 0 && self.settled == Some(*side))
            && line.segment.is_clearly(side, at)
        {
            return None;
        }
        let off = line.segment.side(at);
        let side = if off < 0.0 {
            Some(Direction::Left)
        } else if off > 0.0 {
            Some(Direction::Right)
        } else {
            self.side
        };
        if let Some((before, from)) = sight.before
            && let (Some(old), Some(new)) = (self.side, side)
            && old != new
        {
            let off_before = line.segment.side(from);
            self.turned = time_at(before, time, off_before / (off_before - off));
            self.first = sight.number;
            if line.segment.is_met_by(from, at) {
                let (step, slot) = match new {
                    Direction::Left => (-1, 0),
                    Direction::Right => (1, 1),
                };
                self.net = self.net.saturating_add(step);
                self.crossed[slot] = self.turned;
            }
        }
        self.side = side;
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
                        samples: sight.number.saturating_sub(self.first).saturating_add(1),
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
