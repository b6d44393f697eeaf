//! Outcomes, counters and errors of decoding.

use crate::picture::PictureError;
use ffmpeg_next as ffmpeg;
use lva_bitstream::NalError;
use lva_media_types::VideoCodec;
use lva_media_types::limits::MAX_ACCESS_UNIT_BYTES;

/// What the decoder did with an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitOutcome {
    /// Decoded without an error, or deferred until its picture is known to be needed.
    Accepted,
    /// It was truncated, or the decoder rejected it. Counted in [`DecoderStats::damaged_units`]; decoding goes on, with
    /// pictures that may show errors until the next keyframe.
    Damaged,
    /// Not decoded: its picture is not wanted, and no other picture refers to it. Counted in
    /// [`DecoderStats::skipped_units`].
    Skipped,
}

/// Counters of a decoder. They only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct DecoderStats {
    /// Units pushed.
    pub units: u64,
    /// Units that were truncated or rejected by the decoder.
    pub damaged_units: u64,
    /// Units that were not decoded because their pictures were not wanted or referred to.
    pub skipped_units: u64,
    /// Unwanted pictures that were decoded because others refer to them.
    pub unwanted_pictures: u64,
    /// Wanted pictures that were decoded.
    pub pictures: u64,
    /// Pictures among them in which the decoder concealed errors.
    pub damaged_pictures: u64,
    /// Pictures lost because their layout or size is not supported.
    pub unsupported_pictures: u64,
    /// Pictures dropped because the caller did not take them in time.
    pub overflowed_pictures: u64,
}

/// Why a decoder cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecoderOpenError {
    /// The stream's configuration record cannot be read. The camera's SDP is at fault.
    #[error("the configuration of the {codec} stream cannot be read: {cause}")]
    ExtraData {
        /// The stream's codec.
        codec: VideoCodec,
        /// What is wrong.
        cause: NalError,
    },
    /// The linked FFmpeg was built without this decoder.
    #[error("this FFmpeg has no {codec} decoder; install a libavcodec that has it")]
    NoDecoder {
        /// The requested codec.
        codec: VideoCodec,
    },
    /// FFmpeg failed to open it.
    #[error("the {codec} decoder cannot be opened: {cause}")]
    Open {
        /// The requested codec.
        codec: VideoCodec,
        /// FFmpeg's reason.
        cause: ffmpeg::Error,
    },
}

/// Why an access unit was not decoded. The decoder stays usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The unit is larger than [`MAX_ACCESS_UNIT_BYTES`].
    #[error("an access unit of {0} bytes is too large; the limit is {MAX_ACCESS_UNIT_BYTES} bytes")]
    TooLarge(usize),
    /// The stream announces larger pictures than [`DecoderOptions::with_max_pixels`](crate::DecoderOptions::with_max_pixels)
    /// allows. Nothing of it is decoded. Choose a smaller size in the camera.
    #[error("pictures of {width}x{height} are not decoded: at most {max_pixels} pixels are allowed")]
    TooManyPixels {
        /// Width that the stream announces, before cropping.
        width: u32,
        /// Height that the stream announces, before cropping.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// A sequence parameter set cannot be read, so the size of its pictures is not known. Nothing of the stream is decoded.
    #[error("the size of the pictures cannot be read from the stream's parameter sets")]
    UnknownSize,
    /// The time does not fit into FFmpeg's 63 bits.
    #[error("the time stamp {0} is out of range")]
    Timestamp(u64),
    /// No memory for the unit.
    #[error("no memory for an encoded picture")]
    OutOfMemory,
    /// The decoded picture has an unsupported layout or size; also counted in [`DecoderStats::unsupported_pictures`].
    /// Change the camera's settings.
    #[error(transparent)]
    Unsupported(#[from] PictureError),
}
