//! Where a picture lies in the frame that is sent, and how boxes are mapped back.

/// A rectangle of whole pixels inside a frame; the origin is its top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PixelRect {
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// Columns in it, at least 1.
    pub width: u32,
    /// Rows in it, at least 1.
    pub height: u32,
}

/// A box in fractions of a frame: left, top, width, height, each 0 to 1.
///
/// In double precision, unlike [`BoundingBox`](lva_media_types::BoundingBox): boxes are mapped and joined here, and the
/// rounding of single precision would show as extra digits in the JSON of events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FractionBox {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl FractionBox {
    /// A box from its left and top edge, width and height.
    pub fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self {
            left,
            top,
            width,
            height,
        }
    }
}

/// `value * numerator / denominator`, rounded half up and at least 1. No product of two sides overflows `u64`.
pub(crate) fn scaled_side(value: u32, numerator: u32, denominator: u32) -> u64 {
    let (value, numerator, denominator) = (
        u64::from(value),
        u64::from(numerator),
        u64::from(denominator.max(1)),
    );
    ((value * numerator + denominator / 2) / denominator).max(1)
}

/// The largest size with the input's aspect ratio inside `width` × `height`.
pub(crate) fn fit_inside(input: (u32, u32), width: u32, height: u32) -> (u32, u32) {
    let width_binds = u64::from(input.0) * u64::from(height) >= u64::from(input.1) * u64::from(width);
    let clamp = |side: u64, limit: u32| u32::try_from(side).unwrap_or(limit).min(limit);
    if width_binds {
        (width, clamp(scaled_side(input.1, width, input.0), height))
    } else {
        (clamp(scaled_side(input.0, height, input.1), width), height)
    }
}

/// Maps a box of the frame to the picture inside it, clipped to the picture.
///
/// The formula is that of the extension contract: `l' = (l − x0) / cw` and so on, with the content's rectangle in
/// fractions. Numbers that are not finite become 0: the box comes from a peer.
pub(crate) fn unpad(content: PixelRect, frame: (u32, u32), sent: FractionBox) -> FractionBox {
    let (left, right) = unpad_span(content.x, content.width, frame.0, sent.left, sent.width);
    let (top, bottom) = unpad_span(content.y, content.height, frame.1, sent.top, sent.height);
    FractionBox {
        left,
        top,
        width: right - left,
        height: bottom - top,
    }
}

/// Maps a box of the picture to the frame that it lies in.
pub(crate) fn pad(content: PixelRect, frame: (u32, u32), own: FractionBox) -> FractionBox {
    let span = |start: u32, length: u32, whole: u32, near: f64, extent: f64| {
        let (start, length, whole) = (f64::from(start), f64::from(length), f64::from(whole));
        ((start + near * length) / whole, extent * length / whole)
    };
    let (left, width) = span(content.x, content.width, frame.0, own.left, own.width);
    let (top, height) = span(content.y, content.height, frame.1, own.top, own.height);
    FractionBox::new(left, top, width, height)
}

fn unpad_span(start: u32, length: u32, whole: u32, near: f64, extent: f64) -> (f64, f64) {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let (near, extent) = (finite(near), finite(extent).max(0.0));
    let (start, length, whole) = (f64::from(start), f64::from(length), f64::from(whole));
    let to_content = |edge: f64| ((edge * whole - start) / length).clamp(0.0, 1.0);
    let first = to_content(near);
    (first, to_content(near + extent).max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorial_s_picture_is_bound_by_its_height() {
        assert_eq!(fit_inside((1920, 1080), 1408, 786), (1397, 786));
    }

    #[test]
    fn a_box_beside_the_picture_becomes_an_empty_one_at_its_edge() {
        let content = PixelRect {
            x: 20,
            y: 0,
            width: 60,
            height: 100,
        };
        let mapped = unpad(content, (100, 100), FractionBox::new(0.0, 0.25, 0.1, 0.5));
        assert_eq!(mapped, FractionBox::new(0.0, 0.25, 0.0, 0.5));
    }

    #[test]
    fn numbers_that_are_not_finite_do_not_spread() {
        let content = PixelRect {
            x: 0,
            y: 0,
            width: 10,
            height: 10,
        };
        let mapped = unpad(
            content,
            (10, 10),
            FractionBox::new(f64::NAN, 0.0, f64::INFINITY, 2.0),
        );
        assert_eq!(mapped, FractionBox::new(0.0, 0.0, 0.0, 1.0));
    }
}
