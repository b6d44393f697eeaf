//! What is watched, from every form in which it is written.

use lva_sample_world::{World, WorldOptions};
use lva_spatial_analysis::*;
use serde_json::json;

const ZONES: &str = r#"{"zones":[{"name":"polygon0","polygon":[[0.2,0.3],[0.8,0.3],[0.8,0.9],[0.2,0.9],[0.2,0.3]],
    "events":[{"type":"zonecrossing","config":{"trigger":"event","threshold":16.0,"focus":"footprint"}}]}]}"#;

fn findings(config: &Operation) -> Vec<String> {
    config.findings().iter().map(ToString::to_string).collect()
}

fn refused(text: &str) -> String {
    let error = Operation::from_json(text).expect_err(text);
    error.to_string()
}

#[test]
fn a_bare_space_analytics_config() {
    let config = Operation::from_json(ZONES).unwrap();
    assert_eq!(config.zone_names(), ["polygon0"]);
    assert_eq!(config.line_names(), [""; 0]);
    assert_eq!(findings(&config), [""; 0]);
}

#[test]
fn a_scene_file_with_zones_and_lines() {
    let config = Operation::from_json(crate::support::SCENE).unwrap();
    assert_eq!(
        (config.zone_names(), config.line_names()),
        (vec!["door"], vec!["gate"])
    );
}

#[test]
fn a_truth_file_of_the_sample_world_is_a_scene_file() {
    let options = WorldOptions {
        width: 64,
        height: 64,
        seconds: 0.1,
        ..Default::default()
    };
    let world = World::new(3, options).unwrap();
    let truth = world.scene();
    let mut file = serde_json::to_value(truth).unwrap();
    file["frames"] = json!([{"index": 0, "people": []}]);
    let config = Operation::from_json(&file.to_string()).unwrap();
    let names: Vec<String> = truth.zones.iter().map(|zone| zone.name.clone()).collect();
    assert!(!names.is_empty());
    assert_eq!(config.zone_names(), names);
    assert_eq!(config.line_names().len(), truth.lines.len());
    let odd: Vec<String> = findings(&config)
        .into_iter()
        .filter(|f| f.contains("ignored"))
        .collect();
    assert_eq!(odd, [""; 0]);
}

#[test]
fn an_operation_as_in_a_deployment_manifest_with_what_means_nothing_here_reported() {
    let operation = json!({
        "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon.livevideoanalytics.debug",
        "version": 1,
        "enabled": true,
        "parameters": {
            "EULA": "accept", "BILLING": "https://secret.example", "APIKEY": "secret-key",
            "VIDEO_URL": "rtsp://user:secret@camera/1",
            "DETECTOR_NODE_CONFIG": "{\"gpu_index\": 0, \"do_calibration\": true}",
            "Own_Member": 1,
            "SPACEANALYTICS_CONFIG": ZONES,
        }
    });
    let config = Operation::from_json(&operation.to_string()).unwrap();
    assert_eq!(config.zone_names(), ["polygon0"]);
    let mut found = findings(&config);
    found.sort();
    assert_eq!(
        found,
        [
            "APIKEY: not needed, nothing is billed here",
            "BILLING: not needed, nothing is billed here",
            "DETECTOR_NODE_CONFIG: not applied, the server chooses its detector",
            "EULA: not needed, nothing is licensed here",
            "Own_Member: unknown member, ignored",
            "VIDEO_URL: not opened, frames come from the client",
        ]
    );
    assert!(!found.join(" ").contains("secret"));
}

#[test]
fn a_containers_environment_without_parameters_around_it() {
    let environment = json!({"EULA": "accept", "spaceanalytics_config": serde_json::from_str::<serde_json::Value>(ZONES).unwrap()});
    let config = Operation::from_json(&environment.to_string()).unwrap();
    assert_eq!(config.zone_names(), ["polygon0"]);
    assert_eq!(config.findings().len(), 1);
}

