//! Events and people as the contract's inferences.

mod analyzer;
mod container;
mod words;

use crate::event::{EventKind, SpatialEvent};
use crate::ground::footprint;
use crate::ids::IdSource;
use crate::observation::{Observation, TrackId};
pub use analyzer::{LineCrossingReporter, Winding};
pub use container::{ContainerReporter, ContainerSchema, SourceInfo};
use lva_inference_schema::{Entity, Event, Inference, Rectangle};

/// In which of the published forms events are told as inferences. The container's own form, which has no inferences, is
/// [`ContainerReporter`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EventProfile {
    /// The tutorial of 2020: `personZoneEvent` and `personLineEvent` with `metadataVersion`; a person's inference id
    /// is the tracking id. The default. To be written in
    /// [`JsonStyle::Lva`](lva_inference_schema::JsonStyle::Lva).
    #[default]
    Tutorial2020,
    /// Video Analyzer, 2021: `personZoneEnterExitEvent` and `personLineEvent`; tracking id, side, footprint, ground
    /// point and speed as texts (unknown: `inf` and `0.0`), a new inference id for each frame. To be written in
    /// [`JsonStyle::VideoAnalyzer`](lva_inference_schema::JsonStyle::VideoAnalyzer).
    VideoAnalyzer,
}

impl EventProfile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tutorial2020, Self::VideoAnalyzer];
}

/// Turns events into inferences.
///
/// Entities come first, then events, as published. Of the people only those who did something are told, unless all are
/// asked for. No events and nobody asked for gives no inference, and a message without inferences is not to be sent.
///
/// ```
/// # use lva_zones::*;
/// # let square = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)].map(|(x, y)| Point::new(x, y));
/// # let options = SceneOptions { hold_ms: 0, ..SceneOptions::default() };
/// # let scene = Scene::new(vec![Zone::new("polygon0", square)], vec![], options).unwrap();
/// # let mut engine = Engine::new(scene);
/// let people = [Observation::new(TrackId(1), BoundingBox::new(0.4, 0.3, 0.2, 0.4))];
/// let events = engine.update(0, &people)?;
/// let mut reporter = Reporter::new(EventProfile::Tutorial2020, IdSource::new(1));
/// let inferences = reporter.report(&events);
/// assert_eq!(inferences.len(), 2);
/// assert_eq!(inferences[1].related_inferences, [inferences[0].inference_id.clone()]);
/// # Ok::<(), EngineError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reporter {
    profile: EventProfile,
    ids: IdSource,
    next: u64,
}

/// Tag of a person.
const PERSON: &str = "person";

impl Reporter {
    /// A reporter of this profile, with ids of this source.
    pub fn new(profile: EventProfile, ids: IdSource) -> Self {
        Self {
            profile,
            ids,
            next: 0,
        }
    }

    /// The profile.
    pub fn profile(&self) -> EventProfile {
        self.profile
    }

    /// The inferences of a frame: the people of its events, then the events.
    pub fn report(&mut self, events: &[SpatialEvent]) -> Vec<Inference> {
        self.report_with_people(&[], events)
    }

    /// The inferences of a frame with everybody in it: all confirmed people, those of the events, then the events.
    pub fn report_with_people(&mut self, people: &[Observation], events: &[SpatialEvent]) -> Vec<Inference> {
        let mut told: Vec<(TrackId, String)> = Vec::new();
        let mut inferences = Vec::new();
        let seen = people.iter().filter(|person| person.confirmed);
        for person in seen.chain(events.iter().flat_map(SpatialEvent::everybody)) {
            if told.iter().any(|(track, _)| *track == person.track) {
                continue;
            }
            let entity = self.entity(person);
            told.push((person.track, entity.inference_id.clone()));
            inferences.push(entity);
        }
        for event in events {
            let mut inference = Inference::new(self.event(event)).with_id(self.next_id());
            for person in event.everybody() {
                if let Some((_, id)) = told.iter().find(|(track, _)| *track == person.track) {
                    inference = inference.related_to(id.as_str());
                }
            }
            inferences.push(inference);
        }
        inferences
    }

    fn next_id(&mut self) -> String {
        let id = self.ids.inference(self.next);
        self.next += 1;
        id
    }

    fn entity(&mut self, person: &Observation) -> Inference {
        let bbox = person.bbox;
        let bbox = Rectangle::new(bbox.left, bbox.top, bbox.width, bbox.height);
        let entity = Inference::new(Entity::new(PERSON, person.score, bbox));
        let tracking_id = self.ids.track(person.track);
        match self.profile {
            EventProfile::Tutorial2020 => entity.with_id(tracking_id),
            EventProfile::VideoAnalyzer => {
                let entity = entity
                    .with_id(self.next_id())
                    .with_extension("trackingId", tracking_id);
                metadata(person)
                    .into_iter()
                    .fold(entity, |entity, (name, value)| entity.with_extension(name, value))
            }
        }
    }

    fn event(&self, event: &SpatialEvent) -> Event {
        let name = match self.profile {
            EventProfile::Tutorial2020 => words::first_name(&event.kind),
            EventProfile::VideoAnalyzer => words::name(&event.kind),
        };
        // The name of a line travels as `zone` too.
        let mut told = Event::new(name).with_property("zone", &*event.name);
        if let Some(track) = event.track() {
            told = told.with_property("trackingId", self.ids.track(track));
        }
        for (name, value) in words::properties(event) {
            let value = match (self.profile, name, &event.kind) {
                // The tutorial's events have no side; Video Analyzer's leave an unknown one out.
                (EventProfile::Tutorial2020, "side", _) => continue,
                (EventProfile::VideoAnalyzer, "side", _) if value == words::Value::Text(String::new()) => {
                    continue;
                }
                (EventProfile::VideoAnalyzer, "eventName", EventKind::Distance(report)) => {
                    words::analyzer_word(report.state).to_owned()
                }
                _ => value.text(),
            };
            told = told.with_property(name, value);
        }
        match self.profile {
            EventProfile::Tutorial2020 => told.with_property("metadataVersion", "1.0"),
            EventProfile::VideoAnalyzer => told,
        }
    }
}

/// What is known of a person's place, in the contract's texts: without calibration the ground point is `0.0`; which way
/// somebody looks is never known here, and `inf` is the published word for that.
fn metadata(person: &Observation) -> [(&'static str, String); 7] {
    let foot = footprint(&person.steady);
    let ground = person.place.map(|place| place.ground).unwrap_or_default();
    [
        ("centerGroundPointX", words::decimal(ground.right_ft)),
        ("centerGroundPointY", words::decimal(ground.ahead_ft)),
        ("footprintX", words::decimal(foot.x)),
        ("footprintY", words::decimal(foot.y)),
        ("groundOrientationAngle", "inf".to_owned()),
        ("mappedImageOrientation", "inf".to_owned()),
        (
            "speed",
            words::decimal(person.place.map_or(0.0, |place| place.speed_ft_s)),
        ),
    ]
}
