//! Memory that a frame asks for, counted.

use crate::support::{Random, SECOND};
use lva_zones::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Counts what each thread asks for.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches nothing of it.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more.
        let _ = ASKED.try_with(|settings| settings.set(settings.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_frame_of_known_people_asks_for_no_memory() {
    let mut random = Random::new(3);
    let zones = (0..10).map(|n| {
        let (x, y) = (0.8 * random.unit(), 0.6 * random.unit());
        let corners = [(x, y), (x + 0.2, y), (x + 0.2, y + 0.3), (x, y + 0.3)];
        Zone::new(format!("z{n}"), corners.map(|(x, y)| Point::new(x, y)))
    });
    let zones: Vec<Zone> = zones.collect();
    let lines = (0..10).map(|n| {
        let mut point = || Point::new(random.unit(), random.unit());
        CrossingLine::new(format!("l{n}"), point(), point())
    });
    let lines: Vec<CrossingLine> = lines.collect();
    let mut engine = Engine::new(Scene::new(zones, lines, SceneOptions::default()).expect("valid"));
    let mut tracker = Tracker::new(TrackerOptions::default());
    let ways: Vec<(f64, f64)> = (0..40).map(|_| (random.unit(), random.unit())).collect();
    let (mut people, mut events, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let (mut reported, mut by_tracker, mut by_engine) = (0, 0, 0);
    for frame in 0..900u64 {
        found.clear();
        for (n, (a, b)) in ways.iter().enumerate() {
            let angle = frame as f64 / 60.0 * (0.5 + a) + b * 6.0;
            let at = BoundingBox::new((0.45 + 0.4 * angle.sin()) as f32, 0.019 * n as f32, 0.02, 0.15);
            found.push(Detection {
                bbox: at,
                class: 0,
                score: 0.9,
            });
        }
        let before = ASKED.with(Cell::get);
        tracker
            .update_into(frame * SECOND / 15, &found, &mut people)
            .expect("in order");
        let between = ASKED.with(Cell::get);
        engine
            .update_into(frame * SECOND / 15, &people, &mut events)
            .expect("valid");
        let after = ASKED.with(Cell::get);
        if frame >= 300 {
            by_tracker += between - before;
            by_engine += after - between;
        }
        reported += events.len();
    }
    assert!(reported > 500, "{reported} events");
    assert_eq!(
        (by_tracker, by_engine),
        (0, 0),
        "allocations of 600 frames by tracker and engine"
    );
}
