//! Microsoft's published samples: what went in and what came out, within 0.5 %.

use lva_spatial_analysis::Operation;
use lva_zones::ground::{Ground, GroundPoint, PinholeCamera};
use lva_zones::report::{ContainerReporter, ContainerSchema, EventProfile, IdSource, Reporter, SourceInfo};
use lva_zones::*;
use serde_json::Value;

fn near(value: &Value, published: f64) -> bool {
    let value = value
        .as_f64()
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap_or(f64::NAN);
    (value - published).abs() <= 0.005 * published.abs()
}

fn camera() -> SourceInfo {
    SourceInfo {
        id: "camera_id".to_owned(),
        width: 608,
        height: 342,
    }
}

/// Ticks of a time of the published samples' day, 2020-08-24.
fn at(hours: u64, minutes: u64, milliseconds: u64) -> u64 {
    (1_598_227_200_000 + (hours * 60 + minutes) * 60_000 + milliseconds) * 90
}

/// By the edges of the published region.
fn region(left: f64, top: f64, right: f64, bottom: f64) -> BoundingBox {
    BoundingBox::new(
        left as f32,
        top as f32,
        (right - left) as f32,
        (bottom - top) as f32,
    )
}

/// By the point between the feet.
fn standing(x: f64, y: f64) -> BoundingBox {
    BoundingBox::new(x as f32 - 0.05, y as f32 - 0.35, 0.1, 0.35)
}

fn scene(config: Value) -> Scene {
    let options = SceneOptions {
        hold_ms: 0,
        aspect: 608.0 / 342.0,
        ..SceneOptions::default()
    };
    Operation::from_json(&config.to_string())
        .and_then(|operation| operation.scene(options))
        .expect("a published configuration")
}

fn zone(event: Value) -> Value {
    serde_json::json!({"zones": [{"name": "lobbycamera", "polygon": [[0.0,0.0],[1.0,0.0],[1.0,0.95],[0.0,0.95],[0.0,0.0]], "events": [event]}]})
}

#[test]
fn the_calibration_sample_of_2021() {
    let ground = Ground::pinhole(PinholeCamera {
        height_ft: 13.294151306152344,
        focal_px: 372.0000305175781,
        tilt_rad: 0.9581864476203918,
        width_px: 640.0,
        height_px: 360.0,
    })
    .expect("a published camera");
    let source = SourceInfo {
        id: "camera1".to_owned(),
        width: 640,
        height: 360,
    };
    let bbox = region(
        0.0297339593114241,
        0.0807799442896936,
        0.10015649452269171,
        0.2757660167130919,
    );
    let mut reporter = ContainerReporter::new(ContainerSchema::V1, source, IdSource::new(1));
    let reported = reporter.calibration(1_618_953_359_100 * 90, 531, &ground, &[bbox]);
    assert_eq!(reported["type"], "cameraCalibrationEvent");
    assert_eq!(reported["sourceInfo"]["timestamp"], "2021-04-20T21:15:59.100Z");
    let calibration = &reported["sourceInfo"]["cameraCalibrationInfo"];
    assert_eq!(calibration["status"], "Calibrated");
    assert!(near(&calibration["cameraHeight"], 13.294151306152344));
    assert!(near(&calibration["focalLength"], 372.0000305175781));
    assert!(near(&calibration["tiltupAngle"], 0.9581864476203918));
    let point = &reported["zonePlacementInfo"]["personBoundingBoxGroundPoints"][0];
    assert!(
        near(&point["x"], -22.944068908691406) && near(&point["y"], 31.487680435180664),
        "{point}"
    );
    let corner = &reported["zonePlacementInfo"]["uniformlySpacedPersonBoundingBoxes"][0]["points"][1];
    assert!(near(&corner["x"], 0.10015649452269171) && near(&corner["y"], 0.2757660167130919));
}

