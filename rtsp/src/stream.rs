//! Streams and access units.

use std::fmt;
use std::time::Instant;

use bytes::{BufMut, Bytes};
use lva_bitstream::{NalError, NalUnits, ParameterSets, START_CODE};
use lva_media_types::VideoCodec;

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
    /// AAC (RFC 3640, `mpeg4-generic`; RFC 6416, `mp4a-latm`).
    Aac,
    /// G.711 µ-law.
    PcmMulaw,
    /// G.711 A-law.
    PcmAlaw,
    /// Opus (RFC 7587).
    Opus,
    /// ONVIF metadata (ONVIF Streaming section 5.2.1.1): received if [wanted](crate::CameraOptions::with_metadata).
    OnvifMetadata,
    /// Anything else, or an encoding with an unusable description: listed, not received.
    Unsupported,
}

impl Codec {
    /// Whether this crate receives units of such a stream by default.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::OnvifMetadata | Self::Unsupported)
    }

    /// Whether a decoder needs [`StreamInfo::extra_data`] to begin.
    pub(crate) fn has_parameter_sets(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }

    /// The codec of video as decoders and recordings take it; `None` for everything else.
    pub fn video_codec(self) -> Option<VideoCodec> {
        match self {
            Self::H264 => Some(VideoCodec::H264),
            Self::H265 => Some(VideoCodec::H265),
            Self::Jpeg => Some(VideoCodec::Mjpeg),
            Self::Aac
            | Self::PcmMulaw
            | Self::PcmAlaw
            | Self::Opus
            | Self::OnvifMetadata
            | Self::Unsupported => None,
        }
    }

    pub(crate) fn from_names(media: &str, encoding: &str) -> Self {
        match (media, encoding) {
            ("video", "h264") => Self::H264,
            ("video", "h265") => Self::H265,
            ("video" | "image", "jpeg") => Self::Jpeg,
            ("audio", "mpeg4-generic" | "mp4a-latm") => Self::Aac,
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

    /// Whether it is the video whose units come: at most one stream of a session.
    pub fn is_playing_video(&self) -> bool {
        self.playing && self.media == MediaKind::Video
    }

    /// The parameter sets of H.264 and H.265, from [`extra_data`](Self::extra_data). None for other encodings, and until
    /// the parameters are known.
    ///
    /// # Errors
    ///
    /// The record cannot be read, which a session never delivers.
    pub fn parameter_sets(&self) -> Result<ParameterSets, NalError> {
        match self.codec.video_codec() {
            Some(codec) => ParameterSets::from_extra_data(codec, &self.extra_data),
            None => Ok(ParameterSets::default()),
        }
    }

    /// What a decoder and a recording have to know of it; `None` until all of that is known, and if it is not video.
    pub fn video_parameters(&self) -> Option<VideoParameters> {
        let codec = self.codec.video_codec()?;
        let is_known = !self.codec.has_parameter_sets() || !self.extra_data.is_empty();
        Some(VideoParameters {
            codec,
            extra_data: self.extra_data.clone(),
            size: self.size.filter(|_| is_known)?,
        })
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

/// What a decoder and a recording have to know of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VideoParameters {
    /// How it is encoded.
    pub codec: VideoCodec,
    /// [`StreamInfo::extra_data`].
    pub extra_data: Bytes,
    /// Width and height of the picture in pixels, cropped.
    pub size: (u32, u32),
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
    /// Decoding can start here: an H.264 IDR or H.265 IRAP picture, and in a stream that has sent none for 5 s a recovery
    /// point or a picture of intra slices. Always true for audio and JPEG.
    pub keyframe: bool,
    /// No other picture refers to this one (`nal_ref_idc` 0): a decoder may skip it.
    pub disposable: bool,
    /// RTP packets lost since the previous unit. More data than these packets may be missing.
    pub lost_before: u32,
    /// The unit does not continue the previous one: packets or units were lost, time jumped, or a session began.
    pub discontinuity: bool,
    /// When its first packet arrived.
    pub received_at: Instant,
    /// H.264 and H.265: NAL units, each after its length in 4 bytes, big-endian (ISO/IEC 14496-15), without the parameter
    /// sets, which are in [`StreamInfo::extra_data`]. Other encodings: the bare frame, packet or document.
    pub data: Bytes,
}

impl AccessUnit {
    /// A video unit of `stream` at a time, without loss before it, for tests of code that consumes units.
    pub fn new(stream: usize, timestamp_90k: u64, keyframe: bool, data: Bytes) -> Self {
        Self {
            stream,
            media: MediaKind::Video,
            timestamp_90k,
            clock: ClockSource::Arrival,
            keyframe,
            disposable: false,
            lost_before: 0,
            discontinuity: false,
            received_at: Instant::now(),
            data,
        }
    }
    /// Appends a unit of H.264 or H.265 to a byte stream: each NAL unit after a start code (Annex B of both standards), as
    /// `.h264` and `.h265` files and many decoders have them. The given parameter sets
    /// ([`StreamInfo::parameter_sets`]) are written before a keyframe.
    ///
    /// # Errors
    ///
    /// [`NalError::Length`] for data of another form, such as audio or JPEG; then nothing is written.
    ///
    /// # Panics
    ///
    /// If `out` does not grow and is too short. `Vec<u8>` and `BytesMut` grow.
    pub fn write_annex_b(
        &self,
        parameter_sets: Option<&ParameterSets>,
        out: &mut impl BufMut,
    ) -> Result<(), NalError> {
        let nals = NalUnits::length_prefixed(&self.data, 4);
        let mut checked = nals.clone();
        checked.by_ref().for_each(drop);
        if checked.is_damaged() {
            return Err(NalError::Length(self.data.len()));
        }
        let sets = parameter_sets.filter(|_| self.keyframe).map(ParameterSets::iter);
        for nal in sets.into_iter().flatten().chain(nals) {
            out.put_slice(&START_CODE);
            out.put_slice(nal);
        }
        Ok(())
    }
}

impl fmt::Debug for AccessUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessUnit")
            .field("stream", &self.stream)
            .field("media", &self.media)
            .field("timestamp_90k", &self.timestamp_90k)
            .field("clock", &self.clock)
            .field("keyframe", &self.keyframe)
            .field("disposable", &self.disposable)
            .field("lost_before", &self.lost_before)
            .field("discontinuity", &self.discontinuity)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVCC: [u8; 17] = [1, 66, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 66, 1, 1, 0, 3, 0x68, 4, 5];

    #[test]
    fn keyframes_are_written_with_their_parameter_sets_and_others_without() {
        let mut video = StreamInfo::new(0, MediaKind::Video, Codec::H264, 90_000);
        assert!(video.parameter_sets().unwrap().is_empty(), "not known yet");
        video.extra_data = Bytes::from_static(&AVCC);
        assert_eq!(video.video_parameters(), None, "no size yet");
        video.size = Some((64, 48));
        assert!(video.video_parameters().is_some());
        let sets = video.parameter_sets().unwrap();
        let unit = |keyframe| AccessUnit::new(0, 1, keyframe, Bytes::from_static(&[0, 0, 0, 2, 0x65, 9]));
        let mut out = Vec::new();
        unit(true).write_annex_b(Some(&sets), &mut out).unwrap();
        unit(false).write_annex_b(Some(&sets), &mut out).unwrap();
        unit(true).write_annex_b(None, &mut out).unwrap();
        let picture = [0, 0, 0, 1, 0x65, 9];
        let sets = [0, 0, 0, 1, 0x67, 66, 1, 0, 0, 0, 1, 0x68, 4, 5];
        assert_eq!(out, [&sets[..], &picture, &picture, &picture].concat());
    }

    #[test]
    fn data_without_lengths_are_rejected_and_nothing_is_written() {
        let jpeg = AccessUnit::new(0, 1, true, Bytes::from_static(&[0xff, 0xd8, 0xff, 0xe0, 1]));
        let mut out = bytes::BytesMut::new();
        assert_eq!(jpeg.write_annex_b(None, &mut out), Err(NalError::Length(5)));
        assert!(out.is_empty());
    }
}
