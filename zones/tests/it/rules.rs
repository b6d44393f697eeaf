//! Rules of lines and zones on people with known tracks.

use crate::support::SECOND;
use lva_zones::event::Reason;
use lva_zones::*;
use proptest::prelude::*;

/// A box whose bottom centre is at a point.
pub(crate) fn standing_at(x: f64, y: f64) -> BoundingBox {
    BoundingBox::new(x as f32 - 0.05, y as f32 - 0.3, 0.1, 0.3)
}

fn square_zone() -> Zone {
    let corners = [(0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8)].map(|(x, y)| Point::new(x, y));
    Zone {
        focus: Focus::BottomCenter,
        ..Zone::new("zone", corners)
    }
}

/// Stands in the zone from top to bottom; who looks along it has the picture's right side to the left.
fn upright_line() -> CrossingLine {
    let line = CrossingLine::new("line", Point::new(0.5, 0.45), Point::new(0.5, 0.75));
    CrossingLine {
        focus: Focus::BottomCenter,
        ..line
    }
}

fn engine() -> Engine {
    engine_with(SceneOptions::default())
}

fn engine_with(options: SceneOptions) -> Engine {
    Engine::new(Scene::new(vec![square_zone()], vec![upright_line()], options).expect("a valid scene"))
}

/// Feeds one person's positions, `None` where unseen, and waits until everybody is given up.
pub(crate) fn walk(
    engine: &mut Engine,
    rate: u64,
    path: impl IntoIterator<Item = Option<(f64, f64)>>,
) -> Vec<SpatialEvent> {
    let mut events = Vec::new();
    let mut time = 0;
    for at in path {
        let people: Vec<_> = at
            .into_iter()
            .map(|(x, y)| Observation::new(TrackId(1), standing_at(x, y)))
            .collect();
        events.extend(engine.update(time, &people).expect("a valid frame"));
        time += SECOND / rate;
    }
    events.extend(engine.update(time + 30 * SECOND, &[]).expect("a valid frame"));
    events
}

/// A straight walk of so many seconds.
pub(crate) fn straight(from: (f64, f64), to: (f64, f64), seconds: f64, rate: u64) -> Vec<Option<(f64, f64)>> {
    let steps = (seconds * rate as f64).round().max(1.0) as usize;
    (0..=steps)
        .map(|step| {
            let part = step as f64 / steps as f64;
            Some((from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part))
        })
        .collect()
}

pub(crate) fn labels(events: &[SpatialEvent]) -> Vec<String> {
    events
        .iter()
        .map(|e| {
            format!("{} {:?}", e.name, e.kind)
                .split(" {")
                .next()
                .unwrap_or("")
                .to_owned()
        })
        .collect()
}

#[test]
fn walking_straight_through_is_one_enter_one_crossing_one_exit_at_any_rate() {
    for rate in [30, 15, 5, 2] {
        let events = walk(&mut engine(), rate, straight((0.1, 0.6), (0.9, 0.6), 8.0, rate));
        assert_eq!(
            labels(&events),
            ["zone Enter", "line Cross(Left)", "zone Exit"],
            "{rate}"
        );
        for (event, seconds) in events.iter().zip([3.0, 4.0, 5.0]) {
            let off = event.time_90k as f64 / SECOND as f64 - seconds;
            assert!(off.abs() < 0.01, "{rate}: {event:?}");
            assert!(event.timestamp_90k >= event.time_90k);
        }
        assert!(matches!(events[0].kind, EventKind::Enter { side: Some(4) }));
        let EventKind::Exit {
            side: Some(2),
            dwell_90k,
            dwell_frames,
        } = events[2].kind
        else {
            panic!()
        };
        assert!((dwell_90k as f64 / SECOND as f64 - 2.0).abs() < 0.02);
        assert!(
            (i64::from(dwell_frames) - 2 * rate as i64).abs() <= 1,
            "{dwell_frames}"
        );
    }
}

#[test]
fn back_again_is_the_other_direction() {
    let events = walk(&mut engine(), 15, straight((0.9, 0.6), (0.1, 0.6), 8.0, 15));
    assert_eq!(labels(&events), ["zone Enter", "line Cross(Right)", "zone Exit"]);
}

#[test]
fn round_the_end_of_a_line_is_not_over_it() {
    let mut path = straight((0.3, 0.6), (0.3, 0.9), 2.0, 15);
    path.extend(straight((0.3, 0.9), (0.7, 0.9), 2.0, 15));
    path.extend(straight((0.7, 0.9), (0.7, 0.6), 2.0, 15));
    path.extend(straight((0.7, 0.6), (0.3, 0.6), 2.0, 15));
    let events = walk(&mut engine(), 15, path);
    assert_eq!(labels(&events), ["zone Enter", "line Cross(Right)", "zone Exit"]);
}

