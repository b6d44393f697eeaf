//! Invalid and excessive input.

use crate::support::SECOND;
use lva_zones::*;

fn engine() -> Engine {
    let corners = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)].map(|(x, y)| Point::new(x, y));
    let zone = Zone {
        count: Some(CountRule::default()),
        distance: Some(DistanceRule::default()),
        ..Zone::new("z", corners)
    };
    let line = CrossingLine::new("l", Point::new(0.5, 0.0), Point::new(0.5, 1.0));
    Engine::new(Scene::new(vec![zone], vec![line], SceneOptions::default()).expect("valid"))
}

fn somewhere(n: u64) -> BoundingBox {
    BoundingBox::new((n % 90) as f32 / 100.0, (n / 90 % 60) as f32 / 100.0, 0.05, 0.2)
}

#[test]
fn a_hundred_thousand_people_are_refused_by_the_engine_and_cut_by_the_tracker() {
    let people: Vec<_> = (0..100_000)
        .map(|n| Observation::new(TrackId(n), somewhere(n)))
        .collect();
    assert_eq!(
        engine().update(0, &people),
        Err(EngineError::TooManyPeople { given: 100_000 })
    );
    let found: Vec<_> = (0..100_000)
        .map(|n| Detection {
            bbox: somewhere(n),
            class: 0,
            score: 0.5 + (n % 7) as f32 / 20.0,
        })
        .collect();
    let mut tracker = Tracker::new(TrackerOptions::default());
    for frame in 0..3 {
        let reported = tracker.update(frame * 6000, &found).expect("in order");
        assert!(reported.len() <= MAX_DETECTIONS && tracker.track_count() <= MAX_TRACKS);
    }
    assert_eq!(
        tracker.stats().beyond_limit,
        3 * (100_000 - MAX_DETECTIONS as u64)
    );
}

/// A box that is bad in one of its numbers.
fn bad_boxes(bad: f32) -> [BoundingBox; 2] {
    let good = BoundingBox::new(0.3, 0.3, 0.1, 0.3);
    [
        BoundingBox { width: bad, ..good },
        BoundingBox { height: bad, ..good },
    ]
}

fn sure(bbox: BoundingBox) -> Detection {
    Detection {
        bbox,
        class: 0,
        score: 0.9,
    }
}

#[test]
fn boxes_that_are_not_fractions_are_refused_alike_and_change_nothing() {
    let good = BoundingBox::new(0.3, 0.3, 0.1, 0.3);
    let mut tracker = Tracker::new(TrackerOptions::default());
    let mut engine = engine();
    let people = tracker.update(0, &[sure(good)]).expect("valid");
    engine.update(0, &people).expect("valid");
    let before = format!("{tracker:?} {engine:?}");
    let pixels = BoundingBox::new(320.0, 240.0, 80.0, 200.0);
    let not_finite = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38].map(bad_boxes);
    let without_area = BoundingBox { width: 0.0, ..pixels };
    for bbox in not_finite.into_iter().flatten().chain([pixels, without_area]) {
        let tracked = tracker.update(6000, &[sure(good), sure(bbox)]).unwrap_err();
        assert!(
            matches!(tracked, TrackerError::NotFractions { index: 1, .. }),
            "{bbox}"
        );
        let person = Observation::new(TrackId(7), bbox);
        let watched = engine.update(6000, &[people[0], person]).unwrap_err();
        assert!(
            matches!(
                watched,
                EngineError::NotFractions {
                    track: TrackId(7),
                    ..
                }
            ),
            "{bbox}"
        );
        for message in [tracked.to_string(), watched.to_string()] {
            let remedy = "in fractions of the frame, 0 to 1; divide pixels by width and height";
            assert!(
                message.contains(&bbox.to_string()) && message.contains(remedy),
                "{message}"
            );
        }
    }
    assert_eq!(format!("{tracker:?} {engine:?}"), before);
}

#[test]
fn boxes_without_area_are_skipped_alike_and_counted() {
    let good = BoundingBox::new(0.3, 0.3, 0.1, 0.3);
    let mut tracker = Tracker::new(TrackerOptions::default());
    let mut engine = engine();
    for (frame, bad) in [-0.1, 0.0].into_iter().enumerate() {
        let time = frame as u64 * 6000;
        let [narrow, flat] = bad_boxes(bad);
        let tracked = tracker.update(time, &[sure(narrow), sure(good), sure(flat)]);
        assert_eq!(tracked.expect("valid").len(), 1);
        let people = [narrow, flat].map(|bbox| Observation::new(TrackId(1), bbox));
        let events = engine.update(time, &people).expect("valid");
        assert!(events.iter().all(|event| event.all_people().next().is_none()));
    }
    assert_eq!((tracker.stats().invalid, engine.stats().invalid), (4, 4));
    let written = serde_json::to_value(engine.stats()).expect("numbers");
    assert_eq!(
        written,
        serde_json::json!({"invalid": 4, "repeated": 0, "unwatched": 0})
    );
    let written = serde_json::to_value(tracker.stats()).expect("numbers");
    assert_eq!(
        (&written["invalid"], &written["beyondLimit"]),
        (&4.into(), &0.into())
    );
    let unsure = Detection {
        score: f32::NAN,
        ..sure(good)
    };
    assert_eq!(tracker.update(SECOND, &[unsure]), Ok(vec![]));
    assert_eq!(tracker.stats().invalid, 5);
}

