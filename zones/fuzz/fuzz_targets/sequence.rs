//! Any sequence of frames through tracker and engine, with what must always hold checked after each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lva_zones::ground::{Ground, PinholeCamera};
use lva_zones::report::{EventProfile, IdSource, Reporter};
use lva_zones::*;
use std::collections::BTreeMap;

fn scene(hold_ms: u64) -> Scene {
    let ring = |points: &[(f64, f64)]| points.iter().map(|(x, y)| Point::new(*x, *y)).collect::<Vec<_>>();
    let zone = Zone {
        count: Some(CountRule::default()),
        distance: Some(DistanceRule::default()),
        dwell: Some(DwellRule { at_exit: true, limits_ms: vec![100, 1000], ..DwellRule::default() }),
        ..Zone::new("u", ring(&[(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.6, 0.9), (0.6, 0.4), (0.4, 0.4), (0.4, 0.9), (0.1, 0.9)]))
    };
    let line = CrossingLine::new("l", Point::new(0.5, 0.2), Point::new(0.5, 0.8));
    let options = SceneOptions { hold_ms, ..SceneOptions::default() };
    let ground = Ground::pinhole(PinholeCamera { height_ft: 13.0, focal_px: 400.0, tilt_rad: 1.0, width_px: 640.0, height_px: 360.0 });
    Scene::new(vec![zone], vec![line], options).expect("a valid scene").with_ground(ground.expect("a camera"))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, rest)) = bytes.split_first() else { return };
    let mut engine = Engine::new(scene(u64::from(mode & 1) * 200));
    let mut tracker = Tracker::new(TrackerOptions { stationary: (mode & 2 != 0).then(StationaryOptions::default), ..TrackerOptions::default() });
    let tracked = mode & 4 != 0;
    let mut inside: BTreeMap<TrackId, i64> = BTreeMap::new();
    let mut time = 0u64;
    for frame in rest.chunks(12) {
        let [step, shift, boxes @ ..] = frame else { return };
        time = time.saturating_add(u64::from(*step) << (shift % 40));
        let mut people = Vec::new();
        let mut found = Vec::new();
        for row in boxes.chunks_exact(5) {
            let [id, l, t, w, h] = row else { return };
            let part = |v: &u8| f32::from(*v) / 200.0 - 0.1;
            let bbox = BoundingBox::new(part(l), part(t), part(w), part(h));
            people.push(Observation { confirmed: id & 64 == 0, ..Observation::new(TrackId(u64::from(id & 7)), bbox) });
            found.push(Detection { bbox, class: u16::from(id >> 7), score: f32::from(*id) / 255.0 });
        }
        if tracked {
            people = tracker.update(time, &found).expect("in order");
            assert!(people.windows(2).all(|pair| pair[0].track < pair[1].track));
        }
        let Ok(events) = engine.update(time, &people) else { continue };
        for event in &events {
            assert!(event.time_90k <= event.timestamp_90k && event.timestamp_90k == time);
            let Some(track) = event.track() else { continue };
            match event.kind {
                EventKind::Enter { .. } => *inside.entry(track).or_default() += 1,
                EventKind::Exit { .. } => *inside.entry(track).or_default() -= 1,
                _ => {}
            }
        }
        assert!(inside.values().all(|n| (0..=1).contains(n)), "{inside:?}");
        assert_eq!(engine.occupancy("u"), Some(inside.values().sum::<i64>() as usize));
        for inferences in [EventProfile::Tutorial2020, EventProfile::VideoAnalyzer] {
            let _ = Reporter::new(inferences, IdSource::new(1)).report(&events);
        }
    }
});
