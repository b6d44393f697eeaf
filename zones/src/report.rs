//! Events and people as the inferences of the contract.

mod analyzer;
#[cfg(feature = "container-messages")]
mod container;
mod ids;
mod properties;

use crate::event::{EventKind, SpatialEvent};
use crate::observation::{Observation, TrackId};
use crate::point::Focus;
pub use analyzer::LineCrossingReporter;
#[cfg(feature = "container-messages")]
pub use container::{ContainerReporter, ContainerSchema, SourceInfo};
pub use ids::IdSource;
use ids::NumberedIds;
use lva_inference_schema::{Entity, Event, Inference};
use std::sync::Arc;

/// The published form in which events become inferences. The container's own messages, which have no inferences, come from
/// `ContainerReporter` (feature `container-messages`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EventProfile {
    /// The tutorial of 2020: `personZoneEvent` and `personLineEvent` with `metadataVersion`; a person's inference id is the
    /// tracking id. The default. Written in [`JsonStyle::Lva`](lva_inference_schema::JsonStyle::Lva).
    #[default]
    Tutorial2020,
    /// Video Analyzer, 2021: `personZoneEnterExitEvent` and `personLineEvent`; tracking id, side, footprint, ground point and
    /// speed as strings (unknown: `inf` and `0.0`), a new inference id in each frame. Written in
    /// [`JsonStyle::VideoAnalyzer`](lva_inference_schema::JsonStyle::VideoAnalyzer).
    VideoAnalyzer,
}

/// Turns events into inferences.
///
/// Entities come first, then events, as published. Entities are the people of the events, or everybody on request. Do not
/// send a message without inferences.
///
/// ```
/// # use lva_zones::{*, report::*};
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
    ids: NumberedIds,
    /// Tags by class; without one, everybody is a person.
    tags: Arc<[String]>,
}

/// Tag of a person.
const PERSON: &str = "person";

impl Reporter {
    /// A reporter for a profile, with ids from a source.
    pub fn new(profile: EventProfile, ids: IdSource) -> Self {
        Self {
            profile,
            ids: NumberedIds::new(ids),
            tags: Arc::from([]),
        }
    }

    /// Tags entities with the names of their classes, by index, and gives events of one entity its name as `class`. Default:
    /// everybody is a `person`, and events have no `class`.
    #[must_use]
    pub fn with_class_names(mut self, names: Arc<[String]>) -> Self {
        self.tags = names;
        self
    }

    /// The inferences of a frame: the people of its events, then the events.
    pub fn report(&mut self, events: &[SpatialEvent]) -> Vec<Inference> {
        self.report_with_people(&[], events)
    }

    /// The inferences of a frame with all its people: confirmed people, those of the events, then the events.
    pub fn report_with_people(&mut self, people: &[Observation], events: &[SpatialEvent]) -> Vec<Inference> {
        let mut reported: Vec<(TrackId, String)> = Vec::new();
        let mut inferences = Vec::new();
        let seen = people.iter().filter(|person| person.confirmed);
        for person in seen.chain(events.iter().flat_map(SpatialEvent::all_people)) {
            if reported.iter().any(|(track, _)| *track == person.track) {
                continue;
            }
            let entity = self.entity(person);
            reported.push((person.track, entity.inference_id.clone()));
            inferences.push(entity);
        }
        for event in events {
            let mut inference = Inference::new(self.event(event)).with_id(self.ids.next_id());
            for person in event.all_people() {
                if let Some((_, id)) = reported.iter().find(|(track, _)| *track == person.track) {
                    inference = inference.related_to(id.as_str());
                }
            }
            inferences.push(inference);
        }
        inferences
    }

    fn entity(&mut self, person: &Observation) -> Inference {
        let tag = self.tags.get(usize::from(person.class));
        let tag = tag.map_or(PERSON, String::as_str);
        let entity = Inference::new(Entity::new(tag, person.score, person.bbox.into()));
        let tracking_id = self.ids.track(person.track);
        match self.profile {
            EventProfile::Tutorial2020 => entity.with_id(tracking_id),
            EventProfile::VideoAnalyzer => {
                let entity = entity
                    .with_id(self.ids.next_id())
                    .with_extension("trackingId", tracking_id);
                metadata(person)
                    .into_iter()
                    .fold(entity, |entity, (name, value)| entity.with_extension(name, value))
            }
        }
    }

    fn event(&self, event: &SpatialEvent) -> Event {
        let name = match self.profile {
            EventProfile::Tutorial2020 => properties::name_2020(&event.kind),
            EventProfile::VideoAnalyzer => properties::name(&event.kind),
        };
        // The member is `zone` for lines too.
        let mut reported = Event::new(name).with_property("zone", &*event.name);
        if let Some(person) = &event.person {
            reported = reported.with_property("trackingId", self.ids.track(person.track));
            if let Some(class) = self.tags.get(usize::from(person.class)) {
                reported = reported.with_property("class", class.as_str());
            }
        }
        for (name, value) in properties::properties(event) {
            let value = match (self.profile, name, &event.kind) {
                // The tutorial's events have no side; Video Analyzer's omit an unknown one.
                (EventProfile::Tutorial2020, "side", _) => continue,
                (EventProfile::VideoAnalyzer, "side", _)
                    if value == properties::Value::String(String::new()) =>
                {
                    continue;
                }
                (EventProfile::VideoAnalyzer, "eventName", EventKind::Distance(report)) => {
                    properties::analyzer_word(report.state).to_owned()
                }
                _ => value.into_string(),
            };
            reported = reported.with_property(name, value);
        }
        match self.profile {
            EventProfile::Tutorial2020 => reported.with_property("metadataVersion", "1.0"),
            EventProfile::VideoAnalyzer => reported,
        }
    }
}

/// A person's position as the contract's strings: without calibration the ground point is `0.0`. The orientation is never
/// known here, which the contract writes as `inf`.
fn metadata(person: &Observation) -> [(&'static str, String); 7] {
    let foot = Focus::Footprint.point(&person.smoothed);
    let position = person.ground_position;
    let ground = position.map(|position| position.ground).unwrap_or_default();
    [
        ("centerGroundPointX", properties::decimal(ground.right_ft)),
        ("centerGroundPointY", properties::decimal(ground.ahead_ft)),
        ("footprintX", properties::decimal(foot.x)),
        ("footprintY", properties::decimal(foot.y)),
        ("groundOrientationAngle", "inf".to_owned()),
        ("mappedImageOrientation", "inf".to_owned()),
        (
            "speed",
            properties::decimal(position.map_or(0.0, |position| position.speed_ft_s)),
        ),
    ]
}
