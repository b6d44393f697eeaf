//! Forms that people have: the tutorial's events, documents around a twin, members that nothing reads, and the settings that
//! are this project's own.

use lva_spatial_analysis::*;
use lva_zones::EventKind;
use serde_json::{Value, json};

use crate::support::*;

fn read(config: &Value) -> Operation {
    Operation::from_json(&config.to_string()).unwrap_or_else(|error| panic!("{error}: {config}"))
}

fn refused(config: &Value) -> String {
    Operation::from_json(&config.to_string()).unwrap_err().to_string()
}

fn findings(operation: &Operation) -> Vec<String> {
    operation.findings().iter().map(ToString::to_string).collect()
}

fn zone_with(members: Value) -> Value {
    let mut zone = json!({"name": "queue", "polygon": [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9], [0.1, 0.9]]});
    zone.as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    json!({"zones": [zone]})
}

#[test]
fn the_tutorials_events_are_crossings() {
    for word in [
        "enter/exit",
        "Enter/Exit",
        "exit/enter",
        "enter_exit",
        "enter | exit",
        "enter",
        "zone-crossing",
    ] {
        let operation = read(&zone_with(
            json!({"events": [{"type": word, "config": {"trigger": "event"}}]}),
        ));
        assert_eq!(findings(&operation), [""; 0], "{word}");
        assert_eq!(operation.zone_names(), ["queue"]);
    }
    for events in [
        json!("zonecrossing"),
        json!(["enter"]),
        json!({"type": "enter/exit"}),
    ] {
        assert_eq!(findings(&read(&zone_with(json!({"events": events})))), [""; 0]);
    }
    let named = read(&zone_with(
        json!({"events": [{"type": "personZoneEnterExitEvent"}]}),
    ));
    assert_eq!(
        findings(&named),
        ["zone \"queue\": events: type \"personZoneEnterExitEvent\" is read as \"zonecrossing\""]
    );
    let twice = read(&zone_with(json!({"events": [
        {"type": "enter", "config": {"threshold": 16}}, {"type": "exit", "config": {"threshold": 48}},
    ]})));
    assert_eq!(
        findings(&twice),
        [
            "zone \"queue\": events: \"exit\" is there before with other settings, which hold for both: give one event of this type"
        ]
    );
    let message = refused(&zone_with(json!({"events": [{"type": "enter/loiter"}]})));
    assert!(
        message.contains("no type \"enter/loiter\" for a zone"),
        "{message}"
    );
}

#[test]
fn members_that_nothing_reads_are_named_at_every_level() {
    let config = json!({
        "zones": [{
            "name": "queue", "polygon": [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9], [0.1, 0.9]], "color": "red",
            "events": [{
                "type": "zonecrossing", "enabled": true, "threshold": 5,
                "config": {"trigger": "event", "min_speed": 3, "treshold": 16, "focus": "footprint"}
            }],
        }],
        "lines": [{
            "name": "gate", "line": {"start": {"x": 0.1, "y": 0.5}, "end": {"x": 0.9, "y": 0.5}, "thickness": 3},
            "direction": "in", "threshold": 50,
            "events": [{"type": "linecrossing", "config": {"cooldown": 5}}]
        }],
        "events": [{"type": "zonecrossing"}],
        "ai_parameters": {}, "zone": [], "Tracker": {"birth_score": 0.3, "new_track_scor": 0.3},
    });
    let mut found = findings(&read(&config));
    found.sort();
    let unknown = "unknown member, ignored";
    assert_eq!(
        found,
        [
            format!("ai_parameters: {unknown}; did you mean \"parameters\"?"),
            "events: not read here, events belong into a zone or a line: move them there".to_owned(),
            format!("line \"gate\": config: cooldown: {unknown}"),
            "line \"gate\": direction: not read: both directions are reported, CrossRight from left to right of who \
             stands at start and looks to end; exchange start and end to turn them"
                .to_owned(),
            format!("line \"gate\": line: thickness: {unknown}"),
            "line \"gate\": threshold: next to the line this is a confidence in percent, ignored: the detector's own threshold \
             decides; for a depth put it into the event's config"
                .to_owned(),
            format!("tracker: birth_score: {unknown}"),
            format!("tracker: new_track_scor: {unknown}; did you mean \"new_track_score\"?"),
            format!("zone \"queue\": color: {unknown}"),
            format!("zone \"queue\": config: min_speed: {unknown}"),
            format!("zone \"queue\": config: treshold: {unknown}; did you mean \"threshold\"?"),
            format!("zone \"queue\": events: enabled: {unknown}"),
            "zone \"queue\": events: threshold: not read here: put it into the event's config".to_owned(),
            format!("zone: {unknown}; did you mean \"zones\"?"),
        ]
    );
}

