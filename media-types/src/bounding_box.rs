use std::fmt;

/// An axis-parallel box in fractions of the frame: 0 is its left or top edge, 1 its right or bottom edge. Never pixels:
/// [`from_pixels`](Self::from_pixels) converts them.
///
/// A box may reach beyond the frame; [`from_edges`](Self::from_edges) makes one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BoundingBox {
    /// Left edge, in fractions of the frame's width.
    pub left: f32,
    /// Top edge, in fractions of the frame's height.
    pub top: f32,
    /// Width, in fractions of the frame's width.
    pub width: f32,
    /// Height, in fractions of the frame's height.
    pub height: f32,
}

impl BoundingBox {
    /// The largest absolute value of [valid](Self::is_valid) numbers, in fractions of the frame: space for people partly out of
    /// the picture and for the bars of padded frames, and less than nearly any box in pixels.
    pub const MAX_FRACTION: f32 = 4.0;

    /// A box by its left and top edge, width and height, in fractions of the frame.
    pub const fn new(left: f32, top: f32, width: f32, height: f32) -> Self {
        Self {
            left,
            top,
            width,
            height,
        }
    }

    /// A box in fractions of the frame from one in pixels, of a frame of `frame_width` by `frame_height` pixels. The box is not
    /// clamped; a frame without area gives a box that is not [valid](Self::is_valid).
    pub fn from_pixels(
        left: f32,
        top: f32,
        width: f32,
        height: f32,
        frame_width: u32,
        frame_height: u32,
    ) -> Self {
        let (across, down) = (frame_width as f32, frame_height as f32);
        Self::new(left / across, top / down, width / across, height / down)
    }

    /// A box by its edges in fractions of the frame, clamped to the frame. Edges in the wrong order give a box without area, and a NaN edge
    /// counts as 0.
    pub fn from_edges(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        let (left, top) = (unit(left), unit(top));
        Self {
            left,
            top,
            width: (unit(right) - left).max(0.0),
            height: (unit(bottom) - top).max(0.0),
        }
    }

    /// Right edge in fractions of the frame: `left + width`.
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// Bottom edge in fractions of the frame: `top + height`.
    pub fn bottom(&self) -> f32 {
        self.top + self.height
    }

    /// Left, top, right and bottom edge, in fractions of the frame.
    pub fn edges(&self) -> [f32; 4] {
        [self.left, self.top, self.right(), self.bottom()]
    }

    /// Centre as (x, y), in fractions of the frame.
    pub fn center(&self) -> (f32, f32) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// Whether all four numbers can be fractions of the frame: finite and at most [`MAX_FRACTION`](Self::MAX_FRACTION) away
    /// from 0. Boxes in pixels are not.
    pub fn is_in_fractions(&self) -> bool {
        let numbers = [self.left, self.top, self.width, self.height];
        numbers.iter().all(|v| v.abs() <= Self::MAX_FRACTION)
    }

    /// Whether the box has an area: width and height above 0. Boxes clamped to the frame may have none.
    pub fn has_area(&self) -> bool {
        self.width > 0.0 && self.height > 0.0
    }

    /// Whether the box [is in fractions](Self::is_in_fractions) of the frame and [has an area](Self::has_area).
    pub fn is_valid(&self) -> bool {
        self.is_in_fractions() && self.has_area()
    }

    /// Share of the frame that the box covers.
    pub fn area(&self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    /// The common part of two boxes in fractions of the same frame, or `None` when they share no area.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let left = self.left.max(other.left);
        let top = self.top.max(other.top);
        let width = self.right().min(other.right()) - left;
        let height = self.bottom().min(other.bottom()) - top;
        (width > 0.0 && height > 0.0).then_some(Self {
            left,
            top,
            width,
            height,
        })
    }

    /// Intersection over union, 0..=1, of two boxes in fractions of the same frame. Two boxes without area have none.
    pub fn iou(&self, other: &Self) -> f32 {
        let common = self.intersection(other).map_or(0.0, |b| b.area());
        let union = self.area() + other.area() - common;
        if union > 0.0 {
            (common / union).min(1.0)
        } else {
            0.0
        }
    }

    /// Whether a point, in fractions of the frame, lies in the box. The left and top edges belong to it; the right and bottom ones do not.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.left && x < self.right() && y >= self.top && y < self.bottom()
    }
}

/// The four numbers, as error messages show them.
impl fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            left,
            top,
            width,
            height,
        } = self;
        write!(f, "left {left}, top {top}, width {width}, height {height}")
    }
}

fn unit(v: f32) -> f32 {
    // A NaN is not above 0; `clamp` would keep it.
    if v > 0.0 { v.min(1.0) } else { 0.0 }
}

/// One object that a detector found in one frame, with its box in fractions of the frame. Small and `Copy`: names of classes stay with the detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Where, in fractions of the frame.
    pub bbox: BoundingBox,
    /// What: the detector's index of the class.
    pub class: u16,
    /// How sure, 0..=1; comparable between detections of the same model only.
    pub score: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_overlapping_and_disjoint_boxes() {
        let whole = BoundingBox::from_edges(0.0, 0.0, 1.0, 1.0);
        let left = BoundingBox::from_edges(0.0, 0.0, 0.5, 1.0);
        let right = BoundingBox::from_edges(0.5, 0.0, 1.0, 1.0);
        assert_eq!(whole.iou(&left), 0.5);
        assert_eq!(left.iou(&right), 0.0);
        assert_eq!(left.iou(&left), 1.0);
        assert_eq!(BoundingBox::default().iou(&BoundingBox::default()), 0.0);
        assert!(left.intersection(&right).is_none());
    }

    #[test]
    fn edges_are_clamped_and_ordered() {
        let b = BoundingBox::from_edges(-3.0, 0.25, 2.0, f32::INFINITY);
        assert_eq!((b.left, b.top, b.width, b.height), (0.0, 0.25, 1.0, 0.75));
        assert_eq!(BoundingBox::from_edges(0.8, 0.8, 0.2, 0.9).width, 0.0);
        assert_eq!(BoundingBox::from_edges(f32::NAN, 0.0, f32::NAN, 1.0).area(), 0.0);
    }

    #[test]
    fn pixels_become_fractions_and_are_not_taken_for_them() {
        let pixels = BoundingBox::new(64.0, 120.0, 160.0, 240.0);
        let fractions = BoundingBox::from_pixels(64.0, 120.0, 160.0, 240.0, 640, 480);
        assert_eq!(fractions, BoundingBox::new(0.1, 0.25, 0.25, 0.5));
        assert!(fractions.is_valid() && !pixels.is_in_fractions());
        assert!(!BoundingBox::from_pixels(64.0, 0.0, 10.0, 10.0, 0, 0).is_in_fractions());
    }

    #[test]
    fn a_box_without_area_is_in_fractions_and_not_valid() {
        for (width, height) in [(0.0, 0.5), (0.5, 0.0), (-0.1, 0.5)] {
            let flat = BoundingBox::new(1.0, 0.5, width, height);
            assert!(flat.is_in_fractions() && !flat.has_area() && !flat.is_valid());
        }
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -4.1] {
            assert!(
                !BoundingBox::new(number, 0.5, 0.1, 0.1).is_in_fractions(),
                "{number}"
            );
        }
    }

    #[test]
    fn an_edge_belongs_to_one_of_two_adjacent_boxes() {
        let b = BoundingBox::from_edges(0.25, 0.25, 0.5, 0.5);
        assert!(b.contains(0.25, 0.25) && !b.contains(0.5, 0.3) && !b.contains(0.3, 0.5));
        assert_eq!(b.center(), (0.375, 0.375));
    }
}