#[test]
fn who_appears_inside_enters_and_who_vanishes_inside_leaves_without_side() {
    let events = walk(&mut engine(), 15, straight((0.45, 0.6), (0.46, 0.6), 2.0, 15));
    let EventKind::Enter { side: None } = events[0].kind else {
        panic!("{events:?}")
    };
    let EventKind::Exit {
        side: None,
        dwell_90k,
        ..
    } = events[1].kind
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (events[0].cause.reason, events[1].cause.reason),
        (Reason::Appeared, Reason::Vanished)
    );
    // Until last seen, not until given up.
    assert_eq!((events[0].time_90k, dwell_90k), (0, 2 * SECOND));
}

#[test]
fn a_gap_within_the_grace_is_the_same_visit() {
    let mut path = straight((0.1, 0.6), (0.9, 0.6), 8.0, 15);
    // Unseen for 1.2 s inside, while crossing the line.
    path[50..68].fill(None);
    let events = walk(&mut engine(), 15, path);
    assert_eq!(labels(&events), ["zone Enter", "line Cross(Left)", "zone Exit"]);
}

#[test]
fn a_gap_beyond_the_grace_ends_the_visit_where_it_was_last_seen() {
    let mut path = straight((0.45, 0.6), (0.47, 0.6), 6.0, 15);
    path[30..60].fill(None);
    let events = walk(&mut engine(), 15, path);
    assert_eq!(
        labels(&events),
        ["zone Enter", "zone Exit", "zone Enter", "zone Exit"]
    );
    assert_eq!(
        (events[1].time_90k, events[2].time_90k),
        (29 * SECOND / 15, 60 * SECOND / 15)
    );
    assert!(events[1].timestamp_90k > events[1].time_90k + 3 * SECOND / 2);
}

#[test]
fn who_appears_inside_for_less_than_asked_was_a_second_box_and_who_stays_enters_when_first_seen() {
    let options = SceneOptions {
        appear_ms: 600,
        ..SceneOptions::default()
    };
    let inside = |frames| vec![Some((0.45, 0.6)); frames];
    assert_eq!(
        labels(&walk(&mut engine_with(options), 15, inside(9))),
        Vec::<String>::new()
    );
    let events = walk(&mut engine_with(options), 15, inside(12));
    assert_eq!(labels(&events), ["zone Enter", "zone Exit"]);
    assert_eq!(
        (events[0].time_90k, events[0].timestamp_90k),
        (0, 9 * SECOND / 15)
    );
    // People who cross an edge are reported without delay.
    let crossing = |options| {
        walk(
            &mut engine_with(options),
            15,
            straight((0.3, 0.6), (0.45, 0.6), 1.0, 15),
        )
    };
    assert_eq!(crossing(options)[0], crossing(SceneOptions::default())[0]);
}

#[test]
fn between_two_frames_through_the_zone_is_a_visit_unless_reported_otherwise() {
    let path = || [(0.1, 0.6), (0.2, 0.6), (0.8, 0.6), (0.9, 0.6)].map(Some);
    let events = walk(&mut engine(), 2, path());
    assert_eq!(labels(&events), ["zone Enter", "line Cross(Left)", "zone Exit"]);
    assert_eq!(events[0].cause.reason, Reason::PassedThrough);
    let options = SceneOptions {
        jump_through: false,
        ..SceneOptions::default()
    };
    assert_eq!(
        labels(&walk(&mut engine_with(options), 2, path())),
        ["line Cross(Left)"]
    );
}

#[test]
fn an_unconfirmed_person_never_counts_and_a_confirmed_one_counts_from_the_start() {
    for confirmed_from in [usize::MAX, 70] {
        let mut engine = engine();
        let mut events = Vec::new();
        for (index, at) in straight((0.1, 0.6), (0.9, 0.6), 4.0, 8).into_iter().enumerate() {
            let (x, y) = at.expect("seen");
            let mut person = Observation::new(TrackId(1), standing_at(x, y));
            person.confirmed = index * 4 >= confirmed_from;
            events.extend(
                engine
                    .update(index as u64 * SECOND / 8, &[person])
                    .expect("valid"),
            );
        }
        match confirmed_from {
            usize::MAX => assert_eq!(labels(&events), Vec::<String>::new()),
            _ => {
                assert_eq!(labels(&events), ["zone Enter", "line Cross(Left)", "zone Exit"]);
                assert!((events[0].time_90k as f64 / SECOND as f64 - 1.5).abs() < 0.01);
                // Reported in the frame of confirmation, not before.
                assert_eq!(events[0].timestamp_90k, 18 * SECOND / 8);
            }
        }
    }
}

