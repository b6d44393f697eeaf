//! From access units to fragments: one for each camera, however many watch it.
//!
//! A picture is given out when the next one has come, since only then its duration is known: browsers drop pictures up to the next
//! key frame where durations and times disagree.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use lva_rtsp::{AccessUnit, VideoParameters};

use super::clock::{DecodingClock, Reordering};
use super::mp4::{self, Sample};

/// A jump in time after which players start anew: they stop at gaps.
const LARGEST_GAP_90K: u64 = 2 * 90_000;

/// Bytes and pictures of a group that is kept for those who come; a longer group is not, and they wait for the next. The group before
/// is kept as well.
const KEPT_BYTES: usize = 8 << 20;
const KEPT_PICTURES: usize = 1800;

/// What a player needs before the first fragment.
#[derive(Debug, PartialEq)]
pub(crate) struct Init {
    /// RFC 6381 name.
    pub(crate) codec: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Media time at which the track begins.
    pub(crate) epoch_90k: u64,
    /// The initialisation segment.
    pub(crate) segment: Bytes,
}

/// A picture as a fragment.
#[derive(Debug, Clone)]
pub(crate) struct Fragment {
    pub(crate) bytes: Bytes,
    pub(crate) is_key: bool,
    /// Media time of the picture.
    pub(crate) timestamp_90k: u64,
    /// Where the access unit begins.
    pub(crate) unit_at: usize,
}

/// What has to be decoded to see one picture.
#[derive(Debug, Clone)]
pub(crate) struct EncodedPicture {
    pub(crate) video: VideoParameters,
    pub(crate) timestamp_90k: u64,
    /// Access units with their times, from a key frame to the picture.
    pub(crate) units: Vec<(u64, Bytes)>,
}

/// What comes out, in order.
#[derive(Debug)]
pub(crate) enum Output {
    Init(Arc<Init>),
    Fragment(Fragment),
}

/// The parameters of the stream as it comes.
struct Stream {
    video: VideoParameters,
    codec: String,
}

/// A picture whose duration is not known yet.
struct Held {
    unit: AccessUnit,
    /// Both since the epoch.
    pts: i64,
    dts: i64,
}

/// The track that is being written.
struct Track {
    epoch_90k: u64,
    clock: DecodingClock,
    /// Presentation time of the first key frame.
    start: i64,
    held: Option<Held>,
}

#[derive(Default)]
pub(crate) struct Mux {
    stream: Option<Stream>,
    reordering: Reordering,
    track: Option<Track>,
    newest_90k: Option<u64>,
    sequence_number: u32,
    init: Option<Arc<Init>>,
    /// From the newest key frame on.
    group: VecDeque<Fragment>,
    group_bytes: usize,
    /// The group before that.
    previous: VecDeque<Fragment>,
}

