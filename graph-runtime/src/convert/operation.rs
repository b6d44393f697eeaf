//! Video Analyzer's typed operations, written as the configuration that an extension is sent.
//!
//! What the original sent to the container for them was never published. Here it is the document's own form, with type
//! and all members in the schema's spelling: whoever reads the topology can read it, and `lva-spatial-analysis` does.

use lva_graph_model::{
    CountEvent, DistanceEvent, LineCrossingEvent, NamedLine, NamedPolygon, Operation, OperationSettings,
    Point, Text, Watched, ZoneCrossingEvent,
};
use serde_json::{Map, Value, json};

const PREFIX: &str = "#Microsoft.VideoAnalyzer.";

/// The configuration of a typed operation. A custom one is its own text and does not come here.
pub(crate) fn configuration_text(operation: &Operation) -> String {
    let (kind, settings, member, watched) = match operation {
        Operation::PersonCount { settings, zones } => (
            "SpatialAnalysisPersonCountOperation",
            settings,
            "zones",
            all(zones, zone, |event| Value::Object(count(event))),
        ),
        Operation::PersonZoneCrossing { settings, zones } => (
            "SpatialAnalysisPersonZoneCrossingOperation",
            settings,
            "zones",
            all(zones, zone, crossing),
        ),
        Operation::PersonDistance { settings, zones } => (
            "SpatialAnalysisPersonDistanceOperation",
            settings,
            "zones",
            all(zones, zone, distance),
        ),
        Operation::PersonLineCrossing { settings, lines } => (
            "SpatialAnalysisPersonLineCrossingOperation",
            settings,
            "lines",
            all(lines, line, line_crossing),
        ),
        Operation::Custom { configuration } => return configuration.as_str().to_owned(),
    };
    let mut members = common(settings);
    members.insert("@type".to_owned(), format!("{PREFIX}{kind}").into());
    members.insert(member.to_owned(), watched);
    Value::Object(members).to_string()
}

fn all<W, E>(
    watched: &[Watched<W, E>],
    place: impl Fn(&W) -> (&'static str, Value),
    event: impl Fn(&E) -> Value,
) -> Value {
    let one = |watched: &Watched<W, E>| {
        let (member, at) = place(&watched.at);
        let events: Vec<Value> = watched.events.iter().map(&event).collect();
        json!({member: at, "events": events})
    };
    watched.iter().map(one).collect()
}

/// Places stand in texts, as in the document.
fn zone(zone: &NamedPolygon) -> (&'static str, Value) {
    let polygon = points(&zone.points);
    let kind = format!("{PREFIX}NamedPolygonString");
    (
        "zone",
        json!({"@type": kind, "name": zone.name, "polygon": polygon}),
    )
}

fn line(line: &NamedLine) -> (&'static str, Value) {
    let ends = points(&[line.start, line.end]);
    let kind = format!("{PREFIX}NamedLineString");
    ("line", json!({"@type": kind, "name": line.name, "line": ends}))
}

fn points(points: &[Point]) -> String {
    let points: Value = points.iter().map(|point| json!([point.x, point.y])).collect();
    points.to_string()
}

fn count(event: &CountEvent) -> Map<String, Value> {
    let mut members = Map::new();
    put(&mut members, "threshold", event.threshold);
    put(&mut members, "focus", Some(event.focus.as_str()));
    put(
        &mut members,
        "trigger",
        event.trigger.map(|trigger| trigger.as_str()),
    );
    put(&mut members, "outputFrequency", event.output_frequency);
    members
}

fn distance(event: &DistanceEvent) -> Value {
    let mut members = count(&event.count);
    put(&mut members, "minimumDistanceThreshold", event.minimum_distance);
    put(&mut members, "maximumDistanceThreshold", event.maximum_distance);
    Value::Object(members)
}

fn crossing(event: &ZoneCrossingEvent) -> Value {
    let mut members = Map::new();
    put(&mut members, "threshold", event.threshold);
    put(&mut members, "focus", Some(event.focus.as_str()));
    put(&mut members, "eventType", Some(event.event_type.as_str()));
    Value::Object(members)
}

fn line_crossing(event: &LineCrossingEvent) -> Value {
    let mut members = Map::new();
    put(&mut members, "threshold", event.threshold);
    put(&mut members, "focus", Some(event.focus.as_str()));
    Value::Object(members)
}

/// Numbers and booleans are texts in the schema.
fn put(members: &mut Map<String, Value>, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.to_string().into());
    }
}