#[test]
fn feet_out_of_view_are_still_in_a_zone_that_reaches_the_border() {
    let zone = Zone {
        focus: Focus::BottomCenter,
        ..Zone::new(
            "zone",
            [(0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)].map(|(x, y)| Point::new(x, y)),
        )
    };
    let mut engine = Engine::new(Scene::new(vec![zone], vec![], SceneOptions::default()).expect("valid"));
    // Comes in above, walks down until cut, comes back up cut and goes out above.
    let mut path = straight((0.5, 0.4), (0.5, 1.3), 3.0, 15);
    path.extend(straight((0.5, 1.3), (0.5, 0.4), 3.0, 15));
    assert_eq!(labels(&walk(&mut engine, 15, path)), ["zone Enter", "zone Exit"]);
}

#[test]
fn bad_frames_are_refused_and_change_nothing() {
    let mut engine = engine();
    engine.update(SECOND, &[]).expect("valid");
    assert_eq!(
        engine.update(SECOND - 1, &[]),
        Err(EngineError::TimeBackwards {
            given: SECOND - 1,
            last: SECOND
        })
    );
    for bad in [f32::NAN, f32::INFINITY, -80.0, 1e30] {
        let bbox = BoundingBox {
            width: bad,
            ..standing_at(0.5, 0.6)
        };
        let refused = engine.update(2 * SECOND, &[Observation::new(TrackId(1), bbox)]);
        assert!(matches!(refused, Err(EngineError::NotFractions { .. })), "{bad}");
    }
    let crowd: Vec<_> = (0..=MAX_PEOPLE as u64)
        .map(|i| Observation::new(TrackId(i), standing_at(0.5, 0.6)))
        .collect();
    assert!(matches!(
        engine.update(2 * SECOND, &crowd),
        Err(EngineError::TooManyPeople { .. })
    ));
    assert_eq!(engine.occupancy("zone"), Some(0));
    assert_eq!(engine.occupancy("nowhere"), None);
    engine.reset();
    assert_eq!(engine.update(0, &[]), Ok(vec![]));
}

#[test]
fn more_people_than_can_be_watched_are_counted() {
    let mut engine = engine();
    for frame in 0..5 {
        let people: Vec<_> = (0..1000)
            .map(|i| Observation::new(TrackId(frame * 1000 + i), standing_at(0.5, 0.6)))
            .collect();
        engine.update(frame, &people).expect("valid");
    }
    assert_eq!(engine.stats().unwatched, 5000 - MAX_WATCHED as u64);
    // All forgotten after a while.
    engine.update(60 * SECOND, &[]).expect("valid");
    engine
        .update(
            60 * SECOND,
            &[Observation::new(TrackId(9999), standing_at(0.5, 0.6))],
        )
        .expect("valid");
    assert_eq!(engine.stats().unwatched, 5000 - MAX_WATCHED as u64);
}

#[test]
fn a_step_over_ages_overflows_nothing() {
    let mut engine = engine();
    let at = |x| [Observation::new(TrackId(1), standing_at(x, 0.6))];
    engine.update(7, &at(0.2)).expect("valid");
    let events = engine.update(u64::MAX, &at(0.8)).expect("valid");
    assert_eq!(labels(&events), ["zone Enter", "line Cross(Left)", "zone Exit"]);
    let mut previous = 7;
    for event in &events {
        assert!(event.time_90k > previous && event.time_90k < event.timestamp_90k);
        previous = event.time_90k;
    }
}

#[test]
fn errors_of_a_scene_are_all_reported() {
    let nan = Zone::new(
        "nan",
        [
            Point::new(f64::NAN, 0.0),
            Point::new(1.0, 0.0),
            Point::new(1.0, 1.0),
        ],
    );
    let line = CrossingLine::new("nan", Point::new(0.5, 0.5), Point::new(0.5, 0.5));
    let options = SceneOptions {
        aspect: 0.0,
        ..SceneOptions::default()
    };
    let error = Scene::new(vec![nan, square_zone()], vec![line], options).expect_err("wrong in four ways");
    let kinds: Vec<_> = error.findings().iter().map(ToString::to_string).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert_eq!(error.to_string(), kinds.join("\n"));
    assert!(kinds[2].starts_with("\"nan\": polygon is NaN"));
}

/// A path of steps, with gaps.
fn paths() -> impl Strategy<Value = Vec<Option<(f64, f64)>>> {
    let place = (0.2..0.8f64, 0.3..0.9f64);
    prop::collection::vec(prop::option::weighted(0.9, place), 1..60)
}