impl Mux {
    /// The stream from the next unit on: a new session, or new parameters.
    pub(crate) fn stream(&mut self, video: VideoParameters, codec: String) -> Option<Output> {
        let is_same = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.video == video && stream.codec == codec);
        if is_same {
            return None;
        }
        let last = self.flush();
        self.restart();
        self.reordering = Reordering::default();
        self.stream = Some(Stream { video, codec });
        last
    }

    /// No more units for an unknown time: gives out the last picture.
    pub(crate) fn flush(&mut self) -> Option<Output> {
        let frame = self.reordering.frame();
        let held = self.track.as_mut()?.held.take()?;
        self.fragment(&held, frame).map(Output::Fragment)
    }

    pub(crate) fn push(&mut self, unit: AccessUnit) -> Vec<Output> {
        let mut outputs = Vec::new();
        let time = unit.timestamp_90k;
        if self
            .newest_90k
            .is_some_and(|newest| newest.abs_diff(time) > LARGEST_GAP_90K)
        {
            outputs.extend(self.flush());
            self.restart();
            self.reordering.forget_times();
        }
        self.newest_90k = Some(time);
        // Its times until now are wrong: the track starts over with the next key frame.
        if self.reordering.learn(time.cast_signed()) && self.track.is_some() {
            self.restart();
        }
        if self.track.is_none() {
            if !unit.keyframe {
                return outputs;
            }
            outputs.extend(self.start(time));
        }
        outputs.extend(self.next(unit).map(Output::Fragment));
        outputs
    }

    /// What somebody who comes now needs first.
    pub(crate) fn beginning(&self) -> Option<(Arc<Init>, impl Iterator<Item = &Fragment>)> {
        Some((self.init.clone()?, self.group.iter()))
    }

    /// A picture of the last two groups.
    pub(crate) fn picture_at(&self, timestamp_90k: u64) -> Option<EncodedPicture> {
        let video = self.stream.as_ref()?.video.clone();
        let unit = |fragment: &Fragment| (fragment.timestamp_90k, fragment.bytes.slice(fragment.unit_at..));
        let held = self.track.as_ref().and_then(|track| track.held.as_ref());
        let units = match held.filter(|held| held.unit.timestamp_90k == timestamp_90k) {
            Some(held) => {
                let before = self.group.iter().filter(|_| !held.unit.keyframe);
                let last = (timestamp_90k, held.unit.data.clone());
                before.map(unit).chain([last]).collect()
            }
            None => {
                let groups = [&self.group, &self.previous].into_iter();
                let mut found = groups.filter_map(|group| {
                    let is_it = |fragment: &Fragment| fragment.timestamp_90k == timestamp_90k;
                    let at = group.iter().position(is_it)?;
                    Some(group.iter().take(at + 1).map(unit).collect())
                });
                found.next()?
            }
        };
        Some(EncodedPicture {
            video,
            timestamp_90k,
            units,
        })
    }

    fn restart(&mut self) {
        self.track = None;
        self.init = None;
        self.forget_group();
        self.previous.clear(); // its parameters may be others
    }

    fn forget_group(&mut self) {
        self.group.clear();
        self.group_bytes = 0;
    }

    fn start(&mut self, time: u64) -> Option<Output> {
        let stream = self.stream.as_ref()?;
        let segment = match mp4::init_segment(&stream.video) {
            Ok(segment) => segment,
            Err(error) => {
                tracing::warn!(%error, "a camera cannot be shown");
                self.stream = None; // until it changes
                return None;
            }
        };
        let (depth, frame) = (self.reordering.depth(), self.reordering.frame());
        let ahead = i64::try_from(depth).unwrap_or(0) * frame;
        let epoch_90k = time.saturating_add_signed(-ahead);
        let (width, height) = stream.video.size;
        let init = Arc::new(Init {
            codec: stream.codec.clone(),
            width,
            height,
            epoch_90k,
            segment,
        });
        self.init = Some(Arc::clone(&init));
        self.track = Some(Track {
            epoch_90k,
            clock: DecodingClock::starting(ahead, depth, frame),
            start: ahead,
            held: None,
        });
        Some(Output::Init(init))
    }

    /// Takes a picture, and gives out the one before.
    fn next(&mut self, unit: AccessUnit) -> Option<Fragment> {
        let track = self.track.as_mut()?;
        let pts = unit.timestamp_90k.wrapping_sub(track.epoch_90k).cast_signed();
        if pts < track.start {
            return None; // it refers to pictures before the key frame
        }
        let dts = track.clock.next(pts);
        let ready = track.held.replace(Held { unit, pts, dts })?;
        let duration = dts - ready.dts;
        self.fragment(&ready, duration)
    }

    fn fragment(&mut self, held: &Held, duration: i64) -> Option<Fragment> {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let sample = Sample {
            data: &held.unit.data,
            decoding_time: u64::try_from(held.dts).unwrap_or(0),
            duration: u32::try_from(duration).unwrap_or(1),
            offset: i32::try_from(held.pts - held.dts).unwrap_or(0),
            is_key: held.unit.keyframe,
        };
        let bytes = match mp4::fragment(self.sequence_number, &sample) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, "a picture cannot be shown");
                return None;
            }
        };
        let fragment = Fragment {
            is_key: held.unit.keyframe,
            timestamp_90k: held.unit.timestamp_90k,
            unit_at: bytes.len().saturating_sub(held.unit.data.len()),
            bytes,
        };
        self.keep(&fragment);
        Some(fragment)
    }

    fn keep(&mut self, fragment: &Fragment) {
        if fragment.is_key {
            self.previous = std::mem::take(&mut self.group);
            self.forget_group();
        } else if self.group.is_empty() {
            return; // the group was too long
        }
        self.group_bytes += fragment.bytes.len();
        self.group.push_back(fragment.clone());
        if self.group_bytes > KEPT_BYTES || self.group.len() > KEPT_PICTURES {
            self.forget_group();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use lva_media_types::VideoCodec;
    use lva_rtsp::{Codec, MediaKind, StreamInfo};

    use super::*;

    const AVCC: [u8; 17] = [1, 66, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 66, 1, 1, 0, 3, 0x68, 4, 5];

    fn video(size: (u32, u32)) -> VideoParameters {
        let mut stream = StreamInfo::new(0, MediaKind::Video, Codec::H264, 90_000);
        stream.extra_data = Bytes::from_static(&AVCC);
        stream.size = Some(size);
        let video = stream.video_parameters().unwrap();
        assert_eq!(video.codec, VideoCodec::H264);
        video
    }

    fn unit(time: u64, is_key: bool) -> AccessUnit {
        AccessUnit::new(0, time, is_key, Bytes::from_static(&[0, 0, 0, 2, 0x65, 1]))
    }

    fn mux() -> Mux {
        let mut mux = Mux::default();
        assert!(mux.stream(video((640, 360)), "avc1.42001E".to_owned()).is_none());
        mux
    }

    /// `i` for an initialisation segment with its epoch, the time of each fragment.
    fn shown(outputs: impl IntoIterator<Item = Output>) -> Vec<String> {
        let shown = |output| match output {
            Output::Init(init) => format!("i{}", init.epoch_90k),
            Output::Fragment(fragment) => fragment.timestamp_90k.to_string(),
        };
        outputs.into_iter().map(shown).collect()
    }

    fn push(mux: &mut Mux, times: &[(u64, bool)]) -> Vec<String> {
        let outputs = times
            .iter()
            .flat_map(|(time, is_key)| mux.push(unit(*time, *is_key)));
        shown(outputs.collect::<Vec<_>>())
    }

    #[test]
    fn a_picture_comes_out_with_the_next_and_the_first_is_a_key_frame() {
        let mut mux = mux();
        let pushed = [(1000, false), (4000, true), (7000, false), (10_000, false)];
        assert_eq!(push(&mut mux, &pushed), ["i4000", "4000", "7000"]);
        assert_eq!(shown(mux.flush()), ["10000"]);
        assert_eq!(shown(mux.flush()), [""; 0]);
    }

    #[test]
    fn who_comes_later_gets_the_newest_group() {
        let mut mux = mux();
        let pushed = [(0, true), (10, false), (20, true), (30, false), (40, false)];
        push(&mut mux, &pushed);
        let (init, group) = mux.beginning().unwrap();
        assert_eq!(
            (init.width, init.height, init.codec.as_str()),
            (640, 360, "avc1.42001E")
        );
        assert!(init.segment[4..8] == *b"ftyp");
        let group: Vec<_> = group.map(|fragment| fragment.timestamp_90k).collect();
        assert_eq!(group, [20, 30]);
    }

    #[test]
    fn a_picture_of_the_last_groups_is_found_with_what_it_needs() {
        let mut mux = mux();
        push(
            &mut mux,
            &[
                (0, true),
                (10, false),
                (20, true),
                (30, false),
                (40, true),
                (50, false),
            ],
        );
        let times = |time| {
            let picture = mux.picture_at(time)?;
            assert!(
                picture
                    .units
                    .iter()
                    .all(|(_, unit)| unit[..] == [0, 0, 0, 2, 0x65, 1])
            );
            Some(picture.units.iter().map(|(time, _)| *time).collect::<Vec<_>>())
        };
        assert_eq!(times(40), Some(vec![40]));
        assert_eq!(times(30), Some(vec![20, 30]));
        assert_eq!(times(10), None, "too old");
        assert_eq!(times(50), Some(vec![40, 50]), "also the newest");
    }

    #[test]
    fn changed_parameters_and_jumps_of_time_start_a_new_track() {
        let mut mux = mux();
        push(&mut mux, &[(0, true), (3000, false)]);
        assert!(
            mux.stream(video((640, 360)), "avc1.42001E".to_owned()).is_none(),
            "the same"
        );
        let last = mux.stream(video((1280, 720)), "avc1.42001F".to_owned());
        assert_eq!(shown(last), ["3000"]);
        assert!(mux.beginning().is_none());
        assert_eq!(push(&mut mux, &[(6000, false), (9000, true)]), ["i9000"]);
        let later = 9000 + LARGEST_GAP_90K + 1;
        assert_eq!(push(&mut mux, &[(later, false)]), ["9000"]);
        assert_eq!(
            push(&mut mux, &[(later + 10, true)]),
            [format!("i{}", later + 10)]
        );
    }

    #[test]
    fn a_stream_that_reorders_is_shown_from_the_second_group_on() {
        let mut mux = mux();
        let group = |first: u64| {
            [
                (first, true),
                (first + 30, false),
                (first + 10, false),
                (first + 20, false),
            ]
        };
        let mut all = push(&mut mux, &group(1000));
        all.extend(push(&mut mux, &group(1040)));
        all.extend(push(&mut mux, &group(1080)));
        assert_eq!(
            all,
            [
                "i1000", "1000", "i1030", "1040", "1070", "1050", "1060", "1080", "1110", "1090"
            ]
        );
    }

    #[test]
    fn a_group_that_is_too_long_is_not_kept() {
        let mut mux = mux();
        mux.push(unit(0, true));
        for picture in 1..=KEPT_PICTURES as u64 + 2 {
            mux.push(unit(picture * 3000, false));
        }
        assert_eq!(mux.beginning().map(|(_, group)| group.count()), Some(0));
    }
}
