//! Identities and events against the truth of the sample world, with detections made bad on purpose.

use crate::metrics::{Frame, Identity};
use crate::sort::Sort;
use crate::support::{Noise, Random, Report, SECOND, Score, to_report};
use lva_sample_world::{Camera, Crossing, TrueEvent, World, WorldOptions};
use lva_zones::calibration::{Calibrator, CalibratorOptions};
use lva_zones::ground::FEET_PER_METRE;
use lva_zones::*;

/// Frames a second of a clip; the other rates are every so many-th frame of it.
const FULL: u32 = 30;

struct Clip {
    /// Number, box and visible share of everybody.
    frames: Vec<Vec<(u64, [f64; 4], f64)>>,
    scene: Scene,
    truth: Vec<Report>,
    /// The true events that an observer could see.
    seeable: Vec<Report>,
    camera: Camera,
}

/// Shortest visit that counts as seeable, and how long before the end of a clip an event must be: who is inside for less than
/// the hold, or comes in as the clip ends, is not reported by design.
const SEEABLE: f64 = 0.5;

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
    let scene = Scene::new(zones, lines, SceneOptions::default()).expect("a valid scene");
    let report_of = |e: &TrueEvent| Report {
        seconds: e.seconds,
        name: e.boundary.clone(),
        status: match e.status {
            Crossing::Enter => "Enter",
            Crossing::Exit => "Exit",
            Crossing::CrossLeft => "CrossLeft",
            Crossing::CrossRight => "CrossRight",
        },
    };
    let event = world.scene().events.clone();
    let truth = event.iter().map(report_of).collect();
    let camera = world.scene().camera;
    let mut rgb = vec![0; world.frame_bytes()];
    let frames: Vec<Vec<(u64, [f64; 4], f64)>> = (0..world.frame_count())
        .map(|index| {
            let people = world.render(index, &mut rgb).expect("a frame of the clip").people;
            people
                .iter()
                .map(|p| (u64::from(p.id), p.bbox.map(f64::from), f64::from(p.visible_share)))
                .collect()
        })
        .collect();
    let is_seeable = |e: &&TrueEvent| {
        let people = frames.get(e.frame as usize);
        let visible = people.is_some_and(|people| {
            people
                .iter()
                .any(|(id, _, v)| *id == u64::from(e.person) && *v >= VISIBLE)
        });
        let other_end = match e.status {
            Crossing::Enter => Crossing::Exit,
            Crossing::Exit => Crossing::Enter,
            _ => return visible && e.seconds < seconds - SEEABLE,
        };
        let short = event.iter().any(|o| {
            o.person == e.person
                && o.boundary == e.boundary
                && o.status == other_end
                && (o.seconds - e.seconds).abs() < SEEABLE
                && (o.seconds > e.seconds) == (e.status == Crossing::Enter)
        });
        visible && !short && e.seconds < seconds - SEEABLE
    };
    let seeable = event.iter().filter(is_seeable).map(report_of).collect();
    Clip {
        frames,
        scene,
        truth,
        seeable,
        camera,
    }
}

/// Who gives detections their identities.
enum Follower {
    Ours(Box<Tracker>),
    Plain(Sort),
}

/// What came of a clip.
#[derive(Default)]
struct Result {
    events: Score,
    seeable: usize,
    seeable_missed: usize,
    identity: Identity,
}

impl Result {
    /// Recall of the events that an observer could see.
    fn recall_of_seeable(&self) -> f64 {
        1.0 - self.seeable_missed as f64 / self.seeable.max(1) as f64
    }
}

/// People with a lower visible share are not detected, and need not be.
const VISIBLE: f64 = 0.35;

