//! Video Analyzer's own two nodes, as inferences: the object tracker's entities and the line crossing's totals.

use super::PERSON;
use crate::event::{Direction, EventKind, SpatialEvent};
use crate::ids::IdSource;
use crate::observation::Observation;
use lva_inference_schema::{Entity, Event, Inference, Rectangle};
use std::collections::BTreeMap;

/// Which way a line was crossed in the words of Video Analyzer's line-crossing node, for someone who stands at the
/// line's start and looks to its end: the hand of a clock with its centre there goes from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Winding {
    /// From left to right.
    Clockwise,
    /// From right to left.
    Counterclockwise,
}

impl Winding {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Clockwise, Self::Counterclockwise];

    /// The winding of a direction.
    pub fn of(direction: Direction) -> Self {
        match direction {
            Direction::Right => Self::Clockwise,
            Direction::Left => Self::Counterclockwise,
        }
    }

    /// The node's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clockwise => "clockwise",
            Self::Counterclockwise => "counterclockwise",
        }
    }
}

/// Entities with `sequenceId` as Video Analyzer's `ObjectTrackingProcessor` gives them, and events with totals as its
/// `LineCrossingProcessor` does.
///
/// Entity: `subtype` `objectDetection`, a new inference id for each frame, the same `sequenceId` for the same object.
/// Event: named after the line, `subtype` `lineCrossing`, related to the entity, all values texts; totals count since the
/// reporter was made.
#[derive(Debug, Clone)]
pub struct LineCrossingReporter {
    ids: IdSource,
    next: u64,
    totals: BTreeMap<String, [u64; 2]>,
}

impl LineCrossingReporter {
    /// A reporter with ids of this source and all totals 0.
    pub fn new(ids: IdSource) -> Self {
        Self {
            ids,
            next: 0,
            totals: BTreeMap::new(),
        }
    }

    /// The inferences of a frame: all confirmed objects with their sequence ids, tagged by `tag` from their classes, then
    /// the crossings. Events of zones are left out.
    pub fn report(
        &mut self,
        objects: &[Observation],
        events: &[SpatialEvent],
        tag: impl Fn(u16) -> Option<String>,
    ) -> Vec<Inference> {
        let mut inferences = Vec::new();
        let mut told = Vec::new();
        let crossed = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Cross(_)));
        let seen = objects.iter().filter(|object| object.confirmed);
        for object in seen.chain(crossed.clone().filter_map(|event| event.person.as_ref())) {
            if told.iter().any(|(track, _)| *track == object.track) {
                continue;
            }
            let id = self.next_id();
            told.push((object.track, id.clone()));
            let bbox = object.bbox;
            let bbox = Rectangle::new(bbox.left, bbox.top, bbox.width, bbox.height);
            let tag = tag(object.class).unwrap_or_else(|| PERSON.to_owned());
            let entity = Inference::new(Entity::new(tag, object.score, bbox))
                .with_subtype("objectDetection")
                .with_sequence_id(self.ids.track(object.track));
            inferences.push(entity.with_id(id));
        }
        for event in crossed {
            let EventKind::Cross(direction) = event.kind else {
                continue;
            };
            let winding = Winding::of(direction);
            let totals = self.totals.entry(event.name.to_string()).or_default();
            let [clockwise, counterclockwise] = totals;
            match winding {
                Winding::Clockwise => *clockwise += 1,
                Winding::Counterclockwise => *counterclockwise += 1,
            }
            let told_event = Event::new(&*event.name)
                .with_property("direction", winding.word())
                .with_property("total", (*clockwise + *counterclockwise).to_string())
                .with_property("clockwiseTotal", clockwise.to_string())
                .with_property("counterclockwiseTotal", counterclockwise.to_string());
            let mut inference = Inference::new(told_event)
                .with_subtype("lineCrossing")
                .with_id(self.next_id());
            let related = told.iter().find(|(track, _)| Some(*track) == event.track());
            if let Some((_, id)) = related {
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
}
