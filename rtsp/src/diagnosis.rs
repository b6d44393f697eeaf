//! Why packets of a video come and no picture that can be decoded: sans-I/O.

use std::time::Duration;

use crate::NoPictures;

/// When a session without a picture is looked at first, and how often then.
pub(crate) const FIRST_LOOK: Duration = Duration::from_secs(3);
pub(crate) const NEXT_LOOK: Duration = Duration::from_secs(1);
/// A camera whose key frames are further apart is rare: a session may begin behind one.
const USUAL_GOP: Duration = Duration::from_secs(15);

/// What has come of a stream in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct VideoProgress {
    pub(crate) packets: u64,
    /// Pictures of which every part came.
    pub(crate) whole: u64,
    pub(crate) damaged: u64,
    pub(crate) keyframes: u64,
    /// A decoder has all the parameters that it needs.
    pub(crate) has_parameters: bool,
}

impl VideoProgress {
    /// The cause, once it is certain, `after` the session began. `longest_gop` is the longest time between two key frames
    /// of earlier sessions.
    pub(crate) fn diagnose(self, after: Duration, longest_gop: Duration) -> Option<NoPictures> {
        if self.packets == 0 {
            return None;
        }
        if self.whole == 0 && self.damaged > 0 {
            return Some(NoPictures::Damaged);
        }
        // Parameter sets come with a key frame, so the next one has to be waited for.
        let waited = self.keyframes > 0 || after >= USUAL_GOP.max(longest_gop * 2);
        match (waited, self.has_parameters) {
            (true, false) => Some(NoPictures::NoParameterSets),
            (true, true) if self.keyframes == 0 => Some(NoPictures::NoKeyframe),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    fn progress(whole: u64, damaged: u64, keyframes: u64, has_parameters: bool) -> VideoProgress {
        VideoProgress {
            packets: 100,
            whole,
            damaged,
            keyframes,
            has_parameters,
        }
    }

    #[test]
    fn what_is_certain_is_told_at_the_first_look() {
        let first = |progress: VideoProgress| progress.diagnose(FIRST_LOOK, Duration::ZERO);
        assert_eq!(first(progress(0, 40, 0, true)), Some(NoPictures::Damaged));
        assert_eq!(
            first(progress(90, 0, 1, false)),
            Some(NoPictures::NoParameterSets)
        );
        assert_eq!(first(VideoProgress::default()), None, "nothing comes at all");
        assert_eq!(
            first(progress(0, 0, 0, true)),
            None,
            "the first picture is on its way"
        );
    }

    #[test]
    fn a_session_that_begins_within_a_long_gop_is_not_blamed() {
        for has_parameters in [true, false] {
            let seen = progress(90, 1, 0, has_parameters);
            let expected = if has_parameters {
                NoPictures::NoKeyframe
            } else {
                NoPictures::NoParameterSets
            };
            assert_eq!(seen.diagnose(SECONDS(14), Duration::ZERO), None);
            assert_eq!(seen.diagnose(SECONDS(15), Duration::ZERO), Some(expected));
            // It has been seen to send one every 20 s.
            assert_eq!(seen.diagnose(SECONDS(39), SECONDS(20)), None);
            assert_eq!(seen.diagnose(SECONDS(40), SECONDS(20)), Some(expected));
        }
    }
}
