//! How a frame looks when an extension gets it.

use crate::words::words;

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

words! {
    /// Raw pixels.
    pub enum PixelFormat {
        /// Planes of Y, U, V; chroma halved both ways.
        Yuv420p = "yuv420p",
        /// 5, 6 and 5 bits, big-endian.
        Rgb565be = "rgb565be",
        /// 5, 6 and 5 bits, little-endian.
        Rgb565le = "rgb565le",
        /// 5 bits each, big-endian.
        Rgb555be = "rgb555be",
        /// 5 bits each, little-endian.
        Rgb555le = "rgb555le",
        /// Bytes R, G, B.
        Rgb24 = "rgb24",
        /// Bytes B, G, R.
        Bgr24 = "bgr24",
        /// Bytes A, R, G, B.
        Argb = "argb",
        /// Bytes R, G, B, A.
        Rgba = "rgba",
        /// Bytes A, B, G, R.
        Abgr = "abgr",
        /// Bytes B, G, R, A.
        Bgra = "bgra",
    }
}

words! {
    /// How a scale is meant, as documents write it.
    pub enum ScaleMode {
        /// Nothing is added or bent.
        PreserveAspectRatio = "preserveAspectRatio",
        /// Bars are added.
        Pad = "pad",
        /// The aspect is bent.
        Stretch = "stretch",
    }
}
