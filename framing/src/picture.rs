//! Decoded pictures.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::color;
use ffmpeg_next::util::frame::Video;
use lva_media_types::limits::MAX_PICTURE_SIDE;
use std::fmt;
use std::sync::Arc;

/// How the samples of a decoded picture lie in memory. All are planar: luma, Cb, Cr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PictureFormat {
    /// 8 bits, chroma halved both ways; nearly every camera.
    Yuv420p,
    /// 8 bits, chroma halved across; many MJPEG cameras.
    Yuv422p,
    /// 8 bits, chroma in full.
    Yuv444p,
    /// 10 bits in little-endian words of 16, chroma halved both ways; H.265 Main 10.
    Yuv420p10,
}

impl PictureFormat {
    /// Columns that a chroma sample covers, as a power of two.
    fn chroma_shift_x(self) -> u32 {
        match self {
            Self::Yuv420p | Self::Yuv422p | Self::Yuv420p10 => 1,
            Self::Yuv444p => 0,
        }
    }

    /// Rows that a chroma sample covers, as a power of two.
    fn chroma_shift_y(self) -> u32 {
        match self {
            Self::Yuv420p | Self::Yuv420p10 => 1,
            Self::Yuv422p | Self::Yuv444p => 0,
        }
    }

    pub(crate) fn bytes_per_sample(self) -> usize {
        match self {
            Self::Yuv420p10 => 2,
            Self::Yuv420p | Self::Yuv422p | Self::Yuv444p => 1,
        }
    }

    fn pixel(self) -> Pixel {
        match self {
            Self::Yuv420p => Pixel::YUV420P,
            Self::Yuv422p => Pixel::YUV422P,
            Self::Yuv444p => Pixel::YUV444P,
            Self::Yuv420p10 => Pixel::YUV420P10LE,
        }
    }
}

/// The matrix between red, green, blue and luma, chroma.
///
/// A stream without this information counts as BT.601, as in FFmpeg and OpenCV, which most models were trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ColorMatrix {
    /// ITU-R BT.601 (default).
    #[default]
    Bt601,
    /// ITU-R BT.709, of most HD video.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
    /// SMPTE 240M, of early HD.
    Smpte240,
}

/// The values of black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ColorRange {
    /// Luma 16 to 235, chroma 16 to 240 in 8 bits (default, also for streams without this information).
    #[default]
    Limited,
    /// All values, as in JPEG.
    Full,
}

/// One plane of a picture, borrowed.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    /// Its bytes, from the first sample of the first row on; rows lie `stride` bytes apart.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1, or 2 for the little-endian words of [`PictureFormat::Yuv420p10`].
    pub bytes_per_sample: usize,
}

impl<'a> Plane<'a> {
    /// The rows from top to bottom, each of `width` samples without the padding after it. It ends early where the data
    /// are shorter than the size.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let row_bytes = self.width as usize * self.bytes_per_sample;
        let rows = self.data.chunks(self.stride.max(1)).take(self.height as usize);
        rows.map_while(move |row| row.get(..row_bytes))
    }
}

impl fmt::Debug for Plane<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Plane {{ {}x{}, stride {} }}",
            self.width, self.height, self.stride
        )
    }
}

/// A decoded frame. Cloning shares it; its pixels are never copied and never change.
///
/// The decoder's buffer goes back to its pool when the last clone is dropped.
#[derive(Clone)]
pub struct Picture {
    frame: Arc<Video>,
    format: PictureFormat,
    matrix: ColorMatrix,
    range: ColorRange,
    timestamp_90k: u64,
    damaged: bool,
}

