//! Borrowed pictures: bytes with their size, stride and pixel format.

use std::fmt;

use lva_media_types::PixelFormat;
use lva_media_types::limits::MAX_PICTURE_SIDE;

/// How luma and chroma of a YUV420P picture become red, green and blue. Other formats ignore it.
///
/// The wrong matrix shifts greens and reds by a few per cent, the wrong range loses contrast; detectors
/// tolerate both, at some cost in score. The default is what converters assume for streams without this information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ColorSpace {
    /// ITU-R BT.601, luma 16..=235 (default).
    #[default]
    Bt601Limited,
    /// ITU-R BT.601, all values 0..=255, as in JPEG.
    Bt601Full,
    /// ITU-R BT.709, luma 16..=235, as in most HD video.
    Bt709Limited,
    /// ITU-R BT.709, all values 0..=255.
    Bt709Full,
}

/// A borrowed picture in memory.
///
/// Rows lie `stride` bytes apart, the first row at the start of the bytes. The last row may end with its last
/// pixel: its padding need not be there.
///
/// **YUV420P**: the luma plane takes `stride × height` bytes. With halves rounded up, chroma planes are
/// `width / 2` by `height / 2` samples and their rows lie `stride / 2` bytes apart. The Cb plane follows the luma
/// plane directly, the Cr plane the Cb plane; each takes `stride / 2 × height / 2` bytes, but the last row of Cr
/// may again be short.
#[derive(Clone, Copy)]
pub struct ImageView<'a> {
    bytes: &'a [u8],
    width: u32,
    height: u32,
    stride: usize,
    format: PixelFormat,
    color_space: ColorSpace,
}

impl<'a> ImageView<'a> {
    /// A view of `bytes` as `width` × `height` pixels, rows `stride` bytes apart.
    ///
    /// Bytes past the picture are allowed and ignored.
    ///
    /// # Errors
    ///
    /// [`ImageError`] when a side is zero or above [`MAX_PICTURE_SIDE`], the stride is shorter than a row, or the
    /// bytes are fewer than the picture needs. The sender of the frame is at fault; the same frame will fail
    /// again.
    pub fn new(
        bytes: &'a [u8],
        width: u32,
        height: u32,
        stride: usize,
        format: PixelFormat,
    ) -> Result<Self, ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::Empty { width, height });
        }
        if width > MAX_PICTURE_SIDE || height > MAX_PICTURE_SIDE {
            return Err(ImageError::TooLarge { width, height });
        }
        let row = format.packed_stride(width);
        if stride < row {
            return Err(ImageError::StrideTooSmall {
                format,
                width,
                stride,
                needed: row,
            });
        }
        let needed = format
            .planes(width, height, stride)
            .and_then(|planes| planes.into_iter().flatten().last()?.end_of_pixels())
            .ok_or(ImageError::TooLarge { width, height })?;
        if bytes.len() < needed {
            return Err(ImageError::TooFewBytes {
                format,
                width,
                height,
                stride,
                needed,
                found: bytes.len(),
            });
        }
        Ok(Self {
            bytes,
            width,
            height,
            stride,
            format,
            color_space: ColorSpace::default(),
        })
    }

    /// A view of rows that follow one another without padding.
    ///
    /// # Errors
    ///
    /// As for [`ImageView::new`], but for the stride.
    pub fn packed(bytes: &'a [u8], width: u32, height: u32, format: PixelFormat) -> Result<Self, ImageError> {
        Self::new(bytes, width, height, format.packed_stride(width), format)
    }

    /// A view of packed RGB that was checked when it was made.
    #[cfg(feature = "image-codecs")]
    pub(crate) fn of_checked_rgb(bytes: &'a [u8], width: u32, height: u32) -> Self {
        let format = PixelFormat::Rgb24;
        let stride = format.packed_stride(width);
        Self {
            bytes,
            width,
            height,
            stride,
            format,
            color_space: ColorSpace::default(),
        }
    }

    /// Sets the colour space of a YUV420P picture. Default: [`ColorSpace::Bt601Limited`].
    #[must_use]
    pub fn with_color_space(mut self, color_space: ColorSpace) -> Self {
        self.color_space = color_space;
        self
    }

    /// Width in pixels, 1..=[`MAX_PICTURE_SIDE`].
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, 1..=[`MAX_PICTURE_SIDE`].
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes from one row of the first plane to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Layout of the pixels.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Colour space of a YUV420P picture.
    pub fn color_space(&self) -> ColorSpace {
        self.color_space
    }

    /// All bytes, as given.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first plane: all pixels, or the luma of YUV420P.
    pub(crate) fn first_plane(&self) -> Plane<'a> {
        Plane {
            bytes: self.bytes,
            stride: self.stride,
            row_len: self.format.packed_stride(self.width),
            first: 0,
            step: self.format.bytes_per_pixel(),
        }
    }

    /// Plane `index` of the format; `None` if it has fewer.
    pub(crate) fn plane(&self, index: usize) -> Option<Plane<'a>> {
        let planes = self.format.planes(self.width, self.height, self.stride)?;
        let plane = (*planes.get(index)?)?;
        Some(Plane {
            bytes: self.bytes.get(plane.offset..)?,
            stride: plane.stride,
            row_len: plane.row_bytes,
            first: plane.first,
            step: plane.step,
        })
    }
}