#[test]
fn known_members_of_every_form_are_not_remarked_on() {
    let config = json!({
        "zones": [{
            "name": "queue", "polygon": [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9], [0.1, 0.9]], "dwell_limits_ms": [1000],
            "focus": "center",
            "events": [{"type": "count", "config": {"trigger": "interval", "interval": 2, "output_frequency": 2}}],
        }],
        "lines": [{"line": {"@type": "#Microsoft.VideoAnalyzer.NamedLineString", "name": "l", "line": "[[0.1,0.2],[0.5,0.5]]"},
            "events": [{"threshold": "10", "focus": "bottomCenter"}]}],
        "tracker": {"high_score": 0.4}, "hold_ms": 50, "lost_grace_ms": 3000, "classes": ["person"],
    });
    assert_eq!(findings(&read(&config)), [""; 0]);
}

#[test]
fn a_member_that_is_written_twice_is_reported_and_the_last_one_counts() {
    let text = r#"{"zones": [], "zones": [{"name": "a", "name": "b", "polygon": [[0, 0], [1, 0], [1, 1]]}]}"#;
    let operation = Operation::from_json(text).unwrap();
    assert_eq!(operation.zone_names(), ["b"]);
    assert_eq!(
        findings(&operation),
        ["name", "zones"].map(|name| format!("{name}: written twice in one object, the last one counts"))
    );
    // Also inside a quoted one.
    let quoted = json!({"SPACEANALYTICS_CONFIG": text});
    assert_eq!(findings(&read(&quoted)).len(), 2);
}

#[test]
fn a_list_without_the_object_around_it_is_read_where_its_meaning_is_plain() {
    let corners = json!([[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]);
    let zone = json!({"name": "z", "polygon": corners});
    let line = json!({"name": "l", "start": [0, 0], "end": [1, 1]});
    let typed = json!({"zone": {"name": "z", "polygon": corners.to_string()}, "events": [{"type": "count"}]});
    for (list, zones, lines, words) in [
        (
            json!([zone]),
            1,
            0,
            "a list of 1 is read as \"zones\" of an object around it",
        ),
        (
            json!([typed]),
            1,
            0,
            "a list of 1 is read as \"zones\" of an object around it",
        ),
        (
            json!([line, zone]),
            1,
            1,
            "a list of 2 is read as \"zones\" and \"lines\" of an object around it",
        ),
    ] {
        let read = read(&list);
        assert_eq!((read.zone_names().len(), read.line_names().len()), (zones, lines));
        assert_eq!(findings(&read), [words]);
    }
    let operation = |name: &str| {
        json!({"operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon", "name": name,
            "parameters": {"SPACEANALYTICS_CONFIG": json!({"zones": [zone]}).to_string()}})
    };
    let list =
        json!([operation("door"), {"enabled": false, "parameters": {}}, operation(""), operation("door")]);
    let all = Operation::all_from_twin(&list.to_string()).unwrap();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["3", "4", "door"]);
    assert_eq!(
        findings(&all[0].1)[0],
        "a list of 4 is read as \"graphs\" of an object around it"
    );
    assert_eq!(
        Operation::all_from_twin(&json!([operation("door")]).to_string())
            .unwrap()
            .len(),
        1
    );
    for other in ["[]", "[1, 2]", "[{}, {}]", r#"[{"operationId": "x"}, 7]"#] {
        let error = Operation::all_from_twin(other).unwrap_err();
        assert!(matches!(error, OperationError::NotAnObject), "{other}: {error}");
    }
}

