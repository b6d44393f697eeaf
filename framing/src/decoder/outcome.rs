//! What becomes of units: outcomes, counts and errors.

use super::{MAX_UNIT_BYTES, VideoCodec};
use crate::bitstream::ExtraDataError;
use crate::picture::PictureError;
use ffmpeg_next as ffmpeg;

/// What became of a unit that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a damaged unit may leave errors in the pictures until the next key frame"]
pub enum UnitOutcome {
    /// The decoder took it without complaint, or will when it is known that its picture is needed.
    Accepted,
    /// It was cut off, or the decoder refused it. Counted in [`DecoderStats::damaged_units`]; decoding goes on, with
    /// pictures that may show errors until the next key frame.
    Damaged,
    /// Nobody wants its picture, and no other picture needs it: it was not decoded. Counted in
    /// [`DecoderStats::skipped_units`].
    Skipped,
}

/// What a decoder has done so far. All numbers only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DecoderStats {
    /// Units pushed.
    pub units: u64,
    /// Units that were cut off or refused by the decoder.
    pub damaged_units: u64,
    /// Units that were left out because nobody wanted their pictures and no other picture needs them.
    pub skipped_units: u64,
    /// Pictures that were decoded because others refer to them, and that nobody wanted.
    pub unwanted_pictures: u64,
    /// Pictures that came out, the unwanted ones not among them.
    pub pictures: u64,
    /// Pictures among them in which the decoder had to guess.
    pub damaged_pictures: u64,
    /// Pictures lost because their layout or size is not supported.
    pub unsupported_pictures: u64,
    /// Pictures lost because nobody took them.
    pub overflowed_pictures: u64,
}

/// A decoder that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The stream's configuration record cannot be read. The camera's SDP is at fault.
    #[error("the configuration of the {codec} stream cannot be read")]
    ExtraData {
        /// The stream's codec.
        codec: VideoCodec,
        /// What is wrong.
        source: ExtraDataError,
    },
    /// The FFmpeg that is linked was built without this decoder.
    #[error("this FFmpeg has no {codec} decoder; install a libavcodec that has it")]
    NoDecoder {
        /// What was asked for.
        codec: VideoCodec,
    },
    /// FFmpeg refuses to open it.
    #[error("the {codec} decoder cannot be opened")]
    Refused {
        /// What was asked for.
        codec: VideoCodec,
        /// FFmpeg's reason.
        source: ffmpeg::Error,
    },
}

/// A unit that could not be given to the decoder at all. The decoder stays usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The unit is larger than [`MAX_UNIT_BYTES`].
    #[error("a unit of {0} bytes is larger than any picture; {MAX_UNIT_BYTES} are accepted")]
    TooLarge(usize),
    /// The time does not fit into FFmpeg's 63 bits.
    #[error("the time stamp {0} is out of range")]
    Timestamp(u64),
    /// No memory for the unit.
    #[error("no memory for an encoded picture")]
    OutOfMemory,
    /// A picture came out that cannot be used; also counted in [`DecoderStats::unsupported_pictures`]. The remedy is at
    /// the camera.
    #[error("the decoded picture cannot be used")]
    Unsupported(#[from] PictureError),
}