#[test]
fn time_that_runs_backwards_is_refused_and_changes_nothing() {
    let mut engine = engine();
    let person = [Observation::new(TrackId(1), BoundingBox::new(0.4, 0.3, 0.1, 0.3))];
    engine.update(10 * SECOND, &person).expect("valid");
    let before = format!("{engine:?}");
    assert!(matches!(
        engine.update(9 * SECOND, &person),
        Err(EngineError::TimeBackwards { .. })
    ));
    assert_eq!(before, format!("{engine:?}"));
    let mut tracker = Tracker::new(TrackerOptions::default());
    tracker.update(10 * SECOND, &[]).expect("in order");
    assert!(matches!(
        tracker.update(0, &[]),
        Err(TrackerError::TimeBackwards { .. })
    ));
    assert!(tracker.update(u64::MAX, &[]).is_ok());
}

#[test]
fn numbers_used_twice_are_one_person_in_a_frame_and_a_jump_between_frames() {
    let mut engine = engine();
    let at = |x: f32| Observation::new(TrackId(1), BoundingBox::new(x, 0.3, 0.1, 0.3));
    let mut kinds = Vec::new();
    for frame in 0..30u64 {
        // Two people of one number: the first counts, the second is counted as repeated.
        for event in engine.update(frame * 6000, &[at(0.0), at(0.5)]).expect("valid") {
            kinds.push(event.kind);
        }
    }
    assert_eq!(engine.stats().repeated, 30);
    assert!(
        !kinds
            .iter()
            .any(|kind| matches!(kind, EventKind::Enter { .. } | EventKind::Cross(_))),
        "{kinds:?}"
    );
}

#[test]
fn people_who_never_come_back_leave_no_memory_behind() {
    let mut engine = engine();
    for frame in 0..2000u64 {
        let people: Vec<_> = (0..50)
            .map(|n| Observation::new(TrackId(frame * 50 + n), somewhere(n * 40)))
            .collect();
        engine.update(frame * 6000, &people).expect("valid");
    }
    // People are remembered for ten seconds at most: 150 frames of 50 people reach the limit, which holds.
    assert!(engine.stats().unwatched > 0);
    engine.update(2000 * 6000 + 60 * SECOND, &[]).expect("valid");
    assert_eq!(engine.occupancy("z"), Some(0));
}

fn refused(zones: Vec<Zone>, lines: Vec<CrossingLine>) -> Vec<SceneFinding> {
    let error = Scene::new(zones, lines, SceneOptions::default()).expect_err("refused");
    assert!(error.to_string().len() < 4096, "{}", error.to_string().len());
    error.findings().to_vec()
}

fn triangle() -> [Point; 3] {
    [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8)].map(|(x, y)| Point::new(x, y))
}

#[test]
fn names_without_end_or_with_control_characters_are_refused_and_not_quoted() {
    let fits = "ü".repeat(MAX_NAME_CHARS);
    for name in ["door", "Tür 3 (außen)", "入口", "در\u{200c}ها", fits.as_str()] {
        let zones = vec![Zone::new(name, triangle())];
        let scene = Scene::new(zones, vec![], SceneOptions::default()).expect(name);
        assert_eq!(scene.zone_names().collect::<Vec<_>>(), [name]);
    }
    for letter in [
        '\0', '\n', '\r', '\u{1b}', '\u{7f}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2067}',
    ] {
        let (name, twice) = (format!("a{letter}b"), "b".repeat(1 << 20));
        let flat = Zone::new(twice.clone(), [Point::new(0.5, 0.5); 3]);
        let line = CrossingLine::new(name, Point::new(0.5, 0.0), Point::new(0.5, 1.0));
        let findings = refused(vec![flat], vec![line]);
        let expected = [
            SceneFinding::LongName {
                kind: "zone",
                number: 1,
            },
            SceneFinding::ControlInName {
                kind: "line",
                number: 1,
            },
        ];
        assert_eq!(findings, expected);
    }
}

#[test]
fn zones_and_lines_without_extent_are_refused() {
    let at = |points: &[(f64, f64)]| points.iter().map(|(x, y)| Point::new(*x, *y)).collect::<Vec<_>>();
    let thin = 1e-6;
    for flat in [
        at(&[(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)]),
        at(&[(0.1, 0.1), (0.9, 0.9), (0.5, 0.5), (0.3, 0.3)]),
        at(&[(0.1, 0.5), (0.9, 0.5), (0.9, 0.5 + thin), (0.1, 0.5 + thin)]),
        at(&[(0.5, 0.5), (0.5 + thin, 0.5), (0.5, 0.5 + thin)]),
    ] {
        let findings = refused(vec![Zone::new("flat", flat)], vec![]);
        assert_eq!(
            findings,
            [SceneFinding::NoArea {
                zone: "flat".to_owned()
            }]
        );
    }
    let short = CrossingLine::new("short", Point::new(0.5, 0.5), Point::new(0.5, 0.5 + thin));
    let findings = refused(vec![], vec![short]);
    assert!(
        matches!(findings[..], [SceneFinding::NoLength { .. }]),
        "{findings:?}"
    );
}
