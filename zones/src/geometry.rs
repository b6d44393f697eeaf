//! Plane geometry in units of the frame's width, so that a distance is the same in all directions.

use crate::point::{Focus, Point};
use lva_media_types::BoundingBox;
use meeting::{Meeting, meeting};
use robust::Coord;

mod meeting;

/// A point or a vector of the plane.
pub(crate) type Vec2 = Coord<f64>;

/// The direction in which a line was crossed, as seen from its start looking to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From right to left: the contract's `CrossLeft`.
    Left,
    /// From left to right: the contract's `CrossRight`.
    Right,
}

impl Direction {
    /// The contract's word.
    pub fn status(self) -> &'static str {
        match self {
            Self::Left => "CrossLeft",
            Self::Right => "CrossRight",
        }
    }
}

/// The frame cuts off boxes whose bottom is this close to its own.
const CUT_MARGIN: f64 = 0.004;

/// Converts fractions of the frame to units of its width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane {
    /// Height of the frame in units of its width.
    height: f64,
}

impl Plane {
    pub(crate) fn new(aspect: f64) -> Self {
        Self { height: 1.0 / aspect }
    }

    pub(crate) fn to_plane(self, point: Point) -> Vec2 {
        Coord {
            x: point.x,
            y: point.y * self.height,
        }
    }

    /// Back to fractions of the frame.
    pub(crate) fn to_frame(self, at: Vec2) -> Point {
        Point::new(at.x, at.y / self.height)
    }

    /// Height of a box in units of the frame's width.
    pub(crate) fn height(self, bbox: &BoundingBox) -> f64 {
        f64::from(bbox.height) * self.height
    }

    /// The point of a box that stands for the person, and whether it is out of view: below the frame's bottom.
    pub(crate) fn anchor(self, bbox: &BoundingBox, focus: Focus) -> (Vec2, bool) {
        let bottom = f64::from(bbox.top) + f64::from(bbox.height);
        let cut = focus != Focus::Center && bottom >= 1.0 - CUT_MARGIN;
        (self.to_plane(focus.point(bbox)), cut)
    }
}

pub(crate) fn sub(a: Vec2, b: Vec2) -> Vec2 {
    Coord {
        x: a.x - b.x,
        y: a.y - b.y,
    }
}

pub(crate) fn lerp(a: Vec2, b: Vec2, part: f64) -> Vec2 {
    Coord {
        x: a.x + (b.x - a.x) * part,
        y: a.y + (b.y - a.y) * part,
    }
}

pub(crate) fn distance(a: Vec2, b: Vec2) -> f64 {
    let d = sub(a, b);
    d.x.hypot(d.y)
}

fn cross(a: Vec2, b: Vec2) -> f64 {
    a.x * b.y - a.y * b.x
}

fn dot(a: Vec2, b: Vec2) -> f64 {
    a.x * b.x + a.y * b.y
}

/// A directed segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    start: Vec2,
    end: Vec2,
    length: f64,
}

impl Segment {
    pub(crate) fn new(start: Vec2, end: Vec2) -> Self {
        Self {
            start,
            end,
            length: distance(start, end),
        }
    }

    /// Whether a point is on this side beyond any rounding error.
    pub(crate) fn is_clearly(&self, direction: Direction, p: Vec2) -> bool {
        let side_change = cross(sub(self.end, self.start), sub(p, self.start));
        match direction {
            Direction::Left => side_change < -BEYOND,
            Direction::Right => side_change > BEYOND,
        }
    }

    /// Signed distance from the infinite line: below 0 on the left of a viewer who stands at the start and looks to the
    /// end (y runs downwards), above 0 on the right.
    pub(crate) fn side(&self, p: Vec2) -> f64 {
        cross(sub(self.end, self.start), sub(p, self.start)) / self.length
    }

    /// Whether a step that crosses the infinite line crosses it between the segment's ends: exactly so when the ends lie
    /// on different sides of the step, or on it.
    pub(crate) fn is_met_by(&self, from: Vec2, to: Vec2) -> bool {
        let step = sub(to, from);
        let (start, end) = (
            cross(step, sub(self.start, from)),
            cross(step, sub(self.end, from)),
        );
        (start <= 0.0 && end >= 0.0) || (start >= 0.0 && end <= 0.0)
    }
}

/// Rounding errors stay below this: coordinates are a few frames at most.
const BEYOND: f64 = 1e-9;

/// A simple polygon.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    edges: Vec<Edge>,
    /// The bounding box: corners, centre, and half of the sides.
    low: Vec2,
    high: Vec2,
    middle: Vec2,
    reach: Vec2,
}

/// From a corner to the next.
#[derive(Debug, Clone, Copy)]
struct Edge {
    start: Vec2,
    end: Vec2,
    along: Vec2,
    /// The reciprocal of its squared length.
    inverse: f64,
}

