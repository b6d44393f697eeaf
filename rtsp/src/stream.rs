//! What a camera offers and what it sends.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use crate::ClockSource;

/// The media type of a stream (RFC 8866 section 5.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Anything else, ONVIF metadata among it.
    Application,
}

/// An encoding that this crate knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
    /// JPEG pictures (RFC 2435).
    Jpeg,
    /// AAC (RFC 3640, `mpeg4-generic`).
    Aac,
    /// G.711 µ-law.
    PcmMulaw,
    /// G.711 A-law.
    PcmAlaw,
    /// ONVIF metadata: shown, not received.
    OnvifMetadata,
    /// Anything else, or a known encoding whose description cannot be used: shown, not received.
    Unsupported,
}

impl Codec {
    /// Whether units of such a stream are received.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::OnvifMetadata | Self::Unsupported)
    }

    pub(crate) fn from_names(media: &str, encoding: &str) -> Self {
        match (media, encoding) {
            ("video", "h264") => Self::H264,
            ("video", "h265") => Self::H265,
            ("video" | "image", "jpeg") => Self::Jpeg,
            ("audio", "mpeg4-generic") => Self::Aac,
            ("audio", "pcmu") => Self::PcmMulaw,
            ("audio", "pcma") => Self::PcmAlaw,
            (_, name) if name.starts_with("vnd.onvif.metadata") => Self::OnvifMetadata,
            _ => Self::Unsupported,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Jpeg => "JPEG",
            Self::Aac => "AAC",
            Self::PcmMulaw => "G.711 µ-law",
            Self::PcmAlaw => "G.711 A-law",
            Self::OnvifMetadata => "ONVIF metadata",
            Self::Unsupported => "unsupported",
        })
    }
}

/// One stream of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Place in the session description, from 0; [`AccessUnit::stream`] refers to it.
    pub index: usize,
    /// Media type.
    pub media: MediaKind,
    /// Encoding.
    pub codec: Codec,
    /// RFC 6381 name such as `avc1.4D401E`; `None` until the parameters are known.
    pub codec_name: Option<String>,
    /// The encoding's name in the session description, in lower case: `h264`, `mpeg4-generic`.
    pub encoding_name: String,
    /// Ticks a second of the RTP clock.
    pub clock_rate_hz: u32,
    /// What a decoder or an MP4 sample entry needs: `avcC` or `hvcC` record (ISO/IEC 14496-15), AudioSpecificConfig of
    /// AAC. Empty where there is nothing, or until the parameters are known.
    pub extra_data: Bytes,
    /// Width and height of the picture in pixels, cropped; `None` until the parameters are known.
    pub size: Option<(u32, u32)>,
    /// Samples a second of audio.
    pub sample_rate_hz: Option<u32>,
    /// Channels of audio.
    pub channels: Option<u16>,
    /// Whether units of it come. False for what is not supported or not wanted.
    pub playing: bool,
}

impl StreamInfo {
    /// A stream about which only this much is known. For tests of what consumes streams; a camera fills in the rest.
    pub fn new(index: usize, media: MediaKind, codec: Codec, clock_rate_hz: u32) -> Self {
        Self {
            index,
            media,
            codec,
            codec_name: None,
            encoding_name: String::new(),
            clock_rate_hz,
            extra_data: Bytes::new(),
            size: None,
            sample_rate_hz: None,
            channels: None,
            playing: codec.is_supported(),
        }
    }

    /// The code under which the event `MediaFormatError` names a stream that cannot be used: `unsupportedVideoFormat` or
    /// `unsupportedAudioFormat`. `None` for streams that can, or that are neither. [`encoding_name`](Self::encoding_name)
    /// says what it is.
    pub fn format_error_code(&self) -> Option<&'static str> {
        match (self.codec, self.media) {
            (Codec::Unsupported, MediaKind::Video) => Some("unsupportedVideoFormat"),
            (Codec::Unsupported, MediaKind::Audio) => Some("unsupportedAudioFormat"),
            _ => None,
        }
    }
}

/// One encoded picture, or one frame of audio.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessUnit {
    /// [`StreamInfo::index`] of its stream.
    pub stream: usize,
    /// Media time: ticks of 1/90000 s since 1970-01-01 UTC. Greater than that of the unit before in the same stream, over
    /// sessions too, but for reordered pictures (B-frames): units come in decoding order, and this is when they are shown.
    pub timestamp_90k: u64,
    /// Where the time comes from.
    pub clock: ClockSource,
    /// Decoding can start here. Always true for audio and JPEG.
    pub random_access: bool,
    /// No other picture refers to this one (`nal_ref_idc` 0): a decoder may leave it out.
    pub disposable: bool,
    /// RTP packets that were lost since the unit before. More data than these packets may be missing.
    pub lost_before: u32,
    /// The unit does not continue the one before: packets or units were lost, time jumped, or a session began.
    pub discontinuity: bool,
    /// When its first packet arrived.
    pub received_at: Instant,
    /// H.264 and H.265: NAL units, each behind its length in 4 bytes, big-endian (ISO/IEC 14496-15), parameter sets
    /// left out: they are in [`StreamInfo::extra_data`]. Others: the bare frame.
    pub data: Bytes,
}

impl AccessUnit {
    /// A unit of `stream` at a time, without loss before it. For tests of what consumes units.
    pub fn new(stream: usize, timestamp_90k: u64, random_access: bool, data: Bytes) -> Self {
        Self {
            stream,
            timestamp_90k,
            clock: ClockSource::Arrival,
            random_access,
            disposable: false,
            lost_before: 0,
            discontinuity: false,
            received_at: Instant::now(),
            data,
        }
    }
}

impl fmt::Debug for AccessUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessUnit")
            .field("stream", &self.stream)
            .field("timestamp_90k", &self.timestamp_90k)
            .field("clock", &self.clock)
            .field("random_access", &self.random_access)
            .field("disposable", &self.disposable)
            .field("lost_before", &self.lost_before)
            .field("discontinuity", &self.discontinuity)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}
