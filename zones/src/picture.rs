//! A scene and its people as drawing primitives: for SVG here, for pixels in whoever draws them.

mod svg;

use crate::engine::Engine;
use crate::event::Direction;
use crate::ground::footprint;
use crate::observation::{BoundingBox, Observation, Point, TrackId};
use crate::scene::{Outline, OutlineKind};
use std::collections::BTreeMap;
pub use svg::svg;

/// Most points of a trail.
pub const MAX_TRAIL: usize = 64;

/// Most trails kept.
const MAX_TRAILS: usize = 1024;

/// Who is not seen for this long has no trail any more, in ticks.
const TRAIL_TIME: u64 = 2 * 90_000;

/// What a thing is drawn as: a colour that says what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Paint {
    /// A zone.
    Zone,
    /// A zone with somebody in it.
    ZoneOccupied,
    /// A line.
    Line,
    /// A person, by their number: twelve colours in turn.
    Person(u64),
    /// Somebody not confirmed yet.
    Unconfirmed,
}

impl Paint {
    /// Red, green and blue.
    pub fn rgb(self) -> [u8; 3] {
        const PEOPLE: [[u8; 3]; 12] = [
            [230, 82, 71],
            [70, 153, 208],
            [98, 178, 84],
            [235, 160, 52],
            [154, 105, 190],
            [54, 176, 170],
            [222, 112, 168],
            [150, 132, 76],
            [108, 124, 222],
            [188, 92, 50],
            [122, 190, 140],
            [196, 188, 60],
        ];
        match self {
            Self::Zone => [60, 120, 216],
            Self::ZoneOccupied => [220, 60, 120],
            Self::Line => [214, 64, 214],
            Self::Person(number) => PEOPLE.get((number % 12) as usize).copied().unwrap_or([255; 3]),
            Self::Unconfirmed => [150, 150, 150],
        }
    }
}

/// One thing to draw; points in fractions of the frame.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Primitive {
    /// A ring, its inside tinted lightly.
    Polygon {
        /// Corners, each once.
        points: Vec<Point>,
        /// Its meaning.
        paint: Paint,
    },
    /// Lines from point to point.
    Polyline {
        /// At least two.
        points: Vec<Point>,
        /// Its meaning.
        paint: Paint,
    },
    /// A line with a head at its end.
    Arrow {
        /// Where it begins.
        from: Point,
        /// Where its head is.
        to: Point,
        /// Its meaning.
        paint: Paint,
    },
    /// The outline of a box.
    Box {
        /// Where.
        bbox: BoundingBox,
        /// Its meaning.
        paint: Paint,
    },
    /// A dot of a few pixels.
    Dot {
        /// Where.
        at: Point,
        /// Its meaning.
        paint: Paint,
    },
    /// A text of one line, its lower left corner at a point.
    Text {
        /// Where.
        at: Point,
        /// What.
        text: String,
        /// Its meaning.
        paint: Paint,
    },
}

/// Remembers where people went, and makes pictures of a scene and its people.
///
/// ```
/// use lva_zones::*;
///
/// let door = Zone::new("door", [(0.4, 0.2), (0.6, 0.2), (0.6, 0.9)].map(|(x, y)| Point::new(x, y)));
/// let engine = Engine::new(Scene::new(vec![door], vec![], SceneOptions::default()).unwrap());
/// let people = [Observation::new(TrackId(3), BoundingBox::new(0.1, 0.3, 0.1, 0.4))];
/// let mut sketch = Sketch::new();
/// sketch.add(0, &people);
/// let picture = svg(&sketch.draw(&engine, &people), 640, 360);
/// assert!(picture.contains("door: 0") && picture.contains("#3"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sketch {
    trails: BTreeMap<TrackId, Trail>,
}

#[derive(Debug, Clone, Default)]
struct Trail {
    last: u64,
    points: Vec<Point>,
}

impl Sketch {
    /// Without trails.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the people of a frame for their trails.
    pub fn add(&mut self, timestamp_90k: u64, people: &[Observation]) {
        for person in people.iter().filter(|person| person.confirmed) {
            if self.trails.len() >= MAX_TRAILS && !self.trails.contains_key(&person.track) {
                continue;
            }
            let trail = self.trails.entry(person.track).or_default();
            trail.last = timestamp_90k;
            if trail.points.len() >= MAX_TRAIL {
                trail.points.remove(0);
            }
            trail.points.push(footprint(&person.steady));
        }
        self.trails
            .retain(|_, trail| timestamp_90k.saturating_sub(trail.last) <= TRAIL_TIME);
    }

    /// The scene with its names, sides and counts, and these people with their trails.
    pub fn draw(&self, engine: &Engine, people: &[Observation]) -> Vec<Primitive> {
        let mut all = Vec::new();
        for outline in engine.scene().outlines() {
            match outline.kind {
                OutlineKind::Zone => zone(engine, outline, &mut all),
                OutlineKind::Line => line(engine, &outline, &mut all),
            }
        }
        for person in people {
            let paint = if person.confirmed {
                Paint::Person(person.track.0)
            } else {
                Paint::Unconfirmed
            };
            if let Some(trail) = self.trails.get(&person.track).filter(|t| t.points.len() > 1) {
                all.push(Primitive::Polyline {
                    points: trail.points.clone(),
                    paint,
                });
            }
            let bbox = person.bbox;
            all.push(Primitive::Box { bbox, paint });
            all.push(Primitive::Dot {
                at: footprint(&person.steady),
                paint,
            });
            if person.confirmed {
                all.push(Primitive::Text {
                    at: Point::new(bbox.left.into(), bbox.top.into()),
                    text: format!("#{}", person.track),
                    paint,
                });
            }
        }
        all
    }
}

fn zone(engine: &Engine, outline: Outline, all: &mut Vec<Primitive>) {
    let count = engine.occupancy(&outline.name).unwrap_or(0);
    let paint = if count > 0 {
        Paint::ZoneOccupied
    } else {
        Paint::Zone
    };
    let text = format!("{}: {count}", outline.name);
    // Where the reader begins: the corner furthest to the top left.
    let corner = outline
        .points
        .iter()
        .min_by(|a, b| (a.x + a.y).total_cmp(&(b.x + b.y)))
        .copied();
    all.push(Primitive::Polygon {
        points: outline.points,
        paint,
    });
    all.extend(corner.map(|at| Primitive::Text { at, text, paint }));
}

fn line(engine: &Engine, outline: &Outline, all: &mut Vec<Primitive>) {
    let [start, end] = outline.points[..] else { return };
    let paint = Paint::Line;
    all.push(Primitive::Arrow {
        from: start,
        to: end,
        paint,
    });
    let (left, right) = engine.line_counts(&outline.name).map_or((0, 0), |counts| {
        (counts.of(Direction::Left), counts.of(Direction::Right))
    });
    // The sides, each beside the middle of the line. In the picture y runs down: left of the way is (dy, −dx).
    let aspect = engine.scene().options().aspect;
    let (dx, dy) = (end.x - start.x, (end.y - start.y) / aspect);
    let length = dx.hypot(dy).max(1e-9);
    let (nx, ny) = (dy / length, -dx / length * aspect);
    let middle = Point::new((start.x + end.x) / 2.0, (start.y + end.y) / 2.0);
    let beside = |off: f64| Point::new(middle.x + nx * off, middle.y + ny * off);
    for (off, text) in [(0.02, format!("L {left}")), (-0.02, format!("R {right}"))] {
        all.push(Primitive::Text {
            at: beside(off),
            text,
            paint,
        });
    }
    all.push(Primitive::Text {
        at: start,
        text: outline.name.clone(),
        paint,
    });
}
