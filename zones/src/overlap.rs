//! How much boxes overlap, in double precision: costs of matches are compared with each other, and must not tie by
//! rounding.

use lva_media_types::BoundingBox;

/// Left, top, right and bottom edge.
pub(crate) type Edges = [f64; 4];

pub(crate) fn edges(bbox: &BoundingBox) -> Edges {
    bbox.edges().map(f64::from)
}

/// Intersection over union, 0 to 1.
pub(crate) fn iou(a: Edges, b: Edges) -> f64 {
    let common = common_area(a, b);
    let union = area(a) + area(b) - common;
    if union > 0.0 { common / union } else { 0.0 }
}

/// Share of the smaller of two boxes that lies in the other, 0 to 1.
pub(crate) fn overlap_ratio(a: Edges, b: Edges) -> f64 {
    let smaller = area(a).min(area(b));
    if smaller > 0.0 {
        common_area(a, b) / smaller
    } else {
        0.0
    }
}

fn common_area(a: Edges, b: Edges) -> f64 {
    side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]))
}

fn area(e: Edges) -> f64 {
    side(e[0], e[2]) * side(e[1], e[3])
}

fn side(low: f64, high: f64) -> f64 {
    (high - low).max(0.0)
}
