//! Identities, and events of people who are only detected.

use crate::support::{Noise, Random, Report, SECOND, Score, to_report};
use lva_zones::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn detection(left: f32, top: f32, score: f32) -> Detection {
    Detection {
        bbox: BoundingBox::new(left, top, 0.08, 0.3),
        class: 0,
        score,
    }
}

#[test]
fn one_sight_confirms_nobody() {
    let mut tracker = Tracker::new(TrackerOptions::default());
    let mut random = Random::new(5);
    for frame in 0..2000u64 {
        let flash =
            (frame % 5 == 0).then(|| detection(random.unit() as f32 * 0.9, random.unit() as f32 * 0.7, 0.9));
        let seen = tracker
            .update(frame * SECOND / 15, flash.as_slice())
            .expect("in order");
        assert!(seen.iter().all(|o| !o.confirmed));
    }
}

#[test]
fn a_second_box_over_somebody_has_to_last_and_a_box_beside_them_does_not() {
    let confirmed_after = |second: Detection| {
        let mut tracker = Tracker::new(TrackerOptions::default());
        (0..30u64).find(|frame| {
            let boxes = [detection(0.4, 0.4, 0.9), second];
            let known = frame.checked_sub(10).map_or(1, |_| 2);
            let seen = tracker
                .update(frame * SECOND / 15, boxes.get(..known).unwrap_or_default())
                .expect("in order");
            seen.iter().filter(|o| o.confirmed).count() == 2
        })
    };
    // 120 ms and 600 ms after the tenth frame, at 15 frames a second.
    assert_eq!(confirmed_after(detection(0.5, 0.4, 0.9)), Some(12));
    assert_eq!(confirmed_after(detection(0.44, 0.4, 0.9)), Some(19));
}

#[test]
fn a_walker_keeps_one_identity_at_any_rate_and_with_irregular_frames() {
    for rate in [30.0, 15.0, 5.0, 2.0] {
        let mut random = Random::new(rate as u64);
        let mut tracker = Tracker::new(TrackerOptions::default());
        let (mut seconds, mut ids, mut confirmed) = (0.0, BTreeSet::new(), 0);
        while seconds < 8.0 {
            let left = 0.05 + 0.1 * seconds as f32;
            let seen = tracker
                .update((seconds * 90_000.0) as u64, &[detection(left, 0.4, 0.9)])
                .expect("in order");
            ids.extend(seen.iter().map(|o| o.track));
            confirmed += seen.iter().filter(|o| o.confirmed).count();
            seconds += (0.6 + 0.8 * random.unit()) / rate;
        }
        assert_eq!(ids.len(), 1, "{rate}");
        assert!(confirmed >= (6.0 * rate) as usize, "{rate}: {confirmed}");
    }
}

#[test]
fn two_who_pass_each_other_keep_their_identities() {
    for rate in [15, 5] {
        let mut tracker = Tracker::new(TrackerOptions::default());
        let mut by_person: [BTreeSet<TrackId>; 2] = Default::default();
        for frame in 0..8 * rate {
            let at = frame as f32 / rate as f32 * 0.1;
            let both = [detection(0.05 + at, 0.40, 0.9), detection(0.85 - at, 0.44, 0.8)];
            for seen in tracker.update(frame * SECOND / rate, &both).expect("in order") {
                let person = usize::from(seen.bbox.top > 0.42);
                by_person[person].insert(seen.track);
            }
        }
        assert_eq!(by_person.each_ref().map(BTreeSet::len), [1, 1], "{rate}");
    }
}

#[test]
fn a_second_behind_a_post_changes_no_identity() {
    for rate in [15, 4] {
        let mut tracker = Tracker::new(TrackerOptions::default());
        let mut ids = BTreeSet::new();
        for frame in 0..6 * rate {
            let seconds = frame as f32 / rate as f32;
            let hidden = (2.5..3.5).contains(&seconds);
            let found = (!hidden).then(|| detection(0.1 + 0.1 * seconds, 0.4, 0.9));
            let seen = tracker
                .update(frame * SECOND / rate, found.as_slice())
                .expect("in order");
            ids.extend(seen.iter().map(|o| o.track));
        }
        assert_eq!((ids.len(), tracker.stats().reidentified), (1, 1), "{rate}");
    }
}

