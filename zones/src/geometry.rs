//! Plane geometry in units of the frame's width, so that a distance is the same in all directions.

use crate::event::Direction;
use crate::ground::FOOTPRINT_LIFT;
use crate::observation::{BoundingBox, Point};
use crate::scene::Focus;
use geo::line_intersection::{LineIntersection, line_intersection};
use geo::{Coord, Line};

pub(crate) type Flat = Coord<f64>;

/// A box whose bottom is this near to the frame's bottom is cut off there.
const CUT_MARGIN: f64 = 0.004;

/// Fractions of the frame into units of its width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane {
    /// Height of the frame in units of its width.
    height: f64,
}

impl Plane {
    pub(crate) fn new(aspect: f64) -> Self {
        Self { height: 1.0 / aspect }
    }

    pub(crate) fn flat(self, point: Point) -> Flat {
        Coord {
            x: point.x,
            y: point.y * self.height,
        }
    }

    /// Back to fractions of the frame.
    pub(crate) fn point(self, flat: Flat) -> Point {
        Point::new(flat.x, flat.y / self.height)
    }

    /// Height of a box in units of the frame's width.
    pub(crate) fn height(self, bbox: &BoundingBox) -> f64 {
        f64::from(bbox.height) * self.height
    }

    /// The point of a box that stands for the person, and whether it is out of view: below the frame's bottom.
    pub(crate) fn anchor(self, bbox: &BoundingBox, focus: Focus) -> (Flat, bool) {
        let (left, width) = (f64::from(bbox.left), f64::from(bbox.width));
        let (top, height) = (f64::from(bbox.top), f64::from(bbox.height));
        let (down, needs_feet) = match focus {
            Focus::Footprint => (1.0 - FOOTPRINT_LIFT, true),
            Focus::BottomCenter => (1.0, true),
            Focus::Center => (0.5, false),
        };
        let cut = needs_feet && top + height >= 1.0 - CUT_MARGIN;
        (
            self.flat(Point::new(left + width / 2.0, top + height * down)),
            cut,
        )
    }
}

pub(crate) fn sub(a: Flat, b: Flat) -> Flat {
    Coord {
        x: a.x - b.x,
        y: a.y - b.y,
    }
}

pub(crate) fn lerp(a: Flat, b: Flat, part: f64) -> Flat {
    Coord {
        x: a.x + (b.x - a.x) * part,
        y: a.y + (b.y - a.y) * part,
    }
}

pub(crate) fn distance(a: Flat, b: Flat) -> f64 {
    let d = sub(a, b);
    d.x.hypot(d.y)
}

fn cross(a: Flat, b: Flat) -> f64 {
    a.x * b.y - a.y * b.x
}

fn dot(a: Flat, b: Flat) -> f64 {
    a.x * b.x + a.y * b.y
}

/// A directed segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    start: Flat,
    end: Flat,
    length: f64,
}

impl Segment {
    pub(crate) fn new(start: Flat, end: Flat) -> Self {
        Self {
            start,
            end,
            length: distance(start, end),
        }
    }

    /// Whether a point is certainly on the same side as before, however its distance is rounded.
    pub(crate) fn is_clearly(&self, direction: Direction, p: Flat) -> bool {
        let turn = cross(sub(self.end, self.start), sub(p, self.start));
        match direction {
            Direction::Left => turn < -BEYOND,
            Direction::Right => turn > BEYOND,
        }
    }

    /// Signed distance from the endless line: below 0 on the left of someone who stands at the start and looks to
    /// the end (y runs downwards), above 0 on the right.
    pub(crate) fn side(&self, p: Flat) -> f64 {
        cross(sub(self.end, self.start), sub(p, self.start)) / self.length
    }

    /// Whether the endless line is crossed between the segment's ends by a step that crosses the line: exactly so when
    /// the ends lie on different sides of the step, or on it.
    pub(crate) fn is_met_by(&self, from: Flat, to: Flat) -> bool {
        let step = sub(to, from);
        let (start, end) = (
            cross(step, sub(self.start, from)),
            cross(step, sub(self.end, from)),
        );
        (start <= 0.0 && end >= 0.0) || (start >= 0.0 && end <= 0.0)
    }
}

/// What is further out of bounds than this is so however numbers are rounded: coordinates are a few frames at most.
const BEYOND: f64 = 1e-9;

/// A simple polygon.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    edges: Vec<Edge>,
    /// The bounds: corners, middle, and half of the sides.
    low: Flat,
    high: Flat,
    middle: Flat,
    reach: Flat,
}

/// From a corner to the next.
#[derive(Debug, Clone, Copy)]
struct Edge {
    start: Flat,
    end: Flat,
    along: Flat,
    /// One by the square of its length.
    inverse: f64,
}

impl Edge {
    fn new(start: Flat, end: Flat) -> Self {
        let along = sub(end, start);
        let length2 = dot(along, along);
        Self {
            start,
            end,
            along,
            inverse: if length2 > 0.0 { 1.0 / length2 } else { 0.0 },
        }
    }

