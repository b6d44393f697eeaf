//! The packets that came last, to distinguish copies from other packets with the same number.

use crate::media::rtp::Packet;

const LEN: usize = 64;

/// Numbers and contents of the last packets.
#[derive(Debug)]
pub(super) struct Recent {
    seen: [(u16, u64); LEN],
    next: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            seen: [(0, 0); LEN],
            next: 0,
        }
    }
}

impl Recent {
    pub(super) fn note(&mut self, packet: &Packet<'_>) {
        if let Some(place) = self.seen.get_mut(self.next) {
            *place = (packet.sequence, content(packet));
        }
        self.next = (self.next + 1) % LEN;
    }

    /// Whether the same packet came before.
    pub(super) fn has(&self, packet: &Packet<'_>) -> bool {
        self.seen.contains(&(packet.sequence, content(packet)))
    }
}

/// A number that two fragments of encoded media share only by accident, never 0. Reading a few bytes suffices.
fn content(packet: &Packet<'_>) -> u64 {
    let payload = packet.payload;
    let (start, middle) = (0, payload.len() / 2);
    let end = payload.len().saturating_sub(8);
    let mut mixed = u64::from(packet.timestamp) << 32 ^ payload.len() as u64 ^ u64::from(packet.marker) << 31;
    for at in [start, middle, end] {
        let bytes = payload.iter().skip(at).take(8);
        let word = bytes.fold(0, |word, byte| word << 8 | u64::from(*byte));
        mixed = (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    mixed | 1
}
