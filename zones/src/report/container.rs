//! The container's messages, schema 1.0 and 2.0.

use super::ids::{IdSource, NumberedIds};
use super::{PERSON, metadata, properties};
use crate::event::{EventKind, SpatialEvent};
use crate::ground::Ground;
use crate::observation::Observation;
use crate::point::Point;
use crate::scene::Trigger;
use lva_media_types::BoundingBox;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Version of the container's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerSchema {
    /// `1.0`, 2020 and 2021: ground points as objects, `metadataType`, names of 2021.
    V1,
    /// `2.0`, 2022 to 2024: a person's metadata as strings, attributes as an array.
    V2,
}

impl ContainerSchema {
    /// Every version.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    fn word(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

/// The camera of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// The camera's name: `VIDEO_SOURCE_ID`.
    pub id: String,
    /// Width of the processed frame in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// Turns events into the messages that the container sends to a hub.
///
/// A message has the events, the camera, and the people of the events. Frames without events have none.
///
/// ```
/// # use lva_zones::{*, report::*};
/// # let square = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)].map(|(x, y)| Point::new(x, y));
/// # let options = SceneOptions { hold_ms: 0, ..SceneOptions::default() };
/// # let scene = Scene::new(vec![Zone::new("lobby", square)], vec![], options).unwrap();
/// # let mut engine = Engine::new(scene);
/// let people = [Observation::new(TrackId(1), BoundingBox::new(0.4, 0.3, 0.2, 0.4))];
/// let events = engine.update(0, &people)?;
/// let camera = SourceInfo { id: "camera_id".into(), width: 608, height: 342 };
/// let mut reporter = ContainerReporter::new(ContainerSchema::V2, camera, IdSource::new(1));
/// let message = reporter.report(0, 1, &events, None).expect("a message");
/// assert_eq!(message["events"][0]["properties"]["status"], "Enter");
/// assert_eq!(message["sourceInfo"]["timestamp"], "1970-01-01T00:00:00.000Z");
/// # Ok::<(), EngineError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ContainerReporter {
    schema: ContainerSchema,
    source: SourceInfo,
    ids: NumberedIds,
    /// Types of detections by class.
    types: Arc<[String]>,
}

impl ContainerReporter {
    /// A reporter for a camera, with ids from a source.
    pub fn new(schema: ContainerSchema, source: SourceInfo, ids: IdSource) -> Self {
        Self {
            schema,
            source,
            ids: NumberedIds::new(ids),
            types: Arc::from([]),
        }
    }

    /// Gives detections the names of their classes as `type`, by index, and events of one of them its name as `class`. Default:
    /// everybody is a `person`, and events have no `class`.
    #[must_use]
    pub fn with_class_names(mut self, names: Arc<[String]>) -> Self {
        self.types = names;
        self
    }

    /// The message of a frame; `None` without events. Messages with counts or distances carry the camera's calibration.
    pub fn report(
        &mut self,
        timestamp_90k: u64,
        frame: u64,
        events: &[SpatialEvent],
        ground: Option<&Ground>,
    ) -> Option<Value> {
        if events.is_empty() {
            return None;
        }
        let mut people: Vec<&Observation> = Vec::new();
        for person in events.iter().flat_map(SpatialEvent::all_people) {
            if people.iter().all(|known| known.track != person.track) {
                people.push(person);
            }
        }
        let group =
            |event: &SpatialEvent| matches!(event.kind, EventKind::Count { .. } | EventKind::Distance(_));
        let reported: Vec<Value> = events.iter().map(|event| self.event(event)).collect();
        let mut source = self.source(timestamp_90k, frame);
        if events.iter().any(group) {
            source.insert("cameraCalibrationInfo".to_owned(), calibration(ground));
        }
        Some(json!({
            "events": reported,
            "sourceInfo": source,
            "detections": people.into_iter().map(|person| self.detection(person)).collect::<Vec<_>>(),
            "schemaVersion": self.schema.word(),
        }))
    }

    /// The `cameraCalibrationEvent`: the camera, and the ground points of some boxes. As published, the point of a box is its
    /// bottom right corner. Zones are not proposed.
    pub fn calibration(
        &mut self,
        timestamp_90k: u64,
        frame: u64,
        ground: &Ground,
        boxes: &[BoundingBox],
    ) -> Value {
        let mut source = self.source(timestamp_90k, frame);
        source.insert("cameraCalibrationInfo".to_owned(), calibration(Some(ground)));
        let presence = boxes.iter().filter_map(|bbox| {
            let corner = Point::new(f64::from(bbox.right()), f64::from(bbox.bottom()));
            ground.at(corner).map(|at| (bbox, at))
        });
        let (regions, points): (Vec<Value>, Vec<Value>) = presence
            .map(|(bbox, at)| (rectangle(bbox), json!({"x": at.right_ft, "y": at.ahead_ft})))
            .unzip();
        json!({
            "type": "cameraCalibrationEvent",
            "sourceInfo": source,
            "zonePlacementInfo": {
                "uniformlySpacedPersonBoundingBoxes": regions,
                "personBoundingBoxGroundPoints": points,
            },
        })
    }

