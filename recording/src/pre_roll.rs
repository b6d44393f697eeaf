//! The last seconds of a stream, ready to be recorded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lva_media_types::MediaTime;

use crate::unit::{MediaUnit, Tracks};

/// Changes of the stream's parameters within the buffer: each may take 300 KiB.
const MAX_CHANGES: usize = 64;

/// Limits of a [`PreRoll`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreRollLimits {
    /// Time that is kept at least, in ticks of 1/90000 s; the buffer contains up to a group of pictures more.
    ///
    /// If it is too short, clips start later than requested (visible in [`NewClip`](crate::NewClip)). A camera of 4
    /// Mbit/s needs half a megabyte a second.
    pub span_90k: u64,
    /// Bytes of encoded data, never exceeded. If they are too few, the span is not reached: counted in
    /// [`PreRollStats::evicted_for_bytes`].
    pub bytes: usize,
}

impl PreRollLimits {
    /// Limits with a span; spans above an hour count as an hour.
    pub fn new(span: Duration, bytes: usize) -> Self {
        Self {
            span_90k: MediaTime::ticks_in(span.min(Duration::from_secs(3600))),
            bytes,
        }
    }
}

/// Dropped units by reason. Counters only increase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PreRollStats {
    /// Units before the first keyframe, or after a group was dropped for its size.
    pub without_keyframe: u64,
    /// Units evicted early because the buffer was full.
    pub evicted_for_bytes: u64,
    /// Units evicted early by [`PreRoll::shrink`].
    pub evicted_on_request: u64,
}

/// The last seconds of a stream. **It is empty or begins with a keyframe**, so its content is always decodable.
///
/// Eviction is by group of pictures: the oldest group is evicted when the rest still covers the span.
#[derive(Debug)]
pub struct PreRoll {
    limits: PreRollLimits,
    units: VecDeque<MediaUnit>,
    /// Number (counted from the first unit ever kept) and time of each keyframe in `units`.
    keyframes: VecDeque<(u64, u64)>,
    /// The parameters of the units from these numbers on.
    tracks: VecDeque<(u64, Arc<Tracks>)>,
    dropped: u64,
    bytes: usize,
    newest_90k: u64,
    stats: PreRollStats,
}

impl PreRoll {
    /// An empty buffer.
    pub fn new(limits: PreRollLimits) -> Self {
        Self {
            limits,
            units: VecDeque::new(),
            keyframes: VecDeque::new(),
            tracks: VecDeque::new(),
            dropped: 0,
            bytes: 0,
            newest_90k: 0,
            stats: PreRollStats::default(),
        }
    }

    /// Units that follow have these parameters.
    pub(crate) fn set_tracks(&mut self, tracks: Arc<Tracks>) {
        let next = self.dropped + self.units.len() as u64;
        if self.tracks.back().is_some_and(|(number, _)| *number == next) {
            self.tracks.pop_back();
        }
        self.tracks.push_back((next, tracks));
        while self.tracks.len() > MAX_CHANGES && !self.units.is_empty() {
            self.stats.evicted_for_bytes += self.drop_oldest_group();
        }
    }

    /// Adds a unit, in the order of arrival, and evicts what is no longer needed.
    pub fn push(&mut self, unit: MediaUnit) {
        if unit.starts_decoding() {
            self.keyframes
                .push_back((self.dropped + self.units.len() as u64, unit.timestamp_90k));
        } else if self.units.is_empty() {
            self.stats.without_keyframe += 1;
            return;
        }
        self.newest_90k = self.newest_90k.max(unit.timestamp_90k);
        self.bytes += unit.data.len();
        self.units.push_back(unit);
        let horizon = self.newest_90k.saturating_sub(self.limits.span_90k);
        while self.keyframes.get(1).is_some_and(|(_, time)| *time <= horizon) {
            self.drop_oldest_group();
        }
        while self.bytes > self.limits.bytes {
            self.stats.evicted_for_bytes += self.drop_oldest_group();
        }
    }

    /// Evicts the oldest group of pictures early, to free memory. Returns the number of evicted units: 0 if there is only
    /// one group.
    pub fn shrink(&mut self) -> u64 {
        if self.keyframes.len() < 2 {
            return 0;
        }
        let count = self.drop_oldest_group();
        self.stats.evicted_on_request += count;
        count
    }

    /// The units from the last keyframe at or before `start_90k` on, or from the oldest if there is none.
    pub fn units_from(&self, start_90k: u64) -> impl Iterator<Item = &MediaUnit> {
        let first = self.place_of(start_90k);
        self.units.iter().skip(first)
    }

    /// The same with their parameters.
    pub(crate) fn units_with_tracks(
        &self,
        start_90k: u64,
    ) -> impl Iterator<Item = (&MediaUnit, Option<&Arc<Tracks>>)> {
        let first = self.place_of(start_90k);
        let mut tracks = self.tracks.iter().peekable();
        let mut current = None;
        let numbered = (self.dropped..).zip(&self.units).skip(first);
        numbered.map(move |(number, unit)| {
            while let Some((_, next)) = tracks.next_if(|(from, _)| *from <= number) {
                current = Some(next);
            }
            (unit, current)
        })
    }

