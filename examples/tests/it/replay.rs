//! Cases as lines of JSON.

use lva_examples::replay::replay_case;
use proptest::prelude::*;
use serde_json::{Value, json};

fn play(case: &Value) -> Value {
    serde_json::from_str(&replay_case(&case.to_string())).expect("JSON")
}

/// A person's bottom centre at each x, twenty frames a second.
fn walk(xs: &[f64]) -> Value {
    let frame = |(n, x): (usize, &f64)| json!({"t_ms": n * 50, "people": [[7, x - 0.05, 0.2, 0.1, 0.4]]});
    xs.iter().enumerate().map(frame).collect()
}

/// The kinds of the events.
fn kinds(reported: &Value) -> Vec<String> {
    let events = reported["events"].as_array().expect("events");
    events
        .iter()
        .filter_map(|e| e["kind"].as_str().map(str::to_owned))
        .collect()
}

fn scene() -> Value {
    json!({"width": 1280, "height": 720,
        "lines": [{"name": "sill", "start": [0.5, 1.0], "end": [0.5, 0.0]}],
        "zones": [{"name": "hall", "polygon": [[0.4, 0.2], [0.9, 0.2], [0.9, 0.9], [0.4, 0.9]], "dwell_limits_ms": [1000]}]})
}

fn through() -> Vec<f64> {
    (0..100).map(|n| 0.2 + 0.01 * f64::from(n)).collect()
}

#[test]
fn a_walk_through_is_reported_with_times_sides_frames_and_dwell() {
    let reported = play(&json!({"name": "through", "scene": scene(), "frames": walk(&through())}));
    assert_eq!(reported["name"], "through");
    let events = reported["events"].as_array().expect("events");
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["kind"].as_str()).collect();
    assert_eq!(kinds, ["enter", "line", "dwell", "exit"]);
    let [enter, line, dwell, exit] = &events[..] else {
        panic!()
    };
    assert_eq!(
        (&enter["side"], &exit["side"], &enter["direction"]),
        (&json!(4), &json!(2), &Value::Null)
    );
    assert_eq!(
        (&line["direction"], &line["name"], &line["id"]),
        (&json!("right"), &json!("sill"), &json!(7))
    );
    for (event, t) in [(enter, 1000.0), (line, 1500.0), (dwell, 2000.0), (exit, 3500.0)] {
        assert!(
            (event["t_ms"].as_f64().expect("a time") - t).abs() < 1.0,
            "{event}"
        );
        assert!(
            event["frame"].as_f64().expect("a frame") * 50.0 >= t - 1.0,
            "never before: {event}"
        );
    }
    assert!((exit["dwell_ms"].as_f64().expect("a dwell") - 2500.0).abs() < 1.0);
    assert_eq!(
        (&enter["dwell_ms"], &dwell["direction"]),
        (&Value::Null, &Value::Null)
    );
    let inside = reported["inside"]["hall"]["7"].as_str().expect("a row");
    assert_eq!(inside.len(), 100);
    assert!(
        inside.starts_with("0000000000000000000")
            && inside[21..69].bytes().all(|c| c == b'1')
            && inside[72..].bytes().all(|c| c == b'0'),
        "{inside}"
    );
}

#[test]
fn the_edge_is_inside_and_absence_is_a_dash() {
    let frames = json!([
        {"t_ms": 0, "people": [["a", 0.375, 0.2, 0.05, 0.4]]},
        {"t_ms": 50, "people": [["b", 0.0, 0.2, 0.1, 0.4]]},
        {"t_ms": 100, "people": [["a", 0.5, 0.2, 0.1, 0.4], ["b", 0.0, 0.2, 0.1, 0.4]]}
    ]);
    let reported = play(&json!({"scene": scene(), "frames": frames}));
    assert_eq!(reported["inside"], json!({"hall": {"a": "1-1", "b": "-00"}}));
    assert_eq!(reported["name"], Value::Null);
}

#[test]
fn with_detections_the_tracker_names_people() {
    let frames: Vec<Value> = through()
        .iter()
        .enumerate()
        .map(|(n, x)| json!({"t_ms": n * 50, "detections": [[x - 0.05, 0.2, 0.1, 0.4, 0.9]]}))
        .collect();
    let reported = play(&json!({"name": 1, "scene": scene(), "frames": frames}));
    let kinds: Vec<&str> = reported["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|e| e["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["enter", "line", "dwell", "exit"]);
    let tracks = reported["tracks"].as_array().expect("tracks");
    assert_eq!(tracks.len(), 100);
    assert!(tracks[0].as_array().is_some_and(Vec::is_empty) && tracks[50][0][0] == 1);
}

