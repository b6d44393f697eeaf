//! One person at one line.

use super::{ElementEvent, PositionSample, time_at};
use crate::event::{EventCause, EventKind, Reason};
use crate::geometry::Direction;
use crate::scene::CheckedLine;

/// The side on which a person has settled, and how often the segment was crossed since.
///
/// A crossing counts when the person has been beyond the band on the other side for the hold. Jitter resets the time of the
/// last change of sides and never gets there. Paths over the segment count, paths over its extension do not, and a way back
/// cancels one: going round an end crosses nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineState {
    settled: Option<Direction>,
    /// The side when last seen; on the line itself the side before.
    side: Option<Direction>,
    /// When the side last changed, and number of the first sample since.
    changed_at: u64,
    first: u32,
    /// Crossings of the segment since then, to the right minus to the left.
    net: i32,
    /// Time of the last crossing in each direction.
    crossed: [u64; 2],
}

impl LineState {
    pub(crate) fn step(
        &mut self,
        line: &CheckedLine,
        hold: u64,
        sample: &PositionSample,
    ) -> Option<ElementEvent> {
        let PositionSample { time, at, height, .. } = *sample;
        // The usual case: the person stays on their side.
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
        if let Some((before, from)) = sample.before
            && let (Some(old), Some(new)) = (self.side, side)
            && old != new
        {
            let off_before = line.segment.side(from);
            self.changed_at = time_at(before, time, off_before / (off_before - off));
            self.first = sample.number;
            if line.segment.is_met_by(from, at) {
                let (step, slot) = match new {
                    Direction::Left => (-1, 0),
                    Direction::Right => (1, 1),
                };
                self.net = self.net.saturating_add(step);
                self.crossed[slot] = self.changed_at;
            }
        }
        self.side = side;
        let side = side.filter(|_| off.abs() >= line.band.for_height(height))?;
        match self.settled {
            Some(settled) if settled == side => {
                // Back on the old side: crossings meanwhile were cancelled, or went round an end.
                if time - self.changed_at >= hold {
                    self.net = 0;
                }
                None
            }
            Some(_) => {
                if time - self.changed_at < hold {
                    return None;
                }
                self.settled = Some(side);
                let net = std::mem::take(&mut self.net);
                let (over, slot) = match side {
                    Direction::Left => (net < 0, 0),
                    Direction::Right => (net > 0, 1),
                };
                let crossed = self.crossed[slot];
                over.then_some(ElementEvent {
                    time: crossed,
                    kind: EventKind::Cross(side),
                    cause: EventCause {
                        reason: Reason::Crossed,
                        distance: off.abs(),
                        held_90k: time - crossed,
                        samples: sample.number.saturating_sub(self.first).saturating_add(1),
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
