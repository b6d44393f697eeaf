//! The contract's semantics, one test for each rule that the other files do not show already.
//!
//! | rule | shown by |
//! |---|---|
//! | entering and leaving is the point of the focus going in and out | [`each_focus_judges_its_own_point`] |
//! | who appears inside enters, who vanishes inside leaves, without a side | `rules`, [`an_unknown_side_is_empty_in_the_container_and_left_out_by_video_analyzer`] |
//! | a threshold is a depth to enter; leaving asks for none | [`a_threshold_is_a_depth_to_enter_and_none_to_leave`], `config` (three generations) |
//! | debounce by time, 0 as the original | [`nothing_is_reported_before_the_hold_is_over_and_at_once_without_one`] |
//! | edges count from 1 in the order of the polygon, open or closed, either way round | [`sides_count_from_one_in_the_order_of_the_polygon`] |
//! | the last edge in and the first one out are reported | [`of_several_edges_the_last_one_in_and_the_first_one_out_are_reported`] |
//! | dwell once, at the exit, between interpolated times; speeds; limits | `published`, `groups`, `rules` |
//! | left and right are those of who stands at `start` and looks to `end` | [`left_and_right_are_those_of_who_looks_along_the_line`] |
//! | finite lines: round an end nothing, over it once, however fast | `rules`, [`a_line_ends_where_it_ends`] |
//! | a count is reported first, then at changes or at true intervals, mode or average, every n-th | `groups` |
//! | loss is bridged for the timeout, an exit carries the last observation; later it is a new person | `rules`, `tracking`, [`a_person_away_for_longer_than_lost_ms_is_new`] |
//! | feet below the border are in zones and over lines that reach it | `rules`, `edges` |
//! | who lingers at an edge is where they stand on average | `edges` |
//! | distance: unknown before calibration, mean of all pairs, violators only, `Infinity` when unset | `groups`, `published` |
//! | ground: x to the right, y ahead, nothing above the horizon | `published`, [`the_ground_has_x_to_the_right_y_ahead_and_no_horizon`] |
//! | profiles: one event, four forms | `published`, `reports`, [`one_event_has_the_name_of_its_profile`] |
//! | `cause` of every event | [`every_event_says_why`] |
//! | crossings of a closed ring of lines are enters less exits | [`crossings_of_a_ring_of_lines_are_enters_less_exits`] |

use crate::rules::{labels, standing_at, straight, walk};
use crate::support::SECOND;
use lva_zones::event::Reason;
use lva_zones::ground::{Ground, PinholeCamera};
use lva_zones::report::{ContainerReporter, ContainerSchema, EventProfile, IdSource, Reporter, SourceInfo};
use lva_zones::*;
use proptest::prelude::*;

const SQUARE: [(f64, f64); 4] = [(0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8)];

fn zone(corners: &[(f64, f64)]) -> Zone {
    Zone {
        focus: Focus::BottomCenter,
        ..Zone::new("zone", corners.iter().map(|(x, y)| Point::new(*x, *y)))
    }
}

fn line(name: &str, start: (f64, f64), end: (f64, f64)) -> CrossingLine {
    CrossingLine {
        focus: Focus::BottomCenter,
        ..CrossingLine::new(name, Point::new(start.0, start.1), Point::new(end.0, end.1))
    }
}

/// Without a hold, as the original.
fn at_once() -> SceneOptions {
    SceneOptions {
        hold_ms: 0,
        aspect: 1.0,
        ..SceneOptions::default()
    }
}

fn engine(zones: Vec<Zone>, lines: Vec<CrossingLine>, options: SceneOptions) -> Engine {
    Engine::new(Scene::new(zones, lines, options).expect("a valid scene"))
}

fn side(event: &SpatialEvent) -> Option<u32> {
    match event.kind {
        EventKind::Enter { side } | EventKind::Exit { side, .. } => side,
        _ => None,
    }
}

#[test]
fn each_focus_judges_its_own_point() {
    // A box of height 0.3 that sinks: its points pass the upper edge at 0.4 one after the other.
    for (focus, above_bottom) in [
        (Focus::BottomCenter, 0.0),
        (Focus::Footprint, 0.04 * 0.3),
        (Focus::Center, 0.15),
    ] {
        let watched = Zone {
            focus,
            ..zone(&SQUARE)
        };
        let events = walk(
            &mut engine(vec![watched], vec![], at_once()),
            20,
            straight((0.5, 0.3), (0.5, 0.7), 4.0, 20),
        );
        let bottom = 0.3 + 0.1 * events[0].time_90k as f64 / SECOND as f64;
        assert!(
            (bottom - (0.4 + above_bottom)).abs() < 1e-4,
            "{focus:?}: {bottom}"
        );
    }
}

