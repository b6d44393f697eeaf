//! The picture format of an extension: size and encoding.

use lva_media_types::PixelFormat;

/// JPEG quality without a value in the document: 90, as in the published samples.
pub const DEFAULT_JPEG_QUALITY: u8 = 90;

/// The picture format of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// The size; `None` for that of the camera.
    pub scale: Option<ImageScale>,
    /// The encoding.
    pub format: ImageFormat,
}

/// How a frame is scaled. Sizes are in pixels and above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageScale {
    /// To this width, keeping the aspect ratio.
    Width(u32),
    /// To this height, keeping the aspect ratio.
    Height(u32),
    /// As large as fits into this size, keeping the aspect ratio, without bars.
    Within {
        /// Largest width.
        width: u32,
        /// Largest height.
        height: u32,
    },
    /// To exactly this size, keeping the aspect ratio: the picture is centred between black bars.
    Pad {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// To exactly this size, without keeping the aspect ratio.
    Stretch {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
}

/// How a frame is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// JPEG.
    Jpeg {
        /// 0 to 100.
        quality: u8,
    },
    /// BMP.
    Bmp,
    /// PNG.
    Png,
    /// Raw pixels.
    Raw(PixelFormat),
}