impl fmt::Debug for ImageView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageView")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("stride", &self.stride)
            .field("format", &self.format)
            .field("color_space", &self.color_space)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Rows of one plane of a view that was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) stride: usize,
    pub(crate) row_len: usize,
    /// Bytes from the start of a row to its first sample.
    pub(crate) first: usize,
    /// Bytes from one sample to the next.
    pub(crate) step: usize,
}

impl<'a> Plane<'a> {
    /// The bytes of row `y`, without padding; empty for a row that the plane does not have.
    pub(crate) fn row(&self, y: usize) -> &'a [u8] {
        y.checked_mul(self.stride)
            .and_then(|at| self.bytes.get(at..at.checked_add(self.row_len)?))
            .unwrap_or_default()
    }
}

/// Why bytes are not a picture of the declared size and format. The sender of the frame is at fault; the same frame
/// fails again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A side is zero.
    #[error("a picture of {width}x{height} pixels has no pixels: declare its actual size")]
    Empty {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A side is above [`MAX_PICTURE_SIDE`], or the picture exceeds the address space.
    #[error(
        "a picture of {width}x{height} pixels is too large: at most {MAX_PICTURE_SIDE} a side are accepted"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The stride is shorter than a row.
    #[error(
        "a stride of {stride} bytes is shorter than a row of {width} {format} pixels, which takes {needed}"
    )]
    StrideTooSmall {
        /// Layout of the pixels.
        format: PixelFormat,
        /// Width in pixels.
        width: u32,
        /// Stride as given, in bytes.
        stride: usize,
        /// Shortest stride for that width, in bytes.
        needed: usize,
    },
    /// The bytes end before the picture does.
    #[error(
        "a {width}x{height} {format} picture with a stride of {stride} needs {needed} bytes, but {found} were given: \
         check size, stride and pixel format against what the sender declared"
    )]
    TooFewBytes {
        /// Layout of the pixels.
        format: PixelFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Stride in bytes.
        stride: usize,
        /// Bytes that the picture takes at least.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_row_needs_no_padding() {
        let bytes = [0; 16 + 9];
        assert!(ImageView::new(&bytes, 3, 2, 16, PixelFormat::Rgb24).is_ok());
        let err = ImageView::new(&bytes[..24], 3, 2, 16, PixelFormat::Rgb24).unwrap_err();
        assert!(matches!(
            err,
            ImageError::TooFewBytes {
                needed: 25,
                found: 24,
                ..
            }
        ));
    }

    #[test]
    fn chroma_planes_follow_the_luma_plane() {
        // 3x3 with a stride of 5: luma 15 bytes, chroma rows 3 apart, 2x2 samples.
        let bytes: Vec<u8> = (0..15 + 6 + 3 + 2).collect();
        let view = ImageView::new(&bytes, 3, 3, 5, PixelFormat::Yuv420p).unwrap();
        let [cb, cr] = [1, 2].map(|index| view.plane(index).unwrap());
        assert_eq!(view.first_plane().row(2), [10, 11, 12]);
        assert_eq!((cb.row(0), cb.row(1)), (&[15, 16][..], &[18, 19][..]));
        assert_eq!((cr.row(0), cr.row(1)), (&[21, 22][..], &[24, 25][..]));
        assert!(ImageView::new(&bytes[..25], 3, 3, 5, PixelFormat::Yuv420p).is_err());
    }

    #[test]
    fn invalid_pictures_are_rejected() {
        let bytes = [0; 64];
        let view = |w, h, stride, format| ImageView::new(&bytes, w, h, stride, format).unwrap_err();
        assert!(matches!(
            view(0, 2, 8, PixelFormat::Rgb24),
            ImageError::Empty { .. }
        ));
        assert!(matches!(
            view(2, 0, 8, PixelFormat::Yuv420p),
            ImageError::Empty { .. }
        ));
        assert!(matches!(
            view(MAX_PICTURE_SIDE + 1, 1, 1 << 20, PixelFormat::Bgra),
            ImageError::TooLarge { .. }
        ));
        assert!(matches!(
            view(1, 9, usize::MAX, PixelFormat::Bgra),
            ImageError::TooLarge { .. }
        ));
        assert!(matches!(
            view(1, 9, usize::MAX, PixelFormat::Yuv420p),
            ImageError::TooLarge { .. }
        ));
        assert!(matches!(
            view(4, 1, 11, PixelFormat::Bgr24),
            ImageError::StrideTooSmall {
                stride: 11,
                needed: 12,
                ..
            }
        ));
    }
}
