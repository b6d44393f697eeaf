//! The format of a stream's frames: encoding, pixel format, size and stride, and the exact size in bytes.

use std::fmt;

use lva_media_types::PixelFormat;
use lva_media_types::limits::MAX_ANNOUNCED_SIDE;

use crate::wire;
use crate::wire::video_frame_sample_format::{Encoding, PixelFormat as WirePixels};

/// How a frame is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameEncoding {
    /// Windows bitmap.
    Bmp,
    /// JPEG.
    Jpg,
    /// Portable network graphics.
    Png,
    /// Raw pixels.
    Raw(PixelFormat),
}

/// Encoding and size of every frame of a stream.
///
/// ```
/// use lva_extension_protocol::{FrameFormat, PixelFormat};
///
/// let format = FrameFormat::raw(PixelFormat::Bgr24, 1408, 786)?;
/// assert_eq!(format.stride_bytes(), 4224);
/// assert_eq!(format.frame_bytes(), Some(3_320_064));
/// assert_eq!(FrameFormat::jpg(1408, 786)?.frame_bytes(), None); // differs from picture to picture
/// # Ok::<(), lva_extension_protocol::FormatError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameFormat {
    encoding: FrameEncoding,
    width: u32,
    height: u32,
    stride_bytes: u32,
    frame_bytes: Option<usize>,
}

impl FrameFormat {
    /// Raw pixels without padding between rows.
    ///
    /// # Errors
    ///
    /// A side is 0 or above [`MAX_ANNOUNCED_SIDE`].
    pub fn raw(pixels: PixelFormat, width: u32, height: u32) -> Result<Self, FormatError> {
        Self::raw_with_stride(pixels, width, height, 0)
    }

    /// Raw pixels with `stride_bytes` from one row to the next; 0 means no padding. The planes U and V of
    /// [`PixelFormat::Yuv420p`] have half the stride, rounded up.
    ///
    /// # Errors
    ///
    /// As [`raw`](Self::raw), and if the stride is smaller than a row.
    pub fn raw_with_stride(
        pixels: PixelFormat,
        width: u32,
        height: u32,
        stride_bytes: u32,
    ) -> Result<Self, FormatError> {
        let (width, height) = checked_size(width, height)?;
        let row = width * pixels.bytes_per_pixel() as u32;
        let stride = match stride_bytes {
            0 => row,
            stride if stride < row => return Err(FormatError::Stride { stride, row }),
            stride => stride,
        };
        let frame_bytes = pixels
            .frame_bytes(width, height, stride as usize)
            .ok_or(FormatError::Size { width, height })?;
        Ok(Self {
            encoding: FrameEncoding::Raw(pixels),
            width,
            height,
            stride_bytes: stride,
            frame_bytes: Some(frame_bytes),
        })
    }

    /// JPEG pictures of this size.
    ///
    /// # Errors
    ///
    /// A side is 0 or above [`MAX_ANNOUNCED_SIDE`].
    pub fn jpg(width: u32, height: u32) -> Result<Self, FormatError> {
        Self::encoded(FrameEncoding::Jpg, width, height)
    }

    /// PNG pictures of this size.
    ///
    /// # Errors
    ///
    /// A side is 0 or above [`MAX_ANNOUNCED_SIDE`].
    pub fn png(width: u32, height: u32) -> Result<Self, FormatError> {
        Self::encoded(FrameEncoding::Png, width, height)
    }

    /// Windows bitmaps of this size.
    ///
    /// # Errors
    ///
    /// A side is 0 or above [`MAX_ANNOUNCED_SIDE`].
    pub fn bmp(width: u32, height: u32) -> Result<Self, FormatError> {
        Self::encoded(FrameEncoding::Bmp, width, height)
    }

    fn encoded(encoding: FrameEncoding, width: u32, height: u32) -> Result<Self, FormatError> {
        let (width, height) = checked_size(width, height)?;
        Ok(Self {
            encoding,
            width,
            height,
            stride_bytes: 0,
            frame_bytes: None,
        })
    }

    /// How a frame is encoded.
    pub fn encoding(&self) -> FrameEncoding {
        self.encoding
    }

