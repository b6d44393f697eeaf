//! Gates and sinks of a graph, and the streams of a camera, as `lva-recording` takes them.

use std::time::Duration;

use lva_graph_model::SignalGate;
use lva_recording::{AudioTrack, GateOptions, MediaUnit, Tracks, VideoCodec, VideoTrack};
use lva_rtsp::{AccessUnit, Codec, MediaKind, StreamInfo};

/// The times of a gate.
pub(crate) fn gate_options(gate: &SignalGate) -> GateOptions {
    let options = GateOptions::new(gate.minimum_activation_time, gate.maximum_activation_time)
        .with_evaluation_window(gate.evaluation_window);
    let offset = Duration::from_millis(gate.signal_offset_ms.unsigned_abs());
    if gate.signal_offset_ms < 0 {
        options.starting_before(offset)
    } else {
        options.starting_after(offset)
    }
}

/// What a camera's streams give a recording: its video, and AAC where it is wanted and there. `None` until the
/// parameters of the video are known, and for video that no MP4 holds.
pub(crate) fn tracks(streams: &[StreamInfo], audio: bool) -> Option<Tracks> {
    let video = streams
        .iter()
        .find(|stream| stream.playing && stream.media == MediaKind::Video)?;
    let codec = match video.codec {
        Codec::H264 => VideoCodec::H264,
        Codec::H265 => VideoCodec::H265,
        _ => return None,
    };
    let (width, height) = video.size?;
    if video.extra_data.is_empty() {
        return None;
    }
    let sound = streams.iter().find(|stream| {
        audio && stream.playing && stream.codec == Codec::Aac && !stream.extra_data.is_empty()
    });
    Some(Tracks {
        video: VideoTrack {
            codec,
            extra_data: video.extra_data.clone(),
            width,
            height,
        },
        audio: sound.and_then(|stream| {
            Some(AudioTrack {
                extra_data: stream.extra_data.clone(),
                sample_rate: stream.sample_rate_hz?,
                channels: stream.channels?,
            })
        }),
    })
}

/// What decodes a recording's video; `None` for what nobody here decodes.
pub(crate) fn decoded_codec(codec: VideoCodec) -> Option<lva_framing::VideoCodec> {
    match codec {
        VideoCodec::H264 => Some(lva_framing::VideoCodec::H264),
        VideoCodec::H265 => Some(lva_framing::VideoCodec::H265),
        // `VideoCodec` may grow; what is not named above is not decoded.
        _ => None,
    }
}

/// A unit as a recording takes it.
pub(crate) fn media_unit(unit: &AccessUnit, media: MediaKind) -> MediaUnit {
    match media {
        MediaKind::Audio => MediaUnit::audio(unit.timestamp_90k, unit.data.clone()),
        _ => MediaUnit::video(unit.timestamp_90k, unit.random_access, unit.data.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_of_either_sign_is_kept() {
        let gate = |signal_offset_ms| SignalGate {
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
    fn a_video_without_parameters_is_no_track_yet() {
        let mut video = StreamInfo::new(0, MediaKind::Video, Codec::H264, 90_000);
        assert_eq!(tracks(&[video.clone()], true), None);
        video.size = Some((64, 48));
        video.extra_data = vec![1, 2, 3].into();
        let mut sound = StreamInfo::new(1, MediaKind::Audio, Codec::Aac, 48_000);
        sound.extra_data = vec![9].into();
        sound.sample_rate_hz = Some(48_000);
        sound.channels = Some(2);
        let both = [video, sound];
        assert!(tracks(&both, true).unwrap().audio.is_some());
        assert!(tracks(&both, false).unwrap().audio.is_none());
        let picture = StreamInfo::new(0, MediaKind::Video, Codec::Jpeg, 90_000);
        assert_eq!(tracks(&[picture], true), None);
    }
}