impl Edge {
    fn new(start: Vec2, end: Vec2) -> Self {
        let along = sub(end, start);
        let length2 = dot(along, along);
        Self {
            start,
            end,
            along,
            inverse: if length2 > 0.0 { 1.0 / length2 } else { 0.0 },
        }
    }

    /// Squared distance of a point, exactly 0 for points on the edge as far as rounding allows; and whether a ray from the
    /// point to the right crosses the edge, whose lower end belongs to it and whose upper end does not. The second value is
    /// undefined for points on the edge.
    ///
    /// Computes everything unconditionally, which is faster than unpredictable branches.
    fn distance2_and_ray(&self, p: Vec2) -> (f64, bool) {
        let (a, b) = (self.start, self.end);
        let off = sub(p, a);
        let part = dot(off, self.along) * self.inverse;
        // Across the edge: the cross product is exact where the offsets are.
        let side_change = cross(self.along, off);
        let across = side_change * side_change * self.inverse;
        let off_end = sub(p, b);
        let (to_start, to_end) = (dot(off, off), dot(off_end, off_end));
        let to_corner = if part > 0.0 { to_end } else { to_start };
        let beside = (0.0..=1.0).contains(&part);
        let away2 = if beside { across } else { to_corner };
        let is_right = ((a.y > p.y) != (b.y > p.y)) & ((side_change < 0.0) == (b.y > a.y));
        (away2, is_right)
    }
}