    fn source(&self, timestamp_90k: u64, frame: u64) -> Map<String, Value> {
        let mut source = Map::new();
        source.insert("id".to_owned(), json!(self.source.id));
        let time = lva_inference_schema::event_time(timestamp_90k);
        source.insert("timestamp".to_owned(), json!(time));
        source.insert("width".to_owned(), json!(self.source.width));
        source.insert("height".to_owned(), json!(self.source.height));
        source.insert("frameId".to_owned(), json!(frame.to_string()));
        source.insert("imagePath".to_owned(), json!(""));
        source
    }

    fn event(&mut self, event: &SpatialEvent) -> Value {
        let id = self.ids.next_id();
        let mut properties = Map::new();
        if let Some(person) = &event.person {
            properties.insert("trackingId".to_owned(), json!(self.ids.track(person.track)));
            if let Some(class) = self.types.get(usize::from(person.class)) {
                properties.insert("class".to_owned(), json!(class));
            }
        }
        for (name, value) in properties::properties(event) {
            let value = match value {
                properties::Value::String(text) => json!(text),
                properties::Value::Integer(number) => json!(number),
                properties::Value::Float(number) => json!(number),
            };
            properties.insert(name.to_owned(), value);
        }
        // A table of the container's page has the time of a visit under this name, its samples under `dwellTime`.
        let dwelt = match event.kind {
            EventKind::Dwell(dwell) => Some(dwell.dwell_90k),
            EventKind::DwellExceeded { dwell_90k, .. } => Some(dwell_90k),
            _ => None,
        };
        if let Some(ticks) = dwelt {
            properties.insert("durationMs".to_owned(), json!(ticks / 90));
        }
        let ids: Vec<String> = event
            .all_people()
            .map(|person| self.ids.track(person.track))
            .collect();
        let mut reported = json!({
            "id": id,
            "type": properties::name(&event.kind),
            "detectionIds": ids,
            "properties": properties,
            "zone": &*event.name,
        });
        let trigger = match event.kind {
            EventKind::Count { trigger, .. } => Some(trigger),
            EventKind::Distance(report) => Some(report.trigger),
            _ => None,
        };
        if let (Some(trigger), Some(members)) = (trigger, reported.as_object_mut()) {
            let word = match trigger {
                Trigger::Event => "event",
                Trigger::Interval { .. } => "interval",
            };
            members.insert("trigger".to_owned(), json!(word));
        }
        reported
    }

    fn detection(&self, person: &Observation) -> Value {
        let id = self.ids.track(person.track);
        let mut reported = json!({
            "type": self.types.get(usize::from(person.class)).map_or(PERSON, String::as_str),
            "id": id,
            "region": rectangle(&person.bbox),
            "confidence": person.score,
        });
        let Some(members) = reported.as_object_mut() else {
            return reported;
        };
        match self.schema {
            ContainerSchema::V1 => {
                let position = person.ground_position;
                let ground = position.map(|position| position.ground).unwrap_or_default();
                members.insert(
                    "centerGroundPoint".to_owned(),
                    json!({"x": ground.right_ft, "y": ground.ahead_ft}),
                );
                members.insert("metadataType".to_owned(), json!(""));
                if let Some(position) = position {
                    members.insert("metadata".to_owned(), json!({"speed": position.speed_ft_s}));
                }
            }
            ContainerSchema::V2 => {
                let mut known: Map<String, Value> = metadata(person)
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), json!(value)))
                    .collect();
                known.insert("trackingId".to_owned(), json!(id));
                members.insert("metadata".to_owned(), Value::Object(known));
                members.insert("attributes".to_owned(), json!([]));
            }
        }
        reported
    }
}

fn rectangle(bbox: &BoundingBox) -> Value {
    json!({
        "type": "RECTANGLE",
        "points": [{"x": bbox.left, "y": bbox.top}, {"x": bbox.right(), "y": bbox.bottom()}],
    })
}

fn calibration(ground: Option<&Ground>) -> Value {
    match ground.and_then(Ground::camera) {
        Some(camera) => json!({
            "status": "Calibrated",
            "cameraHeight": camera.height_ft,
            "focalLength": camera.focal_px,
            "tiltupAngle": camera.tilt_rad,
        }),
        // Ground from points is a calibration without a camera.
        None if ground.is_some() => json!({"status": "Calibrated"}),
        None => json!({"status": "Calibrating"}),
    }
}
