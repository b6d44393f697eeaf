//! How a frame looks when an extension gets it.

use lva_media_types::PixelFormat;

/// Quality of JPEG where a document names none: 90, the value that the published samples give their
/// parameter.
pub const DEFAULT_JPEG_QUALITY: u8 = 90;

/// How a frame looks when an extension gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Its size; `None` for the camera's own.
    pub scale: Option<ImageScale>,
    /// How it is written.
    pub format: ImageFormat,
}

/// How a frame is brought to a size. All sizes are in pixels and above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageScale {
    /// To this width; the height follows.
    Width(u32),
    /// To this height; the width follows.
    Height(u32),
    /// As large as fits into the size; the picture keeps its aspect, and nothing is added.
    Within {
        /// Largest width.
        width: u32,
        /// Largest height.
        height: u32,
    },
    /// Exactly the size: the picture keeps its aspect in the middle, black bars fill the rest.
    Pad {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// Exactly the size, whatever becomes of the aspect.
    Stretch {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
}

/// How a frame is written.
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
    /// Pixels as they are.
    Raw(PixelFormat),
}
