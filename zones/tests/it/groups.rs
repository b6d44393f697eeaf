//! Counts, distances and dwell times: what zones report besides entering and leaving.

use crate::support::SECOND;
use lva_zones::event::{DistanceState, Reason};
use lva_zones::ground::{Ground, GroundPoint};
use lva_zones::*;
use proptest::prelude::*;

fn square() -> Vec<Point> {
    [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]
        .map(|(x, y)| Point::new(x, y))
        .to_vec()
}

fn standing_at(id: u64, x: f64, y: f64) -> Observation {
    Observation::new(
        TrackId(id),
        BoundingBox::new(x as f32 - 0.05, y as f32 - 0.3, 0.1, 0.3),
    )
}

fn options() -> SceneOptions {
    SceneOptions {
        hold_ms: 0,
        aspect: 1.0,
        ..SceneOptions::default()
    }
}

fn engine_of(zone: Zone) -> Engine {
    Engine::new(Scene::new(vec![zone], vec![], options()).expect("a valid scene"))
}

fn counting(count: CountRule) -> Engine {
    engine_of(Zone {
        crossings: false,
        count: Some(count),
        ..Zone::new("z", square())
    })
}

fn counts(events: &[SpatialEvent]) -> Vec<(u64, u32)> {
    let count = |event: &SpatialEvent| match event.kind {
        EventKind::Count { people, .. } => Some((event.time_90k, people)),
        _ => None,
    };
    events.iter().filter_map(count).collect()
}

/// So many people inside in a frame.
fn crowd(people: u64) -> Vec<Observation> {
    (0..people)
        .map(|id| standing_at(id, 0.3 + 0.04 * id as f64, 0.6))
        .collect()
}

#[test]
fn zones_rules_and_lines_are_for_their_classes() {
    let zone = Zone {
        classes: Classes::only([1]),
        count: Some(CountRule {
            classes: Classes::only([2, 0, 2]),
            ..CountRule::default()
        }),
        ..Zone::new("z", square())
    };
    let line = CrossingLine {
        classes: Classes::only([]),
        ..CrossingLine::new("l", Point::new(0.5, 0.0), Point::new(0.5, 1.0))
    };
    let every = CrossingLine::new("every", Point::new(0.5, 0.0), Point::new(0.5, 1.0));
    let scene = Scene::new(vec![zone], vec![line, every], options()).expect("a valid scene");
    let mut engine = Engine::new(scene);
    let of_class = |class, x| Observation {
        class,
        ..standing_at(u64::from(class), x, 0.6)
    };
    let first = engine
        .update(0, &[of_class(0, 0.4), of_class(1, 0.4), of_class(2, 0.4)])
        .expect("valid");
    assert_eq!(counts(&first), [(0, 2)]);
    let entered: Vec<_> = first.iter().filter_map(SpatialEvent::track).collect();
    assert_eq!((entered, engine.occupancy("z")), (vec![TrackId(1)], Some(1)));
    let people = first.iter().flat_map(|event| &event.people);
    assert_eq!(people.map(|person| person.class).collect::<Vec<_>>(), [0, 2]);
    // Class 0 leaves the zone over both lines.
    let left = engine
        .update(SECOND, &[of_class(0, 0.95), of_class(1, 0.4), of_class(2, 0.4)])
        .expect("valid");
    let names: Vec<_> = left.iter().map(|event| (&*event.name, event.track())).collect();
    assert_eq!(names, [("every", Some(TrackId(0))), ("z", None)]);
    assert_eq!(counts(&left), [(SECOND, 1)]);
    let counted = |name: &str| engine.line_counts(name).map(LineCounts::total);
    assert_eq!((counted("l"), counted("every")), (Some(0), Some(1)));
}