#[test]
fn low_scores_continue_tracks_and_begin_none() {
    let mut tracker = Tracker::new(TrackerOptions::default());
    for frame in 0..30 {
        let score = if frame < 10 { 0.9 } else { 0.2 };
        let both = [detection(0.1, 0.4, score), detection(0.6, 0.4, 0.3)];
        let seen = tracker.update(frame * SECOND / 15, &both).expect("in order");
        assert_eq!(seen.len(), 1);
        assert!(seen[0].bbox.left < 0.2);
    }
}

#[test]
fn classes_do_not_mix() {
    let mut tracker = Tracker::new(TrackerOptions::default());
    let person = detection(0.1, 0.4, 0.9);
    let dog = Detection { class: 1, ..person };
    tracker.update(0, &[person]).expect("in order");
    let seen = tracker.update(6000, &[dog]).expect("in order");
    assert_eq!((seen[0].track, seen[0].class), (TrackId(2), 1));
}

#[test]
fn hostile_detections_are_dropped_and_counted() {
    let mut tracker = Tracker::new(TrackerOptions {
        high_score: f32::NAN,
        aspect: f64::NAN,
        ..TrackerOptions::default()
    });
    let bad = [-1.0, -0.1, -0.0, 0.0, -1e-30];
    let mut frame: Vec<_> = bad
        .map(|w| Detection {
            bbox: BoundingBox::new(0.1, 0.1, w, 0.3),
            class: 0,
            score: 0.9,
        })
        .into();
    frame.push(detection(0.5, 0.5, f32::NAN));
    assert_eq!(tracker.update(0, &frame), Ok(vec![]));
    assert_eq!(tracker.stats().invalid, 6);
    let crowd = vec![detection(0.5, 0.5, 0.9); 100_000];
    tracker.update(1, &crowd).expect("in order");
    assert_eq!(tracker.stats().beyond_limit, 100_000 - MAX_DETECTIONS as u64);
    assert_eq!(tracker.track_count(), 1);
    assert_eq!(
        tracker.update(0, &[]),
        Err(TrackerError::TimeBackwards { given: 0, last: 1 })
    );
    // An age later everybody is forgotten, and nothing overflows.
    assert_eq!(tracker.update(u64::MAX, &[]), Ok(vec![]));
    assert_eq!(tracker.track_count(), 0);
}

#[test]
fn tracks_are_bounded() {
    let mut tracker = Tracker::new(TrackerOptions {
        tentative_ms: 60_000,
        ..TrackerOptions::default()
    });
    for frame in 0..4u64 {
        let crowd: Vec<_> = (0..400)
            .map(|i| Detection {
                bbox: BoundingBox::new(
                    (i % 40) as f32 / 40.0,
                    (i / 40 + frame as i32 * 10) as f32 / 40.0,
                    0.01,
                    0.012,
                ),
                class: frame as u16,
                score: 0.9,
            })
            .collect();
        tracker.update(frame * 90, &crowd).expect("in order");
    }
    assert_eq!(
        (tracker.track_count(), tracker.stats().rejected_new),
        (MAX_TRACKS, 1600 - MAX_TRACKS as u64)
    );
}

proptest! {
    #[test]
    fn the_order_of_detections_changes_nothing(frames in prop::collection::vec(prop::collection::vec((0.0..0.9f32, 0.0..0.6f32, 0.05..1.0f32), 0..8), 1..30)) {
        let run = |reverse: bool| {
            let mut tracker = Tracker::new(TrackerOptions::default());
            let mut all = Vec::new();
            for (index, frame) in frames.iter().enumerate() {
                let mut frame: Vec<_> = frame.iter().map(|(l, t, s)| detection(*l, *t, *s)).collect();
                if reverse {
                    frame.reverse();
                }
                let seen = tracker.update(index as u64 * SECOND / 10, &frame).expect("in order");
                let tracks: BTreeSet<_> = seen.iter().map(|o| o.track).collect();
                assert_eq!(tracks.len(), seen.len());
                all.push(seen);
            }
            format!("{all:?}")
        };
        prop_assert_eq!(run(false), run(false));
        prop_assert_eq!(run(false), run(true));
    }
}

/// People who walk straight through a zone and over a line, some of them hidden for a second on the way.
struct Walkers {
    people: Vec<Walker>,
}

struct Walker {
    start: f64,
    lane: f64,
    speed: f64,
    rightwards: bool,
    hidden_from: Option<f64>,
}

const ZONE: (f64, f64) = (0.35, 0.6);
const LINE: f64 = 0.7;