    /// The place among the units of the last keyframe at or before this time, or of the oldest.
    fn place_of(&self, start_90k: u64) -> usize {
        let number = self
            .keyframes
            .iter()
            .take_while(|(_, time)| *time <= start_90k)
            .last()
            .or(self.keyframes.front())
            .map_or(0, |(number, _)| number.saturating_sub(self.dropped));
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// Time of the oldest unit, a keyframe.
    pub fn oldest_90k(&self) -> Option<u64> {
        self.keyframes.front().map(|(_, time)| *time)
    }

    /// Bytes of buffered data.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Empties the buffer, for example before a new stream.
    pub fn clear(&mut self) {
        self.dropped += self.units.len() as u64;
        self.units.clear();
        self.keyframes.clear();
        self.bytes = 0;
        self.newest_90k = 0;
        self.forget_tracks();
    }

    /// Keeps the parameters of the units that are there, and of those that follow.
    fn forget_tracks(&mut self) {
        while self.tracks.get(1).is_some_and(|(from, _)| *from <= self.dropped) {
            self.tracks.pop_front();
        }
    }

    /// Counters of dropped units.
    pub fn stats(&self) -> PreRollStats {
        self.stats
    }

    /// Drops everything before the second keyframe (everything, if there is only one), and returns the number of units.
    fn drop_oldest_group(&mut self) -> u64 {
        let end = self
            .keyframes
            .get(1)
            .map_or(self.dropped + self.units.len() as u64, |(number, _)| *number);
        let mut count = 0;
        while self.dropped < end {
            let Some(unit) = self.units.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(unit.data.len());
            self.dropped += 1;
            count += 1;
        }
        self.keyframes.pop_front();
        self.forget_tracks();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn unit(time: u64, keyframe: bool, bytes: usize) -> MediaUnit {
        MediaUnit::video(time, keyframe, Bytes::from(vec![0; bytes]))
    }

    fn times(buffer: &PreRoll, from: u64) -> Vec<u64> {
        buffer.units_from(from).map(|unit| unit.timestamp_90k).collect()
    }

    #[test]
    fn it_begins_at_the_keyframe_at_or_before_the_wanted_time() {
        let mut buffer = PreRoll::new(PreRollLimits {
            span_90k: 100,
            bytes: 1000,
        });
        for time in 0..30 {
            buffer.push(unit(time * 10, time % 5 == 0, 1));
        }
        assert_eq!(
            buffer.oldest_90k(),
            Some(150),
            "290 - 100 lies behind 150 and before 200"
        );
        assert_eq!(times(&buffer, 249)[0], 200);
        assert_eq!(times(&buffer, 250)[0], 250);
        assert_eq!(times(&buffer, 0)[0], 150);
        assert_eq!(times(&buffer, 9999), [250, 260, 270, 280, 290]);
    }

    #[test]
    fn a_group_larger_than_the_buffer_is_dropped_and_counted() {
        let mut buffer = PreRoll::new(PreRollLimits {
            span_90k: 1000,
            bytes: 10,
        });
        buffer.push(unit(0, false, 3));
        buffer.push(unit(1, true, 6));
        buffer.push(unit(2, false, 6));
        buffer.push(unit(3, false, 1));
        assert_eq!((buffer.oldest_90k(), buffer.bytes()), (None, 0));
        assert_eq!(
            buffer.stats(),
            PreRollStats {
                without_keyframe: 2,
                evicted_for_bytes: 2,
                evicted_on_request: 0
            }
        );
        buffer.push(unit(4, true, 6));
        assert_eq!(times(&buffer, 0), [4]);
    }

    #[test]
    fn it_shrinks_by_its_oldest_group_and_keeps_the_newest() {
        let mut buffer = PreRoll::new(PreRollLimits {
            span_90k: 1000,
            bytes: 1000,
        });
        assert_eq!(buffer.shrink(), 0);
        for time in 0..12 {
            buffer.push(unit(time, time % 5 == 0, 1));
        }
        assert_eq!((buffer.shrink(), buffer.oldest_90k()), (5, Some(5)));
        assert_eq!((buffer.shrink(), buffer.bytes()), (5, 2));
        assert_eq!((buffer.shrink(), times(&buffer, 0)), (0, vec![10, 11]));
        assert_eq!(buffer.stats().evicted_on_request, 10);
    }

    proptest! {
        #[test]
        fn bounds_hold_and_the_front_is_a_keyframe(
            units in proptest::collection::vec((0u64..50, any::<bool>(), any::<bool>(), 0usize..20), 1..200),
            span_90k in 0u64..500, bytes in 1usize..300,
        ) {
            let mut buffer = PreRoll::new(PreRollLimits { span_90k, bytes });
            let mut time = 0;
            for (step, keyframe, audio, size) in units {
                time += step;
                let data = Bytes::from(vec![1; size]);
                buffer.push(if audio { MediaUnit::audio(time, data) } else { MediaUnit::video(time, keyframe, data) });
                prop_assert!(buffer.bytes() <= bytes);
                prop_assert_eq!(buffer.bytes(), buffer.units.iter().map(|unit| unit.data.len()).sum::<usize>());
                prop_assert!(buffer.units.front().is_none_or(MediaUnit::starts_decoding));
                let keyframes: Vec<u64> = buffer.units.iter().filter(|unit| unit.starts_decoding())
                    .map(|unit| unit.timestamp_90k).collect();
                prop_assert_eq!(&keyframes, &buffer.keyframes.iter().map(|(_, time)| *time).collect::<Vec<_>>());
                // At most a group beyond the span.
                prop_assert!(keyframes.get(1).is_none_or(|second| *second > time.saturating_sub(span_90k)));
            }
        }
    }
}
