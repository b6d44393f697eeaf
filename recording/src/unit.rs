//! Input of a recording: tracks and units.

use std::fmt;

use bytes::Bytes;
use lva_media_types::VideoCodec;

/// The video of a recording.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoTrack {
    /// How it is encoded.
    pub codec: VideoCodec,
    /// The `avcC` (H.264) or `hvcC` (H.265) record of ISO/IEC 14496-15; written to the file unchanged. Empty for MJPEG.
    pub extra_data: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl VideoTrack {
    /// The video of a stream with these parameters; `size` is its width and height in pixels.
    pub fn new(codec: VideoCodec, extra_data: impl Into<Bytes>, size: (u32, u32)) -> Self {
        Self {
            codec,
            extra_data: extra_data.into(),
            width: size.0,
            height: size.1,
        }
    }
}

/// How the audio of a recording is encoded. MP4 holds no G.711.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AudioCodec {
    /// AAC (ISO/IEC 14496-3).
    Aac,
    /// Opus (RFC 6716).
    Opus,
}

/// The audio of a recording.
#[derive(Clone, PartialEq, Eq)]
pub struct AudioTrack {
    /// How it is encoded.
    pub codec: AudioCodec,
    /// AAC: the `AudioSpecificConfig` of ISO/IEC 14496-3. Opus: the identification header of RFC 7845 section 5.1.
    pub extra_data: Bytes,
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// Channels, 1 or more.
    pub channels: u16,
}

impl AudioTrack {
    /// Opus as it comes by RTP (RFC 7587): always 48 kHz, one or two channels; nothing at the beginning is skipped, since
    /// that is the middle of a stream.
    pub fn opus(channels: u16) -> Self {
        let channels = channels.clamp(1, 2);
        let mut header = b"OpusHead\x01".to_vec();
        header.push(channels as u8);
        header.extend(0_u16.to_le_bytes());
        header.extend(48_000_u32.to_le_bytes());
        header.extend([0; 3]);
        Self {
            codec: AudioCodec::Opus,
            extra_data: header.into(),
            sample_rate_hz: 48_000,
            channels,
        }
    }

    /// Ticks of 1/90000 s that a frame lasts; `None` where that is known from the track.
    pub(crate) fn frame_ticks(codec: AudioCodec, data: &[u8]) -> Option<i64> {
        match codec {
            AudioCodec::Aac => None,
            AudioCodec::Opus => opus_ticks(data),
        }
    }
}

/// RFC 6716 section 3.1.
fn opus_ticks(packet: &[u8]) -> Option<i64> {
    let (&toc, rest) = packet.split_first()?;
    let config = toc >> 3;
    // In ticks of 1/90000 s: 2.5 ms are 225.
    let frame = match config {
        0..=11 => [900, 1800, 3600, 5400].get(usize::from(config & 3)),
        12..=15 => [900, 1800].get(usize::from(config & 1)),
        _ => [225, 450, 900, 1800].get(usize::from(config & 3)),
    }?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(rest.first()? & 0x3f),
    };
    Some(frame * frames)
}

/// Tracks of a recording: video, and audio if there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracks {
    /// The video.
    pub video: VideoTrack,
    /// The audio.
    pub audio: Option<AudioTrack>,
}

impl From<VideoTrack> for Tracks {
    /// A recording without audio.
    fn from(video: VideoTrack) -> Self {
        Self { video, audio: None }
    }
}

impl From<VideoTrack> for Option<Tracks> {
    /// A recording without audio, for [`Recorder::new`](crate::Recorder::new).
    fn from(video: VideoTrack) -> Self {
        Some(video.into())
    }
}

/// The track of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Track {
    /// The video.
    Video,
    /// The audio.
    Audio,
}

/// One encoded picture or audio frame, as the camera sent it.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaUnit {
    /// Its track.
    pub track: Track,
    /// Presentation time: ticks of 1/90000 s since 1970-01-01 UTC.
    pub timestamp_90k: u64,
    /// Whether a decoder can start here. Ignored for audio.
    pub keyframe: bool,
    /// H.264 and H.265: NAL units, each behind its length in 4 bytes (ISO/IEC 14496-15). MJPEG: a JPEG file.
    /// AAC: the bare frame, no ADTS. Opus: the packet.
    pub data: Bytes,
}

impl MediaUnit {
    /// A picture.
    pub fn video(timestamp_90k: u64, keyframe: bool, data: Bytes) -> Self {
        Self {
            track: Track::Video,
            timestamp_90k,
            keyframe,
            data,
        }
    }

    /// An audio frame.
    pub fn audio(timestamp_90k: u64, data: Bytes) -> Self {
        Self {
            track: Track::Audio,
            timestamp_90k,
            keyframe: false,
            data,
        }
    }

    pub(crate) fn starts_decoding(&self) -> bool {
        self.track == Track::Video && self.keyframe
    }
}

/// A keyframe of a recording, with the parameters to decode it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keyframe {
    /// The encoded picture.
    pub unit: MediaUnit,
    /// How it is encoded.
    pub video: VideoTrack,
}

impl Keyframe {
    /// A keyframe of a video.
    pub fn new(unit: MediaUnit, video: VideoTrack) -> Self {
        Self { unit, video }
    }
}

impl fmt::Debug for MediaUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaUnit")
            .field("track", &self.track)
            .field("timestamp_90k", &self.timestamp_90k)
            .field("keyframe", &self.keyframe)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for VideoTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VideoTrack {{ {:?} {}x{} }}",
            self.codec, self.width, self.height
        )
    }
}

impl fmt::Debug for AudioTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AudioTrack {{ {:?} {} Hz, {} channels }}",
            self.codec, self.sample_rate_hz, self.channels
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_opus_packet_is_in_its_first_bytes() {
        for (packet, ms) in [
            (&[0x78_u8, 1][..], 20.0), // 20 ms, one frame
            (&[0x79, 1], 40.0),
            (&[0x7b, 3, 1], 60.0),
            (&[0x18, 1], 60.0),
            (&[0x80, 1], 2.5),
            (&[0x60, 1], 10.0),
        ] {
            assert_eq!(
                opus_ticks(packet).map(|ticks| ticks as f64 / 90.0),
                Some(ms),
                "{packet:?}"
            );
        }
        assert_eq!((opus_ticks(&[]), opus_ticks(&[0x7b])), (None, None));
        assert_eq!(AudioTrack::frame_ticks(AudioCodec::Aac, &[0x78]), None);
    }

    #[test]
    fn opus_has_its_identification_header() {
        let track = AudioTrack::opus(0);
        assert_eq!(&track.extra_data[..], b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0");
        assert_eq!(
            (AudioTrack::opus(2).channels, AudioTrack::opus(9).channels),
            (2, 2)
        );
    }
}
