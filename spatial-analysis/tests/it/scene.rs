//! `SPACEANALYTICS_CONFIG` in its generations, valid and invalid.

use lva_spatial_analysis::*;
use lva_zones::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The operation of a `SPACEANALYTICS_CONFIG`.
fn operation(id: &str, config: Value) -> Result<Operation, OperationError> {
    let document = json!({"operationId": id, "SPACEANALYTICS_CONFIG": config});
    Operation::from_json(&document.to_string())
}

fn read(config: Value) -> Operation {
    operation("spatialanalysis", config).expect("a valid configuration")
}

fn scene(operation: &Operation) -> Scene {
    operation.scene(SceneOptions::default()).expect("a valid scene")
}

fn refused(config: Value) -> String {
    operation("spatialanalysis", config)
        .expect_err("a configuration with mistakes")
        .to_string()
}

fn zone(polygon: Value, events: Value) -> Value {
    json!({"zones": [{"name": "door", "polygon": polygon, "events": events}]})
}

fn square() -> Value {
    json!([[0.2, 0.3], [0.8, 0.3], [0.8, 0.9], [0.2, 0.9], [0.2, 0.3]])
}

/// The depth at which a person who walks in has entered, found with the engine itself.
fn enter_depth(scene: Scene) -> f64 {
    let mut engine = Engine::new(scene);
    for step in 0..4000u64 {
        let x = 0.1 + step as f64 * 1e-4;
        let bbox = BoundingBox::new(x as f32 - 0.05, 0.4, 0.1, 0.2);
        let events = engine
            .update(step * 90_000, &[Observation::new(TrackId(1), bbox)])
            .expect("a valid frame");
        if !events.is_empty() {
            return x - 0.2;
        }
    }
    f64::NAN
}

/// Where no threshold is given.
const AUTO: f64 = 0.004;

/// Who walks as slowly as this one is inside by the average where no threshold is given.
fn is_depth(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 2e-4 || (expected == AUTO && found > 0.0 && found < AUTO)
}

#[test]
fn thresholds_of_all_generations_become_shares_of_the_width() {
    for (events, depth) in [
        (
            json!([{"type": "zonecrossing", "config": {"trigger": "event", "threshold": 48.0, "focus": "footprint"}}]),
            0.075,
        ),
        (
            json!([{"type": "zonecrossing", "config": {"threshold": "16", "focus": "bottom_center"}}]),
            0.025,
        ),
        (
            json!([{"type": "zonecrossing", "config": {"threshold": 0.0253}}]),
            0.0253,
        ),
        (
            json!([{"eventType": "zoneCrossing", "threshold": "48", "focus": "bottomCenter"}]),
            0.075,
        ),
        (
            json!([{"type": "zone_crossing", "config": {"trigger": "event"}}]),
            AUTO,
        ),
        (json!([]), AUTO),
    ] {
        let read = read(zone(square(), events));
        assert!(is_depth(enter_depth(scene(&read)), depth));
        assert_eq!(read.findings(), []);
    }
}

#[test]
fn a_threshold_next_to_the_polygon_is_a_confidence_and_ignored() {
    let config = json!({"zones": [{"name": "door", "polygon": square(), "threshold": 50.0, "events": [{"type": "zone_crossing", "config": {"trigger": "event"}}]}]});
    let read = read(config);
    assert!(is_depth(enter_depth(scene(&read)), AUTO));
    assert!(
        read.findings()[0]
            .to_string()
            .starts_with("zone \"door\": threshold: next to the polygon")
    );
}

#[test]
fn lines_are_read_in_all_their_forms() {
    for line in [
        json!({"name": "l", "line": {"start": {"x": 0, "y": 0.5}, "end": {"x": 1, "y": 0.5}}}),
        json!({"name": "l", "line": {"start": {"x": "0", "y": "0.5"}, "end": {"x": "1", "y": "0.5"}}, "events": [{"type": "linecrossing", "config": {"trigger": "event", "threshold": 16.0, "focus": "footprint"}}]}),
        json!({"line": {"@type": "#Microsoft.VideoAnalyzer.NamedLineString", "name": "l", "line": "[[0, 0.5], [1, 0.5]]"}, "events": [{"threshold": "10", "focus": "footprint"}]}),
        json!({"name": "l", "start": [0, 0.5], "end": [1, 0.5]}),
    ] {
        let read = read(json!({"lines": [line]}));
        assert_eq!(read.line_names(), ["l"]);
    }
}

