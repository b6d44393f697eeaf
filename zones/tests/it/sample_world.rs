//! Events against the truth of the sample world, with detections made bad on purpose.

use crate::support::{Noise, Random, SECOND, Score, Told, told};
use lva_sample_world::{Crossing, World, WorldOptions};
use lva_zones::*;

struct Clip {
    frames: Vec<Vec<([f64; 4], f64)>>,
    fps: u32,
    scene: Scene,
    truth: Vec<Told>,
}

fn clip(seed: u64, fps: u32, seconds: f64) -> Clip {
    // Boxes and places are fractions: a small picture has the same truth as a large one.
    let options = WorldOptions {
        width: 128,
        height: 72,
        fps,
        seconds,
    };
    let mut world = World::new(seed, options).expect("options in range");
    let point = |p: [f32; 2]| Point::new(p[0].into(), p[1].into());
    let zones = world
        .scene()
        .zones
        .iter()
        .map(|z| Zone::new(z.name.clone(), z.polygon.iter().map(|p| point(*p))))
        .collect();
    let lines = world
        .scene()
        .lines
        .iter()
        .map(|l| CrossingLine::new(l.name.clone(), point(l.start), point(l.end)))
        .collect();
    let scene = Scene::new(zones, lines, SceneOptions::default()).expect("a sound scene");
    let truth = world
        .scene()
        .events
        .iter()
        .map(|e| Told {
            seconds: e.seconds,
            name: e.boundary.clone(),
            status: match e.status {
                Crossing::Enter => "Enter",
                Crossing::Exit => "Exit",
                Crossing::CrossLeft => "CrossLeft",
                Crossing::CrossRight => "CrossRight",
            },
        })
        .collect();
    let mut rgb = vec![0; world.frame_bytes()];
    let frames = (0..world.frame_count())
        .map(|index| {
            let people = world.render(index, &mut rgb).expect("a frame of the clip").people;
            people
                .iter()
                .map(|p| (p.bbox.map(f64::from), f64::from(p.visible_share)))
                .collect()
        })
        .collect();
    Clip {
        frames,
        fps,
        scene,
        truth,
    }
}

fn judge(clip: &Clip, noise: Noise, seed: u64) -> Score {
    let mut random = Random::new(seed);
    let mut tracker = Tracker::new(TrackerOptions::default());
    let mut engine = Engine::new(clip.scene.clone());
    let mut reported = Vec::new();
    for (index, people) in clip.frames.iter().enumerate() {
        let time = index as u64 * SECOND / u64::from(clip.fps);
        let seen = people.iter().filter(|(_, visible)| *visible >= 0.35);
        let mut detections: Vec<_> = seen
            .filter_map(|(bbox, _)| noise.detect(*bbox, &mut random))
            .collect();
        detections.extend(noise.alarm(&mut random));
        let people = tracker.update(time, &detections).expect("frames in order");
        reported.extend(
            engine
                .update(time, &people)
                .expect("sound people")
                .iter()
                .map(told),
        );
    }
    let (score, missed, wrong) = Score::with_rest(&clip.truth, &reported);
    if std::env::var_os("LVA_SHOW_EVENTS").is_some() {
        eprintln!("missed {missed:#?}\nwrong {wrong:#?}");
    }
    score
}

/// The scores of several detectors on the same clips; the clips are what takes time.
fn totals<const N: usize>(fps: u32, detectors: [Noise; N]) -> [Score; N] {
    let mut totals = [Score::default(); N];
    for seed in [901, 902, 903] {
        let clip = clip(seed, fps, 60.0);
        for (total, noise) in totals.iter_mut().zip(detectors) {
            total.add(judge(&clip, noise, seed));
        }
    }
    for (total, noise) in totals.iter().zip(detectors) {
        eprintln!(
            "{fps} fps, {noise:?}: {total:?}, recall {:.3}, false {:.3}",
            total.recall(),
            total.false_share()
        );
    }
    totals
}

const FAIR: Noise = Noise {
    misses: 0.1,
    jitter: 0.02,
    false_alarms: 0.1,
};
const BAD: Noise = Noise {
    misses: 0.3,
    jitter: 0.05,
    false_alarms: 0.3,
};

#[test]
fn at_15_frames_a_second_nine_of_ten_events_are_reported_and_one_in_ten_at_most_is_false() {
    let [fair, bad] = totals(15, [FAIR, BAD]);
    assert!(fair.truth >= 30, "{fair:?}");
    assert!(fair.recall() >= 0.9 && fair.false_share() <= 0.1, "{fair:?}");
    assert!(bad.recall() >= 0.9 && bad.false_share() <= 0.15, "{bad:?}");
}

#[test]
fn at_2_frames_a_second_most_events_are_reported() {
    let [fair, bad] = totals(2, [FAIR, BAD]);
    assert!(fair.recall() >= 0.85 && fair.false_share() <= 0.15, "{fair:?}");
    assert!(bad.recall() >= 0.6 && bad.false_share() <= 0.4, "{bad:?}");
}
