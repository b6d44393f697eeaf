//! Where two segments meet, decided exactly: orientations come from Shewchuk's adaptive predicates.

use super::{Vec2, distance};
use robust::orient2d;

/// What two segments have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meeting {
    /// One point.
    Point {
        /// The fraction of the first segment at which it lies.
        part: f64,
    },
    /// More than a point: they lie on one line.
    Overlap,
}

/// What a segment has in common with another one.
pub(super) fn meeting([a, b]: [Vec2; 2], [c, d]: [Vec2; 2]) -> Option<Meeting> {
    let apart = |v: f64, w: f64| (v > 0.0 && w > 0.0) || (v < 0.0 && w < 0.0);
    let (side_c, side_d) = (orient2d(a, b, c), orient2d(a, b, d));
    if apart(side_c, side_d) {
        return None;
    }
    let (side_a, side_b) = (orient2d(c, d, a), orient2d(c, d, b));
    if apart(side_a, side_b) {
        return None;
    }
    // A common end is that point exactly, so that both edges of a corner give the same fraction.
    let part_of = |p: Vec2| distance(a, p) / distance(a, b);
    let part = match [side_a, side_b, side_c, side_d].map(|side| side == 0.0) {
        [true, true, true, true] => return on_one_line([a, b], [c, d]),
        [true, ..] => 0.0,
        [_, true, ..] => 1.0,
        [_, _, true, _] => part_of(c),
        [_, _, _, true] => part_of(d),
        _ => side_a / (side_a - side_b),
    };
    Some(Meeting::Point { part })
}

/// The common part of segments of the same line.
fn on_one_line([a, b]: [Vec2; 2], [c, d]: [Vec2; 2]) -> Option<Meeting> {
    // Along a line, points are in the order of their coordinates.
    let key = |p: Vec2| (p.x, p.y);
    let ordered = |p: Vec2, q: Vec2| if key(p) <= key(q) { (p, q) } else { (q, p) };
    let ((first_low, first_high), (second_low, second_high)) = (ordered(a, b), ordered(c, d));
    let (_, low) = ordered(first_low, second_low);
    let (high, _) = ordered(first_high, second_high);
    if key(low) < key(high) {
        return Some(Meeting::Overlap);
    }
    let part = if key(low) == key(a) { 0.0 } else { 1.0 };
    (key(low) == key(high)).then_some(Meeting::Point { part })
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::line_intersection::{LineIntersection, line_intersection};
    use proptest::prelude::*;

    /// The same by the library `geo`.
    fn oracle(first: [Vec2; 2], second: [Vec2; 2]) -> Option<Meeting> {
        let coord = |p: Vec2| geo::Coord { x: p.x, y: p.y };
        let line = |[start, end]: [Vec2; 2]| geo::Line::new(coord(start), coord(end));
        Some(match line_intersection(line(first), line(second))? {
            LineIntersection::SinglePoint { intersection: at, .. } => Meeting::Point {
                part: distance(first[0], Vec2 { x: at.x, y: at.y }) / distance(first[0], first[1]),
            },
            LineIntersection::Collinear { .. } => Meeting::Overlap,
        })
    }

    fn agree(first: [Vec2; 2], second: [Vec2; 2]) {
        match (meeting(first, second), oracle(first, second)) {
            (Some(Meeting::Point { part: own }), Some(Meeting::Point { part })) => {
                assert!(
                    (own - part).abs() < 1e-9,
                    "{own} and {part} for {first:?} and {second:?}"
                );
            }
            (own, expected) => assert_eq!(own, expected, "{first:?} and {second:?}"),
        }
    }

    /// Points of a small grid: segments that touch, overlap or share an end are frequent.
    fn grid() -> impl Strategy<Value = Vec2> {
        (0..5_i32, 0..5_i32).prop_map(|(x, y)| Vec2 {
            x: f64::from(x) / 4.0,
            y: f64::from(y) * 0.140_625,
        })
    }

    fn anywhere() -> impl Strategy<Value = Vec2> {
        (-1.0..2.0_f64, -1.0..2.0_f64).prop_map(|(x, y)| Vec2 { x, y })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn segments_of_a_grid_meet_as_in_geo(a in grid(), b in grid(), c in grid(), d in grid()) {
            if a != b && c != d {
                agree([a, b], [c, d]);
            }
        }

        #[test]
        fn any_segments_meet_as_in_geo(a in anywhere(), b in anywhere(), c in anywhere(), d in anywhere()) {
            agree([a, b], [c, d]);
        }
    }
}