fn judge(clip: &Clip, every: usize, noise: Noise, seed: u64, mut follower: Follower, into: &mut Result) {
    let mut random = Random::new(seed);
    let mut engine = Engine::new(clip.scene.clone());
    let mut reported = Vec::new();
    let (mut truth, mut followed): (Vec<Frame>, Vec<Frame>) = (Vec::new(), Vec::new());
    for (index, people) in clip.frames.iter().enumerate().step_by(every) {
        let time = index as u64 * SECOND / u64::from(FULL);
        let seen = people.iter().filter(|(_, _, visible)| *visible >= VISIBLE);
        let mut detections: Vec<_> = seen
            .clone()
            .filter_map(|(_, bbox, _)| noise.detect(*bbox, &mut random))
            .collect();
        detections.extend(noise.alarm(&mut random));
        let people = match &mut follower {
            Follower::Ours(tracker) => tracker.update(time, &detections).expect("frames in order"),
            Follower::Plain(sort) => sort.update(&detections),
        };
        let edges = |[l, t, w, h]: [f64; 4]| [l, t, l + w, t + h];
        truth.push(seen.map(|(id, bbox, _)| (*id, edges(*bbox))).collect());
        let of = |b: BoundingBox| [b.left, b.top, b.right(), b.bottom()].map(f64::from);
        let confirmed = people.iter().filter(|p| p.confirmed);
        followed.push(confirmed.map(|p| (p.track.0, of(p.bbox))).collect());
        reported.extend(
            engine
                .update(time, &people)
                .expect("valid people")
                .iter()
                .map(to_report),
        );
    }
    let (score, missed, wrong) = Score::with_rest(&clip.truth, &reported);
    if std::env::var_os("LVA_SHOW_EVENTS").is_some() {
        eprintln!("seed {seed} missed {missed:?}\nwrong {wrong:?}");
    }
    into.events.add(score);
    into.seeable += clip.seeable.len();
    into.seeable_missed += missed.iter().filter(|m| clip.seeable.contains(m)).count();
    into.identity.add(&truth, &followed);
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

fn ours() -> Follower {
    Follower::Ours(Box::new(Tracker::new(TrackerOptions::default())))
}

/// A table of both followers on clips of these seeds.
fn table(seeds: impl Iterator<Item = u64>, rates: &[u32]) -> Vec<(u32, f64, bool, Result)> {
    let mut rows = Vec::new();
    for rate in rates {
        for noise in [FAIR, BAD] {
            for plain in [false, true] {
                rows.push((*rate, noise, plain, Result::default()));
            }
        }
    }
    for seed in seeds {
        let clip = clip(seed, FULL, 60.0);
        for (rate, noise, plain, result) in &mut rows {
            let follower = if *plain {
                Follower::Plain(Sort::default())
            } else {
                ours()
            };
            judge(&clip, (FULL / *rate) as usize, *noise, seed, follower, result);
        }
    }
    eprintln!(
        "| frames a second | misses | tracker | HOTA | IDF1 | switches | true events | recall | seeable ones | recall of those | precision |"
    );
    eprintln!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (rate, noise, plain, result) in &rows {
        let (events, identity) = (result.events, &result.identity);
        eprintln!(
            "| {rate} | {:.0} % | {} | {:.3} | {:.3} | {} | {} | {:.3} | {} | {:.3} | {:.3} |",
            100.0 * noise.misses,
            if *plain { "plain SORT" } else { "this one" },
            identity.hota(),
            identity.idf1(),
            identity.switches(),
            events.truth,
            events.recall(),
            result.seeable,
            result.recall_of_seeable(),
            events.precision(),
        );
    }
    rows.into_iter()
        .map(|(rate, noise, plain, result)| (rate, noise.misses, plain, result))
        .collect()
}

fn row(rows: &[(u32, f64, bool, Result)], rate: u32, misses: f64) -> &Result {
    let found = rows.iter().find(|r| r.0 == rate && r.1 == misses && !r.2);
    &found.expect("a row").3
}

#[test]
fn on_three_clips_at_15_and_at_2_frames_a_second() {
    let rows = table([901, 902, 903].into_iter(), &[15, 2]);
    let fair = row(&rows, 15, 0.1);
    assert!(fair.events.truth >= 30, "{:?}", fair.events);
    assert!(
        fair.events.recall() >= 0.96 && fair.events.precision() >= 0.96,
        "{:?}",
        fair.events
    );
    assert!(fair.identity.idf1() >= 0.88, "{}", fair.identity.idf1());
    let bad = row(&rows, 15, 0.3);
    assert!(
        bad.events.recall() >= 0.92 && bad.events.precision() >= 0.9,
        "{:?}",
        bad.events
    );
    let slow = row(&rows, 2, 0.1);
    assert!(
        slow.events.recall() >= 0.9 && slow.events.precision() >= 0.9,
        "{:?}",
        slow.events
    );
}

/// The table of the README; minutes.
#[test]
#[ignore = "minutes: twenty clips at four rates"]
fn the_table_of_twenty_clips() {
    let rows = table(2001..2021, &[30, 15, 5, 2]);
    let fair = row(&rows, 15, 0.1);
    assert!(fair.identity.idf1() >= 0.9, "{}", fair.identity.idf1());
    let seeable = fair.recall_of_seeable();
    assert!(
        seeable >= 0.97 && fair.events.recall() >= 0.94 && fair.events.precision() >= 0.97,
        "{seeable} {:?}",
        fair.events
    );
}

/// The camera from the people of a clip, degraded as ever, against the true one.
#[test]
fn a_camera_calibrated_from_the_people_of_a_clip() {
    let (mut heights, mut tilts) = (Vec::new(), Vec::new());
    for seed in [901, 902, 903] {
        let clip = clip(seed, 5, 60.0);
        let focal = f64::from(clip.camera.focal_px) / f64::from(clip.camera.width_px);
        let mut random = Random::new(seed);
        for known in [None, Some(focal)] {
            let options = CalibratorOptions {
                focal_share: known,
                ..CalibratorOptions::default()
            };
            let mut calibrator = Calibrator::new(options);
            for people in &clip.frames {
                let whole = people.iter().filter(|(_, _, visible)| *visible >= 0.9);
                let seen: Vec<_> = whole
                    .filter_map(|(id, bbox, _)| {
                        let found = FAIR.detect(*bbox, &mut random)?;
                        Some(Observation::new(TrackId(*id), found.bbox))
                    })
                    .collect();
                calibrator.add(&seen);
            }
            let found = calibrator.solve().expect("a minute of people");
            let camera = found.camera;
            let height = camera.height_ft / FEET_PER_METRE / f64::from(clip.camera.height_m);
            let tilt = 90.0 - camera.tilt_rad.to_degrees() - f64::from(clip.camera.tilt_deg);
            let share = camera.focal_px / camera.width_px / focal;
            eprintln!(
                "seed {seed}, focal length known: {}: height × {height:.3}, tilt off {tilt:.2}°, focal length × {share:.3}, residual {:.3}",
                known.is_some(),
                found.residual
            );
            if known.is_some() {
                heights.push(height);
                tilts.push(tilt);
            }
        }
    }
    assert!(heights.iter().all(|h| (0.8..1.25).contains(h)), "{heights:?}");
    assert!(tilts.iter().all(|t| t.abs() < 4.0), "{tilts:?}");
}
