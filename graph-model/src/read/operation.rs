//! Operations of spatial analysis: checked here, read by the extension that carries them out.
//!
//! What an operation means is the extension's business. The graph keeps it as JSON in the schema's spelling, with
//! parameters and defaults filled in; the tables below are what validation promises about it.

use serde_json::{Map, Value, json};

use super::members::Members;
use super::{Presence, Reader, ValueError};
use crate::diagnostic::DiagnosticCode;
use crate::generation::{Family, Generation};
use crate::graph::NamedLine;
use crate::sensitive::SensitiveString;
use crate::string_enum::eq_ignoring_case;

/// A typed operation.
struct OperationType {
    /// Local name of its `@type`.
    name: &'static str,
    /// Its array of zones or lines.
    list: &'static str,
    /// The member of an array item that holds the zone or line.
    place: &'static str,
    /// Members of its events.
    events: &'static [(&'static str, Check)],
}

/// What a member of an event takes.
#[derive(Clone, Copy)]
enum Check {
    /// A finite number of at least 0.
    Number,
    /// An integer above 0.
    Count,
    /// One of these words, with the default if there is one.
    Word(&'static [&'static str], Option<&'static str>),
}

const THRESHOLD: (&str, Check) = ("threshold", Check::Number);
const FOCUS: (&str, Check) = (
    "focus",
    Check::Word(&["center", "bottomCenter", "footprint"], Some("footprint")),
);
const TRIGGER: (&str, Check) = ("trigger", Check::Word(&["event", "interval"], None));
const OUTPUT_FREQUENCY: (&str, Check) = ("outputFrequency", Check::Count);
const EVENT_TYPE: (&str, Check) = (
    "eventType",
    Check::Word(&["zoneCrossing", "zoneDwellTime"], Some("zoneCrossing")),
);

const OPERATIONS: [OperationType; 4] = [
    OperationType {
        name: "SpatialAnalysisPersonCountOperation",
        list: "zones",
        place: "zone",
        events: &[THRESHOLD, FOCUS, TRIGGER, OUTPUT_FREQUENCY],
    },
    OperationType {
        name: "SpatialAnalysisPersonZoneCrossingOperation",
        list: "zones",
        place: "zone",
        events: &[THRESHOLD, FOCUS, EVENT_TYPE],
    },
    OperationType {
        name: "SpatialAnalysisPersonDistanceOperation",
        list: "zones",
        place: "zone",
        events: &[
            THRESHOLD,
            FOCUS,
            TRIGGER,
            OUTPUT_FREQUENCY,
            ("minimumDistanceThreshold", Check::Number),
            ("maximumDistanceThreshold", Check::Number),
        ],
    },
    OperationType {
        name: "SpatialAnalysisPersonLineCrossingOperation",
        list: "lines",
        place: "line",
        events: &[THRESHOLD, FOCUS],
    },
];

