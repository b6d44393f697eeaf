//! How to decode.

mod quality;

use crate::hardware::Hardware;
pub use quality::{DecodeQuality, UnknownDecodeQuality};

/// Most decoder threads that can be asked for.
pub const MAX_THREADS: usize = 64;

/// Most pixels of a picture that is decoded, unless more are asked for: those of 8192x4320, the largest picture of H.265's level
/// 6.2.
///
/// A decoder keeps up to 17 pictures, of 1.5 bytes a pixel in most streams: 860 MiB of this size, 50 MiB of 1080p.
pub const MAX_DECODED_PIXELS: u64 = 8192 * 4320;

/// How to decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderOptions {
    pub(super) threads: usize,
    pub(super) low_delay: bool,
    pub(super) hardware: Option<Hardware>,
    pub(super) quality: DecodeQuality,
    pub(super) max_pixels: u64,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            low_delay: true,
            hardware: None,
            quality: DecodeQuality::Exact,
            max_pixels: MAX_DECODED_PIXELS,
        }
    }
}

impl DecoderOptions {
    /// Threads for one stream, 1 to [`MAX_THREADS`], default 1.
    ///
    /// One is right where a machine has more cameras than cores. More shorten the time of a single picture only where
    /// pictures have several slices, unless [`with_low_delay`](Self::with_low_delay) is off; each takes some MiB.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, MAX_THREADS);
        self
    }

    /// Whether a picture comes out with the unit that carries it, default on.
    ///
    /// Off, several threads work on successive pictures: more pictures a second for one stream, each of them `threads`
    /// − 1 units late. Pictures that the stream itself reorders (B-frames) are late in both cases.
    #[must_use]
    pub fn with_low_delay(mut self, low_delay: bool) -> Self {
        self.low_delay = low_delay;
        self
    }

    /// Decodes on a device, default none. If the device, its driver or the codec on it is missing, decoding falls back
    /// to software, the reason is logged once at level WARN, and [`Decoder::hardware`](crate::Decoder::hardware) is
    /// `None`.
    ///
    /// Pictures are copied from device to host memory, so this saves processor time but not bus bandwidth.
    #[must_use]
    pub fn with_hardware(mut self, hardware: Option<Hardware>) -> Self {
        self.hardware = hardware;
        self
    }

    /// How exactly software decodes, default [`DecodeQuality::Exact`]. Devices always decode exactly.
    #[must_use]
    pub fn with_quality(mut self, quality: DecodeQuality) -> Self {
        self.quality = quality;
        self
    }

    /// Most pixels of a picture, default [`MAX_DECODED_PIXELS`] (8192x4320). A stream that announces more is not decoded: of
    /// its first bytes a decoder would take memory for up to 17 such pictures, 25 bytes a pixel. Too few, and the streams of
    /// large cameras give [`PushError::TooManyPixels`](crate::PushError::TooManyPixels).
    #[must_use]
    pub fn with_max_pixels(mut self, pixels: u64) -> Self {
        self.max_pixels = pixels.max(1);
        self
    }
}
