//! Streams and access units.

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
    /// Audio.
    Audio,
    /// Anything else, such as ONVIF metadata.
    Application,
}

/// The encoding of a stream.
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
    /// Opus (RFC 7587).
    Opus,
    /// ONVIF metadata: listed, not received.
    OnvifMetadata,
    /// Anything else, or an encoding with an unusable description: listed, not received.
    Unsupported,
}

impl Codec {
    /// Whether this crate receives units of such a stream.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::OnvifMetadata | Self::Unsupported)
    }

    /// Whether a decoder needs [`StreamInfo::extra_data`] to begin.
    pub(crate) fn has_parameter_sets(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }

    pub(crate) fn from_names(media: &str, encoding: &str) -> Self {
        match (media, encoding) {
            ("video", "h264") => Self::H264,
            ("video", "h265") => Self::H265,
            ("video" | "image", "jpeg") => Self::Jpeg,
            ("audio", "mpeg4-generic") => Self::Aac,
            ("audio", "pcmu") => Self::PcmMulaw,
            ("audio", "pcma") => Self::PcmAlaw,
            ("audio", "opus") => Self::Opus,
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
            Self::Opus => "Opus",
            Self::OnvifMetadata => "ONVIF metadata",
            Self::Unsupported => "unsupported",
        })
    }
}

/// One stream of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Position in the session description, from 0; [`AccessUnit::stream`] refers to it.
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
    /// What a decoder or an MP4 sample entry needs: the `avcC` or `hvcC` record (ISO/IEC 14496-15), or the
    /// AudioSpecificConfig of AAC. Empty for other encodings, and until the parameters are known.
    pub extra_data: Bytes,
    /// Width and height of the picture in pixels, cropped; `None` until the parameters are known.
    pub size: Option<(u32, u32)>,
    /// Samples a second of audio.
    pub sample_rate_hz: Option<u32>,
    /// Channels of audio.
    pub channels: Option<u16>,
    /// Whether it delivers units. False for unsupported and unwanted streams.
    pub playing: bool,
}

impl StreamInfo {
    /// A stream without further details, for tests of code that consumes streams.
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

    /// The code of an unusable stream in the event `MediaFormatError`: `unsupportedVideoFormat` or
    /// `unsupportedAudioFormat`. `None` for usable streams and for those that are neither video nor audio.
    pub fn format_error_code(&self) -> Option<&'static str> {
        match (self.codec, self.media) {
            (Codec::Unsupported, MediaKind::Video) => Some("unsupportedVideoFormat"),
            (Codec::Unsupported, MediaKind::Audio) => Some("unsupportedAudioFormat"),
            _ => None,
        }
    }
}

/// Why a stream of which packets come gives no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoPictures {
    /// Neither the description nor the stream has the parameter sets that a decoder needs.
    NoParameterSets,
    /// A part of every picture is missing or damaged.
    Damaged,
    /// None of them is a key frame.
    NoKeyframe,
}

impl fmt::Display for NoPictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoParameterSets => {
                "no parameter sets (SPS, PPS) came, neither in the description nor with the pictures: restart the camera's \
                 encoder, or choose another profile"
            }
            Self::Damaged => {
                "a part of every picture is missing or damaged: check the network, or use the transport tcp"
            }
            Self::NoKeyframe => {
                "no key frame came: set a key-frame interval of 1 to 2 s, and switch intra refresh off in the camera"
            }
        })
    }
}

/// One encoded picture or audio frame.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessUnit {
    /// [`StreamInfo::index`] of its stream.
    pub stream: usize,
    /// Media type of its stream.
    pub media: MediaKind,
    /// Media time: ticks of 1/90000 s since 1970-01-01 UTC. Greater than that of the stream's previous unit, even in an
    /// earlier session, except for reordered pictures (B-frames): units come in decoding order, and this is the time of
    /// presentation.
    pub timestamp_90k: u64,
    /// The source of the time.
    pub clock: ClockSource,
    /// Decoding can start here. Always true for audio and JPEG.
    pub random_access: bool,
    /// No other picture refers to this one (`nal_ref_idc` 0): a decoder may skip it.
    pub disposable: bool,
    /// RTP packets lost since the previous unit. More data than these packets may be missing.
    pub lost_before: u32,
    /// The unit does not continue the previous one: packets or units were lost, time jumped, or a session began.
    pub discontinuity: bool,
    /// When its first packet arrived.
    pub received_at: Instant,
    /// H.264 and H.265: NAL units, each after its length in 4 bytes, big-endian (ISO/IEC 14496-15), without the parameter
    /// sets, which are in [`StreamInfo::extra_data`]. Other encodings: the bare frame.
    pub data: Bytes,
}

impl AccessUnit {
    /// A video unit of `stream` at a time, without loss before it, for tests of code that consumes units.
    pub fn new(stream: usize, timestamp_90k: u64, random_access: bool, data: Bytes) -> Self {
        Self {
            stream,
            media: MediaKind::Video,
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
            .field("media", &self.media)
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
