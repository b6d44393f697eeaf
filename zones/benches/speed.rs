//! A frame of people at zones and lines with everything on, and a frame of the tracker.
//!
//! The shapes are those at which others were measured: so many zones of eight corners and as many lines, so many people,
//! twenty distinct frames of random boxes, bottom centre. `benches/peers.py` runs the same shapes through supervision,
//! where Python and it are there.

use divan::{Bencher, counter::ItemsCount};
use lva_zones::*;

fn main() {
    divan::main();
}

/// A small generator, the same on every machine.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn scene(elements: usize, random: &mut Random) -> Scene {
    let zones = (0..elements).map(|n| {
        let (x, y) = (0.1 + 0.8 * random.unit(), 0.1 + 0.8 * random.unit());
        let radius = 0.05 + 0.15 * random.unit();
        let corner = |k: usize| {
            let angle = k as f64 * std::f64::consts::TAU / 8.0;
            Point::new(x + radius * angle.cos(), y + radius * angle.sin())
        };
        Zone {
            focus: Focus::BottomCenter,
            count: Some(CountRule {
                focus: Focus::BottomCenter,
                ..CountRule::default()
            }),
            ..Zone::new(format!("z{n}"), (0..8).map(corner))
        }
    });
    let zones: Vec<Zone> = zones.collect();
    let lines = (0..elements).map(|n| {
        let (a, b) = (
            Point::new(random.unit(), random.unit()),
            Point::new(random.unit(), random.unit()),
        );
        CrossingLine {
            focus: Focus::BottomCenter,
            ..CrossingLine::new(format!("l{n}"), a, b)
        }
    });
    Scene::new(zones, lines.collect(), SceneOptions::default()).expect("a valid scene")
}

/// Random boxes: everybody is elsewhere in each frame.
fn jumping(people: usize, random: &mut Random) -> Vec<Vec<Observation>> {
    let person = |id: usize, random: &mut Random| {
        let (x, y) = (random.unit() * 0.9, random.unit() * 0.7);
        Observation::new(
            TrackId(id as u64),
            BoundingBox::new(x as f32, y as f32, 0.05, 0.2),
        )
    };
    (0..20)
        .map(|_| (0..people).map(|id| person(id, random)).collect())
        .collect()
}

/// People who walk: each goes its way and turns at the frame's edge.
fn walking(people: usize, random: &mut Random) -> Vec<Vec<[f64; 2]>> {
    let mut all: Vec<[f64; 4]> = (0..people)
        .map(|_| {
            [
                random.unit() * 0.9,
                random.unit() * 0.7,
                0.006 * (random.unit() - 0.5),
                0.004 * (random.unit() - 0.5),
            ]
        })
        .collect();
    (0..200)
        .map(|_| {
            for [x, y, dx, dy] in &mut all {
                (*x, *y) = (*x + *dx, *y + *dy);
                if !(0.0..0.95).contains(x) {
                    *dx = -*dx;
                }
                if !(0.0..0.75).contains(y) {
                    *dy = -*dy;
                }
            }
            all.iter().map(|[x, y, ..]| [*x, *y]).collect()
        })
        .collect()
}

const SHAPES: [(usize, usize); 5] = [(1, 10), (4, 50), (10, 100), (32, 200), (100, 500)];

/// Zones and lines together, and a count of each zone.
#[divan::bench(args = SHAPES.map(|(elements, people)| format!("{elements} x {people}")))]
fn everybody_jumps(bencher: Bencher, shape: &str) {
    let (elements, people) = read(shape);
    let mut random = Random(7);
    let scene = scene(elements, &mut random);
    let frames = jumping(people, &mut random);
    let mut engine = Engine::new(scene);
    let mut events = Vec::new();
    let mut frame = 0u64;
    bencher.counter(ItemsCount::new(people)).bench_local(|| {
        frame += 1;
        engine
            .update_into(frame * 6000, &frames[frame as usize % 20], &mut events)
            .expect("a valid frame");
        events.len()
    });
}

/// The same with people who walk as people do.
#[divan::bench(args = SHAPES.map(|(elements, people)| format!("{elements} x {people}")))]
fn everybody_walks(bencher: Bencher, shape: &str) {
    let (elements, people) = read(shape);
    let mut random = Random(7);
    let scene = scene(elements, &mut random);
    let frames: Vec<Vec<Observation>> = walking(people, &mut random)
        .iter()
        .map(|frame| {
            let person = |(id, [x, y]): (usize, &[f64; 2])| {
                Observation::new(
                    TrackId(id as u64),
                    BoundingBox::new(*x as f32, *y as f32, 0.05, 0.2),
                )
            };
            frame.iter().enumerate().map(person).collect()
        })
        .collect();
    let mut engine = Engine::new(scene);
    let mut events = Vec::new();
    let mut frame = 0usize;
    bencher.counter(ItemsCount::new(people)).bench_local(|| {
        frame += 1;
        // Back and forth through the frames, so that people do not jump.
        let at = if (frame / 199).is_multiple_of(2) {
            frame % 199
        } else {
            199 - frame % 199
        };
        engine
            .update_into(frame as u64 * 6000, &frames[at], &mut events)
            .expect("a valid frame");
        events.len()
    });
}

#[divan::bench(args = [10, 50, 100, 300])]
fn tracker(bencher: Bencher, people: usize) {
    let mut random = Random(7);
    let frames: Vec<Vec<Detection>> = walking(people, &mut random)
        .iter()
        .map(|frame| {
            let found = |[x, y]: &[f64; 2], random: &mut Random| Detection {
                bbox: BoundingBox::new(
                    (x + 0.002 * random.unit()) as f32,
                    (y + 0.002 * random.unit()) as f32,
                    0.03,
                    0.12,
                ),
                class: 0,
                score: 0.9,
            };
            frame.iter().map(|at| found(at, &mut random)).collect()
        })
        .collect();
    let mut tracker = Tracker::new(TrackerOptions::default());
    let mut frame = 0usize;
    bencher.counter(ItemsCount::new(people)).bench_local(|| {
        frame += 1;
        let at = if (frame / 199).is_multiple_of(2) {
            frame % 199
        } else {
            199 - frame % 199
        };
        tracker
            .update(frame as u64 * 6000, &frames[at])
            .expect("in order")
            .len()
    });
}

fn read(shape: &str) -> (usize, usize) {
    let mut numbers = shape.split(" x ").filter_map(|n| n.parse().ok());
    (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1))
}