#[test]
fn cases_that_cannot_be_played_are_answered_with_name_and_reason() {
    for (case, reason) in [
        (json!({"name": "x", "frames": []}), "missing field `scene`"),
        (
            json!({"name": "x", "scene": {"width": 1, "height": 1, "zones": [{"name": "z", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}]}, "frames": []}),
            "crosses itself, edges 1 and 3",
        ),
        (
            json!({"name": "x", "scene": {"width": 1, "height": 0}, "frames": []}),
            "aspect is inf",
        ),
        (
            json!({"name": "x", "scene": scene(), "frames": [{"t_ms": 5, "people": []}, {"t_ms": 1, "people": []}]}),
            "frame 1: time goes backwards",
        ),
        (
            json!({"name": "x", "scene": scene(), "frames": [{"t_ms": 0, "people": [[1, 0, 0, 80, 1]]}]}),
            "frame 0: the box of 1",
        ),
        (
            json!({"name": "x", "scenes": scene(), "frames": []}),
            "missing field `scene` (scenes: unknown member, ignored; did you mean \"scene\"?)",
        ),
        (
            json!({"name": "x", "scene": scene(), "tracker": {"new_track_score": 30}, "frames": []}),
            "new_track_score is 30; give a score from 0 to 1",
        ),
        (
            json!({"name": "x", "scene": scene(), "frames": [{"t_ms": 0, "people": [[1, 0, 0, 1]]}]}),
            "give [id, left, top, width, height]",
        ),
        (
            json!({"name": "x", "scene": scene(), "frames": [{"t_ms": 0, "people": []}, {"t_ms": 1, "detections": []}]}),
            "people and detections in one case",
        ),
        (
            json!({"name": "x", "scene": {"width": 1, "height": 1, "hold_ms": -1}, "frames": []}),
            "hold_ms is -1",
        ),
    ] {
        let reported = play(&case);
        assert_eq!(reported["name"], "x");
        let error = reported["error"].as_str().expect("a reason");
        assert!(error.contains(reason), "{error}");
        assert_eq!(reported.as_object().map(serde_json::Map::len), Some(2));
    }
    assert!(replay_case("{").contains("not JSON: EOF"));
    assert!(replay_case("name: x").contains("this is YAML"));
    let backwards_from_below = json!({"scene": scene(), "frames": [{"t_ms": -500, "people": [[1, 0.35, 0.2, 0.1, 0.4]]}, {"t_ms": 0, "people": [[1, 0.55, 0.2, 0.1, 0.4]]}]});
    let reported = play(&backwards_from_below);
    assert!(
        reported["events"][0]["t_ms"].as_f64().expect("a time") <= 0.0,
        "{reported}"
    );
}

#[test]
fn members_that_nothing_reads_are_named_at_every_level_with_the_nearest_known_name() {
    let mut case = json!({"name": "x", "scene": scene(), "trackers": {}, "tracker": {"birth_score": 0.3}, "frames": [
        {"t_ms": 0, "persons": []},
        {"t_ms": 50, "persons": [], "detection": []},
    ]});
    let scene = &mut case["scene"];
    scene["lost_grace"] = json!(10);
    scene["tracker"] = json!({"high-scores": 0.4});
    scene["zones"][0]["dwell_limit_ms"] = json!([10]);
    scene["lines"]
        .as_array_mut()
        .expect("lines")
        .push(json!({"name": "l", "start": [0, 0], "end": [1, 1], "direction": "in"}));
    let reported = play(&case);
    let unknown = "unknown member, ignored";
    assert_eq!(
        reported["ignored"],
        json!([
            format!("trackers: {unknown}; did you mean \"tracker\"?"),
            format!("scene: lost_grace: {unknown}; did you mean \"lost_grace_ms\"?"),
            format!("line \"l\": direction: {unknown}"),
            format!("zone \"hall\": dwell_limit_ms: {unknown}; did you mean \"dwell_limits_ms\"?"),
            format!("scene: tracker: high-scores: {unknown}; did you mean \"high_score\"?"),
            format!("tracker: birth_score: {unknown}"),
            format!("frames: persons: {unknown}"),
            format!("frames: detection: {unknown}; did you mean \"detections\"?"),
        ])
    );
}

