//! Image settings, resolved once for an input size.

use lva_media_types::PixelFormat;
use lva_media_types::ScaleMode;
use lva_media_types::limits::MAX_PICTURE_SIDE;

use crate::geometry::{FractionBox, PixelRect, fit_inside, pad, scaled_side, unpad};

/// Width and height.
type Size = (u32, u32);

/// The requested size; `image.scale` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scale {
    /// How the picture is brought to the size.
    pub mode: ScaleMode,
    /// Width of the frame in pixels.
    pub width: Option<u32>,
    /// Height of the frame in pixels.
    pub height: Option<u32>,
}

/// Size and format of rendered frames; `image` of the contract.
///
/// ```
/// use lva_framing::{ImageSettings, PixelFormat, ScaleMode};
///
/// let settings = ImageSettings::new(PixelFormat::Bgr24).with_scale(ScaleMode::Pad, Some(1408), Some(786));
/// let plan = settings.plan(1920, 1080)?;
/// assert_eq!((plan.content().x, plan.content().width), (5, 1397));
/// # Ok::<(), lva_framing::FramePlanError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ImageSettings {
    scale: Option<Scale>,
    format: PixelFormat,
}

impl ImageSettings {
    /// The picture's own size in this format.
    pub fn new(format: PixelFormat) -> Self {
        Self { scale: None, format }
    }

    /// Requests a size. [`ScaleMode`] documents which sides a mode needs. Default: none, the picture's own size.
    #[must_use]
    pub fn with_scale(mut self, mode: ScaleMode, width: Option<u32>, height: Option<u32>) -> Self {
        self.scale = Some(Scale { mode, width, height });
        self
    }

    /// The pixel format.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// The requested size, if any.
    pub fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// Resolves the settings for pictures of `width` × `height` pixels.
    ///
    /// Pixels count as square: a stream's sample aspect ratio is ignored, as in Live Video Analytics.
    ///
    /// # Errors
    ///
    /// A side that is missing, 0, or above [`MAX_PICTURE_SIDE`]. The settings (or the stream) have to change; a retry
    /// does not help.
    pub fn plan(&self, width: u32, height: u32) -> Result<FramePlan, FramePlanError> {
        if width == 0 || height == 0 || width > MAX_PICTURE_SIDE || height > MAX_PICTURE_SIDE {
            return Err(FramePlanError::InputSize { width, height });
        }
        let input = (width, height);
        let (frame, content) = match self.scale {
            None => (input, input),
            Some(scale) => self.resolve(scale, input)?,
        };
        if frame.0 > MAX_PICTURE_SIDE || frame.1 > MAX_PICTURE_SIDE {
            return Err(FramePlanError::OutputSize {
                width: frame.0,
                height: frame.1,
            });
        }
        Ok(FramePlan {
            input,
            frame,
            content: self.place(frame, content),
            format: self.format,
        })
    }

    /// Size of the frame, and size of the picture in it.
    fn resolve(&self, scale: Scale, input: (u32, u32)) -> Result<(Size, Size), FramePlanError> {
        for (side, value) in [("width", scale.width), ("height", scale.height)] {
            if value.is_some_and(|value| value == 0 || value > MAX_PICTURE_SIDE) {
                return Err(FramePlanError::RequestedSide {
                    side,
                    value: value.unwrap_or(0),
                });
            }
        }
        let both = scale.width.zip(scale.height);
        let too_long = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
        match scale.mode {
            ScaleMode::Pad => {
                let frame = both.ok_or(FramePlanError::SideMissing { mode: "pad" })?;
                Ok((frame, fit_inside(input, frame.0, frame.1)))
            }
            ScaleMode::Stretch => {
                let frame = both.ok_or(FramePlanError::SideMissing { mode: "stretch" })?;
                Ok((frame, frame))
            }
            ScaleMode::PreserveAspectRatio => {
                let size = match (scale.width, scale.height) {
                    (Some(width), Some(height)) => fit_inside(input, width, height),
                    (Some(width), None) => (width, too_long(scaled_side(input.1, width, input.0))),
                    (None, Some(height)) => (too_long(scaled_side(input.0, height, input.1)), height),
                    (None, None) => return Err(FramePlanError::NoSide),
                };
                Ok((size, size))
            }
        }
    }

