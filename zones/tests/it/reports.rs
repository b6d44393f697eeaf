//! Events as the contract's JSON.

use lva_inference_schema::{AnalyticsBody, Inference, JsonStyle};
use lva_zones::report::{EventProfile, IdSource, Reporter};
use lva_zones::*;

fn events() -> (Observation, Vec<SpatialEvent>) {
    let corners = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)].map(|(x, y)| Point::new(x, y));
    let line = CrossingLine::new("line0", Point::new(0.0, 0.5), Point::new(1.0, 0.5));
    let options = SceneOptions {
        hold_ms: 0,
        ..SceneOptions::default()
    };
    let scene = Scene::new(vec![Zone::new("polygon0", corners)], vec![line], options).expect("valid");
    let mut engine = Engine::new(scene);
    let person = |top| Observation {
        score: 0.66026187,
        ..Observation::new(TrackId(1), BoundingBox::new(0.4, top, 0.1, 0.2))
    };
    let outside = engine.update(0, &[person(0.75)]).expect("valid");
    assert_eq!(outside, []);
    let inside = person(0.2);
    (inside, engine.update(90_000, &[inside]).expect("valid"))
}

#[test]
fn the_tutorials_form_is_met_member_for_member() {
    let (_, events) = events();
    let inferences = Reporter::new(EventProfile::Tutorial2020, IdSource::new(1)).report(&events);
    let [entity, entered, crossed] = &inferences[..] else {
        panic!("{inferences:#?}")
    };
    let text =
        |inference: &Inference| serde_json::to_string(&inference.styled(JsonStyle::Lva)).expect("JSON");
    let id = &entity.inference_id;
    assert_eq!(
        text(entity),
        format!(
            r#"{{"type":"entity","subtype":"","inferenceId":"{id}","relatedInferences":[],"entity":{{"tag":{{"value":"person","confidence":0.66026187}},"attributes":[],"box":{{"l":0.4,"t":0.2,"w":0.1,"h":0.2}}}},"extensions":{{}},"valueCase":"entity"}}"#
        )
    );
    for (inference, name, status, place) in [
        (entered, "personZoneEvent", "Enter", "polygon0"),
        (crossed, "personLineEvent", "CrossLeft", "line0"),
    ] {
        let own = &inference.inference_id;
        assert_eq!(
            text(inference),
            format!(
                r#"{{"type":"event","subtype":"","inferenceId":"{own}","relatedInferences":["{id}"],"event":{{"name":"{name}","properties":{{"metadataVersion":"1.0","status":"{status}","trackingId":"{id}","zone":"{place}"}}}},"extensions":{{}},"valueCase":"event"}}"#
            )
        );
    }
    for bbox in inferences.iter().filter_map(Inference::bounding_box) {
        assert!(
            [bbox.l, bbox.t, bbox.w, bbox.h]
                .iter()
                .all(|v| (0.0..=1.0).contains(&v.get())),
            "{bbox:?}"
        );
    }
}

#[test]
fn video_analyzers_form_has_a_tracking_id_of_its_own() {
    let (person, events) = events();
    let mut reporter = Reporter::new(EventProfile::VideoAnalyzer, IdSource::new(1));
    let inferences = reporter.report_with_people(&[person], &events);
    assert_eq!(inferences.len(), 3);
    let body = AnalyticsBody::new(90_000, inferences).to_json(JsonStyle::VideoAnalyzer);
    let (entity, event) = (&body["inferences"][0], &body["inferences"][1]);
    assert_ne!(entity["inferenceId"], entity["extensions"]["trackingId"]);
    assert_eq!(event["event"]["name"], "personZoneEnterExitEvent");
    assert_eq!(
        event["event"]["properties"]["trackingId"],
        entity["extensions"]["trackingId"]
    );
    assert_eq!(event["relatedInferences"][0], entity["inferenceId"]);
    assert_eq!(entity["extensions"]["footprintX"], "0.45000000670552254");
    assert_eq!(entity["extensions"]["centerGroundPointX"], "0.0");
    assert_eq!(entity["extensions"]["groundOrientationAngle"], "inf");
    assert_eq!(entity["extensions"]["speed"], "0.0");
    assert!(event["event"]["properties"].get("metadataVersion").is_none());
    // Ids of the next frame are new ones.
    let next = reporter.report_with_people(&[person], &[]);
    assert_ne!(next[0].inference_id, entity["inferenceId"]);
}

#[test]
fn entities_and_their_events_have_the_names_of_their_classes() {
    let (_, events) = events();
    for profile in [EventProfile::Tutorial2020, EventProfile::VideoAnalyzer] {
        let named = Reporter::new(profile, IdSource::new(1)).with_class_names(["car".to_owned()].into());
        let plain = Reporter::new(profile, IdSource::new(1));
        for (mut reporter, tag, class) in [(named, "car", Some("car")), (plain, "person", None)] {
            let inferences = reporter.report(&events);
            let body = AnalyticsBody::new(90_000, inferences).to_json(JsonStyle::VideoAnalyzer);
            assert_eq!(body["inferences"][0]["entity"]["tag"]["value"], tag);
            for event in [1, 2] {
                let properties = &body["inferences"][event]["event"]["properties"];
                assert_eq!(properties.get("class").and_then(|class| class.as_str()), class);
            }
        }
    }
}

#[test]
fn nobody_and_nothing_is_no_inference() {
    let (mut person, _) = events();
    let mut reporter = Reporter::new(EventProfile::default(), IdSource::new(1));
    assert!(reporter.report(&[]).is_empty());
    person.confirmed = false;
    assert!(reporter.report_with_people(&[person], &[]).is_empty());
}

#[test]
fn who_vanished_is_reported_with_the_last_box() {
    let corners = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)].map(|(x, y)| Point::new(x, y));
    let scene = Scene::new(vec![Zone::new("z", corners)], vec![], SceneOptions::default()).expect("valid");
    let mut engine = Engine::new(scene);
    for frame in 0..10 {
        let person = Observation::new(TrackId(1), BoundingBox::new(0.4, 0.3, 0.1, 0.2));
        engine.update(frame * 9000, &[person]).expect("valid");
    }
    let events = engine.update(900_000, &[]).expect("valid");
    let inferences = Reporter::new(EventProfile::default(), IdSource::new(1)).report(&events);
    assert_eq!(inferences.len(), 2);
    assert_eq!(
        inferences[1].related_inferences,
        [inferences[0].inference_id.as_str()]
    );
}
