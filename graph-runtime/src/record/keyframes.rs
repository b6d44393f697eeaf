//! Notices that a recording in segments cannot be cut: sans-I/O.

use std::time::Duration;

use lva_media_types::MediaTime;

/// Without a key frame for so many lengths of a segment, one is missed.
const SEGMENTS: u64 = 3;

/// Watches the pictures of one sink. Media time that goes back begins anew.
#[derive(Debug)]
pub(super) struct KeyframeWatch {
    /// `None`: the sink has no segments.
    longest_90k: Option<u64>,
    last_90k: Option<u64>,
    reported: bool,
}

impl KeyframeWatch {
    pub(super) fn new(segment_length: Option<Duration>) -> Self {
        Self {
            longest_90k: segment_length.map(|length| MediaTime::ticks_in(length).saturating_mul(SEGMENTS)),
            last_90k: None,
            reported: false,
        }
    }

    /// A picture came. Returns the time without a key frame, once each time that it is too long.
    pub(super) fn picture(&mut self, time_90k: u64, keyframe: bool) -> Option<Duration> {
        let longest = self.longest_90k?;
        if keyframe {
            (self.last_90k, self.reported) = (Some(time_90k), false);
            return None;
        }
        let without = time_90k.saturating_sub(self.last_90k?);
        if self.reported || without < longest {
            return None;
        }
        self.reported = true;
        Some(MediaTime::duration_of(without))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = MediaTime::TICKS_PER_SECOND;

    #[test]
    fn a_missing_key_frame_is_noticed_once_after_three_segments() {
        let mut watch = KeyframeWatch::new(Some(Duration::from_secs(30)));
        assert_eq!(
            watch.picture(0, false),
            None,
            "nothing is recorded before the first"
        );
        let mut noticed = Vec::new();
        for second in 1..400 {
            let keyframe = matches!(second, 1 | 200);
            let missing = watch.picture(second * SECOND, keyframe);
            noticed.extend(missing.map(|missing| (second, missing.as_secs())));
        }
        assert_eq!(noticed, [(91, 90), (290, 90)]);
    }

    #[test]
    fn sinks_without_segments_are_not_watched() {
        let mut watch = KeyframeWatch::new(None);
        assert_eq!(watch.picture(0, true), None);
        assert_eq!(watch.picture(10_000 * SECOND, false), None);
    }
}
