//! Where a frame is placed in the model's input, and how boxes are mapped back.

use crate::BoundingBox;

/// How a frame of any shape is brought to the shape of the model's input.
///
/// It must match the training of the model: a model trained on stretched frames sees thin people in a letterbox, and
/// vice versa.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fit {
    /// Both sides are filled; the aspect ratio is lost.
    Stretch,
    /// The aspect ratio is kept, the frame centred, the rest padded on both sides.
    LetterboxCentered,
    /// The aspect ratio is kept, the frame at the top left, the rest padded on the right or at the bottom.
    LetterboxTopLeft,
}

impl Fit {
    /// The position of a frame of `frame` (width, height) pixels in an input of `input` (width, height) pixels.
    ///
    /// A letterboxed side is rounded to whole pixels and is at least one; a centred frame lies half a pixel
    /// to the top left when the padding is odd. Sides given as 0 count as 1.
    pub fn place(self, frame: (u32, u32), input: (u32, u32)) -> LetterboxTransform {
        let (frame_width, frame_height) = (frame.0.max(1), frame.1.max(1));
        let (input_width, input_height) = (input.0.max(1), input.1.max(1));
        let (width, height) = match self {
            Self::Stretch => (input_width, input_height),
            Self::LetterboxCentered | Self::LetterboxTopLeft => {
                let scale = (f64::from(input_width) / f64::from(frame_width))
                    .min(f64::from(input_height) / f64::from(frame_height));
                // A float cast saturates; the rounded product exceeds the input by rounding at most.
                let side =
                    |frame: u32, input: u32| ((f64::from(frame) * scale).round() as u32).clamp(1, input);
                (side(frame_width, input_width), side(frame_height, input_height))
            }
        };
        let (x, y) = match self {
            Self::LetterboxCentered => ((input_width - width) / 2, (input_height - height) / 2),
            Self::Stretch | Self::LetterboxTopLeft => (0, 0),
        };
        LetterboxTransform {
            x,
            y,
            width,
            height,
            input_width,
            input_height,
        }
    }
}

/// The rectangle of the model's input that holds the frame; everything else is padding. Whole input pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetterboxTransform {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    input_width: u32,
    input_height: u32,
}

impl LetterboxTransform {
    /// The same inside of an input that is larger by `border` pixels at each edge.
    pub(crate) fn with_border(self, border: u32) -> Self {
        Self {
            x: self.x + border,
            y: self.y + border,
            input_width: self.input_width + 2 * border,
            input_height: self.input_height + 2 * border,
            ..self
        }
    }

    /// Left edge of the frame in the input, in pixels.
    pub fn x(&self) -> u32 {
        self.x
    }

    /// Top edge of the frame in the input, in pixels.
    pub fn y(&self) -> u32 {
        self.y
    }

    /// Width of the frame in the input, in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the frame in the input, in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Width and height of the whole input, in pixels.
    pub fn input_size(&self) -> (u32, u32) {
        (self.input_width, self.input_height)
    }

    /// Maps edges (left, top, right, bottom) in pixels of the input to fractions of the frame, clamped to the frame.
    ///
    /// A box entirely in the padding becomes one without area.
    pub fn to_frame(&self, [left, top, right, bottom]: [f32; 4]) -> BoundingBox {
        let x = |v: f32| (v - self.x as f32) / self.width as f32;
        let y = |v: f32| (v - self.y as f32) / self.height as f32;
        BoundingBox::from_edges(x(left), y(top), x(right), y(bottom))
    }

    /// Maps fractions of the frame to edges (left, top, right, bottom) in pixels of the input.
    pub fn to_input(&self, bbox: &BoundingBox) -> [f32; 4] {
        let x = |v: f32| v * self.width as f32 + self.x as f32;
        let y = |v: f32| v * self.height as f32 + self.y as f32;
        [x(bbox.left), y(bbox.top), x(bbox.right()), y(bbox.bottom())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_and_tall_frames() {
        let p = Fit::LetterboxCentered.place((1408, 786), (512, 288));
        assert_eq!((p.x(), p.y(), p.width(), p.height()), (0, 1, 512, 286));
        let p = Fit::LetterboxCentered.place((100, 400), (512, 288));
        assert_eq!((p.x(), p.y(), p.width(), p.height()), (220, 0, 72, 288));
        let p = Fit::LetterboxTopLeft.place((100, 400), (512, 288));
        assert_eq!((p.x(), p.y(), p.width(), p.height()), (0, 0, 72, 288));
        let p = Fit::Stretch.place((100, 400), (352, 352));
        assert_eq!((p.x(), p.y(), p.width(), p.height()), (0, 0, 352, 352));
    }

    #[test]
    fn a_thread_of_pixels_keeps_one_pixel() {
        let p = Fit::LetterboxCentered.place((30_000, 1), (64, 64));
        assert_eq!((p.width(), p.height(), p.y()), (64, 1, 31));
    }

    #[test]
    fn padding_maps_to_nothing() {
        let p = Fit::LetterboxCentered.place((100, 100), (200, 100));
        assert_eq!(p.to_frame([0.0, 0.0, 49.0, 100.0]).area(), 0.0);
        assert_eq!(
            p.to_frame([0.0, 0.0, 200.0, 100.0]),
            BoundingBox::from_edges(0.0, 0.0, 1.0, 1.0)
        );
    }

    fn any_fit() -> impl Strategy<Value = Fit> {
        prop_oneof![
            Just(Fit::Stretch),
            Just(Fit::LetterboxCentered),
            Just(Fit::LetterboxTopLeft)
        ]
    }

    proptest! {
        #[test]
        fn there_and_back(
            fit in any_fit(),
            frame in (1u32..5000, 1u32..5000),
            input in (8u32..1500, 8u32..1500),
            edges in (0f32..1.0, 0f32..1.0, 0f32..1.0, 0f32..1.0),
        ) {
            let (a, b, c, d) = edges;
            let bbox = BoundingBox::from_edges(a.min(c), b.min(d), a.max(c), b.max(d));
            let transform = fit.place(frame, input);
            let back = transform.to_frame(transform.to_input(&bbox));
            // A frame squeezed to a few pixels loses its precision to the input's coordinates.
            let tolerance = 1e-3 / transform.width().min(transform.height()) as f32 + 1e-5;
            prop_assert!((back.left - bbox.left).abs() < tolerance);
            prop_assert!((back.top - bbox.top).abs() < tolerance);
            prop_assert!((back.width - bbox.width).abs() < tolerance);
            prop_assert!((back.height - bbox.height).abs() < tolerance);
        }

        #[test]
        fn content_lies_inside_and_touches(
            fit in any_fit(),
            frame in (1u32..5000, 1u32..5000),
            input in (1u32..1500, 1u32..1500),
        ) {
            let p = fit.place(frame, input);
            prop_assert!(p.x() + p.width() <= input.0 && p.y() + p.height() <= input.1);
            prop_assert!(p.width() == input.0 || p.height() == input.1);
            prop_assert!(p.width() >= 1 && p.height() >= 1);
        }
    }
}