#[test]
fn a_configuration_may_be_a_text_and_a_zone_be_wrapped() {
    let wrapped = json!({"Zones": [{"zone": {"@type": "#Microsoft.VideoAnalyzer.NamedPolygonString", "name": "z", "polygon": "[[0.3,0.2],[0.9,0.8],[0.2,0.9]]"},
        "events": [{"eventType": "zonecrossing", "threshold": "5", "focus": "footprint"}]}]});
    let read = read(Value::String(wrapped.to_string()));
    assert_eq!(read.zone_names(), ["z"]);
}

#[test]
fn mistakes_name_the_zone_the_member_and_the_remedy() {
    for (config, message) in [
        (
            zone(json!([[0, 0], [1, 1], [1, 0], [0, 1]]), json!([])),
            "zone \"door\": polygon crosses itself, edges 1 and 3 meet; reorder its corners",
        ),
        (
            zone(json!([[0, 0], [1, 1], [0, 0]]), json!([])),
            "zone \"door\": polygon has 2 different corners; give at least 3",
        ),
        (
            zone(json!([[0, 0], [1, 1], [0.5, 0.5]]), json!([])),
            "zone \"door\": all corners of polygon lie on one line; give corners around an area",
        ),
        (
            json!({"zones": [{"name": "x\u{1b}[2J", "polygon": square()}]}),
            "zone number 1 has a control character in its name; remove it, logs and events carry the name",
        ),
        (
            json!({"zones": [{"name": "x".repeat(257), "polygon": square()}]}),
            "zone number 1 has a name of more than 256 characters; shorten it, its events carry it",
        ),
        (
            zone(json!([[0, 0], [1, "NaN"], [1, 1]]), json!([])),
            "zone \"door\": polygon: point 2 is not [x, y] with two numbers",
        ),
        (
            zone(json!([[0, 0], [640, 0], [1, 1]]), json!([])),
            "\"door\": polygon is 640; give a finite number, a fraction of the frame, 0 to 1",
        ),
        (
            zone(Value::Null, json!([])),
            "zone \"door\": polygon: missing; give an array of points [[x, y], …]",
        ),
        (
            zone(
                square(),
                json!([{"type": "zonecrossing", "config": {"trigger": "interval"}}]),
            ),
            "zone \"door\": trigger: \"interval\" is not possible for crossings; give \"event\"",
        ),
        (
            zone(
                square(),
                json!([{"type": "zonecrossing", "config": {"focus": "head"}}]),
            ),
            "zone \"door\": focus: no focus \"head\"; give footprint, bottom_center or center",
        ),
        (
            zone(
                square(),
                json!([{"type": "zonecrossing", "config": {"threshold": -1}}]),
            ),
            "zone \"door\": threshold: -1 is not a threshold; give 1 or more pixels of a frame 640 wide, or a share of the width below 1",
        ),
        (
            zone(
                square(),
                json!([{"type": "count", "config": {"trigger": "sometimes"}}]),
            ),
            "zone \"door\": trigger: no trigger \"sometimes\"; give \"event\" or \"interval\"",
        ),
        (
            zone(
                square(),
                json!([{"type": "count", "config": {"output_frequency": 0}}]),
            ),
            "zone \"door\": output_frequency: 0 is not possible; give an integer, every n-th event is reported, 1 to 1000000000",
        ),
        (
            zone(
                square(),
                json!([{"type": "persondistance", "config": {"minimum_distance_threshold": "near"}}]),
            ),
            "zone \"door\": minimum_distance_threshold: \"near\" is not possible; give feet, 0 to 10000",
        ),
        (
            zone(
                square(),
                json!([{"type": "persondistance", "config": {"minimum_distance_threshold": 35, "maximum_distance_threshold": 6}}]),
            ),
            "\"door\": minimum_distance_threshold is 35; give a finite number, less than maximum_distance_threshold",
        ),
        (
            zone(
                square(),
                json!([{"type": "persondistance", "config": {"aggregation_method": "median"}}]),
            ),
            "zone \"door\": aggregation_method: no method \"median\"; give \"mode\" or \"average\"",
        ),
        (
            zone(square(), json!([{"type": "linecrossing"}])),
            "zone \"door\": events: no type \"linecrossing\" for a zone; give \"zonecrossing\", \"zonedwelltime\", \"count\" or \"persondistance\"",
        ),
        (
            json!({"zones": [{"polygon": square()}]}),
            "zone number 1 has no name; give it one, its events carry the name",
        ),
        (
            json!({"lines": [{"name": "l", "line": [[0.5, 0.5], [0.5, 0.5]]}]}),
            "line \"l\": start and end are the same point; move one of them",
        ),
        (
            json!({"lines": [{"name": "l", "line": {"start": {"x": 1}}}]}),
            "line \"l\": line: start or end is missing; give {\"start\": {\"x\", \"y\"}, \"end\": {\"x\", \"y\"}}",
        ),
        (
            json!({"zones": []}),
            "configuration: nothing to watch; the operation needs zones or lines",
        ),
        (
            json!([1]),
            "configuration: not an object; give {\"zones\": […]} or {\"lines\": […]}",
        ),
        (
            json!("{"),
            "configuration: not JSON: EOF while parsing an object at line 1 column 1: fix the syntax there",
        ),
    ] {
        assert_eq!(refused(config), message);
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let config = json!({
        "zones": [{"name": "a", "polygon": [[0, 0]]}, {"name": "a", "polygon": square()}],
        "lines": [{"name": "l", "line": 7}]
    });
    let error = operation("spatialanalysis", config).expect_err("three mistakes");
    let OperationError::Invalid { findings } = &error else {
        panic!("{error}")
    };
    assert_eq!(findings.len(), 3, "{error}");
}

#[test]
fn what_lies_outside_the_frame_or_cannot_be_entered_is_a_warning() {
    let read = read(zone(
        json!([[-0.1, 0.3], [0.1, 0.3], [0.1, 0.31]]),
        json!([{"type": "zonecrossing", "config": {"threshold": 48}}]),
    ));
    let warnings: Vec<String> = read.findings().iter().map(ToString::to_string).collect();
    assert!(warnings[0].contains("outside the frame"), "{warnings:?}");
    assert!(warnings[1].contains("can never be entered"), "{warnings:?}");
}

#[test]
fn operations_are_known_by_their_ids() {
    let prefix = "cognitiveservices.vision.spatialanalysis";
    for (id, kind) in [
        (
            format!("{prefix}-personcrossingpolygon"),
            OperationKind::PersonCrossingPolygon,
        ),
        (
            format!("{prefix}-personcrossingpolygon.livevideoanalytics.debug"),
            OperationKind::PersonCrossingPolygon,
        ),
        (
            format!("{prefix}-personcrossingline.azurevideoanalyzer"),
            OperationKind::PersonCrossingLine,
        ),
        (format!("{prefix}-personcount.debug"), OperationKind::PersonCount),
        (format!("{prefix}-persondistance"), OperationKind::PersonDistance),
        (format!("{prefix}.livevideoanalytics"), OperationKind::Any),
        (prefix.to_owned(), OperationKind::Any),
        ("personcrossingline".to_owned(), OperationKind::PersonCrossingLine),
    ] {
        assert_eq!(id.parse(), Ok(kind), "{id}");
    }
    assert!("facedetection".parse::<OperationKind>().is_err());
}

#[test]
fn an_operation_watches_only_its_kind() {
    let both = json!({"zones": [{"name": "z", "polygon": square()}], "lines": [{"name": "l", "line": [[0, 0], [1, 1]]}]});
    let read = operation("personcrossingline", both.clone()).expect("valid");
    assert_eq!((read.zone_names().len(), read.line_names().len()), (0, 1));
    assert_eq!(
        read.findings()[0].to_string(),
        "zones: not watched by this operation, ignored"
    );
    let read = operation("personcrossingpolygon", both).expect("valid");
    assert_eq!((read.zone_names().len(), read.line_names().len()), (1, 0));
    let none = operation("personcrossingline", json!({"lines": []})).expect_err("nothing");
    assert!(none.to_string().contains("needs lines"));
}

/// JSON near a configuration.
fn near_miss() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<f64>().prop_map(Value::from),
        (0.0..1.0f64).prop_map(Value::from),
        prop::sample::select(vec![
            "zonecrossing",
            "event",
            "[[0,0],[1,0],[1,1]]",
            "16",
            "door",
            "count",
            "persondistance",
            "interval"
        ])
        .prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "zones",
        "lines",
        "name",
        "polygon",
        "line",
        "start",
        "end",
        "x",
        "y",
        "events",
        "type",
        "config",
        "threshold",
        "focus",
        "trigger",
        "zone",
        "interval",
        "output_frequency",
        "minimum_distance_threshold",
    ]);
    leaf.prop_recursive(6, 80, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn anything_is_a_scene_or_an_error_with_findings(config in near_miss()) {
        match operation("spatialanalysis", config) {
            Ok(operation) => prop_assert!(!scene(&operation).is_empty()),
            Err(OperationError::Invalid { findings }) => prop_assert!(!findings.is_empty() && findings.iter().all(|f| !f.to_string().is_empty())),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

#[test]
fn the_published_mix_of_operations_is_read_whole() {
    let event = |kind: &str| json!({"type": kind, "config": {"trigger": "event", "output_frequency": 1, "focus": "footprint", "minimum_distance_threshold": 6.0, "maximum_distance_threshold": 35.0}});
    let config = json!({
        "lines": [{"name": "doorcamera", "line": {"start": {"x": 0, "y": 0.5}, "end": {"x": 1, "y": 0.5}}, "events": [event("linecrossing")]}],
        "zones": [{"name": "lobbycamera", "polygon": [[0.3, 0.3],[0.3, 0.9],[0.6, 0.9],[0.6, 0.3],[0.3, 0.3]],
            "events": [event("persondistance"), event("count"), event("zonecrossing"), event("zonedwelltime")]}]});
    let read = read(config);
    assert_eq!(read.findings(), []);
    let mut engine = Engine::new(scene(&read));
    let person = Observation::new(TrackId(1), BoundingBox::new(0.4, 0.3, 0.1, 0.3));
    let mut names = Vec::new();
    for frame in 0..10 {
        for event in engine.update(frame * 9000, &[person]).expect("valid") {
            names.push(
                format!("{} {:?}", event.name, event.kind)
                    .split([' ', '(', '{'])
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
    }
    // Without ground distances are reported as unknown.
    assert_eq!(
        names,
        [
            "lobbycamera Count",
            "lobbycamera Distance",
            "lobbycamera Enter",
            "lobbycamera Count"
        ]
    );
}

#[test]
fn operations_take_what_is_theirs_of_a_mix() {
    let config = || zone(square(), json!([{"type": "count"}, {"type": "zonecrossing"}]));
    let read = operation("personcount", config()).expect("valid");
    assert_eq!(
        read.findings()[0].to_string(),
        "zone \"door\": events: type \"zonecrossing\" belongs to another operation, ignored"
    );
    // Without events an operation does what it is for.
    for (id, first) in [
        ("personcount", "Count"),
        ("persondistance", "Distance"),
        ("personcrossingpolygon", ""),
    ] {
        let read = operation(id, zone(square(), json!([]))).expect("valid");
        let events = Engine::new(scene(&read)).update(0, &[]).expect("valid");
        let labels: Vec<String> = events.iter().map(|e| format!("{:?}", e.kind)).collect();
        assert!(
            labels.join(" ").starts_with(first) && labels.is_empty() == first.is_empty(),
            "{labels:?}"
        );
    }
}
