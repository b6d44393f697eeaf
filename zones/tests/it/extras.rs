//! Video Analyzer's tracking nodes, objects that never move, people found again.

use crate::support::SECOND;
use lva_zones::report::{IdSource, LineCrossingReporter};
use lva_zones::*;

fn standing_at(id: u64, x: f64, y: f64) -> Observation {
    Observation::new(
        TrackId(id),
        BoundingBox::new(x as f32 - 0.05, y as f32 - 0.3, 0.1, 0.3),
    )
}

fn two_zones() -> Engine {
    let zone = |name: &str, left: f64| {
        Zone::new(
            name,
            [(left, 0.1), (left + 0.3, 0.1), (left + 0.3, 0.9), (left, 0.9)].map(|(x, y)| Point::new(x, y)),
        )
    };
    let line = CrossingLine::new("a < b & c", Point::new(0.5, 0.9), Point::new(0.5, 0.1));
    let scene = Scene::new(
        vec![zone("left", 0.1), zone("right", 0.6)],
        vec![line],
        SceneOptions::default(),
    );
    Engine::new(scene.expect("a valid scene"))
}

#[test]
fn video_analyzers_line_crossing_counts_both_ways() {
    let mut engine = two_zones();
    let mut reporter = LineCrossingReporter::new(IdSource::new(1));
    let mut reported = Vec::new();
    for frame in 0..150u64 {
        let x = 0.5 + 0.2 * (frame as f64 / 15.0).sin();
        let people = [standing_at(1, x, 0.5)];
        let events = engine.update(frame * 6000, &people).expect("valid");
        reported.extend(reporter.report(&people, &events, |_| Some("person".to_owned())));
    }
    let json: Vec<_> = reported
        .iter()
        .map(|i| {
            serde_json::to_value(i.styled(lva_inference_schema::JsonStyle::VideoAnalyzer)).expect("JSON")
        })
        .collect();
    let events: Vec<_> = json.iter().filter(|j| j["type"] == "event").collect();
    let last = events.last().expect("crossed");
    assert_eq!(last["subtype"], "lineCrossing");
    assert_eq!(last["event"]["name"], "a < b & c");
    let properties = &last["event"]["properties"];
    let number = |name: &str| {
        properties[name]
            .as_str()
            .and_then(|t| t.parse::<usize>().ok())
            .expect("a total")
    };
    assert_eq!(number("total"), events.len());
    assert_eq!(
        number("clockwiseTotal") + number("counterclockwiseTotal"),
        events.len()
    );
    assert!(
        events.len() >= 2 && events[0]["event"]["properties"]["direction"] == "counterclockwise",
        "{:?}",
        events[0]
    );
    // One sequence id, a new inference id each frame, and the event points at the entity of its frame.
    let entities: Vec<_> = json.iter().filter(|j| j["type"] == "entity").collect();
    assert_eq!(entities.len(), 150);
    assert!(
        entities
            .iter()
            .all(|e| e["sequenceId"] == entities[0]["sequenceId"] && e["subtype"] == "objectDetection")
    );
    assert!(
        entities
            .iter()
            .any(|e| e["inferenceId"] == last["relatedInferences"][0])
    );
    assert_ne!(entities[0]["inferenceId"], entities[1]["inferenceId"]);
}

#[test]
fn what_never_moves_is_left_out_when_that_is_asked() {
    let options = TrackerOptions {
        stationary: Some(StationaryOptions {
            buffer_ms: 60_000,
            ..StationaryOptions::default()
        }),
        ..TrackerOptions::default()
    };
    let mut tracker = Tracker::new(options);
    let bbox = BoundingBox::new(0.3, 0.3, 0.1, 0.4);
    let mut last_told = 0;
    for second in 0..300u64 {
        let mannequin = Detection {
            bbox,
            class: 0,
            score: 0.9,
        };
        let walker = Detection {
            bbox: BoundingBox::new(0.5 + 0.02 * (second % 10) as f32, 0.3, 0.1, 0.4),
            ..mannequin
        };
        // The mannequin is lost now and then, and has another number each time.
        let found = if second % 20 < 17 {
            vec![mannequin, walker]
        } else {
            vec![walker]
        };
        let reported = tracker.update(second * SECOND, &found).expect("in order");
        assert!(
            reported.iter().any(|o| o.bbox.left > 0.45),
            "the walker stays, at {second}"
        );
        if reported.iter().any(|o| o.bbox == bbox) {
            last_told = second;
        }
    }
    assert!((10..20).contains(&last_told), "{last_told}");
    assert!(tracker.stats().stationary > 200);
}

#[test]
fn people_found_again_say_for_how_long_they_were_lost() {
    let mut tracker = Tracker::new(TrackerOptions::default());
    let mut gaps = Vec::new();
    for frame in 0..60u64 {
        let bbox = BoundingBox::new(0.3 + 0.002 * frame as f32, 0.3, 0.1, 0.4);
        let found = if (30..45).contains(&frame) {
            vec![]
        } else {
            vec![Detection {
                bbox,
                class: 0,
                score: 0.9,
            }]
        };
        let reported = tracker.update(frame * 6000, &found).expect("in order");
        gaps.extend(
            reported
                .iter()
                .filter(|o| o.reidentified_after_90k > 0)
                .map(|o| (frame, o.reidentified_after_90k)),
        );
    }
    assert_eq!(gaps, [(45, 16 * 6000)]);
    assert_eq!(tracker.stats().reidentified, 1);
}