#[test]
fn what_is_no_json_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("twin.json");
    let text = r#"{"zones": [{"name": "z", "polygon": [[0, 0], [1, 0], [1, 1]]}]}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, words) in [
        (
            &b"{\n  // the door\n  \"zones\": []}"[..],
            "a comment at line 2, column 3: JSON has none",
        ),
        (b"{\"zones\": [],\n}", "trailing comma at line 2 column 1"),
        (b"{\"zones\": []} # all", "a comment at line 1, column 15"),
        (b"zones:\n  - name: z\n", "this is YAML: convert it to JSON"),
        (b"- name: z\n  polygon: []\n", "this is YAML: convert it to JSON"),
        (
            &[&[0xff, 0xfe], &utf16[..]].concat(),
            "text in UTF-16: save it as UTF-8",
        ),
        (b"{\"name\": \"caf\xe9\"}", "invalid UTF-8 at byte 13"),
        (b"<html>", "a page in HTML or XML: download the file itself"),
        (b" ", "an empty file"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        for error in [
            Operation::from_file(&path).unwrap_err(),
            Operation::all_from_file(&path).unwrap_err(),
        ] {
            assert!(matches!(error, OperationError::NotJson { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    std::fs::write(&path, ["\u{feff}", text].concat()).unwrap();
    assert_eq!(Operation::from_file(&path).unwrap().zone_names(), ["z"]);
    // Inside of a string alike.
    let quoted = json!({"SPACEANALYTICS_CONFIG": "{'zones': []}"});
    let error = Operation::from_json(&quoted.to_string()).unwrap_err().to_string();
    assert!(error.contains("an object as Python prints it"), "{error}");
}

#[test]
fn documents_around_a_twin_are_opened() {
    let graphs = json!({
        "door": {"operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon", "version": 2,
            "parameters": {"SPACEANALYTICS_CONFIG": zone_with(json!({})).to_string(), "BINDING_ADDRESS": "0.0.0.0:50051"}},
        "off": {"enabled": "false"},
    });
    let desired = json!({"globalSettings": {}, "graphs": graphs});
    let module = json!({"properties.desired": desired});
    let manifest =
        json!({"modulesContent": {"$edgeAgent": {"properties.desired": {}}, "spatialAnalysis": module}});
    let layered =
        json!({"properties.desired.graphs.door": graphs["door"], "properties.desired.globalSettings": {}});
    let mut quoted = desired.clone();
    quoted["graphs"]["door"]["parameters"] = graphs["door"]["parameters"].to_string().into();
    for document in [
        desired.clone(),
        quoted,
        json!([desired]),
        layered.clone(),
        json!({"modulesContent": {"spatialAnalysis": layered}}),
        module.clone(),
        json!({"desired": desired}),
        json!({"deviceId": "d", "moduleId": "m", "version": 3, "properties": {"desired": desired, "reported": {}}}),
        manifest.clone(),
        json!({"id": "a", "content": manifest, "priority": 3}),
    ] {
        let all = Operation::all_from_twin(&document.to_string()).unwrap();
        assert_eq!(all.len(), 1, "{document}");
        assert_eq!(
            (all[0].0.as_str(), all[0].1.zone_names()),
            ("door", vec!["queue"])
        );
        let found = findings(&all[0].1).join("\n");
        assert!(found.contains("BINDING_ADDRESS: not applied"), "{found}");
        assert_eq!(
            found.contains("module \"spatialAnalysis\""),
            document.to_string().contains("modulesContent")
        );
        assert_eq!(read(&document).zone_names(), ["queue"]);
    }
}

#[test]
fn operations_in_a_list_and_configurations_quoted_twice_are_read() {
    let operation = |camera: &str| {
        let quoted = json!(zone_with(json!({})).to_string()).to_string();
        json!({"operationId": "cognitiveservices. vision. spatialanalysis-personcrossingpolygon",
            "parameters": {"VIDEO_SOURCE_ID": camera, "SPACEANALYTICS_CONFIG": quoted}})
    };
    let list = json!({"graphs": [operation("one"), operation("two")]});
    let all = Operation::all_from_twin(&list.to_string()).unwrap();
    let cameras: Vec<_> = all
        .iter()
        .map(|(name, operation)| (name.as_str(), operation.source_id(), operation.zone_names()))
        .collect();
    assert_eq!(
        cameras,
        [
            ("1", Some("one"), vec!["queue"]),
            ("2", Some("two"), vec!["queue"])
        ]
    );
    assert!(refused(&json!([1, 2])).contains("not an object"));
}

#[test]
fn what_holds_no_operation_says_so() {
    let off = json!({"graphs": {"a": {"enabled": false}, "b": {"enabled": "False", "instances": {"1": {}}},
        "c": {"instances": {"1": {"enabled": false}}}}});
    for message in [
        refused(&off),
        Operation::all_from_twin(&off.to_string())
            .unwrap_err()
            .to_string(),
    ] {
        assert!(
            message.contains("all 3 operations under \"graphs\" are disabled (a, b, c/1)"),
            "{message}"
        );
    }
    assert!(refused(&json!({"graphs": {}})).contains("\"graphs\" holds no operation"));
    let manifest = json!({"modulesContent": {"$edgeHub": {}, "lvaEdge": {"properties.desired": {}}}});
    assert!(refused(&manifest).contains("(its modules: $edgeHub, lvaEdge)"));
    let other = refused(&json!({"ai_parameters": {"secret": "geheim"}, "events": []}));
    assert!(
        other.contains("nothing to watch") && other.contains("(it has ai_parameters, events)"),
        "{other}"
    );
    assert!(!other.contains("geheim"));
}

#[test]
fn dwell_limits_are_reported_while_a_visit_goes_on() {
    let limits = |value: Value| {
        let operation = read(&zone_with(
            json!({"dwell_limits_ms": value, "focus": "bottom_center"}),
        ));
        let mut engine = lva_zones::Engine::new(operation.scene(SceneOptions::default()).unwrap());
        let person = lva_zones::Observation::new(
            lva_zones::TrackId(1),
            lva_zones::BoundingBox::new(0.4, 0.3, 0.1, 0.3),
        );
        let mut found = Vec::new();
        for frame in 0..40 {
            for event in engine.update(frame * SECOND / 10, &[person]).unwrap() {
                match event.kind {
                    EventKind::DwellExceeded { limit_90k, .. } => found.push(limit_90k / 90),
                    EventKind::Enter { .. } => found.push(0),
                    other => panic!("{other:?}"),
                }
            }
        }
        found
    };
    assert_eq!(limits(json!([2000, 1000])), [0, 1000, 2000]);
    assert_eq!(limits(json!(["1500"])), [0, 1500]);
    assert_eq!(limits(json!(3000)), [0, 3000]);
    assert_eq!(limits(json!(null)), [0]);
    for wrong in [json!([-1]), json!(["a"]), json!({"ms": 1})] {
        let message = refused(&zone_with(json!({"dwell_limits_ms": wrong})));
        assert!(
            message.contains("zone \"queue\": dwell_limits_ms: give milliseconds"),
            "{message}"
        );
    }
}

/// A walk through the scene, detected with this score and class.
fn walked(scene: &Value, score: f32, class: u16) -> Vec<(String, String)> {
    events(&reported(scene, score, class))
}

fn reported(scene: &Value, score: f32, class: u16) -> Vec<lva_inference_schema::Inference> {
    let script = walk(10).into_iter().map(|(_, found)| {
        let seen = found.into_iter();
        seen.map(|person| lva_inference::Detection {
            score,
            class,
            ..person
        })
        .collect()
    });
    let detector = Scripted::new(script).with_class_names(["dog", "person", "car"]);
    let operation = read(scene);
    let mut analysis = SpatialAnalysis::new(detector, &operation, AnalysisOptions::default(), 7).unwrap();
    let reported = play(&mut analysis, walk(10).into_iter().map(|(time, _)| time));
    reported.into_iter().flat_map(|(_, message)| message).collect()
}

#[test]
fn a_configuration_sets_the_tracker_beside_zones_or_around_them() {
    let scene: Value = serde_json::from_str(SCENE).unwrap();
    let low = json!({"high_score": 0.3, "low_score": 0.1, "new_track_score": "0.3"});
    assert!(walked(&scene, 0.35, 1).is_empty());
    let mut beside = scene.clone();
    beside["tracker"] = low.clone();
    assert_eq!(walked(&beside, 0.35, 1).len(), 3);
    let around = json!({"SPACEANALYTICS_CONFIG": scene.to_string(), "tracker": low});
    assert_eq!(walked(&around, 0.35, 1).len(), 3);
    // What stands beside the zones wins.
    let both = json!({"SPACEANALYTICS_CONFIG": beside, "tracker": {"new_track_score": 0.9}});
    assert_eq!(walked(&both, 0.35, 1).len(), 3);
    let mut wrong = scene;
    wrong["tracker"] = json!({"new_track_score": 30, "lost_ms": -1});
    let message = refused(&wrong);
    assert!(
        message.contains("tracker: new_track_score: 30 is not possible; give a score from 0 to 1")
            && message.contains("tracker: lost_ms: -1 is not possible; give milliseconds"),
        "{message}"
    );
}

#[test]
fn an_operation_follows_the_classes_that_it_names() {
    let mut scene: Value = serde_json::from_str(SCENE).unwrap();
    assert_eq!(
        (walked(&scene, 0.9, 1).len(), walked(&scene, 0.9, 2).len()),
        (3, 0)
    );
    scene["classes"] = json!(["Car", "dog"]);
    assert_eq!(
        (walked(&scene, 0.9, 1).len(), walked(&scene, 0.9, 2).len()),
        (0, 3)
    );
    // Entities carry the class.
    let script = walk(10).into_iter().map(|(_, found)| {
        found
            .into_iter()
            .map(|p| lva_inference::Detection { class: 2, ..p })
            .collect()
    });
    let detector = Scripted::new(script).with_class_names(["dog", "person", "car"]);
    let operation = read(&scene);
    let mut analysis = SpatialAnalysis::new(detector, &operation, AnalysisOptions::default(), 7).unwrap();
    let reported = play(&mut analysis, walk(10).into_iter().map(|(time, _)| time));
    let tags: Vec<String> = reported
        .iter()
        .flat_map(|(_, message)| message)
        .filter_map(|inference| match &inference.value {
            lva_inference_schema::InferenceValue::Entity(entity) => Some(entity.tag.value.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(tags, ["car"; 3]);
    let events = reported.iter().flat_map(|(_, message)| message);
    let classes: Vec<&str> = events
        .filter_map(|inference| match &inference.value {
            lva_inference_schema::InferenceValue::Event(event) => Some(event.properties["class"].as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(classes, ["car"; 3]);
    // A class that the model does not have.
    scene["classes"] = json!("boat");
    let detector = Scripted::new([]).with_class_names(["person"]);
    let error = SpatialAnalysis::new(detector, &read(&scene), AnalysisOptions::default(), 7).unwrap_err();
    assert!(error.to_string().contains("no class 'boat'"), "{error}");
    // One that it has and does not report.
    scene["classes"] = json!(["person", "car"]);
    let detector = Scripted::new([])
        .with_class_names(["dog", "person", "car"])
        .with_classes_kept([0, 1]);
    let error = SpatialAnalysis::new(detector, &read(&scene), AnalysisOptions::default(), 7).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("class 'car' is not detected here, only dog, person: add it to --classes"),
        "{error}"
    );
    for wrong in [json!([]), json!([true]), json!([""]), json!({})] {
        scene["classes"] = wrong;
        assert!(refused(&scene).contains("classes: give the names"));
    }
}

#[test]
fn zones_lines_and_events_may_have_classes_of_their_own() {
    let names = |operation: &Operation| operation.classes().map(|names| names.join(","));
    let mut scene: Value = serde_json::from_str(SCENE).unwrap();
    scene["zones"][0]["classes"] = json!(["Car"]);
    // The zone is for cars, the line for people as ever.
    assert_eq!(names(&read(&scene)).as_deref(), Some("person,Car"));
    let places = |found: Vec<(String, String)>| found.into_iter().map(|(_, place)| place).collect::<Vec<_>>();
    assert_eq!(places(walked(&scene, 0.9, 0)), [""; 0]);
    assert_eq!(places(walked(&scene, 0.9, 1)), ["gate"]);
    assert_eq!(places(walked(&scene, 0.9, 2)), ["door", "door"]);
    // Every element has its own: people are not followed. Numbers are those of the model.
    scene["lines"][0]["classes"] = json!([0, "car"]);
    assert_eq!(names(&read(&scene)).as_deref(), Some("Car,0"));
    assert_eq!(places(walked(&scene, 0.9, 0)), ["gate"]);
    assert_eq!(places(walked(&scene, 0.9, 1)), [""; 0]);
    assert_eq!(places(walked(&scene, 0.9, 2)), ["door", "door", "gate"]);
    // What stands beside them is for those that name none, and so are the classes of a server.
    scene["zones"][0]["classes"] = Value::Null;
    let mut served = read(&scene);
    served.set_default_classes(&["dog".to_owned()]);
    assert_eq!(names(&served).as_deref(), Some("dog,0,car"));
    scene["classes"] = json!("dog");
    let mut beside = read(&scene);
    assert_eq!(names(&beside).as_deref(), Some("dog,0,car"));
    beside.set_default_classes(&["person".to_owned()]);
    assert_eq!(names(&beside).as_deref(), Some("dog,0,car"), "its own win");
    assert_eq!(places(walked(&scene, 0.9, 0)), ["door", "door", "gate"]);
    assert_eq!(places(walked(&scene, 0.9, 2)), ["gate"]);
    // An event alone: who enters is a person, and cars are counted.
    let mut counted: Value = serde_json::from_str(SCENE).unwrap();
    counted["zones"][0]["events"] =
        json!([{"type": "zonecrossing"}, {"type": "count", "config": {"classes": "car"}}]);
    let happened = |class| {
        let all = reported(&counted, 0.9, class).into_iter();
        let named = all.filter_map(|inference| match inference.value {
            lva_inference_schema::InferenceValue::Event(event) => Some((
                event.name,
                event.properties.get("personCount").cloned().unwrap_or_default(),
            )),
            _ => None,
        });
        named.collect::<Vec<_>>()
    };
    let event = |name: &str, count: &str| (name.to_owned(), count.to_owned());
    let (count, entered, crossed) = ("personCountEvent", "personZoneEvent", "personLineEvent");
    assert_eq!(
        happened(1),
        [
            event(count, "0.0"),
            event(entered, ""),
            event(entered, ""),
            event(crossed, "")
        ]
    );
    assert_eq!(
        happened(2),
        [event(count, "0.0"), event(count, "1.0"), event(count, "0.0")]
    );
    let message = refused(&zone_with(json!({"classes": [""]})));
    assert!(
        message.contains("zone \"queue\": classes: give the names of classes"),
        "{message}"
    );
    let unknown = zone_with(json!({"classes": ["boat"]}));
    let detector = Scripted::new([]).with_class_names(["person"]);
    let error = SpatialAnalysis::new(detector, &read(&unknown), AnalysisOptions::default(), 7).unwrap_err();
    assert!(error.to_string().contains("no class 'boat'"), "{error}");
}

#[test]
fn an_operation_knows_its_camera() {
    let operation = read(&json!({"SPACEANALYTICS_CONFIG": SCENE, "VIDEO_SOURCE_ID": "camera 1"}));
    assert_eq!(
        (operation.source_id(), findings(&operation).len()),
        (Some("camera 1"), 0)
    );
    assert_eq!(read(&json!({"SPACEANALYTICS_CONFIG": SCENE})).source_id(), None);
}