/// Why a frame cannot become a [`Picture`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The decoder's pixel layout is not among those of [`PictureFormat`].
    #[error("pictures in the layout {0} are not supported; set the camera to 8-bit 4:2:0")]
    Layout(String),
    /// A side is 0 or above [`MAX_PICTURE_SIDE`].
    #[error("a picture of {width}x{height} is out of range; sides of 1 to {MAX_PICTURE_SIDE} are accepted")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The length of a plane does not match its size.
    #[error("plane {plane} has {actual} bytes and needs {needed}")]
    PlaneLength {
        /// Number of the plane: 0 luma, 1 Cb, 2 Cr.
        plane: usize,
        /// Bytes of a plane of its size.
        needed: usize,
        /// Bytes given.
        actual: usize,
    },
    /// No memory for the picture.
    #[error("no memory for a picture")]
    OutOfMemory,
    /// The picture is in device memory and cannot be copied to the host.
    #[error("a picture cannot be copied from the device that decoded it; decode in software")]
    Device,
}

impl Picture {
    pub(crate) fn from_frame(frame: Video, timestamp_90k: u64, damaged: bool) -> Result<Self, PictureError> {
        let (width, height) = (frame.width(), frame.height());
        if width == 0 || height == 0 || width > MAX_PICTURE_SIDE || height > MAX_PICTURE_SIDE {
            return Err(PictureError::Size { width, height });
        }
        let (format, full_by_name) = match frame.format() {
            Pixel::YUV420P => (PictureFormat::Yuv420p, false),
            Pixel::YUVJ420P => (PictureFormat::Yuv420p, true),
            Pixel::YUV422P => (PictureFormat::Yuv422p, false),
            Pixel::YUVJ422P => (PictureFormat::Yuv422p, true),
            Pixel::YUV444P => (PictureFormat::Yuv444p, false),
            Pixel::YUVJ444P => (PictureFormat::Yuv444p, true),
            Pixel::YUV420P10LE => (PictureFormat::Yuv420p10, false),
            other => {
                let name = other
                    .descriptor()
                    .map_or("unknown", |descriptor| descriptor.name());
                return Err(PictureError::Layout(name.to_owned()));
            }
        };
        let matrix = match frame.color_space() {
            color::Space::BT709 => ColorMatrix::Bt709,
            color::Space::BT2020NCL | color::Space::BT2020CL => ColorMatrix::Bt2020,
            color::Space::SMPTE240M => ColorMatrix::Smpte240,
            _ => ColorMatrix::Bt601,
        };
        let full = full_by_name || frame.color_range() == color::Range::JPEG;
        let range = if full {
            ColorRange::Full
        } else {
            ColorRange::Limited
        };
        Ok(Self {
            frame: Arc::new(frame),
            format,
            matrix,
            range,
            timestamp_90k,
            damaged,
        })
    }

    /// Copies planes without gaps between rows into a picture: for tests, and for pictures from other sources.
    ///
    /// The second and third plane have `width` and `height` halved and rounded up as the format requires.
    ///
    /// # Errors
    ///
    /// A size out of range, a plane of another length, or no memory.
    pub fn from_planes(
        format: PictureFormat,
        (width, height): (u32, u32),
        planes: [&[u8]; 3],
        matrix: ColorMatrix,
        range: ColorRange,
        timestamp_90k: u64,
    ) -> Result<Self, PictureError> {
        if width == 0 || height == 0 || width > MAX_PICTURE_SIDE || height > MAX_PICTURE_SIDE {
            return Err(PictureError::Size { width, height });
        }
        let mut frame = Video::new(format.pixel(), width, height);
        if frame.planes() < 3 {
            return Err(PictureError::OutOfMemory);
        }
        for (plane, source) in planes.into_iter().enumerate() {
            let (columns, rows) = plane_size(format, (width, height), plane);
            let row = columns as usize * format.bytes_per_sample();
            let needed = row * rows as usize;
            if source.len() != needed {
                return Err(PictureError::PlaneLength {
                    plane,
                    needed,
                    actual: source.len(),
                });
            }
            let stride = frame.stride(plane);
            for (target, source) in frame
                .data_mut(plane)
                .chunks_mut(stride)
                .zip(source.chunks_exact(row))
            {
                if let Some(target) = target.get_mut(..row) {
                    target.copy_from_slice(source);
                }
            }
        }
        frame.set_color_space(match matrix {
            ColorMatrix::Bt601 => color::Space::SMPTE170M,
            ColorMatrix::Bt709 => color::Space::BT709,
            ColorMatrix::Bt2020 => color::Space::BT2020NCL,
            ColorMatrix::Smpte240 => color::Space::SMPTE240M,
        });
        frame.set_color_range(match range {
            ColorRange::Limited => color::Range::MPEG,
            ColorRange::Full => color::Range::JPEG,
        });
        Self::from_frame(frame, timestamp_90k, false)
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.frame.width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.frame.height()
    }