fn common(settings: &OperationSettings) -> Map<String, Value> {
    let mut members = Map::new();
    put(&mut members, "debug", settings.debug.then_some(true));
    put(
        &mut members,
        "enableFaceMaskClassifier",
        settings.enable_face_mask_classifier.then_some(true),
    );
    for (name, text) in [
        ("cameraConfiguration", &settings.camera),
        ("detectorNodeConfiguration", &settings.detector),
        ("trackerNodeConfiguration", &settings.tracker),
        ("calibrationConfiguration", &settings.calibration),
        ("cameraCalibratorNodeConfiguration", &settings.camera_calibrator),
    ] {
        put(&mut members, name, text.as_ref().map(Text::as_str));
    }
    members
}

#[cfg(test)]
mod tests {
    use lva_graph_model::{EventTrigger, Focus, ZoneEventType};

    use super::*;

    fn door() -> NamedPolygon {
        let points = [(0.0, 0.0), (0.0, 1.0), (0.5, 1.0)];
        NamedPolygon {
            name: "door".to_owned(),
            points: points.map(|(x, y)| Point { x, y }).to_vec(),
        }
    }

    fn written(operation: &Operation) -> Value {
        serde_json::from_str(&configuration_text(operation)).unwrap()
    }

    #[test]
    fn each_typed_operation_is_written_in_the_schema_s_own_words() {
        let event = CountEvent {
            threshold: Some(16.0),
            focus: Focus::Footprint,
            trigger: Some(EventTrigger::Event),
            output_frequency: Some(2),
        };
        let settings = OperationSettings::default();
        let zones = vec![Watched {
            at: door(),
            events: vec![DistanceEvent {
                count: event,
                minimum_distance: Some(1.5),
                maximum_distance: None,
            }],
        }];
        let distance = Operation::PersonDistance {
            settings: settings.clone(),
            zones,
        };
        assert_eq!(
            written(&distance),
            json!({
                "@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisPersonDistanceOperation",
                "zones": [{
                    "zone": {"@type": "#Microsoft.VideoAnalyzer.NamedPolygonString", "name": "door",
                             "polygon": "[[0.0,0.0],[0.0,1.0],[0.5,1.0]]"},
                    "events": [{"threshold": "16", "focus": "footprint", "trigger": "event",
                                "outputFrequency": "2", "minimumDistanceThreshold": "1.5"}],
                }],
            })
        );
        let zones = vec![Watched {
            at: door(),
            events: vec![ZoneCrossingEvent {
                threshold: None,
                focus: Focus::BottomCenter,
                event_type: ZoneEventType::ZoneDwellTime,
            }],
        }];
        let crossing = written(&Operation::PersonZoneCrossing { settings, zones });
        assert_eq!(
            crossing["zones"][0]["events"],
            json!([{"focus": "bottomCenter", "eventType": "zoneDwellTime"}])
        );
    }

    #[test]
    fn lines_and_settings_are_kept() {
        let settings = OperationSettings {
            debug: true,
            ..OperationSettings::default()
        };
        let at = NamedLine {
            name: "gate".to_owned(),
            start: Point { x: 0.5, y: 0.1 },
            end: Point { x: 0.5, y: 0.9 },
        };
        let lines = vec![Watched {
            at,
            events: Vec::new(),
        }];
        let written = written(&Operation::PersonLineCrossing { settings, lines });
        assert_eq!(written["lines"][0]["line"]["line"], "[[0.5,0.1],[0.5,0.9]]");
        assert_eq!(written["debug"], "true");
    }
}