impl Area {
    pub(crate) fn new(corners: Vec<Vec2>) -> Self {
        let next = corners.iter().cycle().skip(1);
        let edges = corners.iter().zip(next).map(|(a, b)| Edge::new(*a, *b)).collect();
        let fold = |of: fn(f64, f64) -> f64, from: f64| Coord {
            x: corners.iter().fold(from, |v, c| of(v, c.x)),
            y: corners.iter().fold(from, |v, c| of(v, c.y)),
        };
        let (low, high) = (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY));
        let size = sub(high, low);
        Self {
            edges,
            low,
            high,
            middle: lerp(low, high, 0.5),
            reach: Coord {
                x: size.x / 2.0,
                y: size.y / 2.0,
            },
        }
    }

    /// Each corner once.
    pub(crate) fn corners(&self) -> Vec<Vec2> {
        self.edges.iter().map(|edge| edge.start).collect()
    }

    /// Whether a step misses the polygon's bounding box, and so the polygon. Most steps do, and the exact tests are
    /// expensive.
    pub(crate) fn is_passed_by(&self, from: Vec2, to: Vec2) -> bool {
        if from.x.max(to.x) < self.low.x
            || from.x.min(to.x) > self.high.x
            || from.y.max(to.y) < self.low.y
            || from.y.min(to.y) > self.high.y
        {
            return true;
        }
        // Across the step: the distance of its infinite line from the centre of the box, and the extent of the box.
        let step = sub(to, from);
        let off = cross(sub(self.middle, from), step).abs();
        let reach = self.reach.x * step.y.abs() + self.reach.y * step.x.abs();
        off > reach + BEYOND
    }

    /// Whether a point is outside the polygon's bounding box beyond any rounding error; its depth is below 0 then.
    pub(crate) fn is_beyond(&self, p: Vec2) -> bool {
        let off = sub(p, self.middle);
        off.x.abs() > self.reach.x + BEYOND || off.y.abs() > self.reach.y + BEYOND
    }

    /// Signed distance from the boundary: above 0 inside, below 0 outside, 0 on it.
    pub(crate) fn depth(&self, p: Vec2) -> f64 {
        let mut away2 = f64::INFINITY;
        let mut inside = false;
        for edge in &self.edges {
            let (edge_away2, is_right) = edge.distance2_and_ray(p);
            away2 = if edge_away2 < away2 { edge_away2 } else { away2 };
            inside ^= is_right;
        }
        let away = away2.sqrt();
        if inside { away } else { -away }
    }

    /// Where a step crosses the boundary: fraction of the step and number of the edge, counted from 1, in the order of
    /// the step.
    pub(crate) fn crossings(&self, from: Vec2, to: Vec2, found: &mut Vec<(f64, u32)>) {
        found.clear();
        if from == to || self.is_passed_by(from, to) {
            return;
        }
        let step = sub(to, from);
        // Beyond this, rounding cannot change the side.
        const CLEAR: f64 = 1e-12;
        let apart = |a: f64, b: f64| (a > CLEAR && b > CLEAR) || (a < -CLEAR && b < -CLEAR);
        let across = |corner: Vec2| cross(sub(from, corner), step);
        let mut end = self.edges.first().map_or(0.0, |edge| across(edge.start));
        for (index, edge) in self.edges.iter().enumerate() {
            // An edge begins where the one before ends.
            let start = std::mem::replace(&mut end, across(edge.end));
            // Most edges are far from the step, and the exact test is expensive.
            if apart(start, end)
                || apart(
                    cross(edge.along, sub(from, edge.start)),
                    cross(edge.along, sub(to, edge.start)),
                )
            {
                continue;
            }
            if let Some(Meeting::Point { part }) = meeting([from, to], [edge.start, edge.end]) {
                found.push((part, index as u32 + 1));
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }

    /// The greatest depth of any point, approximated on a grid of 48×48 points.
    pub(crate) fn greatest_depth(&self) -> f64 {
        let ((left, right), (top, bottom)) = ((self.low.x, self.high.x), (self.low.y, self.high.y));
        let at = |low: f64, high: f64, step: u32| low + (high - low) * (f64::from(step) + 0.5) / 48.0;
        let points = (0..48).flat_map(|i| (0..48).map(move |j| (i, j)));
        points
            .map(|(i, j)| {
                self.depth(Coord {
                    x: at(left, right, i),
                    y: at(top, bottom, j),
                })
            })
            .fold(0.0, f64::max)
    }
}

/// Two edges of a ring that cross or touch, counted from 1. Neighbours may share their corner.
pub(crate) fn self_crossing(corners: &[Vec2]) -> Option<(usize, usize)> {
    let count = corners.len();
    let edge = |i: usize| Some([*corners.get(i)?, *corners.get((i + 1) % count)?]);
    for i in 0..count {
        for j in i + 1..count {
            let neighbours = j == i + 1 || (i == 0 && j == count - 1);
            let bad = match meeting(edge(i)?, edge(j)?) {
                None => false,
                Some(Meeting::Point { .. }) => !neighbours,
                Some(Meeting::Overlap) => true,
            };
            if bad {
                return Some((i + 1, j + 1));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64) -> Vec2 {
        Coord { x, y }
    }

    #[test]
    fn left_is_left_of_the_walker() {
        // Along the picture from left to right: up in the picture is left.
        let line = Segment::new(at(0.0, 0.5), at(1.0, 0.5));
        assert!(line.side(at(0.5, 0.2)) < 0.0 && line.side(at(0.5, 0.8)) > 0.0);
        assert!((line.side(at(0.5, 0.8)) - 0.3).abs() < 1e-12);
        assert!(line.is_met_by(at(0.25, 0.8), at(0.25, 0.2)) && line.is_met_by(at(1.0, 0.8), at(1.0, 0.2)));
        assert!(!line.is_met_by(at(1.1, 0.8), at(1.1, 0.2)));
    }

    #[test]
    fn depth_is_signed() {
        let square = Area::new(vec![at(0.0, 0.0), at(1.0, 0.0), at(1.0, 1.0), at(0.0, 1.0)]);
        assert_eq!(square.depth(at(0.5, 0.25)), 0.25);
        assert_eq!(square.depth(at(2.0, 0.5)), -1.0);
        assert_eq!(square.depth(at(1.0, 0.5)), 0.0);
        assert!((square.greatest_depth() - 0.5).abs() < 0.02);
    }

    #[test]
    fn a_step_through_crosses_two_edges_in_order() {
        let square = Area::new(vec![at(0.0, 0.0), at(1.0, 0.0), at(1.0, 1.0), at(0.0, 1.0)]);
        let mut found = Vec::new();
        square.crossings(at(2.0, 0.5), at(-2.0, 0.5), &mut found);
        assert_eq!(found, [(0.25, 2), (0.5, 4)]);
    }

    #[test]
    fn bow_ties_name_their_edges() {
        let bow = [at(0.0, 0.0), at(1.0, 1.0), at(1.0, 0.0), at(0.0, 1.0)];
        assert_eq!(self_crossing(&bow), Some((1, 3)));
        assert_eq!(self_crossing(&[at(0.0, 0.0), at(1.0, 0.0), at(0.0, 1.0)]), None);
        // A spike that folds back on itself.
        assert_eq!(
            self_crossing(&[at(0.0, 0.0), at(1.0, 0.0), at(0.5, 0.0)]),
            Some((1, 2))
        );
    }

    #[test]
    fn feet_below_the_frame_are_cut() {
        let plane = Plane::new(2.0);
        let (anchor, cut) = plane.anchor(&BoundingBox::new(0.4, 0.5, 0.2, 0.5), Focus::BottomCenter);
        assert!(cut && (anchor.x - 0.5).abs() < 1e-6 && (anchor.y - 0.5).abs() < 1e-6);
        assert!(
            !plane
                .anchor(&BoundingBox::new(0.4, 0.5, 0.2, 0.5), Focus::Center)
                .1
        );
        let (lifted, cut) = plane.anchor(&BoundingBox::new(0.4, 0.4, 0.2, 0.5), Focus::Footprint);
        assert!(!cut && (lifted.y - 0.88 / 2.0).abs() < 1e-6);
    }
}
