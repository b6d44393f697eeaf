//! When each sample is due: sans-I/O, with the time since PLAY as a parameter, without drift over any number of loops.

use std::sync::Arc;
use std::time::Duration;

use crate::media::{Clip, Sample};

const NANOS: u128 = 1_000_000_000;

/// A clip that plays in an endless loop.
#[derive(Debug)]
pub(crate) struct Playback {
    clip: Arc<Clip>,
    tracks: Vec<Cursor>,
    /// Length of the clip, that of its video if it has any: ticks and ticks per second.
    period: (u64, u32),
    /// Total time of all pauses.
    shift: Duration,
    paused_at: Option<Duration>,
}

#[derive(Debug)]
struct Cursor {
    track: usize,
    next: usize,
    round: u64,
}

/// A sample that is due.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) track: usize,
    pub(crate) sample: Sample,
    /// In ticks of the track's RTP clock since PLAY.
    pub(crate) rtp: u32,
}

impl Playback {
    /// Plays these tracks of the clip from the beginning.
    pub(crate) fn new(clip: Arc<Clip>, tracks: &[usize]) -> Self {
        let period = clip
            .tracks
            .first()
            .map_or((1, 1), |first| (first.duration, first.timescale));
        let tracks = tracks
            .iter()
            .map(|&track| Cursor {
                track,
                next: 0,
                round: 0,
            })
            .collect();
        Self {
            clip,
            tracks,
            period,
            shift: Duration::ZERO,
            paused_at: None,
        }
    }

    /// When the next sample is due; `None` while paused.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        if self.paused_at.is_some() {
            return None;
        }
        self.tracks.iter().filter_map(|cursor| self.due(cursor)).min()
    }

    /// The next sample, if it is due at `now`.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<Due> {
        let (at, index) = (0..self.tracks.len())
            .filter_map(|index| Some((self.due(self.tracks.get(index)?)?, index)))
            .min()?;
        if self.paused_at.is_some() || at > now {
            return None;
        }
        let cursor = self.tracks.get(index)?;
        let track = self.clip.tracks.get(cursor.track)?;
        let sample = *track.samples.get(cursor.next)?;
        let rate = u128::from(track.clock_rate_hz());
        let offset = scale(
            u128::from(sample.composition.unsigned_abs()),
            rate,
            u128::from(track.timescale),
        );
        let rtp = self
            .media_time(cursor, rate)?
            .wrapping_add(scale(self.shift.as_nanos(), rate, NANOS));
        let rtp = if sample.composition < 0 {
            rtp.wrapping_sub(offset)
        } else {
            rtp.wrapping_add(offset)
        };
        let due = Due {
            track: cursor.track,
            sample,
            rtp: rtp as u32,
        };
        self.advance(index);
        Some(due)
    }

    /// Skips everything due before `now`, and video up to the next sync sample, like a camera whose encoder hung.
    pub(crate) fn skip_to(&mut self, now: Duration) {
        for index in 0..self.tracks.len() {
            // If no sync sample follows within a round, continue anywhere.
            let mut left = self.tracks.get(index).map_or(0, |c| 2 * self.samples(c.track));
            while let Some(cursor) = self.tracks.get(index)
                && let Some(due) = self.due(cursor)
                && let Some(sample) = self
                    .clip
                    .tracks
                    .get(cursor.track)
                    .and_then(|t| t.samples.get(cursor.next))
                && (due < now || (!sample.sync && left > 0))
            {
                left = left.saturating_sub(1);
                self.advance(index);
            }
        }
    }

    pub(crate) fn pause(&mut self, now: Duration) {
        self.paused_at.get_or_insert(now);
    }

    pub(crate) fn resume(&mut self, now: Duration) {
        if let Some(paused_at) = self.paused_at.take() {
            self.shift = self.shift.saturating_add(now.saturating_sub(paused_at));
        }
    }

    /// RTP time of a moment since PLAY, for sender reports.
    pub(crate) fn rtp_at(&self, track: usize, now: Duration) -> u32 {
        let rate = self
            .clip
            .tracks
            .get(track)
            .map_or(0, |t| u128::from(t.clock_rate_hz()));
        scale(now.as_nanos(), rate, NANOS) as u32
    }

    fn samples(&self, track: usize) -> usize {
        self.clip.tracks.get(track).map_or(0, |t| t.samples.len())
    }

    fn due(&self, cursor: &Cursor) -> Option<Duration> {
        let nanos = self.media_time(cursor, NANOS)?;
        let media = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Some(media.saturating_add(self.shift))
    }

    /// Time of decoding since PLAY at `rate` ticks a second, rounded once.
    fn media_time(&self, cursor: &Cursor, rate: u128) -> Option<u128> {
        let track = self.clip.tracks.get(cursor.track)?;
        let sample = track.samples.get(cursor.next)?;
        let (ticks, scale_period) = (u128::from(self.period.0), u128::from(self.period.1));
        let scale_track = u128::from(track.timescale);
        let numerator = u128::from(cursor.round)
            .saturating_mul(ticks)
            .saturating_mul(scale_track)
            .saturating_add(u128::from(sample.decode).saturating_mul(scale_period));
        Some(scale(numerator, rate, scale_period.saturating_mul(scale_track)))
    }

    fn advance(&mut self, index: usize) {
        let (clip, period) = (&self.clip, self.period);
        let Some(cursor) = self.tracks.get_mut(index) else {
            return;
        };
        let Some(track) = clip.tracks.get(cursor.track) else {
            return;
        };
        cursor.next += 1;
        // Audio that is longer than the video is cut, so that both restart together.
        let over = track.samples.get(cursor.next).is_none_or(|sample| {
            u128::from(sample.decode) * u128::from(period.1)
                >= u128::from(period.0) * u128::from(track.timescale)
        });
        if over {
            cursor.next = 0;
            cursor.round += 1;
        }
    }
}

