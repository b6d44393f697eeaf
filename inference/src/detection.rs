//! What a detector finds: boxes in fractions of the frame.

/// An axis-parallel box in fractions of the frame as it was given: 0 is its left or top edge, 1 its right or
/// bottom edge.
///
/// Boxes that come out of this crate lie inside the frame, `left + width` and `top + height` at most 1 (but
/// for the last bit of rounding), width and height above 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BoundingBox {
    /// Left edge, 0..=1.
    pub left: f32,
    /// Top edge, 0..=1.
    pub top: f32,
    /// Width, 0..=1.
    pub width: f32,
    /// Height, 0..=1.
    pub height: f32,
}

impl BoundingBox {
    /// A box by its edges, clamped to the frame; edges in the wrong order give a box without area.
    ///
    /// A NaN edge counts as 0: hostile numbers end in an empty box, not in a panic.
    pub fn from_edges(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        let (left, top) = (unit(left), unit(top));
        Self {
            left,
            top,
            width: (unit(right) - left).max(0.0),
            height: (unit(bottom) - top).max(0.0),
        }
    }

    /// Right edge: `left + width`.
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// Bottom edge: `top + height`.
    pub fn bottom(&self) -> f32 {
        self.top + self.height
    }

    /// Centre as (x, y).
    pub fn center(&self) -> (f32, f32) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// Share of the frame that the box covers, 0..=1.
    pub fn area(&self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    /// The common part of two boxes, or `None` when they share no area.
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

    /// Intersection over union, 0..=1. Two boxes without area have none.
    ///
    /// Both boxes must be fractions of the same frame; the ratio then is that of the pixels too.
    pub fn iou(&self, other: &Self) -> f32 {
        let common = self.intersection(other).map_or(0.0, |b| b.area());
        let union = self.area() + other.area() - common;
        if union > 0.0 {
            (common / union).min(1.0)
        } else {
            0.0
        }
    }

    /// Whether the point lies in the box; the left and top edges belong to it, the right and bottom ones do
    /// not.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.left && x < self.right() && y >= self.top && y < self.bottom()
    }
}

fn unit(v: f32) -> f32 {
    // A NaN is not above 0; `clamp` would keep it.
    if v > 0.0 { v.min(1.0) } else { 0.0 }
}

/// One object found in one frame. Small and `Copy`: class names stay in
/// [`DetectorInfo`](crate::DetectorInfo).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Where, in fractions of the frame as given.
    pub bbox: BoundingBox,
    /// What: index into [`DetectorInfo::class_names`](crate::DetectorInfo::class_names).
    pub class: u16,
    /// How sure, 0..=1; comparable between detections of the same model only.
    pub score: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_halves_and_strangers() {
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
    fn edges_belong_to_one_neighbour() {
        let b = BoundingBox::from_edges(0.25, 0.25, 0.5, 0.5);
        assert!(b.contains(0.25, 0.25) && !b.contains(0.5, 0.3) && !b.contains(0.3, 0.5));
        assert_eq!(b.center(), (0.375, 0.375));
    }
}
