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

/// The frame cuts off boxes whose bottom is this close to its own, in heights of the frame.
const CUT_MARGIN: f64 = 0.004;

/// Zones and lines that come this close to the lower border reach it, in heights of the frame.
const REACH_MARGIN: f64 = 0.01;

/// How far below the border feet are at least that are cut off, in units of the frame's width: beyond the default threshold
/// of a line that lies on the border.
const BELOW_BORDER: f64 = 0.006;

/// How far zones and lines go on below the border that they reach, in heights of the frame: further than any person's feet.
const BEYOND_BORDER: f64 = 8.0;

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

    /// Height of the frame in units of its width.
    pub(crate) fn frame_height(self) -> f64 {
        self.height
    }

    /// Height of a box in units of the frame's width.
    pub(crate) fn height(self, bbox: &BoundingBox) -> f64 {
        f64::from(bbox.height) * self.height
    }

    /// The point of a box that stands for the person.
    ///
    /// Feet that the frame's bottom cuts off are below it: as far as a box that was `whole` high when last seen whole
    /// reaches down, and just below the border for who was never seen whole.
    pub(crate) fn anchor(self, bbox: &BoundingBox, focus: Focus, feet: Feet) -> Vec2 {
        let at = self.to_plane(focus.point(bbox));
        let (Feet::Cut { whole }, false) = (feet, focus == Focus::Center) else {
            return at;
        };
        let down = f64::from(bbox.top) + whole.unwrap_or(0.0).max(f64::from(bbox.height));
        Coord {
            x: at.x,
            y: (down * self.height).max(self.height + BELOW_BORDER),
        }
    }

    /// A line with the end that reaches the lower border, if one does, continued below it.
    pub(crate) fn continued(self, start: Point, end: Point) -> (Point, Point) {
        let beyond = |from: Point, end: Point| match reaches_border(end) && end.y > from.y {
            true => {
                let part = (BEYOND_BORDER - from.y) / (end.y - from.y);
                Point::new(from.x + (end.x - from.x) * part, BEYOND_BORDER)
            }
            false => end,
        };
        match (reaches_border(start), reaches_border(end)) {
            // Along the border.
            (true, true) => (start, end),
            _ => (beyond(end, start), beyond(start, end)),
        }
    }

    /// A polygon with the edges that lie on the lower border moved below it, and the number of each edge of the result in the
    /// order of the corners, counted from 1.
    pub(crate) fn extended(self, corners: &[Point]) -> (Vec<Vec2>, Vec<u32>) {
        let count = corners.len();
        let on_border: Vec<bool> = corners.iter().copied().map(reaches_border).collect();
        let is_on = |index: usize| on_border.get(index % count).copied().unwrap_or_default();
        let plain = || {
            let ring = corners.iter().map(|corner| self.to_plane(*corner)).collect();
            (ring, (1..=count as u32).collect())
        };
        // Begins with a corner away from the border, so that no edge on it is cut in two.
        let Some(first) = (0..count).find(|index| !is_on(*index)) else {
            return plain();
        };
        let (mut ring, mut sides) = (Vec::with_capacity(count + 2), Vec::with_capacity(count + 2));
        for step in 0..count {
            let index = (first + step) % count;
            let Some(corner) = corners.get(index).copied() else {
                return plain();
            };
            let side = index as u32 + 1;
            let before = (index + count - 1) % count;
            let below = self.to_plane(Point::new(corner.x, BEYOND_BORDER));
            match (is_on(index + count - 1), is_on(index), is_on(index + 1)) {
                // Between two edges on the border.
                (true, true, true) => {}
                // The side that leads to the border goes on below it.
                (false, true, true) => {
                    ring.extend([self.to_plane(corner), below]);
                    sides.extend([before as u32 + 1, side]);
                }
                (true, true, false) => {
                    ring.extend([below, self.to_plane(corner)]);
                    sides.extend([side, side]);
                }
                _ => {
                    ring.push(self.to_plane(corner));
                    sides.push(side);
                }
            }
        }
        (ring, sides)
    }
}

/// Whether a person's feet are in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Feet {
    InView,
    /// Below the lower border.
    Cut {
        /// Height of the person's box when last seen whole, in heights of the frame.
        whole: Option<f64>,
    },
}

/// Whether the frame's bottom cuts off a box.
pub(crate) fn is_cut(bbox: &BoundingBox) -> bool {
    f64::from(bbox.top) + f64::from(bbox.height) >= 1.0 - CUT_MARGIN
}

fn reaches_border(point: Point) -> bool {
    point.y >= 1.0 - REACH_MARGIN
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
    /// Its number for users.
    side: u32,
    start: Vec2,
    end: Vec2,
    along: Vec2,
    /// The reciprocal of its squared length.
    inverse: f64,
}

