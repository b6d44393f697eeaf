//! Gates and sinks of a graph, and the streams of a camera, as `lva-recording` takes them.

use std::time::Duration;

use lva_framing::VideoCodec;
use lva_graph_model::nodes::SignalGateProcessor;
use lva_graph_model::{OutputSelector, VIDEO_MEDIA_TYPES};
use lva_recording::{AudioCodec, AudioTrack, GateOptions, MediaUnit, Tracks, VideoTrack};
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

/// The media type of video that a recording holds.
fn video_type(codec: Codec) -> Option<&'static str> {
    codec.video_codec().map(decoded_video_type)
}

/// The same of video that is decoded.
fn decoded_video_type(codec: VideoCodec) -> &'static str {
    let [h264, h265, jpeg] = VIDEO_MEDIA_TYPES;
    match codec {
        VideoCodec::H264 => h264,
        VideoCodec::H265 => h265,
        VideoCodec::Mjpeg => jpeg,
    }
}

/// And of audio. G.711 has no place in MP4.
fn audio_type(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::Aac => Some("audio/AAC"),
        Codec::Opus => Some("audio/opus"),
        _ => None,
    }
}

/// Whether a recording holds streams of this codec.
pub(crate) fn is_recordable(codec: Codec) -> bool {
    video_type(codec).or(audio_type(codec)).is_some()
}

/// The media that pass every selector between the camera and a sink.
#[derive(Debug, Clone, Default)]
pub(crate) struct MediaSelection(Vec<OutputSelector>);

impl MediaSelection {
    /// Whether there are no selectors.
    pub(crate) fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether video of this codec passes.
    pub(crate) fn passes_codec(&self, codec: VideoCodec) -> bool {
        self.passes(decoded_video_type(codec))
    }

    /// Whether audio that a recording holds passes.
    pub(crate) fn passes_audio(&self) -> bool {
        let codecs = [Codec::Aac, Codec::Opus];
        codecs
            .into_iter()
            .filter_map(audio_type)
            .any(|kind| self.passes(kind))
    }

    /// `media_type` in full, such as `video/H264`.
    fn passes(&self, media_type: &str) -> bool {
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

/// The streams of a camera that a recording holds: its video, and audio where it is selected and MP4 holds it. `None` until the
/// parameters of the video are known, and for video that MP4 cannot hold or that is not selected.
pub(crate) fn recorded_streams(streams: &[StreamInfo], media: &MediaSelection) -> Option<RecordedStreams> {
    let video = streams.iter().find(|stream| stream.is_playing_video())?;
    let codec = video.codec.video_codec()?;
    if !media.passes(video_type(video.codec)?) {
        return None;
    }
    if video.extra_data.is_empty() && video.codec != Codec::Jpeg {
        return None;
    }
    let audio = streams.iter().find_map(|stream| {
        let selected = audio_type(stream.codec).is_some_and(|kind| media.passes(kind));
        let track = audio_track(stream).filter(|_| stream.playing && selected)?;
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

fn audio_track(stream: &StreamInfo) -> Option<AudioTrack> {
    match stream.codec {
        Codec::Aac if !stream.extra_data.is_empty() => Some(AudioTrack {
            codec: AudioCodec::Aac,
            extra_data: stream.extra_data.clone(),
            sample_rate_hz: stream.sample_rate_hz?,
            channels: stream.channels?,
        }),
        Codec::Opus => Some(AudioTrack::opus(stream.channels?)),
        _ => None,
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
        let mut jpeg = StreamInfo::new(0, MediaKind::Video, Codec::Jpeg, 90_000);
        assert_eq!(
            recorded_streams(&[jpeg.clone()], &all),
            None,
            "the first picture has its size"
        );
        jpeg.size = Some((64, 48));
        let mut opus = StreamInfo::new(1, MediaKind::Audio, Codec::Opus, 48_000);
        opus.channels = Some(2);
        let both = recorded(&[jpeg, opus]);
        assert_eq!(both.tracks.video.codec, VideoCodec::Mjpeg);
        assert_eq!(both.tracks.audio, Some(AudioTrack::opus(2)));
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