#[test]
fn a_threshold_is_a_depth_to_enter_and_none_to_leave() {
    let depths = |enter, exit| Zone {
        enter_depth: Threshold::Width(enter),
        exit_depth: Threshold::Width(exit),
        ..zone(&SQUARE)
    };
    let one_sided = || depths(0.05, 0.0);
    let visits = |zone, deepest, back| {
        let mut path = straight((0.3, 0.6), (deepest, 0.6), 2.0, 15);
        path.extend(straight((deepest, 0.6), (back, 0.6), 2.0, 15));
        let mut engine = engine(vec![zone], vec![], at_once());
        let mut events = Vec::new();
        for (frame, at) in path.into_iter().flatten().enumerate() {
            let people = [Observation::new(TrackId(1), standing_at(at.0, at.1))];
            events.extend(engine.update(frame as u64 * 6000, &people).expect("valid"));
        }
        labels(&events)
    };
    assert_eq!(visits(one_sided(), 0.449, 0.3), Vec::<String>::new());
    assert_eq!(visits(one_sided(), 0.451, 0.401), ["zone Enter"]);
    assert_eq!(visits(one_sided(), 0.451, 0.399), ["zone Enter", "zone Exit"]);
    // A margin of its own for leaving.
    assert_eq!(visits(depths(0.0, 0.03), 0.451, 0.371), ["zone Enter"]);
    assert_eq!(
        visits(depths(0.0, 0.03), 0.451, 0.369),
        ["zone Enter", "zone Exit"]
    );
}

#[test]
fn nothing_is_reported_before_the_hold_is_over_and_at_once_without_one() {
    for (hold_ms, told_after_ms) in [(0, 50), (200, 250), (500, 550)] {
        let options = SceneOptions { hold_ms, ..at_once() };
        let upright = line("line", (0.4, 0.4), (0.4, 0.8));
        let mut engine = engine(vec![zone(&SQUARE)], vec![upright], options);
        let mut events = Vec::new();
        for frame in 0..40u64 {
            // Crosses the line and the edge half way between the frames at 950 ms and at 1000 ms.
            let x = if frame < 20 { 0.35 } else { 0.45 };
            let people = [Observation::new(TrackId(1), standing_at(x, 0.6))];
            events.extend(engine.update(frame * SECOND / 20, &people).expect("valid"));
        }
        assert_eq!(labels(&events), ["zone Enter", "line Cross(Left)"], "{hold_ms}");
        for event in &events {
            let (crossed, reported) = (event.time_90k / 90, event.timestamp_90k / 90);
            assert!((974..=975).contains(&crossed), "{event:?}");
            assert_eq!(reported.div_ceil(50) * 50, 950 + told_after_ms, "{event:?}");
        }
    }
}

#[test]
fn sides_count_from_one_in_the_order_of_the_polygon() {
    // Out of the middle over each edge of the square, and in again.
    let over = [(0.5, 0.3), (0.7, 0.6), (0.5, 0.9), (0.3, 0.6)];
    let closed: Vec<_> = SQUARE.iter().chain(&SQUARE[..1]).copied().collect();
    let reversed: Vec<_> = SQUARE.iter().rev().copied().collect();
    let begun_elsewhere: Vec<_> = SQUARE[2..].iter().chain(&SQUARE[..2]).copied().collect();
    for (corners, sides) in [
        (SQUARE.to_vec(), [1, 2, 3, 4]),
        (closed, [1, 2, 3, 4]),
        (reversed, [3, 2, 1, 4]),
        (begun_elsewhere, [3, 4, 1, 2]),
    ] {
        for (outside, expected) in over.into_iter().zip(sides) {
            let mut path = straight((0.5, 0.6), outside, 1.0, 15);
            path.extend(straight(outside, (0.5, 0.6), 1.0, 15));
            let events = walk(&mut engine(vec![zone(&corners)], vec![], at_once()), 15, path);
            let found: Vec<_> = events.iter().map(side).collect();
            assert_eq!(found, [None, Some(expected), Some(expected), None], "{corners:?}");
        }
    }
}

#[test]
fn of_several_edges_the_last_one_in_and_the_first_one_out_are_reported() {
    // An U: one step leads through its left arm and the gap into its right arm.
    let corners = [
        (0.2, 0.2),
        (0.3, 0.2),
        (0.3, 0.7),
        (0.6, 0.7),
        (0.6, 0.2),
        (0.7, 0.2),
        (0.7, 0.8),
        (0.2, 0.8),
    ];
    let path = [(0.1, 0.5), (0.65, 0.5), (0.1, 0.5)].map(Some);
    let options = SceneOptions {
        jump_through: false,
        ..at_once()
    };
    let events = walk(&mut engine(vec![zone(&corners)], vec![], options), 1, path);
    let found: Vec<_> = events.iter().map(side).collect();
    assert_eq!(
        (labels(&events), found),
        (
            vec!["zone Enter".to_owned(), "zone Exit".to_owned()],
            vec![Some(4), Some(4)]
        )
    );
}