impl Edge {
    fn new(start: Vec2, end: Vec2, side: u32) -> Self {
        let along = sub(end, start);
        let length2 = dot(along, along);
        Self {
            side,
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
    /// A polygon by its corners and the numbers of its edges, of which the first leads from the first corner to the second.
    pub(crate) fn new(corners: &[Vec2], sides: &[u32]) -> Self {
        let next = corners.iter().cycle().skip(1);
        let ends = corners.iter().zip(next).zip(sides);
        let edges = ends.map(|((a, b), side)| Edge::new(*a, *b, *side)).collect();
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

    /// Whether a point is further than this from the polygon's bounding box, beyond any rounding error; its depth is below 0
    /// then.
    pub(crate) fn is_farther(&self, p: Vec2, away: f64) -> bool {
        let off = sub(p, self.middle);
        let away = away + BEYOND;
        off.x.abs() > self.reach.x + away || off.y.abs() > self.reach.y + away
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
        for edge in &self.edges {
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
                found.push((part, edge.side));
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }

    /// The greatest depth of any point of a frame as high as this, approximated on a grid of 48×48 points; 0 for a polygon
    /// outside of the frame.
    pub(crate) fn greatest_depth(&self, height: f64) -> f64 {
        let (left, right) = (self.low.x.max(0.0), self.high.x.min(1.0));
        let (top, bottom) = (self.low.y.max(0.0), self.high.y.min(height));
        if left > right || top > bottom {
            return 0.0;
        }
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

/// Whether all corners lie within this distance of one line: that from the first corner to the one farthest from it.
pub(crate) fn is_flat(corners: &[Vec2], within: f64) -> bool {
    let Some(first) = corners.first().copied() else {
        return true;
    };
    let away = |corner: &&Vec2| distance(first, **corner);
    let farthest = corners.iter().max_by(|a, b| away(a).total_cmp(&away(b)));
    let line = Segment::new(first, farthest.copied().unwrap_or(first));
    line.length <= within || corners.iter().all(|corner| line.side(*corner).abs() <= within)
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

    fn square() -> Area {
        let corners = [at(0.0, 0.0), at(1.0, 0.0), at(1.0, 1.0), at(0.0, 1.0)];
        Area::new(&corners, &[1, 2, 3, 4])
    }

    #[test]
    fn depth_is_signed() {
        let square = square();
        assert_eq!(square.depth(at(0.5, 0.25)), 0.25);
        assert_eq!(square.depth(at(2.0, 0.5)), -1.0);
        assert_eq!(square.depth(at(1.0, 0.5)), 0.0);
        assert!((square.greatest_depth(1.0) - 0.5).abs() < 0.02);
        // Of a wide frame only its upper half is there.
        assert!((square.greatest_depth(0.25) - 0.25).abs() < 0.02);
    }

    #[test]
    fn a_step_through_crosses_two_edges_in_order() {
        let mut found = Vec::new();
        square().crossings(at(2.0, 0.5), at(-2.0, 0.5), &mut found);
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
    fn feet_below_the_frame_are_where_a_whole_box_would_end() {
        let plane = Plane::new(2.0);
        let low = BoundingBox::new(0.4, 0.5, 0.2, 0.5);
        assert!(is_cut(&low) && !is_cut(&BoundingBox::new(0.4, 0.4, 0.2, 0.5)));
        let y = |focus, feet| plane.anchor(&low, focus, feet).y;
        for focus in [Focus::BottomCenter, Focus::Footprint] {
            assert_eq!(y(focus, Feet::Cut { whole: None }), 0.5 + BELOW_BORDER);
            assert_eq!(y(focus, Feet::Cut { whole: Some(0.4) }), 0.5 + BELOW_BORDER);
            assert_eq!(y(focus, Feet::Cut { whole: Some(0.75) }), 0.625);
        }
        assert_eq!(y(Focus::Center, Feet::Cut { whole: None }), 0.375);
        assert_eq!(y(Focus::BottomCenter, Feet::InView), 0.5);
        assert!((y(Focus::Footprint, Feet::InView) - 0.49).abs() < 1e-6);
    }

    #[test]
    fn a_zone_goes_on_below_the_border_that_it_reaches_and_keeps_its_sides() {
        let plane = Plane::new(1.0);
        let point = |(x, y): (f64, f64)| Point::new(x, y);
        // A trapezium on the border, with a corner on it that is no corner.
        let corners = [(0.3, 0.5), (0.7, 0.5), (0.9, 1.0), (0.5, 0.995), (0.1, 1.0)].map(point);
        for turn in 0..corners.len() {
            let mut turned = corners;
            turned.rotate_left(turn);
            let (ring, sides) = plane.extended(&turned);
            let area = Area::new(&ring, &sides);
            let side = |number: usize| ((number + corners.len() - 1 - turn) % corners.len()) as u32 + 1;
            assert!(area.depth(at(0.5, 2.0)) > 0.39 && area.depth(at(0.95, 1.2)) < 0.0);
            // Slanted sides stay where they are.
            assert!(area.depth(at(0.8, 0.75)).abs() < 1e-12 && area.depth(at(0.15, 0.6)) < 0.0);
            let mut found = Vec::new();
            area.crossings(at(0.0, 1.1), at(1.0, 1.1), &mut found);
            let found: Vec<u32> = found.iter().map(|(_, side)| *side).collect();
            assert_eq!(found, [side(5), side(2)], "turned by {turn}");
        }
    }

    #[test]
    fn a_line_goes_on_below_the_border_that_it_reaches() {
        let plane = Plane::new(1.0);
        let point = |x, y| Point::new(x, y);
        let (start, end) = plane.continued(point(0.4, 1.0), point(0.5, 0.5));
        assert!((start.x + 1.0).abs() < 1e-12 && start.y == BEYOND_BORDER && end == point(0.5, 0.5));
        let (start, end) = plane.continued(point(0.5, 0.5), point(0.5, 0.995));
        assert_eq!((start, end), (point(0.5, 0.5), point(0.5, BEYOND_BORDER)));
        for (start, end) in [((0.1, 0.995), (0.9, 1.0)), ((0.1, 0.98), (0.9, 0.2))] {
            let line = (point(start.0, start.1), point(end.0, end.1));
            assert_eq!(plane.continued(line.0, line.1), line);
        }
    }
}