fn scale(value: u128, by: u128, of: u128) -> u128 {
    value.saturating_mul(by) / of.max(1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{Track, TrackKind};

    /// 30000/1001 frames a second, `frames` of them, every tenth a sync sample.
    fn clip(frames: u64) -> Arc<Clip> {
        let kind = TrackKind::H264 {
            sps: vec![],
            pps: vec![],
            length_bytes: 4,
        };
        Arc::new(Clip::for_test(kind, 30_000, 1001, frames, 10))
    }

    #[test]
    fn a_loop_continues_without_gap_or_drift() {
        let mut playback = Playback::new(clip(25), &[0]);
        for n in 0..100_000_u64 {
            let due = playback.next_due().unwrap();
            assert_eq!(due.as_nanos(), u128::from(n) * 1001 * NANOS / 30_000);
            let unit = playback.pop(due).unwrap();
            assert_eq!(unit.rtp, (u128::from(n) * 1001 * 90_000 / 30_000) as u32);
            assert_eq!(unit.sample.decode, n % 25 * 1001);
        }
    }

    #[test]
    fn nothing_comes_before_its_time() {
        let mut playback = Playback::new(clip(25), &[0]);
        assert!(playback.pop(Duration::ZERO).is_some());
        assert!(playback.pop(Duration::from_millis(33)).is_none());
        assert!(playback.pop(Duration::from_millis(34)).is_some());
    }

    #[test]
    fn a_pause_shifts_what_comes_and_its_rtp_time() {
        let mut playback = Playback::new(clip(25), &[0]);
        playback.pop(Duration::ZERO);
        playback.pause(Duration::from_secs(1));
        assert!(playback.next_due().is_none() && playback.pop(Duration::from_secs(9)).is_none());
        playback.resume(Duration::from_secs(11));
        let due = playback.next_due().unwrap();
        assert_eq!(due.as_nanos(), 10 * NANOS + 1001 * NANOS / 30_000);
        assert_eq!(playback.pop(due).unwrap().rtp, 900_000 + 3003);
    }

    #[test]
    fn after_a_stall_play_goes_on_at_a_sync_sample_in_the_present() {
        let mut playback = Playback::new(clip(25), &[0]);
        playback.skip_to(Duration::from_secs(5));
        let due = playback.next_due().unwrap();
        assert!(due >= Duration::from_secs(5) && due < Duration::from_secs(6));
        assert!(playback.pop(due).unwrap().sample.sync);
    }

    #[test]
    fn reports_count_with_the_wall() {
        let playback = Playback::new(clip(25), &[0]);
        assert_eq!(playback.rtp_at(0, Duration::from_millis(1500)), 135_000);
        assert_eq!(playback.rtp_at(7, Duration::from_secs(1)), 0);
    }

    impl Clip {
        fn for_test(kind: TrackKind, timescale: u32, delta: u64, count: u64, sync_every: u64) -> Self {
            let samples = (0..count)
                .map(|n| Sample::for_test(n * delta, n % sync_every == 0))
                .collect();
            Self::of_tracks(
                Bytes::new(),
                vec![Track {
                    kind,
                    timescale,
                    samples,
                    duration: count * delta,
                }],
            )
        }
    }
}