#[test]
fn the_distance_sample_of_2020() {
    let ground = Ground::pinhole(PinholeCamera {
        height_ft: 12.9940824508667,
        focal_px: 401.2800598144531,
        tilt_rad: 1.057669997215271,
        width_px: 608.0,
        height_px: 342.0,
    })
    .expect("a published camera");
    // The two violators stand where they were published to stand, 4.109 ft apart. Nothing is published of where the
    // other three stood, but that all ten pairs are 20.807 ft apart in the mean: they stand on three rays from the
    // middle of the pair, so far out that it comes true.
    let published = [
        (-1.4638760089874268, 18.29732322692871),
        (2.6310102939605713, 18.635927200317383),
    ];
    let rays = |far: f64| [(-0.5, 0.6), (0.7, 0.3), (0.1, 1.2)].map(|(x, y)| (0.6 + x * far, 18.5 + y * far));
    let mean = |far: f64| {
        let all: Vec<(f64, f64)> = published.iter().copied().chain(rays(far)).collect();
        let mut sum = 0.0;
        for (i, a) in all.iter().enumerate() {
            sum += all[i + 1..]
                .iter()
                .map(|b| (a.0 - b.0).hypot(a.1 - b.1))
                .sum::<f64>();
        }
        sum / 10.0
    };
    let (mut low, mut high) = (7.0, 40.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if mean(middle) < 20.807043981552123 {
            low = middle
        } else {
            high = middle
        }
    }
    let others = rays(low);
    let people: Vec<Observation> = published
        .iter()
        .chain(&others)
        .enumerate()
        .map(|(n, (x, y))| {
            let foot = ground
                .picture(GroundPoint::new(*x, *y))
                .expect("in front of the camera");
            Observation::new(TrackId(n as u64), standing(foot.x, foot.y))
        })
        .collect();
    let config = zone(serde_json::json!({"type": "persondistance", "config": {
        "trigger": "event", "output_frequency": 1, "minimum_distance_threshold": 6.0, "threshold": 16.0,
        "focus": "bottom_center"}}));
    let mut engine = Engine::new(scene(config).with_ground(ground.clone()));
    let time = at(6, 17, 25_309);
    let events = engine.update(time, &people).expect("valid");
    let mut reporter = ContainerReporter::new(ContainerSchema::V1, camera(), IdSource::new(1));
    let reported = reporter
        .report(time, 1199, &events, engine.scene().ground())
        .expect("a message");
    let event = &reported["events"][0];
    assert_eq!(
        (&event["type"], &event["zone"], &event["trigger"]),
        (
            &"personDistanceEvent".into(),
            &"lobbycamera".into(),
            &"event".into()
        )
    );
    let properties = &event["properties"];
    assert_eq!(properties["personCount"], 5);
    assert_eq!(properties["eventName"], "TooClose");
    assert_eq!(properties["distanceViolationPersonCount"], 2);
    assert_eq!(properties["minimumDistanceThreshold"], 6.0);
    assert_eq!(properties["maximumDistanceThreshold"], "Infinity");
    assert_eq!(event["detectionIds"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        reported["detections"].as_array().map(Vec::len),
        Some(2),
        "only those who break the rule"
    );
    assert_eq!(reported["sourceInfo"]["timestamp"], "2020-08-24T06:17:25.309Z");
    assert_eq!(reported["sourceInfo"]["frameId"], "1199");
    assert!(near(
        &reported["sourceInfo"]["cameraCalibrationInfo"]["focalLength"],
        401.2800598144531
    ));
    let EventKind::Distance(report) = events[0].kind else {
        panic!("{events:?}")
    };
    // The published pair alone: its distance is the mean.
    let pair = Engine::new(engine.scene().clone())
        .update(time, &people[..2])
        .expect("valid");
    let EventKind::Distance(alone) = pair[0].kind else {
        panic!("{pair:?}")
    };
    assert!((alone.average_ft / 4.1089 - 1.0).abs() < 0.005, "{alone:?}");
    assert!(
        (report.average_ft / 20.807043981552123 - 1.0).abs() < 0.005,
        "{report:?}"
    );
}

#[test]
fn the_distance_sample_of_video_analyzer_before_calibration() {
    let config = zone(
        serde_json::json!({"eventType": "persondistance", "trigger": "interval", "outputFrequency": "1",
        "minimumDistanceThreshold": "1.5", "maximumDistanceThreshold": "14.5", "threshold": "48.00", "focus": "footprint"}),
    );
    let mut engine = Engine::new(scene(config));
    let people = [Observation::new(TrackId(1), standing(0.5, 0.6))];
    let mut events = Vec::new();
    for frame in 0..16 {
        events.extend(engine.update(90_000 + frame * 6000, &people).expect("valid"));
    }
    let inferences = Reporter::new(EventProfile::VideoAnalyzer, IdSource::new(1)).report(&events);
    assert_eq!(inferences.len(), 1, "no entities: {inferences:?}");
    let reported = serde_json::to_value(inferences[0].styled(lva_inference_schema::JsonStyle::VideoAnalyzer))
        .expect("JSON");
    let properties = &reported["event"]["properties"];
    assert_eq!(reported["event"]["name"], "personDistanceEvent");
    for (name, value) in [
        ("personCount", "0.0"),
        ("averageDistance", "0.0"),
        ("minimumDistanceThreshold", "1.5"),
        ("maximumDistanceThreshold", "14.5"),
        ("eventName", "Unknown"),
        ("distanceViolationPersonCount", "0.0"),
        ("zone", "lobbycamera"),
    ] {
        assert_eq!(properties[name], value, "{name}");
    }
    assert!(properties.get("trigger").is_none());
}

#[test]
fn the_count_sample() {
    let config = zone(
        serde_json::json!({"type": "count", "config": {"trigger": "event", "threshold": 16.0, "focus": "footprint"}}),
    );
    let mut engine = Engine::new(scene(config));
    let person = |id, bbox, score| Observation {
        score,
        ..Observation::new(TrackId(id), bbox)
    };
    let people = [
        person(
            1,
            region(
                0.612683747944079,
                0.25340268765276636,
                0.7185954043739721,
                0.6425260577285499,
            ),
            0.955_921_1,
        ),
        person(
            2,
            region(
                0.22326200886776573,
                0.17830915618361087,
                0.34922296122500773,
                0.6297955429344847,
            ),
            0.938_974_44,
        ),
    ];
    let time = at(6, 6, 57_224);
    let events = engine.update(time, &people).expect("valid");
    for schema in ContainerSchema::ALL {
        let mut reporter = ContainerReporter::new(schema, camera(), IdSource::new(1));
        let reported = reporter.report(time, 1400, &events, None).expect("a message");
        let event = &reported["events"][0];
        assert_eq!(event["type"], "personCountEvent");
        assert_eq!(event["properties"], serde_json::json!({"personCount": 2}));
        assert_eq!(
            (&event["zone"], &event["trigger"]),
            (&"lobbycamera".into(), &"event".into())
        );
        assert_eq!(
            event["detectionIds"],
            serde_json::json!([reported["detections"][0]["id"], reported["detections"][1]["id"]])
        );
        assert_eq!(reported["sourceInfo"]["timestamp"], "2020-08-24T06:06:57.224Z");
        let points = &reported["detections"][0]["region"]["points"];
        assert!(near(&points[0]["x"], 0.612683747944079) && near(&points[1]["y"], 0.6425260577285499));
        assert!(near(&reported["detections"][1]["confidence"], 0.9389744400978088));
        match schema {
            ContainerSchema::V1 => {
                assert_eq!(reported["schemaVersion"], "1.0");
                assert_eq!(
                    reported["detections"][0]["centerGroundPoint"],
                    serde_json::json!({"x": 0.0, "y": 0.0})
                );
                assert_eq!(reported["detections"][0]["metadataType"], "");
            }
            ContainerSchema::V2 => {
                assert_eq!(reported["schemaVersion"], "2.0");
                assert_eq!(reported["detections"][0]["metadata"]["centerGroundPointX"], "0.0");
                assert_eq!(reported["detections"][0]["attributes"], serde_json::json!([]));
            }
        }
    }
    // No more people: no event until the number changes.
    assert_eq!(engine.update(time + 6000, &people).expect("valid"), []);
}

#[test]
fn the_line_sample() {
    let config = serde_json::json!({"lines": [{"name": "doorcamera", "line": {"start": {"x": 0, "y": 0.5}, "end": {"x": 1, "y": 0.5}},
        "events": [{"type": "linecrossing", "config": {"trigger": "event", "threshold": 16.0, "focus": "footprint"}}]}]});
    let mut engine = Engine::new(scene(config));
    let region = region(
        0.491627341822574,
        0.2385801348769874,
        0.588894994635331,
        0.6395559924387793,
    );
    // Upwards in the picture: from right to left for who looks along the line.
    let before = Observation::new(TrackId(1), region);
    let after = Observation::new(TrackId(1), BoundingBox { top: 0.05, ..region });
    let time = at(6, 6, 53_261);
    engine.update(time - 9000, &[before]).expect("valid");
    let events = engine.update(time, &[after]).expect("valid");
    let reported = ContainerReporter::new(ContainerSchema::V2, camera(), IdSource::new(1))
        .report(time, 1340, &events, None)
        .expect("a message");
    let event = &reported["events"][0];
    assert_eq!(
        (&event["type"], &event["zone"]),
        (&"personLineEvent".into(), &"doorcamera".into())
    );
    assert_eq!(
        event["properties"],
        serde_json::json!({"trackingId": reported["detections"][0]["id"], "status": "CrossLeft"})
    );
    assert_eq!(
        event["detectionIds"],
        serde_json::json!([reported["detections"][0]["id"]])
    );
    assert!(event.get("trigger").is_none() && reported["sourceInfo"].get("cameraCalibrationInfo").is_none());
    assert_eq!(reported["sourceInfo"]["timestamp"], "2020-08-24T06:06:53.261Z");
}

#[test]
fn the_zone_and_dwell_samples() {
    let config = serde_json::json!({"zones": [{"name": "queuecamera",
        "polygon": [[0.3,0.3],[0.9,0.3],[0.9,0.9],[0.3,0.9],[0.3,0.3]],
        "events": [{"type": "zonecrossing", "config": {"trigger": "event", "threshold": 0, "focus": "bottom_center"}},
                   {"type": "zonedwelltime", "config": {"trigger": "event", "threshold": 0, "focus": "bottom_center"}}]}]});
    let mut engine = Engine::new(scene(config));
    // In over the upper edge and out over it, 7132 ms later, seen inside 20 times on the way.
    let dwell = 7132 * 90;
    let begin = at(6, 15, 0);
    let step = dwell / 20;
    let mut events = Vec::new();
    for n in 0..22 {
        let time = begin + n * step;
        let inside = n > 0 && n < 21;
        let y = if inside { 0.31 } else { 0.29 };
        events.extend(
            engine
                .update(time, &[Observation::new(TrackId(1), standing(0.5, y))])
                .expect("valid"),
        );
    }
    let mut reporter = ContainerReporter::new(ContainerSchema::V2, camera(), IdSource::new(1));
    let reported = reporter
        .report(at(6, 15, 9_680), 428, &events, None)
        .expect("a message");
    let id = &reported["detections"][0]["id"];
    let [entered, left, dwelt] = &reported["events"].as_array().expect("events")[..] else {
        panic!("{reported:#}")
    };
    for (event, status) in [(entered, "Enter"), (left, "Exit")] {
        assert_eq!(event["type"], "personZoneEnterExitEvent");
        assert_eq!(
            event["properties"],
            serde_json::json!({"trackingId": id, "status": status, "side": "1"})
        );
    }
    assert_eq!(dwelt["type"], "personZoneDwellTimeEvent");
    let properties = &dwelt["properties"];
    assert_eq!(
        (
            &properties["status"],
            &properties["side"],
            &properties["dwellFrames"]
        ),
        (&"Exit".into(), &"1".into(), &20.into())
    );
    assert!(near(&properties["dwellTime"], 7132.0), "{properties}");
    assert!(
        properties["durationMs"]
            .as_u64()
            .is_some_and(|ms| ms.abs_diff(7132) <= 1),
        "{properties}"
    );
    assert_eq!(dwelt["zone"], "queuecamera");
}