impl Reader<'_> {
    /// The operation as the JSON that its extension is sent. A custom one is its own text.
    pub(crate) fn operation(&mut self, node: &mut Members<'_>) -> Option<SensitiveString> {
        let mut members = node.object("operation", self.findings)?;
        let members = &mut members;
        let (local, at) = self.local_type(members)?;
        let is = |name: &str| local.eq_ignore_ascii_case(name);
        let operation = if is("SpatialAnalysisCustomOperation") {
            self.string(members, "extensionConfiguration", Presence::Required)
        } else if let Some(kind) = OPERATIONS.iter().find(|kind| is(kind.name)) {
            let (mut written, secret) = self.settings(members);
            let places = self.places(members, kind);
            places.map(|places| {
                written.insert("@type".to_owned(), type_name(kind.name).into());
                written.insert(kind.list.to_owned(), places.into());
                SensitiveString::with_secret(Value::Object(written).to_string(), secret)
            })
        } else {
            let known = "a SpatialAnalysis operation: PersonCount, PersonZoneCrossing, PersonDistance, \
                         PersonLineCrossing or Custom";
            self.unknown_type(members, &local, &at, known);
            return None;
        };
        members.finish(self.findings);
        operation
    }

    /// What the typed operations have in common, and whether a secret is part of it.
    fn settings(&mut self, members: &mut Members<'_>) -> (Map<String, Value>, bool) {
        for name in [
            "calibrationConfiguration",
            "cameraCalibratorNodeConfiguration",
            "trackerNodeConfiguration",
        ] {
            self.since(members, name, self.generation == Generation::VideoAnalyzer1_1);
        }
        let (mut written, mut secret) = (Map::new(), false);
        for name in ["debug", "enableFaceMaskClassifier"] {
            if self.boolean(members, name) == Some(true) {
                written.insert(name.to_owned(), "true".into());
            }
        }
        for name in [
            "cameraConfiguration",
            "detectorNodeConfiguration",
            "trackerNodeConfiguration",
            "calibrationConfiguration",
            "cameraCalibratorNodeConfiguration",
        ] {
            if let Some(text) = self.string(members, name, Presence::Optional) {
                secret |= text.is_secret();
                written.insert(name.to_owned(), text.as_str().into());
            }
        }
        (written, secret)
    }

    /// Its zones or lines; `None` unless there is one and all are valid.
    fn places(&mut self, members: &mut Members<'_>, kind: &OperationType) -> Option<Vec<Value>> {
        let items = members.list(kind.list, self.findings);
        if items.is_empty() {
            members.missing(kind.list, self.findings);
        }
        let wanted = items.len();
        let mut all = Vec::with_capacity(wanted);
        for item in items {
            let what = format!("a {} of {}", kind.place, members.what);
            let Some(mut entry) = members.item(item, what, self.findings) else {
                continue;
            };
            let place = entry.object(kind.place, self.findings);
            if place.is_none() && entry.get(kind.place).is_none() {
                entry.missing(kind.place, self.findings);
            }
            let place = place.and_then(|mut place| match kind.place {
                "line" => self.written_line(&mut place),
                _ => self.written_polygon(&mut place),
            });
            let mut events = Vec::new();
            for item in entry.list("events", self.findings) {
                let what = format!("an event of {}", entry.what);
                if let Some(mut event) = entry.item(item, what, self.findings) {
                    events.push(self.event(&mut event, kind.events));
                    event.finish(self.findings);
                }
            }
            entry.finish(self.findings);
            all.extend(place.map(|place| json!({kind.place: place, "events": events})));
        }
        (all.len() == wanted && wanted > 0).then_some(all)
    }

    /// Numbers are strings in the schema.
    fn event(&mut self, members: &mut Members<'_>, checks: &[(&'static str, Check)]) -> Value {
        let mut written = Map::new();
        for (name, check) in checks {
            let value = match check {
                Check::Number => self.number(members, name, 0.0).map(|number| number.to_string()),
                Check::Count => self
                    .integer(members, name, Presence::Optional, 1..=u32::MAX)
                    .map(|count| count.to_string()),
                Check::Word(words, default) => {
                    let word = self.scalar(members, name, Presence::Optional, |text| {
                        let known = words.iter().copied().find(|word| eq_ignoring_case(word, text));
                        known.ok_or_else(|| ValueError::value(format!("one of {}", words.join(", "))))
                    });
                    word.or(*default).map(str::to_owned)
                }
            };
            written.extend(value.map(|value| ((*name).to_owned(), value.into())));
        }
        Value::Object(written)
    }

    fn written_line(&mut self, members: &mut Members<'_>) -> Option<Value> {
        let line = self.named_line(members)?;
        let ends = json!([line.start, line.end]).to_string();
        Some(json!({"@type": type_name("NamedLineString"), "name": line.name, "line": ends}))
    }

    fn written_polygon(&mut self, members: &mut Members<'_>) -> Option<Value> {
        let name = self.shape_head(members, "NamedPolygonString");
        let points = self.scalar(members, "polygon", Presence::Required, |text| {
            let mut points = parse_points(text, "[[x,y],[x,y],[x,y]]")?;
            if points.len() > 1 && points.first() == points.last() {
                points.pop();
            }
            if points.len() < 3 {
                return Err(ValueError::value(
                    "at least three different points, [[x,y],[x,y],[x,y]]",
                ));
            }
            Ok(points)
        });
        members.finish(self.findings);
        let (name, corners) = (name?, json!(points?).to_string());
        Some(json!({"@type": type_name("NamedPolygonString"), "name": name, "polygon": corners}))
    }

    pub(crate) fn named_line(&mut self, members: &mut Members<'_>) -> Option<NamedLine> {
        let name = self.shape_head(members, "NamedLineString");
        let points = self.scalar(members, "line", Presence::Required, |text| {
            let points = parse_points(text, "[[x1,y1],[x2,y2]]")?;
            match points[..] {
                [start, end] if start != end => Ok((start, end)),
                _ => Err(ValueError::value("two different points, [[x1,y1],[x2,y2]]")),
            }
        });
        members.finish(self.findings);
        let (start, end) = points?;
        Some(NamedLine {
            name: name?,
            start,
            end,
        })
    }

    fn shape_head(&mut self, members: &mut Members<'_>, expected: &'static str) -> Option<String> {
        let name = self.display_string(members, "name", Presence::Required);
        let (local, at) = self.local_type(members)?;
        if !local.eq_ignore_ascii_case(expected) {
            self.unknown_type(members, &local, &at, expected);
            return None;
        }
        name
    }
}

/// Only Video Analyzer has typed operations.
fn type_name(local: &str) -> String {
    format!("{}{local}", Family::VideoAnalyzer.type_prefix())
}

/// Points as JSON inside a string, in fractions of the frame.
fn parse_points(text: &str, form: &str) -> Result<Vec<[f64; 2]>, ValueError> {
    let points: Vec<[f64; 2]> = serde_json::from_str(text)
        .map_err(|_| ValueError::value(format!("a JSON text of the form {form}")))?;
    let inside = |v: f64| (0.0..=1.0).contains(&v);
    if !points.iter().flatten().all(|v| inside(*v)) {
        return Err(ValueError::with(
            DiagnosticCode::OutOfRange,
            "points in fractions of the frame, 0 to 1",
        ));
    }
    Ok(points)
}
