//! Converts the frames of a stream to frames for a detector.

use lva_extension_protocol::{FrameEncoding, FrameFormat};
#[cfg(feature = "image-codecs")]
use lva_inference::{CodecError, CodecLimits, RgbPicture};
use lva_inference::{Frame, ImageError, ImageView};
use lva_media_types::limits::MAX_PICTURE_SIDE;

/// A format of frames that detectors cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadableFormat {
    #[error("frames of {width}x{height} pixels are too large: send sides of at most {MAX_PICTURE_SIDE}")]
    Size { width: u32, height: u32 },
    #[cfg(not(feature = "image-codecs"))]
    #[error("this build cannot read encoded pictures: send raw pixels (feature image-codecs is off)")]
    Encoded,
}

/// A frame that is not what its stream announced. The sender is at fault; the same bytes fail again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer raw pixels than a frame has.
    #[error(transparent)]
    Raw(#[from] ImageError),
    /// The bytes are not an encoded picture.
    #[cfg(feature = "image-codecs")]
    #[error(transparent)]
    Encoded(#[from] CodecError),
}

/// Reads the frames of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameReader {
    format: FrameFormat,
}

/// A frame for a detector, with the memory of a decoded picture.
#[derive(Debug)]
pub(crate) enum ReadFrame<'a> {
    Borrowed(ImageView<'a>),
    #[cfg(feature = "image-codecs")]
    Decoded(RgbPicture),
}

impl ReadFrame<'_> {
    pub(crate) fn frame(&self) -> Frame<'_> {
        match self {
            Self::Borrowed(view) => Frame::Host(*view),
            #[cfg(feature = "image-codecs")]
            Self::Decoded(picture) => Frame::Host(picture.view()),
        }
    }
}

impl FrameReader {
    pub(crate) fn new(format: FrameFormat) -> Result<Self, UnreadableFormat> {
        let (width, height) = (format.width(), format.height());
        if width > MAX_PICTURE_SIDE || height > MAX_PICTURE_SIDE {
            return Err(UnreadableFormat::Size { width, height });
        }
        match format.encoding() {
            FrameEncoding::Raw(_) => Ok(Self { format }),
            #[cfg(feature = "image-codecs")]
            FrameEncoding::Bmp | FrameEncoding::Jpg | FrameEncoding::Png => Ok(Self { format }),
            #[cfg(not(feature = "image-codecs"))]
            FrameEncoding::Bmp | FrameEncoding::Jpg | FrameEncoding::Png => Err(UnreadableFormat::Encoded),
        }
    }

    /// Raw pixels are borrowed, encoded pictures decoded.
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Result<ReadFrame<'a>, FrameError> {
        let format = &self.format;
        match format.encoding() {
            FrameEncoding::Raw(pixels) => {
                let stride = format.stride_bytes() as usize;
                let view = ImageView::new(bytes, format.width(), format.height(), stride, pixels)?;
                Ok(ReadFrame::Borrowed(view))
            }
            // The bytes identify JPEG, PNG and BMP: a wrong one of these names is tolerated.
            #[cfg(feature = "image-codecs")]
            FrameEncoding::Bmp | FrameEncoding::Jpg | FrameEncoding::Png => {
                let side = format.width().max(format.height());
                let limits = CodecLimits::default().with_largest_side(side);
                Ok(ReadFrame::Decoded(RgbPicture::decode(bytes, limits)?))
            }
            // `new` rejects these; an empty picture is an error of the right type.
            #[cfg(not(feature = "image-codecs"))]
            FrameEncoding::Bmp | FrameEncoding::Jpg | FrameEncoding::Png => Ok(ReadFrame::Borrowed(
                ImageView::packed(&[], 0, 0, lva_inference::PixelFormat::Rgb24)?,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use lva_inference::PixelFormat;

    use super::*;

    #[test]
    fn a_frame_of_every_format_is_read_with_odd_sides_and_padded_rows() {
        for pixels in PixelFormat::ALL {
            for stride in [0, 33 * pixels.bytes_per_pixel() as u32 + 7] {
                let format = FrameFormat::raw_with_stride(pixels, 33, 17, stride).unwrap();
                let reader = FrameReader::new(format).unwrap();
                let bytes = vec![7; format.frame_bytes().unwrap()];
                let read = reader.read(&bytes).unwrap();
                let Frame::Host(view) = read.frame() else {
                    panic!("not in host memory")
                };
                assert_eq!((view.width(), view.height()), (33, 17), "{pixels}");
                assert!(
                    matches!(reader.read(&bytes[..100]), Err(FrameError::Raw(_))),
                    "{pixels}"
                );
            }
        }
    }

    #[test]
    fn sides_beyond_what_detectors_take_are_refused_when_announced() {
        let format = FrameFormat::raw(PixelFormat::Bgr24, MAX_PICTURE_SIDE + 1, 2).unwrap();
        let refused = FrameReader::new(format).unwrap_err();
        assert_eq!(
            refused,
            UnreadableFormat::Size {
                width: MAX_PICTURE_SIDE + 1,
                height: 2
            }
        );
        assert!(refused.to_string().contains("16384"), "{refused}");
    }

    #[cfg(feature = "image-codecs")]
    #[test]
    fn encoded_frames_are_decoded_and_damaged_ones_are_errors() {
        use image::{ImageFormat, RgbImage};
        let picture = RgbImage::from_pixel(40, 30, image::Rgb([200, 100, 50]));
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).unwrap();
        let png = png.into_inner();
        let reader = FrameReader::new(FrameFormat::png(40, 30).unwrap()).unwrap();
        let read = reader.read(&png).unwrap();
        let Frame::Host(view) = read.frame() else {
            panic!("not in host memory")
        };
        assert_eq!((view.width(), view.height(), view.bytes()[0]), (40, 30, 200));
        for cut in [0, 1, 20, png.len() / 2] {
            assert!(
                matches!(reader.read(&png[..cut]), Err(FrameError::Encoded(_))),
                "{cut}"
            );
        }
        // A picture larger than announced is rejected before decoding.
        let small = FrameReader::new(FrameFormat::png(20, 20).unwrap()).unwrap();
        assert!(matches!(small.read(&png), Err(FrameError::Encoded(_))));
    }
}
