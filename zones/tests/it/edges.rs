//! People who stop near an edge, with the jitter of a detector's boxes; and people whose feet the frame cuts off.

use crate::rules::labels;
use crate::support::{Random, SECOND};
use lva_zones::*;

/// Pixels of a frame 1280 wide and 720 high.
const WIDTH: f64 = 1280.0;
const HEIGHT: f64 = 720.0;

/// The zone of all cases, in pixels: from 400 to 800 across, from 300 to 600 down.
const LEFT: f64 = 400.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 300.0;
const BOTTOM: f64 = 600.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

const SIDES: [Side; 4] = [Side::Left, Side::Right, Side::Top, Side::Bottom];

/// A person who walks up to an edge, stops near it, and walks back the way they came.
#[derive(Debug, Clone, Copy)]
struct Visitor {
    side: Side,
    /// Pixels inside the edge, or outside where negative.
    depth: f64,
    /// Spread of each edge of the box, in pixels.
    jitter: f64,
    fps: u64,
    /// Pixels a second.
    speed: f64,
    stands_s: f64,
    /// Height of the person in pixels.
    height: f64,
    threshold: Threshold,
    seed: u64,
}

impl Visitor {
    /// Where the feet are, in pixels.
    fn feet(&self, seconds: f64) -> (f64, f64) {
        // From 300 pixels outside to the place, and back.
        let way = 300.0 + self.depth;
        let comes = way / self.speed;
        let walked = if seconds < comes {
            seconds * self.speed
        } else {
            way - (seconds - comes - self.stands_s).max(0.0) * self.speed
        };
        let along = walked.max(0.0) - 300.0;
        match self.side {
            Side::Left => (LEFT + along, 450.0),
            Side::Right => (RIGHT - along, 450.0),
            Side::Top => (600.0, TOP + along),
            Side::Bottom => (600.0, BOTTOM - along.max(-100.0)),
        }
    }

    fn seconds(&self) -> f64 {
        2.0 * (300.0 + self.depth) / self.speed + self.stands_s
    }

    /// The events, with boxes as they are or through the tracker.
    fn events(&self, tracked: bool) -> Vec<SpatialEvent> {
        let corners = [(LEFT, TOP), (RIGHT, TOP), (RIGHT, BOTTOM), (LEFT, BOTTOM)];
        let zone = Zone {
            focus: Focus::BottomCenter,
            enter_depth: self.threshold,
            ..Zone::new("zone", corners.map(|(x, y)| Point::new(x / WIDTH, y / HEIGHT)))
        };
        let mut engine = Engine::new(Scene::new(vec![zone], vec![], SceneOptions::default()).expect("valid"));
        let mut tracker = Tracker::new(TrackerOptions::default());
        let mut random = Random::new(self.seed);
        let mut events = Vec::new();
        let frames = (self.seconds() * self.fps as f64) as u64;
        for frame in 0..frames {
            let (x, y) = self.feet(frame as f64 / self.fps as f64);
            let mut shaken = |edge: f64| edge + self.jitter * random.bell();
            let (left, right) = (shaken(x - self.height / 5.0), shaken(x + self.height / 5.0));
            let (top, bottom) = (shaken(y - self.height), shaken(y));
            let bbox = BoundingBox::new(
                (left / WIDTH) as f32,
                (top / HEIGHT) as f32,
                ((right - left) / WIDTH) as f32,
                ((bottom - top) / HEIGHT) as f32,
            );
            let time = frame * SECOND / self.fps;
            let people = match tracked {
                false => vec![Observation::new(TrackId(1), bbox)],
                true => {
                    let found = Detection {
                        bbox,
                        class: 0,
                        score: 0.9,
                    };
                    tracker.update(time, &[found]).expect("valid")
                }
            };
            events.extend(engine.update(time, &people).expect("valid"));
        }
        let end = frames * SECOND / self.fps + 10 * SECOND;
        events.extend(engine.update(end, &[]).expect("valid"));
        events
    }
}

const VISITOR: Visitor = Visitor {
    side: Side::Left,
    depth: 3.0,
    jitter: 3.0,
    fps: 10,
    speed: 80.0,
    stands_s: 8.0,
    height: 160.0,
    threshold: Threshold::Auto,
    seed: 1,
};

/// How many of many such visitors are reported as they should be.
fn share(visitors: impl Iterator<Item = Visitor>, tracked: bool, expected: &[&str]) -> (usize, usize) {
    let (mut right, mut all) = (0, 0);
    for visitor in visitors {
        all += 1;
        right += usize::from(labels(&visitor.events(tracked)) == expected);
    }
    (right, all)
}

/// Twenty visitors at every side, of other jitter.
fn visitors(depth: f64, jitter: f64, fps: u64) -> impl Iterator<Item = Visitor> {
    (0..20).map(move |seed| Visitor {
        side: SIDES[seed as usize % 4],
        depth,
        jitter,
        fps,
        seed: seed + 1,
        ..VISITOR
    })
}