    /// Centres the content; an odd pixel of padding goes to the right and to the bottom.
    fn place(&self, frame: (u32, u32), content: (u32, u32)) -> PixelRect {
        let (x, width) = self.place_along(frame.0, content.0);
        let (y, height) = self.place_along(frame.1, content.1);
        PixelRect { x, y, width, height }
    }

    fn place_along(&self, whole: u32, length: u32) -> (u32, u32) {
        // Padding may only begin between two chroma samples.
        let block = self.format.chroma_block();
        let aligned = (length - length % block).max(block).min(whole);
        let length = if length < whole { aligned } else { whole };
        let start = (whole - length) / 2;
        (start - start % block, length)
    }
}

/// Image settings resolved for one input size: what a frame is, to the byte.
///
/// A plain value; [`Renderer`](crate::Renderer) renders by it. When a stream changes its size, make a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FramePlan {
    input: (u32, u32),
    frame: (u32, u32),
    content: PixelRect,
    format: PixelFormat,
}

impl FramePlan {
    /// Width of the pictures that it is for, in pixels.
    pub fn input_width(&self) -> u32 {
        self.input.0
    }

    /// Height of the pictures that it is for, in pixels.
    pub fn input_height(&self) -> u32 {
        self.input.1
    }

    /// Width of the frame in pixels, padding included.
    pub fn width(&self) -> u32 {
        self.frame.0
    }

    /// Height of the frame in pixels, padding included.
    pub fn height(&self) -> u32 {
        self.frame.1
    }

    /// Pixel format of the frame.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Bytes from one row to the next, without gaps; of the luma plane for YUV420P, whose chroma rows take half of it,
    /// rounded up.
    pub fn stride(&self) -> usize {
        self.format.packed_stride(self.frame.0)
    }

    /// Bytes of a frame.
    pub fn bytes(&self) -> usize {
        let bytes = self.format.packed_len(self.frame.0, self.frame.1);
        bytes.unwrap_or(usize::MAX) // 1 GiB at most, by the limit of the sides
    }

    /// Where the picture lies in the frame; the rest is black.
    ///
    /// For YUV420P its sides are even where padding meets them, because a chroma sample covers two pixels each way:
    /// 1920×1080 in 1408×786 takes 1396 columns there and 1397 in the other layouts.
    pub fn content(&self) -> PixelRect {
        self.content
    }

    /// Whether any part of a frame is padding.
    pub fn is_padded(&self) -> bool {
        (self.content.width, self.content.height) != self.frame
    }

    /// Maps a box in fractions of the frame to fractions of the camera's picture, clipped to the picture.
    ///
    /// Section 5 of the extension contract; its example:
    ///
    /// ```
    /// use lva_framing::{FractionBox, ImageSettings, PixelFormat, ScaleMode};
    ///
    /// let settings = ImageSettings::new(PixelFormat::Rgb24).with_scale(ScaleMode::Pad, Some(1000), Some(600));
    /// let plan = settings.plan(300, 300)?; // 600 of 1000 columns: 0.2 of padding on both sides
    /// assert_eq!(plan.unpad(FractionBox::new(0.2, 0.0, 0.6, 1.0)), FractionBox::new(0.0, 0.0, 1.0, 1.0));
    /// # Ok::<(), lva_framing::FramePlanError>(())
    /// ```
    pub fn unpad(&self, sent: FractionBox) -> FractionBox {
        unpad(self.content, self.frame, sent)
    }

    /// Maps a box in fractions of the camera's picture to fractions of the frame: the inverse of [`unpad`](Self::unpad)
    /// for boxes inside the picture.
    pub fn pad(&self, own: FractionBox) -> FractionBox {
        pad(self.content, self.frame, own)
    }
}