    /// Square of the distance of a point, 0 exactly for points on the edge, as far as numbers can tell; and whether a ray
    /// from the point to the right crosses the edge, whose lower end belongs to it and whose upper one does not. Of points
    /// on the edge nothing is said.
    ///
    /// Everything is computed, needed or not: that is faster than branches that nobody can predict.
    fn look(&self, p: Flat) -> (f64, bool) {
        let (a, b) = (self.start, self.end);
        let off = sub(p, a);
        let part = dot(off, self.along) * self.inverse;
        // Across the edge: the cross product is exact where the offsets are.
        let turn = cross(self.along, off);
        let across = turn * turn * self.inverse;
        let off_end = sub(p, b);
        let (to_start, to_end) = (dot(off, off), dot(off_end, off_end));
        let to_corner = if part > 0.0 { to_end } else { to_start };
        let beside = (0.0..=1.0).contains(&part);
        let away2 = if beside { across } else { to_corner };
        let is_right = ((a.y > p.y) != (b.y > p.y)) & ((turn < 0.0) == (b.y > a.y));
        (away2, is_right)
    }
}

impl Area {
    pub(crate) fn new(corners: Vec<Flat>) -> Self {
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
    pub(crate) fn corners(&self) -> Vec<Flat> {
        self.edges.iter().map(|edge| edge.start).collect()
    }

    /// Whether a step stays clear of the polygon's bounds: such a step touches nothing. Most steps are, and the exact
    /// tests are dear.
    pub(crate) fn is_passed_by(&self, from: Flat, to: Flat) -> bool {
        if from.x.max(to.x) < self.low.x
            || from.x.min(to.x) > self.high.x
            || from.y.max(to.y) < self.low.y
            || from.y.min(to.y) > self.high.y
        {
            return true;
        }
        // Across the step: how far its endless line is from the middle of the bounds, and how far they reach.
        let step = sub(to, from);
        let off = cross(sub(self.middle, from), step).abs();
        let reach = self.reach.x * step.y.abs() + self.reach.y * step.x.abs();
        off > reach + BEYOND
    }

    /// Whether a point is clearly out of the polygon's bounds: its depth is below 0 then, however it is rounded.
    pub(crate) fn is_beyond(&self, p: Flat) -> bool {
        let off = sub(p, self.middle);
        off.x.abs() > self.reach.x + BEYOND || off.y.abs() > self.reach.y + BEYOND
    }

    /// Depth below the boundary: above 0 inside, below 0 outside, 0 on it.
    pub(crate) fn depth(&self, p: Flat) -> f64 {
        let mut away2 = f64::INFINITY;
        let mut inside = false;
        for edge in &self.edges {
            let (edge_away2, is_right) = edge.look(p);
            away2 = if edge_away2 < away2 { edge_away2 } else { away2 };
            inside ^= is_right;
        }
        let away = away2.sqrt();
        if inside { away } else { -away }
    }

    /// Where a step crosses the boundary: part of the step and number of the edge, counted from 1, in the order of
    /// the step.
    pub(crate) fn crossings(&self, from: Flat, to: Flat, found: &mut Vec<(f64, u32)>) {
        found.clear();
        if from == to || self.is_passed_by(from, to) {
            return;
        }
        let mut length = None;
        let step = sub(to, from);
        // Clearly on one side: further than rounding could be wrong about.
        const CLEAR: f64 = 1e-12;
        let apart = |a: f64, b: f64| (a > CLEAR && b > CLEAR) || (a < -CLEAR && b < -CLEAR);
        let across = |corner: Flat| cross(sub(from, corner), step);
        let mut end = self.edges.first().map_or(0.0, |edge| across(edge.start));
        for (index, edge) in self.edges.iter().enumerate() {
            // An edge begins where the one before ends.
            let start = std::mem::replace(&mut end, across(edge.end));
            // Most edges are nowhere near the step, and the exact test is dear.
            if apart(start, end)
                || apart(
                    cross(edge.along, sub(from, edge.start)),
                    cross(edge.along, sub(to, edge.start)),
                )
            {
                continue;
            }
            if let Some(LineIntersection::SinglePoint { intersection, .. }) =
                line_intersection(Line::new(from, to), Line::new(edge.start, edge.end))
            {
                let length = *length.get_or_insert_with(|| distance(from, to));
                found.push((distance(from, intersection) / length, index as u32 + 1));
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }

    /// About the greatest depth that any point has, from a grid of 48×48 points.
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

/// Two edges of a ring that meet where they should not, as numbers counted from 1.
pub(crate) fn self_crossing(corners: &[Flat]) -> Option<(usize, usize)> {
    let count = corners.len();
    let edge = |i: usize| Some(Line::new(*corners.get(i)?, *corners.get((i + 1) % count)?));
    for i in 0..count {
        for j in i + 1..count {
            let (a, b) = (edge(i)?, edge(j)?);
            let neighbours = j == i + 1 || (i == 0 && j == count - 1);
            let bad = match line_intersection(a, b) {
                None => false,
                // Neighbours share a corner, and may share no more.
                Some(LineIntersection::SinglePoint { .. }) => !neighbours,
                Some(LineIntersection::Collinear { intersection }) => {
                    !neighbours || intersection.start != intersection.end
                }
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

    fn at(x: f64, y: f64) -> Flat {
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
        // A spike that goes back on itself.
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