#[test]
fn left_and_right_are_those_of_who_looks_along_the_line() {
    let (middle, off) = (0.5, 0.2);
    for (start, end, to, reported) in [
        // To the right in the picture: up is left.
        ((0.2, 0.5), (0.8, 0.5), (0.0, -off), "Left"),
        ((0.2, 0.5), (0.8, 0.5), (0.0, off), "Right"),
        ((0.8, 0.5), (0.2, 0.5), (0.0, -off), "Right"),
        // Down in the picture: its right is left.
        ((0.5, 0.2), (0.5, 0.8), (off, 0.0), "Left"),
        ((0.5, 0.2), (0.5, 0.8), (-off, 0.0), "Right"),
        ((0.5, 0.8), (0.5, 0.2), (off, 0.0), "Right"),
        // Aslant.
        ((0.3, 0.3), (0.7, 0.7), (off, -off), "Left"),
        ((0.7, 0.7), (0.3, 0.3), (off, -off), "Right"),
    ] {
        let way = straight(
            (middle - to.0, middle - to.1),
            (middle + to.0, middle + to.1),
            1.0,
            15,
        );
        let events = walk(
            &mut engine(vec![], vec![line("line", start, end)], at_once()),
            15,
            way,
        );
        assert_eq!(
            labels(&events),
            [format!("line Cross({reported})")],
            "{start:?} {end:?} {to:?}"
        );
    }
}

#[test]
fn a_line_ends_where_it_ends() {
    // The line from (0.5, 0.4) to (0.5, 0.6): steps aslant within and beyond its ends, at once and in many frames.
    for (from, to, crossed) in [
        ((0.4, 0.45), (0.6, 0.37), 1),
        ((0.4, 0.42), (0.6, 0.36), 0),
        ((0.4, 0.55), (0.6, 0.64), 1),
        ((0.4, 0.58), (0.6, 0.64), 0),
    ] {
        for seconds in [0.05, 2.0] {
            let upright = line("line", (0.5, 0.4), (0.5, 0.6));
            let way = straight(from, to, seconds, 20);
            let events = walk(&mut engine(vec![], vec![upright], at_once()), 20, way);
            assert_eq!(events.len(), crossed, "{from:?} {to:?} in {seconds} s");
        }
    }
}

#[test]
fn a_person_away_for_longer_than_lost_ms_is_new() {
    for (away_ms, same) in [(1000, true), (1200, false)] {
        let mut tracker = Tracker::new(TrackerOptions {
            lost_ms: 1000,
            ..TrackerOptions::default()
        });
        let here = Detection {
            bbox: BoundingBox::new(0.4, 0.3, 0.1, 0.4),
            class: 0,
            score: 0.9,
        };
        let (mut ids, mut time) = (std::collections::BTreeSet::new(), 0);
        for frame in 0..20 {
            // Frames without people: only they show that the person is away.
            if frame == 10 {
                for _ in 0..away_ms / 100 - 1 {
                    time += 9000;
                    assert_eq!(tracker.update(time, &[]), Ok(vec![]));
                }
            }
            time += 9000;
            let seen = tracker.update(time, &[here]).expect("in order");
            ids.extend(seen.iter().map(|person| person.track));
        }
        assert_eq!(ids.len() == 1, same, "{away_ms}");
    }
}

#[test]
fn an_unknown_side_is_empty_in_the_container_and_left_out_by_video_analyzer() {
    let mut engine = engine(vec![zone(&SQUARE)], vec![], at_once());
    let inside = [Observation::new(TrackId(1), standing_at(0.5, 0.6))];
    let events = engine.update(SECOND, &inside).expect("valid");
    assert_eq!(labels(&events), ["zone Enter"]);
    let source = SourceInfo {
        id: "camera".to_owned(),
        width: 640,
        height: 360,
    };
    for schema in ContainerSchema::ALL {
        let reported = ContainerReporter::new(schema, source.clone(), IdSource::new(1))
            .report(SECOND, 1, &events, None)
            .expect("a message");
        assert_eq!(reported["events"][0]["properties"]["side"], "", "{schema:?}");
        assert_eq!(reported["detections"][0]["type"], "person");
        assert!(reported["events"][0]["properties"].get("class").is_none());
        let named = ContainerReporter::new(schema, source.clone(), IdSource::new(1))
            .with_class_names(["car".to_owned()].into())
            .report(SECOND, 1, &events, None)
            .expect("a message");
        assert_eq!(named["detections"][0]["type"], "car");
        assert_eq!(named["events"][0]["properties"]["class"], "car");
    }
    let reported = Reporter::new(EventProfile::VideoAnalyzer, IdSource::new(1)).report(&events);
    let json = serde_json::to_value(reported[1].styled(lva_inference_schema::JsonStyle::VideoAnalyzer))
        .expect("JSON");
    let properties = json["event"]["properties"].as_object().expect("properties");
    assert!(
        properties["status"] == "Enter" && !properties.contains_key("side"),
        "{json}"
    );
}

