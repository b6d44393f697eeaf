use lva_media_types::BoundingBox;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::decimal::Decimal;

/// A rectangle in fractions of the sample's width and height, origin at the top left. All four numbers are required.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Rectangle {
    /// Left edge, in fractions of the width.
    pub l: Decimal,
    /// Top edge, in fractions of the height.
    pub t: Decimal,
    /// Width, in fractions of the width.
    pub w: Decimal,
    /// Height, in fractions of the height.
    pub h: Decimal,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Rectangle {
    /// A rectangle by left, top, width and height, in fractions of the sample.
    pub fn new(
        l: impl Into<Decimal>,
        t: impl Into<Decimal>,
        w: impl Into<Decimal>,
        h: impl Into<Decimal>,
    ) -> Self {
        Self {
            l: l.into(),
            t: t.into(),
            w: w.into(),
            h: h.into(),
            extra: Extra::new(),
        }
    }
}

impl From<BoundingBox> for Rectangle {
    fn from(bbox: BoundingBox) -> Self {
        Self::new(bbox.left, bbox.top, bbox.width, bbox.height)
    }
}

impl From<&Rectangle> for BoundingBox {
    fn from(rectangle: &Rectangle) -> Self {
        let Rectangle { l, t, w, h, .. } = rectangle;
        Self::new(l.to_f32(), t.to_f32(), w.to_f32(), h.to_f32())
    }
}