#[test]
fn a_typed_operation_of_video_analyzer() {
    let operation = json!({
        "@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisPersonLineCrossingOperation",
        "debug": "false",
        "trackerNodeConfiguration": "{\"enable_speed\": true}",
        "lines": [{
            "line": {"@type": "#Microsoft.VideoAnalyzer.NamedLineString", "name": "l", "line": "[[0.46,0.24],[0.59,0.55]]"},
            "events": [{"threshold": "10", "focus": "footprint"}]
        }]
    });
    let config = Operation::from_json(&operation.to_string()).unwrap();
    assert_eq!(config.line_names(), ["l"]);
    assert_eq!(findings(&config), [""; 0]);
}

#[test]
fn a_custom_operation_of_video_analyzer_carries_the_containers_form() {
    let inner = json!({
        "version": 1, "enabled": true, "platformloglevel": "info",
        "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon.azurevideoanalyzer",
        "parameters": {"SPACEANALYTICS_CONFIG": ZONES, "ENABLE_FACE_MASK_CLASSIFIER": false}
    });
    let operation = json!({
        "@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisCustomOperation",
        "extensionConfiguration": inner.to_string()
    });
    let config = Operation::from_json(&operation.to_string()).unwrap();
    assert_eq!(config.zone_names(), ["polygon0"]);
    // One such wrap, not any number.
    let twice = json!({"extensionConfiguration": operation.to_string()});
    assert!(Operation::from_json(&twice.to_string()).is_err());
}

#[test]
fn a_client_that_configures_nothing() {
    for text in ["", " ", "{}", " { } ", "null", "\u{feff}{}"] {
        assert!(Operation::from_descriptor(text).unwrap().is_none(), "{text:?}");
    }
    let own = Operation::from_descriptor(ZONES).unwrap().unwrap();
    assert_eq!(own.zone_names(), ["polygon0"]);
    assert!(Operation::from_descriptor("{\"pad\": 1}").is_err());
}

#[test]
fn the_whole_frame_is_one_zone() {
    let config = Operation::whole_frame();
    assert_eq!((config.zone_names(), config.findings().len()), (vec!["frame"], 0));
}

#[test]
fn errors_name_the_zone_the_member_and_the_remedy() {
    let bow_tie = r#"{"zones":[{"name":"door","polygon":[[0.1,0.1],[0.9,0.9],[0.9,0.1],[0.1,0.9]]}]}"#;
    assert_eq!(
        refused(bow_tie),
        "zone \"door\": polygon crosses itself, edges 1 and 3 meet; reorder its corners"
    );
    let two_faults = r#"{"zones":[{"name":"door","polygon":[[0,0],[1,1]]}],
        "lines":[{"name":"gate","start":[0.5,"x"],"end":[1,1]}]}"#;
    let message = refused(two_faults);
    assert!(message.contains("line \"gate\": line: point 1"), "{message}");
    assert!(
        message.contains("zone \"door\": polygon has 2 different corners; give at least 3"),
        "{message}"
    );
}

#[test]
fn what_says_nothing_to_watch_is_refused_with_what_to_give() {
    for text in ["{}", "{\"EULA\": \"accept\"}", "{\"zones\": []}"] {
        let message = refused(text);
        assert!(
            message.contains("nothing") && message.contains("watch"),
            "{message}"
        );
    }
    assert!(refused("[1]").contains("not an object"));
    assert!(refused("zones").contains("not JSON"));
}

#[test]
fn operations_that_are_not_there_are_refused_by_name() {
    let operation = json!({"operationId": "other.vendors-operation", "SPACEANALYTICS_CONFIG": ZONES});
    let message = refused(&operation.to_string());
    assert!(
        message.contains("no operation") && message.contains("other.vendors"),
        "{message}"
    );
    let typed = json!({"@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisPersonSmileOperation", "zones": []});
    assert!(refused(&typed.to_string()).contains("PersonSmile"));
}

#[test]
fn the_operation_decides_what_of_a_mixed_scene_is_watched() {
    let operation = json!({
        "operationId": "spatialanalysis-personcrossingline",
        "SPACEANALYTICS_CONFIG": crate::support::SCENE,
    });
    let config = Operation::from_json(&operation.to_string()).unwrap();
    assert_eq!((config.zone_names().len(), config.line_names().len()), (0, 1));
    assert_eq!(
        findings(&config),
        ["zones: not watched by this operation, ignored"]
    );
}

