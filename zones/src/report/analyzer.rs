//! Inferences of Video Analyzer's tracking nodes: the object tracker's entities and the line crossing's totals.

use super::PERSON;
use super::ids::{IdSource, NumberedIds};
use crate::event::{EventKind, SpatialEvent};
use crate::geometry::Direction;
use crate::observation::Observation;
use lva_inference_schema::{Entity, Event, Inference};
use std::collections::BTreeMap;

/// Entities with `sequenceId` like those of Video Analyzer's `ObjectTrackingProcessor`, and events with totals like those of
/// its `LineCrossingProcessor`.
///
/// Entity: `subtype` `objectDetection`, a new inference id in each frame, the same `sequenceId` for the same object.
/// Event: named after the line, `subtype` `lineCrossing`, related to the entity, all values strings. `direction` is
/// `clockwise` from left to right: like the hand of a clock centred at the line's start. Totals count since the reporter was
/// created.
#[derive(Debug, Clone)]
pub struct LineCrossingReporter {
    ids: NumberedIds,
    totals: BTreeMap<String, [u64; 2]>,
}

impl LineCrossingReporter {
    /// A reporter with ids from a source and totals of 0.
    pub fn new(ids: IdSource) -> Self {
        Self {
            ids: NumberedIds::new(ids),
            totals: BTreeMap::new(),
        }
    }

    /// The inferences of a frame: confirmed objects with their sequence ids, whose tags `tag` looks up by class, then the
    /// crossings. Events of zones are ignored.
    pub fn report(
        &mut self,
        objects: &[Observation],
        events: &[SpatialEvent],
        tag: impl Fn(u16) -> Option<String>,
    ) -> Vec<Inference> {
        let mut inferences = Vec::new();
        let mut reported = Vec::new();
        let crossed = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Cross(_)));
        let seen = objects.iter().filter(|object| object.confirmed);
        for object in seen.chain(crossed.clone().filter_map(|event| event.person.as_ref())) {
            if reported.iter().any(|(track, _)| *track == object.track) {
                continue;
            }
            let id = self.ids.next_id();
            reported.push((object.track, id.clone()));
            let tag = tag(object.class).unwrap_or_else(|| PERSON.to_owned());
            let entity = Inference::new(Entity::new(tag, object.score, object.bbox.into()))
                .with_subtype("objectDetection")
                .with_sequence_id(self.ids.track(object.track));
            inferences.push(entity.with_id(id));
        }
        for event in crossed {
            let EventKind::Cross(direction) = event.kind else {
                continue;
            };
            let [clockwise, counterclockwise] = self.totals.entry(event.name.to_string()).or_default();
            let word = match direction {
                Direction::Right => {
                    *clockwise += 1;
                    "clockwise"
                }
                Direction::Left => {
                    *counterclockwise += 1;
                    "counterclockwise"
                }
            };
            let crossing = Event::new(&*event.name)
                .with_property("direction", word)
                .with_property("total", (*clockwise + *counterclockwise).to_string())
                .with_property("clockwiseTotal", clockwise.to_string())
                .with_property("counterclockwiseTotal", counterclockwise.to_string());
            let mut inference = Inference::new(crossing)
                .with_subtype("lineCrossing")
                .with_id(self.ids.next_id());
            let related = reported.iter().find(|(track, _)| Some(*track) == event.track());
            if let Some((_, id)) = related {
                inference = inference.related_to(id.as_str());
            }
            inferences.push(inference);
        }
        inferences
    }
}
