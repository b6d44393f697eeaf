//! Ids in the contract's form: 32 hexadecimal digits.

use crate::observation::TrackId;

/// Generates ids in the contract's form, deterministic by seed and number.
///
/// Not secret: one id reveals the others. Two sessions need different seeds to have different ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSource {
    seed: u64,
}

impl IdSource {
    /// Ids of a seed, such as the session's start time.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The id of a track, the same in every frame.
    pub fn track(self, track: TrackId) -> String {
        self.hex(1, track.0)
    }

    /// The id of an inference that is not a track, by its number.
    pub fn inference(self, number: u64) -> String {
        self.hex(2, number)
    }

    fn hex(self, kind: u64, number: u64) -> String {
        // Each half is a bijection of the number, so ids of one source and kind never collide.
        let key = mix(self.seed ^ mix(kind));
        format!(
            "{:016x}{:016x}",
            mix(key ^ number),
            mix(key.rotate_left(32).wrapping_add(number))
        )
    }
}

/// Ids of inferences, one after the other.
#[derive(Debug, Clone)]
pub(super) struct NumberedIds {
    source: IdSource,
    next: u64,
}

impl NumberedIds {
    pub(super) fn new(source: IdSource) -> Self {
        Self { source, next: 0 }
    }

    pub(super) fn next_id(&mut self) -> String {
        let id = self.source.inference(self.next);
        self.next += 1;
        id
    }

    pub(super) fn track(&self, track: TrackId) -> String {
        self.source.track(track)
    }
}

/// A bijection that spreads every bit over all others: multiplications by odd numbers and shifted additions.
fn mix(value: u64) -> u64 {
    let mut v = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2 {
        v = (v ^ (v >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
    v ^ (v >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_have_the_contracts_form_and_never_collide() {
        let ids = IdSource::new(7);
        let all: BTreeSet<String> = (0..5000)
            .flat_map(|n| [ids.track(TrackId(n)), ids.inference(n)])
            .collect();
        assert_eq!(all.len(), 10_000);
        let form = |id: &String| id.len() == 32 && id.bytes().all(|b| b"0123456789abcdef".contains(&b));
        assert!(all.iter().all(form));
        assert_eq!(ids.track(TrackId(3)), IdSource::new(7).track(TrackId(3)));
        assert_ne!(ids.track(TrackId(3)), IdSource::new(8).track(TrackId(3)));
    }
}