#[test]
fn a_file_is_read_and_a_missing_one_named() {
    let directory = std::env::temp_dir().join(format!("lva-spatial-analysis-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("scene.json");
    std::fs::write(&path, ZONES).unwrap();
    assert_eq!(Operation::from_file(&path).unwrap().zone_names(), ["polygon0"]);
    std::fs::remove_dir_all(&directory).unwrap();
    let error = Operation::from_file(&path).unwrap_err();
    assert!(matches!(error, OperationError::Read { .. }));
    assert!(error.to_string().contains("scene.json"), "{error}");
}

#[test]
fn the_operations_of_a_twin_are_read_by_name() {
    let count = r#"{"zones":[{"name":"lobby","polygon":[[0,0],[1,0],[1,1]],"events":[{"type":"count","config":{"trigger":"interval"}}]}]}"#;
    let duplicate = json!({
        "globalSettings": {"platformTelemetryEnabled": true},
        "graphs": {
            "polygon": {"operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon", "version": 1, "enabled": true,
                "parameters": {"VIDEO_URL": "rtsp://u:secret@c/1", "SPACEANALYTICS_CONFIG": ZONES}},
            "count": {"operationId": "cognitiveservices.vision.spatialanalysis-personcount", "version": 1, "enabled": true,
                "sharedNodes": {"shared": {"node": "PersonCountGraph/detector", "parameters": {}}},
                "parameters": {"SPACEANALYTICS_CONFIG": count},
                "instances": {"1": {"sharedNodeMap": {}, "parameters": {"VIDEO_SOURCE_ID": "a"}}, "2": {"enabled": false}}},
            "off": {"operationId": "x", "enabled": false}
        }
    });
    let all = Operation::all_from_twin(&duplicate.to_string()).unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|(name, config)| (name.as_str(), config.zone_names().join("")))
        .collect();
    assert_eq!(
        names,
        [
            ("count/1", "lobby".to_owned()),
            ("polygon", "polygon0".to_owned())
        ]
    );
    let message = refused(&duplicate.to_string());
    assert_eq!(
        message,
        "\"graphs\" holds 2 operations, and a session carries out one: disable the others or give the object of one of count/1, polygon"
    );
    // With one enabled operation the twin is that operation.
    let mut one = duplicate;
    one["graphs"]["count"]["enabled"] = json!(false);
    assert_eq!(
        Operation::from_json(&one.to_string()).unwrap().zone_names(),
        ["polygon0"]
    );
}

#[test]
fn what_nodes_are_reported_is_honoured_where_it_means_something() {
    let operation = json!({
        "operationId": "cognitiveservices.vision.spatialanalysis-persondistance",
        "parameters": {
            "TRACKER_NODE_CONFIG": "{\"enable_speed\": true, \"remove_stationary_objects\": true, \"stationary_objects_filter_ratio\": 0.5}",
            "CAMERACALIBRATOR_NODE_CONFIG": "{\"do_calibration\": false, \"enable_orientation\": true}",
            "CAMERA_CONFIG": "{\"cameras\": [{\"source_id\": \"a\", \"camera_height\": 13.0, \"camera_focal_length\": 400.0, \"camera_tiltup_angle\": 1.05}]}",
            "CALIBRATION_CONFIG": "not JSON",
            "SPACEANALYTICS_CONFIG": r#"{"zones":[{"name":"lobby","polygon":[[0,0],[1,0],[1,1]],"events":[{"type":"persondistance"}]}]}"#,
        }
    });
    let config = Operation::from_json(&operation.to_string()).unwrap();
    assert_eq!(
        findings(&config),
        [
            "TRACKER_NODE_CONFIG: objects that do not move are removed",
            "CAMERACALIBRATOR_NODE_CONFIG: enable_orientation is not applied, orientation is not detected",
            "CALIBRATION_CONFIG: neither an object nor a string that holds one, ignored",
        ]
    );
    let broken =
        json!({"CAMERA_CONFIG": {"cameras": [{"camera_height": -3}]}, "SPACEANALYTICS_CONFIG": ZONES});
    let broken = Operation::from_json(&broken.to_string()).unwrap();
    assert!(
        findings(&broken)[0].starts_with("CAMERA_CONFIG: camera: height is -3"),
        "{:?}",
        findings(&broken)
    );
}