#[test]
fn one_event_has_the_name_of_its_profile() {
    let mut engine = engine(vec![zone(&SQUARE)], vec![], at_once());
    let inside = [Observation::new(TrackId(1), standing_at(0.5, 0.6))];
    let events = engine.update(SECOND, &inside).expect("valid");
    for (profile, name) in [
        (EventProfile::Tutorial2020, "personZoneEvent"),
        (EventProfile::VideoAnalyzer, "personZoneEnterExitEvent"),
    ] {
        let reported = Reporter::new(profile, IdSource::new(1)).report(&events);
        let json =
            serde_json::to_value(reported[1].styled(lva_inference_schema::JsonStyle::Lva)).expect("JSON");
        assert_eq!(json["event"]["name"], name);
    }
}

#[test]
fn the_ground_has_x_to_the_right_y_ahead_and_no_horizon() {
    let ground = Ground::pinhole(PinholeCamera {
        height_ft: 13.0,
        focal_px: 400.0,
        tilt_rad: 1.0,
        width_px: 640.0,
        height_px: 360.0,
    })
    .expect("a camera that can be");
    let at = |x, y| ground.at(Point::new(x, y));
    let middle = at(0.5, 0.5).expect("on the ground");
    assert!(middle.right_ft.abs() < 1e-9 && middle.ahead_ft > 0.0);
    assert!(at(0.7, 0.5).is_some_and(|right| right.right_ft > 0.0));
    assert!(at(0.5, 0.4).is_some_and(|further| further.ahead_ft > middle.ahead_ft));
    // 57° from straight down: the horizon is 33° above the middle, out of this picture.
    assert!(at(0.5, 0.0).is_some() && at(0.5, -0.3).is_none());
}

#[test]
fn every_event_says_why() {
    let upright = line("line", (0.5, 0.4), (0.5, 0.8));
    let options = SceneOptions {
        aspect: 1.0,
        ..SceneOptions::default()
    };
    let way = straight((0.1, 0.6), (0.9, 0.6), 8.0, 15);
    let events = walk(&mut engine(vec![zone(&SQUARE)], vec![upright], options), 15, way);
    assert_eq!(labels(&events), ["zone Enter", "line Cross(Left)", "zone Exit"]);
    for event in events {
        let cause = event.cause;
        assert_eq!(cause.reason, Reason::Crossed);
        // Held for the 200 ms that were asked for and no frame longer; 0.1 of the width a second, so that far beyond.
        assert_eq!(cause.held_90k, event.timestamp_90k - event.time_90k);
        assert!((18_000..24_000).contains(&cause.held_90k), "{cause:?}");
        let walked = 0.1 * cause.held_90k as f64 / SECOND as f64;
        assert!((cause.distance - walked).abs() < 1e-5, "{cause:?}");
        assert!((3..=4).contains(&cause.samples), "{cause:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn crossings_of_a_ring_of_lines_are_enters_less_exits(path in prop::collection::vec((0.2..0.8f64, 0.2..0.95f64), 2..60)) {
        let corners = SQUARE;
        let lines = (0..4).map(|n| CrossingLine {
            band: Threshold::Width(0.0),
            ..line(&format!("line{n}"), corners[n], corners[(n + 1) % 4])
        });
        let watched = Zone { enter_depth: Threshold::Width(0.0), exit_depth: Threshold::Width(0.0), ..zone(&corners) };
        let mut engine = engine(vec![watched], lines.collect(), at_once());
        let path = std::iter::once((0.1, 0.1)).chain(path).map(Some);
        let (mut over_lines, mut visits) = (0, 0);
        for event in walk(&mut engine, 2, path) {
            match event.kind {
                // Round the square as it is drawn its inside is to the right.
                EventKind::Cross(Direction::Right) => over_lines += 1,
                EventKind::Cross(Direction::Left) => over_lines -= 1,
                EventKind::Enter { side: Some(_) } => visits += 1,
                EventKind::Exit { side: Some(_), .. } => visits -= 1,
                _ => {}
            }
        }
        prop_assert_eq!(over_lines, visits);
    }
}
