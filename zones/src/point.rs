//! Points of the frame, and the point of a box that stands for the person in it.

use lva_media_types::BoundingBox;

/// A point in fractions of the frame's width and height, with the origin at the top left.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// From the left edge, 0, to the right edge, 1.
    pub x: f64,
    /// From the top edge, 0, to the bottom edge, 1.
    pub y: f64,
}

impl Point {
    /// A point by its coordinates.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }
}

/// The point of a person's box that stands for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Focus {
    /// Where the feet touch the ground: a little above the bottom of the box. The contract's default for lines and
    /// zones.
    #[default]
    Footprint,
    /// Middle of the bottom edge.
    BottomCenter,
    /// Middle of the box.
    Center,
}

/// Share of a person's height by which the footprint lies above the bottom of the box: 2 to 7 % in the published
/// samples.
const FOOTPRINT_LIFT: f64 = 0.04;

impl Focus {
    /// How far down the box the point lies: 0 is its top edge, 1 its bottom edge.
    pub fn depth_in_box(self) -> f64 {
        match self {
            Self::Footprint => 1.0 - FOOTPRINT_LIFT,
            Self::BottomCenter => 1.0,
            Self::Center => 0.5,
        }
    }

    /// The point of a box in fractions of the frame, in the same fractions.
    pub fn point(self, bbox: &BoundingBox) -> Point {
        let [left, top, width, height] = [bbox.left, bbox.top, bbox.width, bbox.height].map(f64::from);
        Point::new(left + width / 2.0, top + height * self.depth_in_box())
    }
}