/// Why image settings cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramePlanError {
    /// A mode that needs both sides got one or none.
    #[error("image scale mode {mode} needs a width and a height")]
    SideMissing {
        /// The mode's name in the contract.
        mode: &'static str,
    },
    /// `preserveAspectRatio` without a side.
    #[error("image scale mode preserveAspectRatio needs a width, a height, or both")]
    NoSide,
    /// A requested side is 0 or above [`MAX_PICTURE_SIDE`].
    #[error("an image {side} of {value} is out of range; use 1 to {MAX_PICTURE_SIDE}")]
    RequestedSide {
        /// `width` or `height`.
        side: &'static str,
        /// The requested value.
        value: u32,
    },
    /// A stream announces a picture without pixels or larger than [`MAX_PICTURE_SIDE`].
    #[error("pictures of {width}x{height} are out of range; sides of 1 to {MAX_PICTURE_SIDE} are accepted")]
    InputSize {
        /// Width of the pictures.
        width: u32,
        /// Height of the pictures.
        height: u32,
    },
    /// The side that follows from the aspect ratio is longer than [`MAX_PICTURE_SIDE`].
    #[error("the image would be {width}x{height}; request a smaller side, {MAX_PICTURE_SIDE} is the limit")]
    OutputSize {
        /// Width that would follow.
        width: u32,
        /// Height that would follow.
        height: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(settings: ImageSettings, width: u32, height: u32) -> FramePlan {
        settings.plan(width, height).unwrap()
    }

    #[test]
    fn the_tutorial_s_frame_is_resolved_to_the_byte() {
        let settings =
            ImageSettings::new(PixelFormat::Bgr24).with_scale(ScaleMode::Pad, Some(1408), Some(786));
        let plan = plan(settings, 1920, 1080);
        assert_eq!(
            (plan.width(), plan.height(), plan.stride(), plan.bytes()),
            (1408, 786, 4224, 3_320_064)
        );
        assert_eq!(
            plan.content(),
            PixelRect {
                x: 5,
                y: 0,
                width: 1397,
                height: 786
            }
        );
    }

    #[test]
    fn without_a_scale_the_size_is_native() {
        let plan = plan(ImageSettings::new(PixelFormat::Yuv420p), 351, 287);
        assert_eq!((plan.width(), plan.height(), plan.is_padded()), (351, 287, false));
        assert_eq!(plan.bytes(), 351 * 287 + 2 * 176 * 144);
    }

    #[test]
    fn one_side_lets_the_other_follow_and_of_two_the_tighter_counts() {
        let requested = |width, height| {
            let settings = ImageSettings::new(PixelFormat::Rgb24).with_scale(
                ScaleMode::PreserveAspectRatio,
                width,
                height,
            );
            let plan = plan(settings, 1920, 1080);
            (plan.width(), plan.height())
        };
        assert_eq!(requested(Some(416), None), (416, 234));
        assert_eq!(requested(None, Some(416)), (740, 416));
        assert_eq!(requested(Some(416), Some(416)), (416, 234));
        assert_eq!(requested(Some(1000), Some(100)), (178, 100));
    }

    #[test]
    fn padding_of_halved_chroma_begins_on_an_even_pixel() {
        let settings =
            ImageSettings::new(PixelFormat::Yuv420p).with_scale(ScaleMode::Pad, Some(1408), Some(786));
        assert_eq!(
            plan(settings, 1920, 1080).content(),
            PixelRect {
                x: 6,
                y: 0,
                width: 1396,
                height: 786
            }
        );
    }

    #[test]
    fn settings_that_cannot_be_applied_are_rejected_with_a_remedy() {
        let scaled = |mode, width, height| {
            ImageSettings::new(PixelFormat::Bgr24)
                .with_scale(mode, width, height)
                .plan(1920, 1080)
        };
        assert_eq!(
            scaled(ScaleMode::Pad, Some(10), None),
            Err(FramePlanError::SideMissing { mode: "pad" })
        );
        assert_eq!(
            scaled(ScaleMode::Stretch, None, None),
            Err(FramePlanError::SideMissing { mode: "stretch" })
        );
        assert_eq!(
            scaled(ScaleMode::PreserveAspectRatio, None, None),
            Err(FramePlanError::NoSide)
        );
        assert_eq!(
            scaled(ScaleMode::Pad, Some(0), Some(9)),
            Err(FramePlanError::RequestedSide {
                side: "width",
                value: 0
            })
        );
        assert!(ImageSettings::default().plan(0, 7).is_err());
        assert!(matches!(
            ImageSettings::default()
                .with_scale(ScaleMode::PreserveAspectRatio, Some(9_000), None)
                .plan(1, 9_000),
            Err(FramePlanError::OutputSize { .. })
        ));
    }
}
