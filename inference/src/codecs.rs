//! JPEG, PNG and BMP pictures.

use std::fmt;
use std::io::Cursor;

use image::error::LimitErrorKind;
use image::{ImageError as Codec, ImageFormat, ImageReader, Limits};

use lva_media_types::PixelFormat;
use lva_media_types::limits::MAX_PICTURE_SIDE;

use crate::image_view::{ImageError, ImageView};

/// Limits on the size of a decoded picture.
///
/// A few hundred bytes can claim a picture of gigabytes; the limits are checked before the pixels are
/// decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecLimits {
    largest_side: u32,
    largest_bytes: u64,
}

impl Default for CodecLimits {
    fn default() -> Self {
        Self {
            largest_side: 8192,
            largest_bytes: 256 << 20,
        }
    }
}

impl CodecLimits {
    /// Longest side in pixels, at most [`MAX_PICTURE_SIDE`]. Default: 8192.
    #[must_use]
    pub fn with_largest_side(mut self, pixels: u32) -> Self {
        self.largest_side = pixels.min(MAX_PICTURE_SIDE);
        self
    }

    /// Most bytes that one picture may take while it is decoded. Default: 256 MiB, enough for 8192 × 8192
    /// RGB.
    ///
    /// The RGB copy that is handed out comes on top for pictures that are not 8-bit RGB themselves: at most
    /// as much again.
    #[must_use]
    pub fn with_largest_bytes(mut self, bytes: u64) -> Self {
        self.largest_bytes = bytes;
        self
    }
}

/// A decoded picture: 8-bit RGB, rows without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbPicture {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl RgbPicture {
    /// Decodes a JPEG, PNG or BMP, recognised by its first bytes.
    ///
    /// Alpha is dropped, 16 bits a channel become 8, grey becomes RGB. Orientation in a photo's
    /// metadata and colour profiles are ignored: cameras write neither.
    ///
    /// # Errors
    ///
    /// [`CodecError`]. The sender of the picture is at fault; the same bytes fail again.
    pub fn decode(bytes: &[u8], limits: CodecLimits) -> Result<Self, CodecError> {
        let format = image::guess_format(bytes).map_err(|_| CodecError::UnknownFormat)?;
        if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Bmp) {
            return Err(CodecError::UnknownFormat);
        }
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut reader_limits = Limits::no_limits();
        reader_limits.max_image_width = Some(limits.largest_side);
        reader_limits.max_image_height = Some(limits.largest_side);
        reader_limits.max_alloc = Some(limits.largest_bytes);
        reader.limits(reader_limits);
        let picture = reader.decode().map_err(|error| match &error {
            Codec::Limits(limit) => match limit.kind() {
                LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory => CodecError::TooLarge {
                    limits,
                    source: Box::new(error),
                },
                _ => CodecError::Damaged {
                    cause: Box::new(error),
                },
            },
            _ => CodecError::Damaged {
                cause: Box::new(error),
            },
        })?;
        let rgb = picture.into_rgb8();
        let (width, height) = rgb.dimensions();
        let bytes = rgb.into_raw();
        // Some formats allow pictures without pixels; the code behind this point does not expect them.
        ImageView::packed(&bytes, width, height, PixelFormat::Rgb24)?;
        Ok(Self { width, height, bytes })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: 3 × width × height bytes, R, G, B.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The picture as a view for a detector.
    pub fn view(&self) -> ImageView<'_> {
        ImageView::of_checked_rgb(&self.bytes, self.width, self.height)
    }
}

impl fmt::Debug for RgbPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RgbPicture")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish()
    }
}

/// Why an encoded picture cannot be decoded. Its sender is at fault; the same bytes fail again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The first bytes do not belong to a supported format.
    #[error("the bytes are not a JPEG, PNG or BMP picture: check the declared encoding")]
    UnknownFormat,
    /// The picture is larger than the limits allow.
    #[error(
        "the picture exceeds {} pixels a side or {} bytes: raise the limits to accept it",
        limits.largest_side, limits.largest_bytes
    )]
    TooLarge {
        /// The limits it was decoded under.
        limits: CodecLimits,
        /// The error of the decoder.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The picture is damaged or uses an unsupported variant of its format.
    #[error("the picture is damaged, truncated, or of an unsupported variant of its format: {cause}")]
    Damaged {
        /// The error of the decoder.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The picture has no pixels.
    #[error(transparent)]
    Picture(#[from] ImageError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GrayAlphaImage, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decode(bytes: &[u8]) -> Result<RgbPicture, CodecError> {
        RgbPicture::decode(bytes, CodecLimits::default())
    }

    #[test]
    fn lossless_formats_give_the_same_pixels() {
        let picture = RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8 * 30, y as u8 * 40, 9]));
        for format in [ImageFormat::Png, ImageFormat::Bmp] {
            let found = decode(&encoded(&picture.clone().into(), format)).unwrap();
            assert_eq!((found.width(), found.height()), (7, 5));
            assert_eq!(found.bytes(), picture.as_raw().as_slice());
            assert_eq!(found.view().format(), PixelFormat::Rgb24);
        }
    }

    #[test]
    fn jpeg_gives_nearly_the_same_pixels() {
        let picture = RgbImage::from_pixel(16, 9, Rgb([200, 100, 50]));
        let found = decode(&encoded(&picture.clone().into(), ImageFormat::Jpeg)).unwrap();
        let near = found
            .bytes()
            .iter()
            .zip(picture.as_raw())
            .all(|(a, b)| a.abs_diff(*b) < 6);
        assert!(near, "{:?}", &found.bytes()[..3]);
    }

    #[test]
    fn alpha_and_grey_become_rgb() {
        let clear = RgbaImage::from_pixel(2, 2, Rgba([10, 20, 30, 0]));
        assert_eq!(
            decode(&encoded(&clear.into(), ImageFormat::Png)).unwrap().bytes(),
            [10, 20, 30].repeat(4)
        );
        let grey = GrayAlphaImage::from_pixel(1, 1, image::LumaA([77, 255]));
        assert_eq!(
            decode(&encoded(&grey.into(), ImageFormat::Png)).unwrap().bytes(),
            [77; 3]
        );
    }

    #[test]
    fn limits_are_checked_before_decoding() {
        let png = encoded(&RgbImage::new(40, 10).into(), ImageFormat::Png);
        for limits in [
            CodecLimits::default().with_largest_side(39),
            CodecLimits::default().with_largest_bytes(1000),
        ] {
            for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Jpeg] {
                let bytes = encoded(&RgbImage::new(40, 10).into(), format);
                let error = RgbPicture::decode(&bytes, limits).unwrap_err();
                assert!(
                    matches!(error, CodecError::TooLarge { .. }),
                    "{format:?}: {error:?}"
                );
            }
        }
        // A header that claims 2³¹ − 1 pixels a side, with its checksum, and nothing behind it.
        let mut bomb = png[..33].to_vec();
        bomb[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(decode(&bomb).is_err());
    }

    /// The checksum of PNG chunks, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
            })
        })
    }

    #[test]
    fn invalid_pictures_are_rejected() {
        assert!(matches!(decode(b""), Err(CodecError::UnknownFormat)));
        assert!(matches!(
            decode(b"GIF89a\x01\x00\x01\x00"),
            Err(CodecError::UnknownFormat)
        ));
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder
            .write_image(&[1; 300], 10, 10, image::ExtendedColorType::Rgb8)
            .unwrap();
        for len in [8, 20, 40, png.len() / 2] {
            assert!(
                matches!(decode(&png[..len]), Err(CodecError::Damaged { .. })),
                "{len}"
            );
        }
    }
}
