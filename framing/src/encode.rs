//! Rendered frames as picture files.

use crate::plan::FramePlan;
use jpeg_encoder::{ColorType, SamplingFactor};
use lva_media_types::PixelFormat;
use std::fmt;

/// Bytes of the two headers of a BMP file.
const BMP_HEADER: usize = 54;

/// A file format; `image.format` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFile {
    /// JPEG with chroma halved both ways. Quality 1 (smallest) to 100; 85 is a good middle. 0 is taken as 1.
    Jpeg {
        /// Quality.
        quality: u8,
    },
    /// PNG, compressed for speed.
    Png,
    /// BMP of 24 bits, rows from bottom to top.
    Bmp,
}

impl ImageFile {
    /// Its media type, as the HTTP extension sends it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg { .. } => "image/jpeg",
            Self::Png => "image/png",
            Self::Bmp => "image/bmp",
        }
    }
}

/// Why a frame was not encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Only `rgb24` and `bgr24` frames can be encoded.
    #[error("a {0} frame cannot be encoded; render into rgb24 or bgr24")]
    PixelFormat(PixelFormat),
    /// The length of the frame does not match its plan.
    #[error("the frame has {actual} bytes, but its plan needs {needed}")]
    Length {
        /// Bytes of a frame.
        needed: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The file format cannot hold the picture.
    #[error("a picture of {width}x{height} does not fit into the file format")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The JPEG encoder failed.
    #[error("the JPEG encoder failed: {0}")]
    Jpeg(jpeg_encoder::EncodingError),
    /// The PNG encoder failed.
    #[error("the PNG encoder failed: {0}")]
    Png(png::EncodingError),
}

/// Encodes rendered frames, one after the other, and keeps its scratch memory.
///
/// ```
/// use lva_framing::{FrameEncoder, ImageFile, ImageSettings, PixelFormat};
///
/// let plan = ImageSettings::new(PixelFormat::Bgr24).plan(416, 416)?;
/// let mut file = Vec::new();
/// FrameEncoder::new().encode(&plan, &vec![0; plan.bytes()], ImageFile::Bmp, &mut file)?;
/// assert_eq!(file.len(), 519_222);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct FrameEncoder {
    scratch: Vec<u8>,
}

impl FrameEncoder {
    /// An encoder without scratch memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes a frame that was rendered by `plan` into `file`, which is cleared first.
    ///
    /// # Errors
    ///
    /// A format other than `rgb24` and `bgr24`, a frame of another length, or a size beyond the format (JPEG: 65,535 a
    /// side).
    pub fn encode(
        &mut self,
        plan: &FramePlan,
        frame: &[u8],
        format: ImageFile,
        file: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let is_bgr = match plan.format() {
            PixelFormat::Bgr24 => true,
            PixelFormat::Rgb24 => false,
            other => return Err(EncodeError::PixelFormat(other)),
        };
        if frame.len() != plan.bytes() {
            return Err(EncodeError::Length {
                needed: plan.bytes(),
                actual: frame.len(),
            });
        }
        file.clear();
        match format {
            ImageFile::Jpeg { quality } => jpeg(plan, frame, is_bgr, quality, file),
            ImageFile::Png => {
                let rgb = if is_bgr {
                    swapped(frame, &mut self.scratch)
                } else {
                    frame
                };
                png(plan, rgb, file)
            }
            ImageFile::Bmp => bmp(plan, frame, is_bgr, file),
        }
    }
}

impl fmt::Debug for FrameEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameEncoder").finish_non_exhaustive()
    }
}

fn size_error(plan: &FramePlan) -> EncodeError {
    EncodeError::Size {
        width: plan.width(),
        height: plan.height(),
    }
}

fn jpeg(
    plan: &FramePlan,
    frame: &[u8],
    is_bgr: bool,
    quality: u8,
    file: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let side = |value| u16::try_from(value).map_err(|_| size_error(plan));
    let (width, height) = (side(plan.width())?, side(plan.height())?);
    let mut encoder = jpeg_encoder::Encoder::new(file, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let color = if is_bgr { ColorType::Bgr } else { ColorType::Rgb };
    let encoded = encoder.encode(frame, width, height, color);
    encoded.map_err(EncodeError::Jpeg)
}

fn png(plan: &FramePlan, rgb: &[u8], file: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut encoder = png::Encoder::new(file, plan.width(), plan.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(rgb)?;
        writer.finish()
    });
    written.map_err(EncodeError::Png)
}

/// A BMP file with `BITMAPFILEHEADER` and `BITMAPINFOHEADER` (Windows GDI), uncompressed.
fn bmp(plan: &FramePlan, frame: &[u8], is_bgr: bool, file: &mut Vec<u8>) -> Result<(), EncodeError> {
    let row = plan.stride();
    let gap = row.next_multiple_of(4) - row;
    let pixels = (row + gap) * plan.height() as usize;
    let total = u32::try_from(BMP_HEADER + pixels).map_err(|_| size_error(plan))?;
    let side = |value| i32::try_from(value).map_err(|_| size_error(plan));
    let (width, height) = (side(plan.width())?, side(plan.height())?);
    file.reserve(BMP_HEADER + pixels);
    file.extend_from_slice(b"BM");
    file.extend_from_slice(&total.to_le_bytes());
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&54_u32.to_le_bytes()); // where the pixels begin
    file.extend_from_slice(&40_u32.to_le_bytes()); // bytes of the second header
    file.extend_from_slice(&width.to_le_bytes());
    file.extend_from_slice(&height.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes()); // planes
    file.extend_from_slice(&24_u16.to_le_bytes()); // bits a pixel
    file.extend_from_slice(&[0; 24]); // no compression, no resolution, no palette
    for source in frame.chunks_exact(row).rev() {
        if is_bgr {
            file.extend_from_slice(source);
        } else {
            let (pixels, _) = source.as_chunks::<3>();
            file.extend(pixels.iter().flat_map(|[r, g, b]| [*b, *g, *r]));
        }
        file.resize(file.len() + gap, 0);
    }
    Ok(())
}

fn swapped<'a>(bgr: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    let (pixels, _) = bgr.as_chunks::<3>();
    scratch.extend(pixels.iter().flat_map(|[b, g, r]| [*r, *g, *b]));
    scratch
}