const ONCE: [&str; 2] = ["zone Enter", "zone Exit"];

#[test]
fn who_stands_a_few_pixels_inside_is_inside_once_and_who_stands_outside_is_not() {
    for tracked in [false, true] {
        for fps in [30, 10] {
            for depth in [-8.0, -5.0, -3.0, 3.0, 5.0, 8.0] {
                for jitter in [1.0, 2.0] {
                    let expected: &[&str] = if depth > 0.0 { &ONCE } else { &[] };
                    let (right, all) = share(visitors(depth, jitter, fps), tracked, expected);
                    assert_eq!(
                        right, all,
                        "tracked {tracked}, {fps} fps, {depth} pixels, jitter {jitter}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_published_dead_band_is_a_depth_for_who_stands_there_too() {
    for (depth, expected) in [(10.0, &[][..]), (60.0, &ONCE[..])] {
        let deep = visitors(depth, 3.0, 10).map(|visitor| Visitor {
            threshold: Threshold::Width(0.025),
            ..visitor
        });
        assert_eq!(share(deep, false, expected), (20, 20), "{depth}");
    }
}

#[test]
fn who_walks_over_an_edge_is_reported_as_soon_as_with_a_depth() {
    for side in SIDES {
        for (fps, speed) in [(30, 80.0), (10, 80.0), (10, 200.0), (5, 150.0), (2, 150.0)] {
            let entered = |threshold| {
                let visitor = Visitor {
                    side,
                    depth: 100.0,
                    jitter: 0.0,
                    fps,
                    speed,
                    threshold,
                    ..VISITOR
                };
                let events = visitor.events(false);
                assert_eq!(labels(&events), ONCE);
                (events[0].timestamp_90k, events[0].time_90k)
            };
            assert_eq!(
                entered(Threshold::Auto),
                entered(Threshold::Width(0.004)),
                "{side:?} {fps} {speed}"
            );
        }
    }
}

/// For choosing the constants of `engine::lingering`.
#[test]
#[ignore = "a table"]
fn the_table_of_people_at_an_edge() {
    for tracked in [false, true] {
        for depth in [-8.0, -5.0, -3.0, -2.0, 2.0, 3.0, 5.0, 8.0, 30.0] {
            for fps in [30, 10, 5, 2] {
                let row: Vec<String> = [1.0, 2.0, 3.0, 4.0, 6.0]
                    .into_iter()
                    .map(|jitter| {
                        let visitors = (0..200).map(|seed| Visitor {
                            side: SIDES[seed as usize % 4],
                            depth,
                            jitter,
                            fps,
                            seed: seed + 1,
                            ..VISITOR
                        });
                        let expected: &[&str] = match depth > 0.0 {
                            true => &["zone Enter", "zone Exit"],
                            false => &[],
                        };
                        let (right, all) = share(visitors, tracked, expected);
                        format!("{:3.0}", 100.0 * right as f64 / all as f64)
                    })
                    .collect();
                eprintln!(
                    "tracked {tracked:5} depth {depth:4} fps {fps:2}: {}",
                    row.join(" ")
                );
            }
        }
    }
}

/// What happens in a scene while boxes are given: left, top, width, height as fractions, ten frames a second.
fn boxes(
    zones: Vec<Zone>,
    lines: Vec<CrossingLine>,
    seen: impl IntoIterator<Item = [f64; 4]>,
) -> Vec<SpatialEvent> {
    let mut engine = Engine::new(Scene::new(zones, lines, SceneOptions::default()).expect("valid"));
    let mut events = Vec::new();
    let mut time = 0;
    for [left, top, width, height] in seen {
        let bbox = BoundingBox::new(left as f32, top as f32, width as f32, height as f32);
        let people = [Observation::new(TrackId(1), bbox)];
        events.extend(engine.update(time, &people).expect("valid"));
        time += SECOND / 10;
    }
    events.extend(engine.update(time + 10 * SECOND, &[]).expect("valid"));
    events
}

fn zone(corners: &[(f64, f64)]) -> Zone {
    Zone::new("zone", corners.iter().map(|(x, y)| Point::new(*x, *y)))
}

fn side(event: &SpatialEvent) -> Option<u32> {
    match event.kind {
        EventKind::Enter { side } | EventKind::Exit { side, .. } => side,
        _ => None,
    }
}

/// Boxes of a person who walks to the right with feet below the picture.
fn cut_walk() -> impl Iterator<Item = [f64; 4]> {
    (0..60).map(|frame| [-0.05 + 0.02 * f64::from(frame), 0.6, 0.1, 0.4])
}

/// Boxes of a person as high as this who walks down and out of the picture, a frame of 0.012 of its height each time.
fn walk_out(height: f64) -> impl Iterator<Item = [f64; 4]> {
    (0..80).map_while(move |frame| {
        let top = 0.2 + 0.012 * f64::from(frame);
        let visible = height.min(1.0 - top);
        (visible > 0.03).then_some([0.4, top, 0.1, visible])
    })
}

#[test]
fn a_zone_that_reaches_the_border_holds_people_whose_feet_are_cut_off() {
    for bottom in [1.0, 0.992, 1.2] {
        let low = zone(&[(0.1, 0.5), (0.9, 0.5), (0.9, bottom), (0.1, bottom)]);
        let standing = [[0.4, 0.5, 0.2, 0.5]; 30];
        let events = boxes(vec![low.clone()], vec![], standing);
        assert_eq!(labels(&events), ["zone Enter", "zone Exit"], "{bottom}");
        assert_eq!((side(&events[0]), side(&events[1])), (None, None));
        // Also boxes that a detector lets end below the picture.
        let events = boxes(vec![low.clone()], vec![], [[0.4, 0.5, 0.2, 0.6]; 30]);
        assert_eq!(labels(&events), ["zone Enter", "zone Exit"], "{bottom}");
        // Sideways through it, by its left and its right side.
        let events = boxes(vec![low], vec![], cut_walk());
        assert_eq!(labels(&events), ["zone Enter", "zone Exit"], "{bottom}");
        assert_eq!(
            (side(&events[0]), side(&events[1])),
            (Some(4), Some(2)),
            "{bottom}"
        );
    }
}

#[test]
fn a_threshold_is_a_depth_below_the_border_too() {
    let deep = Zone {
        enter_depth: Threshold::Width(0.075),
        ..zone(&[(0.1, 0.5), (0.9, 0.5), (0.9, 1.0), (0.1, 1.0)])
    };
    let events = boxes(vec![deep.clone()], vec![], cut_walk());
    assert_eq!(labels(&events), ["zone Enter", "zone Exit"]);
    // Near a side is not deep, whatever is below.
    let events = boxes(vec![deep], vec![], [[0.1, 0.6, 0.1, 0.4]; 30]);
    assert_eq!(labels(&events), [""; 0]);
}

#[test]
fn a_zone_that_ends_above_the_border_is_left_through_its_lower_side() {
    let above = zone(&[(0.1, 0.5), (0.9, 0.5), (0.9, 0.95), (0.1, 0.95)]);
    let events = boxes(vec![above.clone()], vec![], walk_out(0.3));
    assert_eq!(labels(&events), ["zone Enter", "zone Exit"]);
    assert_eq!((side(&events[0]), side(&events[1])), (Some(1), Some(3)));
    assert_eq!(labels(&boxes(vec![above], vec![], cut_walk())), [""; 0]);
}

#[test]
fn lines_are_crossed_by_people_whose_feet_are_cut_off() {
    let line = |start: (f64, f64), end: (f64, f64), band| CrossingLine {
        band,
        ..CrossingLine::new("line", Point::new(start.0, start.1), Point::new(end.0, end.1))
    };
    let thresholds = [Threshold::Auto, Threshold::Width(0.025), Threshold::Width(0.075)];
    for band in thresholds {
        for (start, end) in [((0.5, 1.0), (0.5, 0.0)), ((0.55, 0.995), (0.4, 0.3))] {
            let events = boxes(vec![], vec![line(start, end, band)], cut_walk());
            assert_eq!(labels(&events), ["line Cross(Right)"], "{start:?} {band:?}");
        }
        // It ends above the border: they walk round its end.
        let events = boxes(vec![], vec![line((0.5, 0.9), (0.5, 0.0), band)], cut_walk());
        assert_eq!(labels(&events), [""; 0], "{band:?}");
        // Just above the border, crossed on the way out.
        for height in [0.3, 0.5] {
            for y in [0.9, 0.98, 0.995] {
                let low = line((0.0, y), (1.0, y), band);
                let events = boxes(vec![], vec![low], walk_out(height));
                assert_eq!(labels(&events), ["line Cross(Right)"], "{y} {height} {band:?}");
            }
        }
    }
}

#[test]
fn a_zone_outside_of_the_frame_is_a_warning() {
    let warnings = |corners: &[(f64, f64)]| {
        let scene = Scene::new(vec![zone(corners)], vec![], SceneOptions::default()).expect("valid");
        scene
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let outside = warnings(&[(1.1, 0.2), (1.4, 0.2), (1.4, 0.8)]);
    assert!(
        outside.iter().any(|w| w.contains("can never be entered")),
        "{outside:?}"
    );
    assert_eq!(warnings(&[(0.9, 0.9), (1.0, 0.9), (1.0, 1.0)]), [""; 0]);
}