fn total(events: &[SpatialEvent], what: &str) -> usize {
    labels(events).iter().filter(|w| *w == what).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn enter_and_exit_alternate_and_every_visit_ends(path in paths(), rate in 2u64..30) {
        let events = walk(&mut engine(), rate, path);
        let visits: Vec<_> = labels(&events).into_iter().filter(|w| w.starts_with("zone")).collect();
        for (index, word) in visits.iter().enumerate() {
            prop_assert_eq!(word, if index % 2 == 0 { "zone Enter" } else { "zone Exit" });
        }
        prop_assert_eq!(visits.len() % 2, 0);
        for event in &events {
            prop_assert!(event.time_90k <= event.timestamp_90k);
        }
    }

    #[test]
    fn directions_of_a_line_alternate_unless_its_end_is_rounded(path in paths(), rate in 2u64..30) {
        // The line cannot be bypassed within its height.
        let path = path.into_iter().map(|at| at.map(|(x, y)| (x, 0.5 + (y - 0.3) / 3.0)));
        let events = walk(&mut engine(), rate, path);
        let (left, right) = (total(&events, "line Cross(Left)"), total(&events, "line Cross(Right)"));
        prop_assert!(left.abs_diff(right) <= 1);
    }

    #[test]
    fn mirroring_swaps_left_and_right_and_nothing_else(path in paths(), rate in 2u64..30) {
        let events = walk(&mut engine(), rate, path.clone());
        let mirrored = walk(&mut engine(), rate, path.into_iter().map(|at| at.map(|(x, y)| (1.0 - x, y))));
        let swapped = |w: &str| match w {
            "line Cross(Left)" => "line Cross(Right)".to_owned(),
            "line Cross(Right)" => "line Cross(Left)".to_owned(),
            other => other.to_owned(),
        };
        prop_assert_eq!(labels(&events).iter().map(|w| swapped(w)).collect::<Vec<_>>(), labels(&mirrored));
    }

    #[test]
    fn doubled_frames_and_the_order_of_people_change_nothing(a in paths(), b in paths()) {
        let frames: Vec<Vec<Observation>> = (0..a.len().max(b.len()))
            .map(|i| {
                let of = |path: &[Option<(f64, f64)>], id| {
                    path.get(i).copied().flatten().map(|(x, y)| Observation::new(TrackId(id), standing_at(x, y)))
                };
                of(&a, 1).into_iter().chain(of(&b, 2)).collect()
            })
            .collect();
        let run = |double: bool, reverse: bool| {
            let mut engine = engine();
            let mut events = Vec::new();
            for (index, frame) in frames.iter().enumerate() {
                let mut frame = frame.clone();
                if reverse {
                    frame.reverse();
                }
                for _ in 0..if double { 2 } else { 1 } {
                    events.extend(engine.update(index as u64 * SECOND / 10, &frame).expect("valid"));
                }
            }
            events
        };
        let plain = run(false, false);
        prop_assert_eq!(&plain, &run(true, false));
        prop_assert_eq!(&plain, &run(false, true));
    }

    #[test]
    fn jitter_within_the_band_gives_nothing(offs in prop::collection::vec((-0.0039..0.0039f64, -0.0039..0.0039f64), 10..200), rate in 2u64..30) {
        // On the line, then on the edge of the zone; both begin well on one side.
        let on_line = std::iter::once((0.48, 0.6)).chain(offs.iter().map(|(x, y)| (0.5 + x, 0.6 + y)));
        let events = walk(&mut engine(), rate, on_line.map(Some));
        prop_assert_eq!(total(&events, "line Cross(Left)") + total(&events, "line Cross(Right)"), 0);
        let on_edge = std::iter::once((0.38, 0.6)).chain(offs.iter().map(|(x, y)| (0.4 + x, 0.6 + y)));
        // Without a depth of its own a zone holds who stands inside on average.
        let band = Threshold::Width(0.004);
        let zone = Zone { enter_depth: band, exit_depth: band, ..square_zone() };
        let scene = Scene::new(vec![zone], vec![], SceneOptions::default()).expect("valid");
        prop_assert_eq!(labels(&walk(&mut Engine::new(scene), rate, on_edge.map(Some))), Vec::<String>::new());
    }

    #[test]
    fn straight_walks_count_once_wherever_they_lead(y in 0.5..0.7f64, slope in -0.05..0.05f64, seconds in 2.0..10.0f64, rate in 2u64..30) {
        let path = straight((0.1, y - slope), (0.9, y + slope), seconds, rate);
        let events = walk(&mut engine(), rate, path);
        prop_assert_eq!(labels(&events), ["zone Enter", "line Cross(Left)", "zone Exit"]);
    }
}