    /// The pixel format of raw frames.
    pub fn pixel_format(&self) -> Option<PixelFormat> {
        match self.encoding {
            FrameEncoding::Raw(pixels) => Some(pixels),
            FrameEncoding::Bmp | FrameEncoding::Jpg | FrameEncoding::Png => None,
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes from one row to the next of raw frames, 0 for encoded ones.
    pub fn stride_bytes(&self) -> u32 {
        self.stride_bytes
    }

    /// Exact size of a raw frame; `None` for encoded frames, which differ in size.
    pub fn frame_bytes(&self) -> Option<usize> {
        self.frame_bytes
    }

    pub(crate) fn to_wire(self) -> wire::VideoFrameSampleFormat {
        let (encoding, pixels) = match self.encoding {
            FrameEncoding::Bmp => (Encoding::Bmp, WirePixels::None),
            FrameEncoding::Jpg => (Encoding::Jpg, WirePixels::None),
            FrameEncoding::Png => (Encoding::Png, WirePixels::None),
            FrameEncoding::Raw(pixels) => (Encoding::Raw, pixels_to_wire(pixels)),
        };
        wire::VideoFrameSampleFormat {
            encoding: encoding.into(),
            pixel_format: pixels.into(),
            dimensions: Some(wire::Dimensions {
                width: self.width,
                height: self.height,
            }),
            stride_bytes: self.stride_bytes,
        }
    }

    /// Reads a peer's announcement. Real clients leave the stride of raw frames at 0.
    pub(crate) fn from_wire(format: &wire::VideoFrameSampleFormat) -> Result<Self, FormatError> {
        let (width, height) = format
            .dimensions
            .as_ref()
            .map_or((0, 0), |size| (size.width, size.height));
        let encoding = Encoding::try_from(format.encoding).map_err(|_| FormatError::UnknownEncoding {
            number: format.encoding,
        })?;
        match encoding {
            Encoding::Bmp => Self::bmp(width, height),
            Encoding::Jpg => Self::jpg(width, height),
            Encoding::Png => Self::png(width, height),
            Encoding::Raw => {
                let unknown = FormatError::UnknownPixels {
                    number: format.pixel_format,
                };
                let pixels = WirePixels::try_from(format.pixel_format)
                    .ok()
                    .and_then(pixels_from_wire)
                    .ok_or(unknown)?;
                Self::raw_with_stride(pixels, width, height, format.stride_bytes)
            }
        }
    }
}

impl fmt::Display for FrameFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = (self.width, self.height);
        match self.encoding {
            FrameEncoding::Bmp => write!(f, "bmp {width}x{height}"),
            FrameEncoding::Jpg => write!(f, "jpeg {width}x{height}"),
            FrameEncoding::Png => write!(f, "png {width}x{height}"),
            FrameEncoding::Raw(pixels) => write!(f, "raw {pixels} {width}x{height}"),
        }
    }
}

fn pixels_to_wire(pixels: PixelFormat) -> WirePixels {
    match pixels {
        PixelFormat::Yuv420p => WirePixels::Yuv420p,
        PixelFormat::Rgb565Be => WirePixels::Rgb565be,
        PixelFormat::Rgb565Le => WirePixels::Rgb565le,
        PixelFormat::Rgb555Be => WirePixels::Rgb555be,
        PixelFormat::Rgb555Le => WirePixels::Rgb555le,
        PixelFormat::Rgb24 => WirePixels::Rgb24,
        PixelFormat::Bgr24 => WirePixels::Bgr24,
        PixelFormat::Argb => WirePixels::Argb,
        PixelFormat::Rgba => WirePixels::Rgba,
        PixelFormat::Abgr => WirePixels::Abgr,
        PixelFormat::Bgra => WirePixels::Bgra,
    }
}

fn pixels_from_wire(wire: WirePixels) -> Option<PixelFormat> {
    PixelFormat::ALL
        .into_iter()
        .find(|pixels| pixels_to_wire(*pixels) == wire)
}

fn checked_size(width: u32, height: u32) -> Result<(u32, u32), FormatError> {
    let fits = |side| (1..=MAX_ANNOUNCED_SIDE).contains(&side);
    if fits(width) && fits(height) {
        Ok((width, height))
    } else {
        Err(FormatError::Size { width, height })
    }
}