#[test]
fn detections_may_have_classes_and_zones_and_lines_their_own() {
    let mut scene = scene();
    scene["lines"][0]["classes"] = json!([2]);
    let frames = |class: u64| -> Vec<Value> {
        let walk = through().into_iter().enumerate();
        walk.map(|(n, x)| json!({"t_ms": n * 50, "detections": [[x - 0.05, 0.2, 0.1, 0.4, 0.9, class]]}))
            .collect()
    };
    let person = play(&json!({"scene": scene, "frames": frames(0)}));
    assert_eq!(kinds(&person), ["enter", "dwell", "exit"]);
    let car = play(&json!({"scene": scene, "frames": frames(2)}));
    assert_eq!(kinds(&car), ["enter", "line", "dwell", "exit"]);
    assert_eq!(car["events"][1]["class"], 2);
    scene["zones"][0]["classes"] = json!([]);
    assert_eq!(
        kinds(&play(&json!({"scene": scene, "frames": frames(2)}))),
        ["line"]
    );
    for row in [json!([0, 0, 0.1, 0.1]), json!([0, 0, 0.1, 0.1, 0.9, 1.5])] {
        let wrong = play(&json!({"scene": scene, "frames": [{"t_ms": 0, "detections": [row]}]}));
        assert!(
            wrong["error"]
                .as_str()
                .is_some_and(|error| error.contains("frame 0: a detection is [left"))
        );
    }
}

#[test]
fn boxes_without_an_area_are_skipped_and_counted() {
    for (flat, detections) in [
        ([0.3, 0.2, 0.0, 0.4], false),
        ([0.3, 0.2, 0.1, -0.4], false),
        ([1.0, 0.2, 0.0, 0.4], true),
    ] {
        let frames: Vec<Value> = through()
            .iter()
            .enumerate()
            .map(|(n, x)| match detections {
                true => json!({"t_ms": n * 50, "detections": [[x - 0.05, 0.2, 0.1, 0.4, 0.9], [flat[0], flat[1], flat[2], flat[3], 0.9]]}),
                false => json!({"t_ms": n * 50, "people": [["flat", flat[0], flat[1], flat[2], flat[3]], [7, x - 0.05, 0.2, 0.1, 0.4]]}),
            })
            .collect();
        let reported = play(&json!({"scene": scene(), "frames": frames}));
        assert_eq!(kinds(&reported), ["enter", "line", "dwell", "exit"], "{reported}");
        assert_eq!(reported["skipped"], 100);
    }
}

#[test]
fn people_of_low_scores_are_people_where_the_tracker_is_told_so() {
    let frames: Vec<Value> = through()
        .iter()
        .enumerate()
        .map(|(n, x)| json!({"t_ms": n * 50, "detections": [[x - 0.05, 0.2, 0.1, 0.4, 0.35]]}))
        .collect();
    let low = json!({"high_score": 0.3, "low_score": 0.1, "new_track_score": 0.3});
    let mut case = json!({"scene": scene(), "frames": frames});
    assert_eq!(kinds(&play(&case)), Vec::<String>::new());
    case["scene"]["tracker"] = low.clone();
    assert_eq!(kinds(&play(&case)), ["enter", "line", "dwell", "exit"]);
    // What stands beside the scene wins.
    case["tracker"] = json!({"new_track_score": 0.5});
    assert_eq!(kinds(&play(&case)), Vec::<String>::new());
    case["scene"]["tracker"] = Value::Null;
    case["tracker"] = low;
    assert_eq!(kinds(&play(&case)), ["enter", "line", "dwell", "exit"]);
}

proptest! {
    #[test]
    fn any_numbers_are_played_or_refused(numbers in prop::collection::vec((any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()), 0..20), times in prop::collection::vec(any::<f64>(), 20)) {
        let frames: Vec<Value> = numbers.iter().zip(&times).map(|((l, t, w, h), time)| json!({"t_ms": time, "people": [[1, l, t, w, h]]})).collect();
        let reported = play(&json!({"name": "n", "scene": scene(), "frames": frames}));
        prop_assert!(reported.get("error").is_some() != reported.get("events").is_some());
    }
}
