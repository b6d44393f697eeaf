//! Input of a recording: tracks and units.

use std::fmt;

use bytes::Bytes;
use lva_media_types::VideoCodec;

/// The video of a recording.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoTrack {
    /// How it is encoded.
    pub codec: VideoCodec,
    /// The `avcC` (H.264) or `hvcC` (H.265) record of ISO/IEC 14496-15; written to the file unchanged.
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

/// The AAC audio of a recording.
#[derive(Clone, PartialEq, Eq)]
pub struct AudioTrack {
    /// The `AudioSpecificConfig` of ISO/IEC 14496-3; written to the file unchanged.
    pub extra_data: Bytes,
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// Channels, 1 or more.
    pub channels: u16,
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
    /// H.264 and H.265: NAL units, each behind its length in 4 bytes (ISO/IEC 14496-15). AAC: the bare frame, no ADTS.
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
            "AudioTrack {{ {} Hz, {} channels }}",
            self.sample_rate_hz, self.channels
        )
    }
}