    /// How its samples lie.
    pub fn format(&self) -> PictureFormat {
        self.format
    }

    /// Its colour matrix.
    pub fn matrix(&self) -> ColorMatrix {
        self.matrix
    }

    /// Its range of values.
    pub fn range(&self) -> ColorRange {
        self.range
    }

    /// Media time of the unit that it was decoded from: ticks of 1/90000 s since 1970-01-01 UTC.
    pub fn timestamp_90k(&self) -> u64 {
        self.timestamp_90k
    }

    /// Whether the decoder concealed errors in it, because data was lost or damaged.
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// A plane: 0 luma, 1 Cb, 2 Cr.
    pub fn plane(&self, index: usize) -> Option<Plane<'_>> {
        if index >= 3 || index >= self.frame.planes() {
            return None;
        }
        let (width, height) = plane_size(self.format, (self.width(), self.height()), index);
        Some(Plane {
            data: self.frame.data(index),
            stride: self.frame.stride(index),
            width,
            height,
            bytes_per_sample: self.format.bytes_per_sample(),
        })
    }

    pub(crate) fn frame(&self) -> &Video {
        &self.frame
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("width", &self.width())
            .field("height", &self.height())
            .field("format", &self.format)
            .field("matrix", &self.matrix)
            .field("range", &self.range)
            .field("timestamp_90k", &self.timestamp_90k)
            .field("damaged", &self.damaged)
            .finish_non_exhaustive()
    }
}

fn plane_size(format: PictureFormat, (width, height): (u32, u32), plane: usize) -> (u32, u32) {
    if plane == 0 {
        (width, height)
    } else {
        (
            width.div_ceil(1 << format.chroma_shift_x()),
            height.div_ceil(1 << format.chroma_shift_y()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, luma: usize) -> Result<Picture, PictureError> {
        let chroma = vec![128; (width.div_ceil(2) * height.div_ceil(2)) as usize];
        Picture::from_planes(
            PictureFormat::Yuv420p,
            (width, height),
            [&vec![50; luma], &chroma, &chroma],
            ColorMatrix::Bt709,
            ColorRange::Full,
            42,
        )
    }

    #[test]
    fn planes_and_meaning_are_visible() {
        let picture = grey(5, 3, 15).unwrap();
        assert_eq!(
            (picture.matrix(), picture.range()),
            (ColorMatrix::Bt709, ColorRange::Full)
        );
        assert_eq!((picture.timestamp_90k(), picture.is_damaged()), (42, false));
        let chroma = picture.plane(2).unwrap();
        assert_eq!((chroma.width, chroma.height), (3, 2));
        assert!(chroma.rows().eq([[128; 3]; 2]));
        assert!(picture.plane(3).is_none());
    }

    #[test]
    fn a_clone_shares_the_pixels() {
        let picture = grey(64, 64, 4096).unwrap();
        let clone = picture.clone();
        assert_eq!(
            picture.plane(0).unwrap().data.as_ptr(),
            clone.plane(0).unwrap().data.as_ptr()
        );
    }

    #[test]
    fn planes_of_another_length_are_refused() {
        let error = grey(5, 3, 14).unwrap_err();
        assert_eq!(
            error,
            PictureError::PlaneLength {
                plane: 0,
                needed: 15,
                actual: 14
            }
        );
        assert!(matches!(grey(0, 3, 0), Err(PictureError::Size { .. })));
    }
}
