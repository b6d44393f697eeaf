use lva_media_types::VideoCodec;

/// NAL units that cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NalError {
    /// The configuration record ends too early.
    #[error("the decoder configuration record is cut off after {0} bytes")]
    Truncated(usize),
    /// The version of the configuration record is not the one that ISO/IEC 14496-15 defines.
    #[error(
        "the decoder configuration record has version {0}, not 1; pass an avcC or hvcC record, not a byte stream"
    )]
    Version(u8),
    /// Lengths of 3 bytes are forbidden by ISO/IEC 14496-15.
    #[error("the decoder configuration record announces lengths of 3 bytes, which the standard forbids")]
    LengthSize,
    /// A length in an access unit exceeds what is left of it.
    #[error(
        "a length in the access unit of {0} bytes does not fit: its NAL units must follow lengths of 4 bytes"
    )]
    Length(usize),
    /// Bytes before the first start code, or no start code at all.
    #[error("the data of {0} bytes do not begin with an Annex B start code (00 00 01)")]
    NoStartCode(usize),
    /// A NAL unit that does not fit into a field of 4 bytes.
    #[error("a NAL unit of {0} bytes is too long")]
    TooLong(usize),
    /// A parameter set is missing, where a configuration record needs it.
    #[error(
        "the {0} stream has no {1} here: pass a keyframe, and let the encoder repeat its headers with each"
    )]
    MissingSet(VideoCodec, &'static str),
    /// More or larger parameter sets than a configuration record can hold.
    #[error(
        "the stream has {count} parameter sets of {bytes} bytes, more than a decoder configuration record can hold"
    )]
    TooManySets {
        /// Their number.
        count: usize,
        /// Their size.
        bytes: usize,
    },
}