/// An invalid frame format. The announcing side is at fault; a retry does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A side is 0 or above [`MAX_ANNOUNCED_SIDE`].
    #[error("invalid frame size {width}x{height}: each side must be between 1 and {MAX_ANNOUNCED_SIDE}")]
    Size {
        /// Announced width.
        width: u32,
        /// Announced height.
        height: u32,
    },
    /// The stride is smaller than a row.
    #[error("a stride of {stride} bytes is less than one row ({row} bytes)")]
    Stride {
        /// Announced stride.
        stride: u32,
        /// Bytes of a row.
        row: u32,
    },
    /// An encoding that the contract does not define.
    #[error("unknown encoding {number}: the contract defines BMP 0, JPG 1, PNG 2, RAW 3")]
    UnknownEncoding {
        /// The number received.
        number: i32,
    },
    /// A pixel format that the contract does not define for raw frames.
    #[error("unknown pixel format {number}: raw frames use YUV420P 20 to BGRA 83")]
    UnknownPixels {
        /// The number received.
        number: i32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_survives_the_wire() {
        for pixels in PixelFormat::ALL {
            let format = FrameFormat::raw(pixels, 33, 17).unwrap();
            assert_eq!(FrameFormat::from_wire(&format.to_wire()), Ok(format));
        }
        for format in [
            FrameFormat::bmp(3, 4),
            FrameFormat::jpg(3, 4),
            FrameFormat::png(3, 4),
        ] {
            let format = format.unwrap();
            assert_eq!(FrameFormat::from_wire(&format.to_wire()), Ok(format));
        }
    }

    #[test]
    fn sizes_in_bytes() {
        let bytes = |pixels, width, height| FrameFormat::raw(pixels, width, height).unwrap().frame_bytes();
        assert_eq!(bytes(PixelFormat::Bgr24, 1408, 786), Some(3_320_064));
        assert_eq!(bytes(PixelFormat::Rgb24, 416, 416), Some(519_168));
        assert_eq!(bytes(PixelFormat::Yuv420p, 416, 416), Some(416 * 416 * 3 / 2));
        assert_eq!(bytes(PixelFormat::Yuv420p, 3, 3), Some(9 + 2 * 4));
        assert_eq!(bytes(PixelFormat::Rgb565Le, 5, 2), Some(20));
        assert_eq!(bytes(PixelFormat::Bgra, 5, 2), Some(40));
        let strided = FrameFormat::raw_with_stride(PixelFormat::Bgr24, 5, 2, 16).unwrap();
        assert_eq!(strided.frame_bytes(), Some(32));
    }

    #[test]
    fn invalid_formats_are_rejected() {
        assert_eq!(
            FrameFormat::raw(PixelFormat::Bgr24, 0, 5),
            Err(FormatError::Size { width: 0, height: 5 })
        );
        assert!(FrameFormat::jpg(u32::MAX, 1).is_err());
        assert_eq!(
            FrameFormat::raw_with_stride(PixelFormat::Bgr24, 10, 5, 29),
            Err(FormatError::Stride { stride: 29, row: 30 })
        );
        let mut wire = FrameFormat::raw(PixelFormat::Bgr24, 2, 2).unwrap().to_wire();
        wire.pixel_format = 0;
        assert_eq!(
            FrameFormat::from_wire(&wire),
            Err(FormatError::UnknownPixels { number: 0 })
        );
        wire.encoding = 9;
        assert_eq!(
            FrameFormat::from_wire(&wire),
            Err(FormatError::UnknownEncoding { number: 9 })
        );
        wire.dimensions = None;
        wire.encoding = 1;
        assert_eq!(
            FrameFormat::from_wire(&wire),
            Err(FormatError::Size { width: 0, height: 0 })
        );
    }

    #[test]
    fn the_largest_frame_does_not_overflow() {
        let format = FrameFormat::raw_with_stride(
            PixelFormat::Yuv420p,
            MAX_ANNOUNCED_SIDE,
            MAX_ANNOUNCED_SIDE,
            u32::MAX,
        );
        assert!(format.unwrap().frame_bytes().unwrap() > 1 << 40);
    }
}