impl Walkers {
    fn new(random: &mut Random, count: usize) -> Self {
        let people = (0..count)
            .map(|number| Walker {
                start: number as f64 * 1.7 + random.unit(),
                lane: 0.55 + 0.4 * random.unit(),
                speed: 0.06 + 0.06 * random.unit(),
                rightwards: random.chance(0.5),
                hidden_from: random.chance(0.4).then(|| 1.0 + 6.0 * random.unit()),
            })
            .collect();
        Self { people }
    }

    fn end(&self) -> f64 {
        self.people
            .iter()
            .map(|w| w.start + 1.2 / w.speed)
            .fold(0.0, f64::max)
            + 3.0
    }

    fn boxes(&self, seconds: f64) -> impl Iterator<Item = [f64; 4]> + '_ {
        self.people.iter().filter_map(move |walker| {
            let since = seconds - walker.start;
            let gone = walker.speed * since - 0.05;
            let hidden = walker
                .hidden_from
                .is_some_and(|from| (from..from + 1.0).contains(&since));
            let x = if walker.rightwards { gone } else { 1.0 - gone };
            let height = 0.35 * walker.lane;
            let visible = since >= 0.0 && !hidden && (0.03..0.97).contains(&x);
            visible.then_some([x - 0.1 * height, walker.lane - height, 0.2 * height, height])
        })
    }

    fn truth(&self) -> Vec<Report> {
        let mut truth = Vec::new();
        for walker in &self.people {
            let (enter, leave) = if walker.rightwards {
                ZONE
            } else {
                (1.0 - ZONE.1, 1.0 - ZONE.0)
            };
            let line = if walker.rightwards { LINE } else { 1.0 - LINE };
            // The line runs downwards: who goes to the right of the picture comes to its left.
            let status = if walker.rightwards {
                "CrossLeft"
            } else {
                "CrossRight"
            };
            for (gone, name, status) in [
                (enter, "zone", "Enter"),
                (leave, "zone", "Exit"),
                (line, "line", status),
            ] {
                let seconds = walker.start + (gone + 0.05) / walker.speed;
                truth.push(Report {
                    seconds,
                    name: name.to_owned(),
                    status,
                });
            }
        }
        truth
    }
}

fn simulate(seed: u64, rate: u64) -> Score {
    let mut random = Random::new(seed);
    let walkers = Walkers::new(&mut random, 25);
    let corners = [(ZONE.0, 0.4), (ZONE.1, 0.4), (ZONE.1, 0.99), (ZONE.0, 0.99)];
    let zone = Zone::new("zone", corners.map(|(x, y)| Point::new(x, y)));
    let line = CrossingLine::new("line", Point::new(LINE, 0.4), Point::new(LINE, 0.99));
    let mut engine = Engine::new(Scene::new(vec![zone], vec![line], SceneOptions::default()).expect("valid"));
    let mut tracker = Tracker::new(TrackerOptions::default());
    let noise = Noise {
        misses: 0.1,
        jitter: 0.03,
        false_alarms: 0.2,
    };
    let mut reported = Vec::new();
    let mut confirmed: BTreeMap<TrackId, bool> = BTreeMap::new();
    for frame in 0..(walkers.end() * rate as f64) as u64 {
        let time = frame * SECOND / rate;
        let boxes = walkers.boxes(frame as f64 / rate as f64);
        let mut found: Vec<_> = boxes.filter_map(|bbox| noise.detect(bbox, &mut random)).collect();
        found.extend(noise.alarm(&mut random));
        let people = tracker.update(time, &found).expect("in order");
        confirmed.extend(people.iter().filter(|p| p.confirmed).map(|p| (p.track, true)));
        let events = engine.update(time, &people).expect("valid people");
        assert!(
            events
                .iter()
                .all(|e| e.track().is_some_and(|track| confirmed.contains_key(&track))),
            "an unconfirmed track counted"
        );
        reported.extend(events.iter().map(to_report));
    }
    Score::of(&walkers.truth(), &reported)
}

#[test]
fn noisy_walkers_with_a_second_of_occlusion_are_counted_right() {
    for (rate, least, most) in [(15, 0.9, 0.1), (5, 0.9, 0.1), (2, 0.8, 0.2)] {
        let mut total = Score::default();
        for seed in 1..=6 {
            total.add(simulate(seed, rate));
        }
        println!(
            "{rate} fps: {total:?}, recall {:.3}, false {:.3}",
            total.recall(),
            total.false_share()
        );
        assert!(
            total.recall() >= least && total.false_share() <= most,
            "{rate} fps: {total:?}"
        );
    }
}

#[test]
fn the_same_input_gives_the_same_score() {
    assert_eq!(simulate(3, 15), simulate(3, 15));
}
