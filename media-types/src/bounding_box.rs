/// An axis-parallel box in fractions of the frame: 0 is its left or top edge, 1 its right or bottom edge. Never pixels.
///
/// A box may reach beyond the frame; [`from_edges`](Self::from_edges) makes one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BoundingBox {
    /// Left edge.
    pub left: f32,
    /// Top edge.
    pub top: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl BoundingBox {
    /// A box by its left and top edge, width and height.
    pub const fn new(left: f32, top: f32, width: f32, height: f32) -> Self {
        Self {
            left,
            top,
            width,
            height,
        }
    }

    /// A box by its edges, clamped to the frame. Edges in the wrong order give a box without area, and a NaN edge
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

    /// Right edge: `left + width`.
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// Bottom edge: `top + height`.
    pub fn bottom(&self) -> f32 {
        self.top + self.height
    }

    /// Left, top, right and bottom edge.
    pub fn edges(&self) -> [f32; 4] {
        [self.left, self.top, self.right(), self.bottom()]
    }

    /// Centre as (x, y).
    pub fn center(&self) -> (f32, f32) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// Whether all four numbers are finite and no further than ten frames away, and the box has an area.
    pub fn is_valid(&self) -> bool {
        let near = |v: f32| v.abs() <= 10.0;
        near(self.left)
            && near(self.top)
            && near(self.width)
            && near(self.height)
            && self.width > 0.0
            && self.height > 0.0
    }

    /// Share of the frame that the box covers.
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

    /// Intersection over union, 0..=1, of two boxes in the same frame. Two boxes without area have none.
    pub fn iou(&self, other: &Self) -> f32 {
        let common = self.intersection(other).map_or(0.0, |b| b.area());
        let union = self.area() + other.area() - common;
        if union > 0.0 {
            (common / union).min(1.0)
        } else {
            0.0
        }
    }

    /// Whether a point lies in the box. The left and top edges belong to it; the right and bottom ones do not.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.left && x < self.right() && y >= self.top && y < self.bottom()
    }
}

fn unit(v: f32) -> f32 {
    // A NaN is not above 0; `clamp` would keep it.
    if v > 0.0 { v.min(1.0) } else { 0.0 }
}

/// One object that a detector found in one frame. Small and `Copy`: names of classes stay with the detector.
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
    fn an_edge_belongs_to_one_of_two_adjacent_boxes() {
        let b = BoundingBox::from_edges(0.25, 0.25, 0.5, 0.5);
        assert!(b.contains(0.25, 0.25) && !b.contains(0.5, 0.3) && !b.contains(0.3, 0.5));
        assert_eq!(b.center(), (0.375, 0.375));
    }
}
