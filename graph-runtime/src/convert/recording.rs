//! Gates and sinks of a graph, and the streams of a camera, as `lva-recording` takes them.

use std::time::Duration;

use lva_graph_model::OutputSelector;
use lva_graph_model::nodes::SignalGateProcessor;
use lva_recording::{AudioTrack, GateOptions, MediaUnit, Tracks, VideoCodec, VideoTrack};
use lva_rtsp::{AccessUnit, Codec, MediaKind, StreamInfo};

/// The times of a gate.
pub(crate) fn gate_options(gate: &SignalGateProcessor) -> GateOptions {
    let options = GateOptions::new(gate.minimum_activation_time, gate.maximum_activation_time)
        .with_evaluation_window(gate.evaluation_window);
    let offset = Duration::from_millis(gate.signal_offset_ms.unsigned_abs());
    if gate.signal_offset_ms < 0 {
        options.starting_before(offset)
    } else {
        options.starting_after(offset)
    }
}

/// Media types of the video that a recording holds.
pub(crate) const RECORDED_VIDEO: [&str; 2] = ["video/H264", "video/H265"];
/// And of the audio.
pub(crate) const RECORDED_AUDIO: &str = "audio/AAC";

/// The media that pass every selector between the camera and a sink.
#[derive(Debug, Clone, Default)]
pub(crate) struct MediaSelection(Vec<OutputSelector>);

impl MediaSelection {
    /// `media_type` in full, such as `video/H264`.
    pub(crate) fn passes(&self, media_type: &str) -> bool {
        self.0.iter().all(|selector| selector.selects(media_type))
    }
}

impl<'a> FromIterator<&'a OutputSelector> for MediaSelection {
    fn from_iter<I: IntoIterator<Item = &'a OutputSelector>>(selectors: I) -> Self {
        Self(selectors.into_iter().cloned().collect())
    }
}

/// The streams of a camera that a recording holds: one video, and one audio stream where there is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecordedStreams {
    pub(crate) tracks: Tracks,
    /// The camera's number of the stream.
    video: usize,
    audio: Option<usize>,
}

impl RecordedStreams {
    /// Whether it holds a stream, by the camera's number.
    pub(crate) fn contains(&self, stream: usize) -> bool {
        stream == self.video || Some(stream) == self.audio
    }
}

/// The streams of a camera that a recording holds: its video, and AAC where it is selected and present. `None` until the
/// parameters of the video are known, and for video that MP4 cannot hold or that is not selected.
pub(crate) fn recorded_streams(streams: &[StreamInfo], media: &MediaSelection) -> Option<RecordedStreams> {
    let video = streams.iter().find(|stream| stream.is_playing_video())?;
    let [h264, h265] = RECORDED_VIDEO;
    let (codec, media_type) = match video.codec {
        Codec::H264 => (VideoCodec::H264, h264),
        Codec::H265 => (VideoCodec::H265, h265),
        _ => return None,
    };
    if !media.passes(media_type) {
        return None;
    }
    if video.extra_data.is_empty() {
        return None;
    }
    let audio = streams.iter().find(|stream| {
        let usable = stream.codec == Codec::Aac && !stream.extra_data.is_empty();
        stream.playing && usable && media.passes(RECORDED_AUDIO)
    });
    let audio = audio.and_then(|stream| {
        let track = AudioTrack {
            extra_data: stream.extra_data.clone(),
            sample_rate_hz: stream.sample_rate_hz?,
            channels: stream.channels?,
        };
        Some((stream.index, track))
    });
    Some(RecordedStreams {
        video: video.index,
        audio: audio.as_ref().map(|(index, _)| *index),
        tracks: Tracks {
            video: VideoTrack::new(codec, video.extra_data.clone(), video.size?),
            audio: audio.map(|(_, track)| track),
        },
    })
}

/// The codec of a recording's video, where a preview picture can be decoded from it; recordings hold no MJPEG.
pub(crate) fn decoded_codec(codec: VideoCodec) -> Option<VideoCodec> {
    match codec {
        VideoCodec::H264 | VideoCodec::H265 => Some(codec),
        VideoCodec::Mjpeg => None,
    }
}

/// A unit as a recording takes it.
pub(crate) fn media_unit(unit: &AccessUnit) -> MediaUnit {
    match unit.media {
        MediaKind::Audio => MediaUnit::audio(unit.timestamp_90k, unit.data.clone()),
        _ => MediaUnit::video(unit.timestamp_90k, unit.keyframe, unit.data.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_of_either_sign_is_kept() {
        let gate = |signal_offset_ms| SignalGateProcessor {
            evaluation_window: Duration::from_secs(1),
            signal_offset_ms,
            minimum_activation_time: Duration::from_secs(30),
            maximum_activation_time: Duration::from_secs(30),
        };
        let plain = GateOptions::new(Duration::from_secs(30), Duration::from_secs(30))
            .with_evaluation_window(Duration::from_secs(1));
        assert_eq!(
            gate_options(&gate(-5000)),
            plain.starting_before(Duration::from_secs(5))
        );
        assert_eq!(
            gate_options(&gate(2500)),
            plain.starting_after(Duration::from_millis(2500))
        );
        assert_eq!(gate_options(&gate(0)), plain);
    }

    #[test]
    fn a_video_without_parameters_is_not_recorded_yet() {
        let mut video = StreamInfo::new(0, MediaKind::Video, Codec::H264, 90_000);
        let all = MediaSelection::default();
        assert_eq!(recorded_streams(&[video.clone()], &all), None);
        video.size = Some((64, 48));
        video.extra_data = vec![1, 2, 3].into();
        let mut audio = StreamInfo::new(1, MediaKind::Audio, Codec::Aac, 48_000);
        audio.extra_data = vec![9].into();
        audio.sample_rate_hz = Some(48_000);
        audio.channels = Some(2);
        let recorded = |streams: &[StreamInfo]| recorded_streams(streams, &all).unwrap();
        let both = recorded(&[video.clone(), audio.clone()]);
        assert!(both.tracks.audio.is_some() && both.contains(0) && both.contains(1));
        let alone = recorded(&[video.clone()]);
        assert!(alone.tracks.audio.is_none() && alone.contains(0) && !alone.contains(1));
        let picture = StreamInfo::new(0, MediaKind::Video, Codec::Jpeg, 90_000);
        assert_eq!(recorded_streams(&[picture], &all), None);
        // Of two audio streams, the first usable one is recorded.
        let mut other = StreamInfo::new(2, MediaKind::Audio, Codec::PcmMulaw, 8000);
        other.sample_rate_hz = Some(8000);
        other.channels = Some(1);
        let mut second = audio.clone();
        second.index = 3;
        let one = recorded(&[video, other, audio, second]);
        assert_eq!(
            [0, 1, 2, 3].map(|stream| one.contains(stream)),
            [true, true, false, false]
        );
    }

    #[test]
    fn selectors_are_asked_about_what_the_camera_really_sends() {
        let selection = |is: bool, value: &str| -> MediaSelection {
            let value = value.to_owned();
            [&OutputSelector { is, value }].into_iter().collect()
        };
        let mut video = StreamInfo::new(0, MediaKind::Video, Codec::H265, 90_000);
        video.size = Some((64, 48));
        video.extra_data = vec![1].into();
        let passes = |media: &MediaSelection| recorded_streams(&[video.clone()], media).is_some();
        assert!(passes(&selection(true, "video")) && passes(&selection(true, "video/H265")));
        assert!(!passes(&selection(true, "video/H264")) && !passes(&selection(false, "video/h265")));
    }
}
