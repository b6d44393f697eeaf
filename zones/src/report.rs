//! Events and people as the contract's inferences.

use crate::event::{EventKind, SpatialEvent};
use crate::ids::IdSource;
use crate::observation::{Observation, TrackId};
use lva_inference_schema::{Entity, Event, Inference, Rectangle};

/// In which of the published forms events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EventProfile {
    /// The tutorial of 2020: `personZoneEvent` and `personLineEvent` with `metadataVersion`; a person's inference id
    /// is the tracking id. The default. To be written in
    /// [`JsonStyle::Lva`](lva_inference_schema::JsonStyle::Lva).
    #[default]
    Tutorial2020,
    /// Video Analyzer, 2021: `personZoneEnterExitEvent` and `personLineEvent`; tracking id, side and the ground point
    /// (unknown: `inf` and `0.0`) as texts, a new inference id for each frame. To be written in
    /// [`JsonStyle::VideoAnalyzer`](lva_inference_schema::JsonStyle::VideoAnalyzer).
    VideoAnalyzer,
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
        for person in seen.chain(events.iter().map(|event| &event.person)) {
            if told.iter().any(|(track, _)| *track == person.track) {
                continue;
            }
            let entity = self.entity(person);
            told.push((person.track, entity.inference_id.clone()));
            inferences.push(entity);
        }
        for event in events {
            let entity = told.iter().find(|(track, _)| *track == event.track());
            let mut inference = Inference::new(self.event(event)).with_id(self.next_id());
            if let Some((_, id)) = entity {
                inference = inference.related_to(id.as_str());
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
                // Without calibration nothing is known about the ground; these are the published words for that.
                let unknown = [
                    ("centerGroundPointX", "0.0"),
                    ("centerGroundPointY", "0.0"),
                    ("footprintX", "inf"),
                    ("footprintY", "inf"),
                ];
                unknown
                    .into_iter()
                    .fold(entity, |entity, (name, value)| entity.with_extension(name, value))
            }
        }
    }

    fn event(&self, event: &SpatialEvent) -> Event {
        let tracking_id = self.ids.track(event.track());
        let (status, side) = match event.kind {
            EventKind::Cross(direction) => (direction.status(), None),
            EventKind::Enter { side } => ("Enter", side),
            EventKind::Exit { side, .. } => ("Exit", side),
        };
        let is_line = matches!(event.kind, EventKind::Cross(_));
        let name = match (self.profile, is_line) {
            (_, true) => "personLineEvent",
            (EventProfile::Tutorial2020, false) => "personZoneEvent",
            (EventProfile::VideoAnalyzer, false) => "personZoneEnterExitEvent",
        };
        // The name of a line travels as `zone` too.
        let told = Event::new(name)
            .with_property("status", status)
            .with_property("zone", &*event.name)
            .with_property("trackingId", tracking_id);
        match (self.profile, side) {
            (EventProfile::Tutorial2020, _) => told.with_property("metadataVersion", "1.0"),
            (EventProfile::VideoAnalyzer, Some(side)) => told.with_property("side", side.to_string()),
            (EventProfile::VideoAnalyzer, None) => told,
        }
    }
}