#[test]
fn a_count_is_reported_first_and_then_whenever_it_has_changed() {
    let mut engine = counting(CountRule::default());
    let mut reported = Vec::new();
    for (frame, people) in [0, 0, 2, 2, 3, 3].into_iter().enumerate() {
        reported.extend(engine.update(frame as u64 * 6000, &crowd(people)).expect("valid"));
    }
    assert_eq!(counts(&reported), [(0, 0), (12_000, 2), (24_000, 3)]);
    assert_eq!(
        reported[2].people.iter().map(|p| p.track.0).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    // Those who vanish are counted for the grace, then not.
    let after = engine.update(30_000 + 2 * SECOND, &[]).expect("valid");
    assert_eq!(counts(&after), [(30_000 + 2 * SECOND, 0)]);
}

#[test]
fn every_third_count_is_reported_when_that_is_asked() {
    let mut engine = counting(CountRule {
        sample_every: 3,
        ..CountRule::default()
    });
    let mut reported = Vec::new();
    for people in 0..8 {
        reported.extend(engine.update(people * 6000, &crowd(people)).expect("valid"));
    }
    assert_eq!(
        counts(&reported)
            .iter()
            .map(|(_, people)| *people)
            .collect::<Vec<_>>(),
        [0, 3, 6]
    );
}

#[test]
fn an_interval_is_reported_at_its_multiples_whenever_the_frames_come() {
    let rule = CountRule {
        trigger: Trigger::Interval { milliseconds: 2000 },
        ..CountRule::default()
    };
    for (aggregation, expected) in [(Aggregation::Mode, [1, 4]), (Aggregation::Average, [2, 4])] {
        let zone = Zone {
            crossings: false,
            count: Some(CountRule {
                aggregation,
                ..rule.clone()
            }),
            ..Zone::new("z", square())
        };
        // No gap is bridged: each frame counts by itself.
        let by_itself = SceneOptions {
            lost_timeout_ms: 0,
            ..options()
        };
        let mut engine = Engine::new(Scene::new(vec![zone], vec![], by_itself).expect("valid"));
        let mut reported = Vec::new();
        // Irregular frames: in the first interval mostly 1, once 5; in the second always 4.
        for (milliseconds, people) in [
            (10_100, 1),
            (10_700, 5),
            (11_050, 1),
            (11_990, 1),
            (12_400, 4),
            (13_999, 4),
            (14_800, 2),
        ] {
            reported.extend(engine.update(milliseconds * 90, &crowd(people)).expect("valid"));
        }
        let seconds: Vec<_> = counts(&reported)
            .iter()
            .map(|(time, people)| (time / SECOND, *people))
            .collect();
        assert_eq!(seconds, [(12, expected[0]), (14, expected[1])], "{aggregation:?}");
        assert_eq!(
            (reported[0].timestamp_90k, reported[0].cause.reason),
            (12_400 * 90, Reason::Interval)
        );
    }
}

#[test]
fn a_gap_without_frames_is_report_of_once() {
    let mut engine = counting(CountRule {
        trigger: Trigger::Interval { milliseconds: 1000 },
        ..CountRule::default()
    });
    engine.update(100, &crowd(2)).expect("valid");
    let reported = engine.update(100 * SECOND, &crowd(2)).expect("valid");
    assert_eq!(counts(&reported), [(SECOND, 2)]);
    assert_eq!(
        counts(&engine.update(100 * SECOND + 10, &crowd(2)).expect("valid")),
        []
    );
}

/// One unit of the frame is ten feet, from the left and from the bottom.
fn flat_ground() -> Ground {
    let pair = |x: f64, y: f64| (Point::new(x, y), GroundPoint::new(10.0 * x, 10.0 * (1.0 - y)));
    Ground::from_points(&[pair(0.0, 0.0), pair(1.0, 0.0), pair(1.0, 1.0), pair(0.0, 1.0)]).expect("valid")
}

fn keeping(distance: DistanceRule) -> Engine {
    let zone = Zone {
        crossings: false,
        distance: Some(DistanceRule {
            focus: Focus::BottomCenter,
            ..distance
        }),
        ..Zone::new("z", square())
    };
    let scene = Scene::new(vec![zone], vec![], options()).expect("a valid scene");
    Engine::new(scene.with_ground(flat_ground()))
}

fn reports(events: &[SpatialEvent]) -> Vec<(DistanceState, u32, u32)> {
    let report = |event: &SpatialEvent| match event.kind {
        EventKind::Distance(report) => Some((report.state, report.people, report.violators)),
        _ => None,
    };
    events.iter().filter_map(report).collect()
}

#[test]
fn who_is_too_close_is_reported_with_the_mean_of_all_pairs() {
    let mut engine = keeping(DistanceRule {
        minimum_ft: Some(1.0),
        ..DistanceRule::default()
    });
    let people = [
        standing_at(1, 0.3, 0.6),
        standing_at(2, 0.35, 0.6),
        standing_at(3, 0.7, 0.6),
        standing_at(4, 0.95, 0.6),
    ];
    let events = engine.update(0, &people).expect("valid");
    assert_eq!(reports(&events), [(DistanceState::TooClose, 3, 2)]);
    let EventKind::Distance(report) = events[0].kind else {
        panic!()
    };
    // 0.5, 4 and 3.5 feet; the fourth stands outside.
    assert!((report.average_ft - 8.0 / 3.0).abs() < 1e-5, "{report:?}");
    assert_eq!(
        events[0].people.iter().map(|p| p.track.0).collect::<Vec<_>>(),
        [1, 2]
    );
    // The same again is nothing new; another pair is.
    assert_eq!(engine.update(6000, &people).expect("valid"), []);
    let moved = [
        standing_at(1, 0.3, 0.6),
        standing_at(2, 0.65, 0.6),
        standing_at(3, 0.7, 0.6),
    ];
    let events = engine.update(12_000, &moved).expect("valid");
    assert_eq!(
        events[0].people.iter().map(|p| p.track.0).collect::<Vec<_>>(),
        [2, 3]
    );
    // All keep their distance: the contract has no word for it.
    let apart = [
        standing_at(1, 0.3, 0.6),
        standing_at(2, 0.5, 0.6),
        standing_at(3, 0.7, 0.6),
    ];
    assert_eq!(engine.update(18_000, &apart).expect("valid"), []);
    // A new violation is reported again.
    assert_eq!(engine.update(24_000, &people).expect("valid").len(), 1);
}

#[test]
fn too_far_is_reported_only_when_nobody_is_too_close_and_unknown_before_calibration() {
    let mut engine = keeping(DistanceRule {
        minimum_ft: Some(0.2),
        maximum_ft: Some(3.0),
        ..DistanceRule::default()
    });
    let far = [standing_at(1, 0.25, 0.6), standing_at(2, 0.7, 0.6)];
    assert_eq!(
        reports(&engine.update(0, &far).expect("valid")),
        [(DistanceState::TooFar, 2, 2)]
    );
    let close = [
        standing_at(1, 0.25, 0.6),
        standing_at(2, 0.7, 0.6),
        standing_at(3, 0.26, 0.6),
    ];
    assert_eq!(
        reports(&engine.update(6000, &close).expect("valid")),
        [(DistanceState::TooClose, 3, 2)]
    );
    engine.set_ground(None);
    assert_eq!(
        reports(&engine.update(12_000, &close).expect("valid")),
        [(DistanceState::Unknown, 0, 0)]
    );
    engine.set_ground(Some(flat_ground()));
    assert_eq!(
        reports(&engine.update(18_000, &close).expect("valid")),
        [(DistanceState::TooClose, 3, 2)]
    );
}

#[test]
fn an_interval_of_distances_is_what_most_of_its_frames_have_shown() {
    let mut engine = keeping(DistanceRule {
        trigger: Trigger::Interval { milliseconds: 1000 },
        minimum_ft: Some(1.0),
        ..DistanceRule::default()
    });
    let (close, apart) = (
        [standing_at(1, 0.3, 0.6), standing_at(2, 0.35, 0.6)],
        [standing_at(1, 0.3, 0.6), standing_at(2, 0.6, 0.6)],
    );
    let mut reported = Vec::new();
    for frame in 0..45u64 {
        // The first second mostly too close, the second mostly not, the third not at all.
        let people = if frame < 10 || frame == 20 { &close } else { &apart };
        reported.extend(engine.update(frame * 6000, people).expect("valid"));
    }
    assert_eq!(reports(&reported), [(DistanceState::TooClose, 2, 2)]);
    assert_eq!(reported[0].time_90k, SECOND);
}

#[test]
fn a_dwell_is_reported_at_its_end_with_speeds_and_at_its_limits_before() {
    let zone = Zone {
        crossings: false,
        focus: Focus::BottomCenter,
        dwell: Some(DwellRule {
            at_exit: true,
            limits_ms: vec![3000, 1000, 60_000],
            focus: Focus::BottomCenter,
            ..DwellRule::default()
        }),
        ..Zone::new("z", square())
    };
    let scene = Scene::new(vec![zone], vec![], options()).expect("valid");
    let mut engine = Engine::new(scene.with_ground(flat_ground()));
    let mut events = Vec::new();
    // Through the zone at one foot a second: six seconds.
    for frame in 0..100u64 {
        let x = 0.15 + 0.01 * frame as f64 * 10.0 / 10.0;
        events.extend(
            engine
                .update(frame * 9000, &[standing_at(1, x, 0.6)])
                .expect("valid"),
        );
    }
    let labels: Vec<_> = events
        .iter()
        .map(|e| match e.kind {
            EventKind::DwellExceeded { limit_90k, .. } => ("limit", limit_90k / SECOND, e.time_90k),
            EventKind::Dwell(dwell) => ("end", (dwell.dwell_90k + 45_000) / SECOND, e.time_90k),
            _ => ("?", 0, 0),
        })
        .collect();
    let (entered, left) = (45_000, 6 * SECOND + 45_000);
    for ((word, number, time), expected) in labels.iter().zip([
        ("limit", 1, entered + SECOND),
        ("limit", 3, entered + 3 * SECOND),
        ("end", 6, left),
    ]) {
        assert_eq!((*word, *number), (expected.0, expected.1), "{labels:?}");
        assert!(time.abs_diff(expected.2) < 20, "{labels:?}");
    }
    assert_eq!(labels.len(), 3);
    let EventKind::Dwell(dwell) = events[2].kind else {
        panic!()
    };
    let speed = dwell.speed.expect("the ground is known");
    assert!(
        (speed.average_ft_s - 1.0).abs() < 0.05 && (speed.minimum_ft_s - 1.0).abs() < 0.05,
        "{speed:?}"
    );
    assert_eq!(dwell.side, Some(2));
}

#[test]
fn lines_count_by_direction_and_class() {
    let line = CrossingLine {
        sample_every: 2,
        ..CrossingLine::new("l", Point::new(0.5, 1.0), Point::new(0.5, 0.0))
    };
    let mut engine = Engine::new(Scene::new(vec![], vec![line], options()).expect("valid"));
    let mut reported = 0;
    for frame in 0..60u64 {
        let x = 0.5 + if frame / 10 % 2 == 0 { -0.1 } else { 0.1 };
        let cart = Observation {
            class: 7,
            ..standing_at(2, 1.0 - x, 0.6)
        };
        reported += engine
            .update(frame * 6000, &[standing_at(1, x, 0.6), cart])
            .expect("valid")
            .len();
    }
    let counts = engine.line_counts("l").expect("there is one");
    assert_eq!(
        (
            counts.of(Direction::Right),
            counts.of(Direction::Left),
            counts.total()
        ),
        (5, 5, 10)
    );
    assert_eq!(
        (
            counts.of_class(7, Direction::Left),
            counts.of_class(7, Direction::Right)
        ),
        (3, 2)
    );
    assert_eq!(reported, 5, "every second one is reported");
    assert_eq!(engine.line_counts("m"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn occupancy_is_enters_less_exits_and_the_count_that_is_reported(steps in prop::collection::vec(prop::collection::vec((0u64..6, 0.1..0.9f64, 0.1..0.9f64), 0..6), 1..40)) {
        let zone = Zone { count: Some(CountRule::default()), ..Zone::new("z", square()) };
        let mut engine = engine_of(zone);
        let (mut inside, mut counted) = (0i64, None);
        for (frame, people) in steps.iter().enumerate() {
            let people: Vec<_> = people.iter().map(|(id, x, y)| standing_at(*id, *x, *y)).collect();
            for event in engine.update(frame as u64 * 30_000, &people).expect("valid") {
                match event.kind {
                    EventKind::Enter { .. } => inside += 1,
                    EventKind::Exit { .. } => inside -= 1,
                    EventKind::Count { people, .. } => counted = Some(i64::from(people)),
                    _ => {}
                }
                prop_assert!(event.cause.distance >= 0.0 && event.time_90k <= event.timestamp_90k);
            }
            prop_assert!(inside >= 0);
            prop_assert_eq!(engine.occupancy("z"), Some(inside as usize));
            prop_assert_eq!(counted, Some(inside));
        }
    }
}
