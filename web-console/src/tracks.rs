//! Where people were in the last ten minutes, for their ways and for other rules to look at.

use std::collections::VecDeque;

use lva_inference_schema::{BoundingBox, Inference, InferenceValue, PreviewNote};
use serde::Deserialize;

/// How long people are remembered.
const KEPT_90K: u64 = 600 * 90_000;

/// Boxes of one camera that are remembered, at 40 bytes each; ten people at 15 frames a second for ten minutes are 90,000.
const MAX_BOXES: usize = 100_000;

/// Classes that are told apart.
const MAX_CLASSES: usize = 256;

/// Points of a way, and how far back it goes.
const WAY_POINTS: usize = 60;
const WAY_90K: u64 = 10 * 90_000;

/// A person in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sighting {
    pub(crate) track: u64,
    pub(crate) bbox: BoundingBox,
    pub(crate) found_after_90k: u64,
    /// Place of its class in [`TrackedFrames::classes`].
    pub(crate) class: u16,
    /// The middle of the lower edge in the camera's picture.
    foot: [f32; 2],
}

/// The people of a frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrackedFrame {
    pub(crate) timestamp_90k: u64,
    pub(crate) people: Vec<Sighting>,
}

/// The frames of the last minutes, oldest first.
#[derive(Debug)]
pub(crate) struct TrackedFrames {
    /// Width by height of what the rules look at.
    pub(crate) aspect: f64,
    /// The names of classes.
    pub(crate) classes: Vec<String>,
    pub(crate) frames: Vec<TrackedFrame>,
}

impl TrackedFrames {
    /// Times of the first and of the last frame.
    pub(crate) fn span(&self) -> (u64, u64) {
        let time = |frame: Option<&TrackedFrame>| frame.map_or(0, |frame| frame.timestamp_90k);
        (time(self.frames.first()), time(self.frames.last()))
    }
}

/// What one node has answered lately.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    frames: VecDeque<TrackedFrame>,
    boxes: usize,
    /// Width by height of what the rules look at.
    aspect: Option<f64>,
    classes: Vec<String>,
}

/// The note of an entity.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    number: u64,
    #[serde(rename = "box")]
    bbox: [f32; 4],
    #[serde(rename = "foundAfter90k", default)]
    found_after_90k: u64,
    aspect: f64,
}

impl Tracks {
    /// Takes the entities of a frame that have tracks. A frame that is not newer than the last one is left out.
    pub(crate) fn add(&mut self, timestamp_90k: u64, found: &[Inference]) {
        if let Some(last) = self.frames.back().map(|frame| frame.timestamp_90k) {
            if last.saturating_sub(timestamp_90k) > KEPT_90K {
                *self = Self::default(); // the clock was set back
            } else if timestamp_90k <= last {
                return;
            }
        }
        let people: Vec<Sighting> = found
            .iter()
            .filter_map(|inference| self.sighting(inference))
            .collect();
        // Without people, frames matter after those that had some: people have left.
        if people.is_empty()
            && self
                .frames
                .back()
                .is_none_or(|last| last.people.is_empty() && self.boxes == 0)
        {
            return;
        }
        self.boxes += people.len() + 1;
        self.frames.push_back(TrackedFrame {
            timestamp_90k,
            people,
        });
        let oldest = timestamp_90k.saturating_sub(KEPT_90K);
        while let Some(first) = self.frames.front()
            && (first.timestamp_90k < oldest || self.boxes > MAX_BOXES)
        {
            self.boxes -= first.people.len() + 1;
            self.frames.pop_front();
        }
    }

    fn sighting(&mut self, inference: &Inference) -> Option<Sighting> {
        let InferenceValue::Entity(entity) = &inference.value else {
            return None;
        };
        let note: Note = inference.note(PreviewNote::Track)?;
        let [left, top, width, height] = note.bbox;
        if self.aspect != Some(note.aspect) {
            // The rules began anew.
            self.frames.clear();
            (self.boxes, self.aspect) = (0, Some(note.aspect));
        }
        let shown = BoundingBox::from(&entity.bbox);
        let class = self.class(&entity.tag.value)?;
        Some(Sighting {
            track: note.number,
            bbox: BoundingBox::new(left, top, width, height),
            found_after_90k: note.found_after_90k,
            class,
            foot: [shown.left + shown.width / 2.0, shown.top + shown.height],
        })
    }

    /// The place of a class; `None` where there are too many.
    fn class(&mut self, name: &str) -> Option<u16> {
        let known = self.classes.iter().position(|known| known == name);
        let place = known.unwrap_or(self.classes.len());
        if place == MAX_CLASSES {
            return None;
        }
        if known.is_none() {
            self.classes.push(name.to_owned());
        }
        u16::try_from(place).ok()
    }

    /// All of it, to look at without a lock; `None` without people.
    pub(crate) fn copied(&self) -> Option<TrackedFrames> {
        let aspect = self.aspect.filter(|_| !self.frames.is_empty())?;
        Some(TrackedFrames {
            aspect,
            classes: self.classes.clone(),
            frames: self.frames.iter().cloned().collect(),
        })
    }

    /// The way of a person up to a moment.
    pub(crate) fn way(&self, track: u64, until_90k: u64) -> Vec<[f64; 2]> {
        let from = until_90k.saturating_sub(WAY_90K);
        let recent = self
            .frames
            .iter()
            .rev()
            .take_while(|frame| frame.timestamp_90k >= from);
        let frames = recent.filter(|frame| frame.timestamp_90k <= until_90k);
        let feet = frames.filter_map(|frame| frame.people.iter().find(|person| person.track == track));
        let mut way: Vec<[f64; 2]> = feet.map(|person| person.foot.map(f64::from)).collect();
        way.reverse();
        let step = way.len().div_ceil(WAY_POINTS).max(1);
        let last = way.len().saturating_sub(1);
        let mut index = 0;
        way.retain(|_| {
            // The end of the way is always in it.
            let keeps = (last - index).is_multiple_of(step);
            index += 1;
            keeps
        });
        way
    }
}

/// The number of the track that an entity is.
pub(crate) fn track_of(inference: &Inference) -> Option<u64> {
    inference.note::<Note>(PreviewNote::Track).map(|note| note.number)
}

#[cfg(test)]
pub(crate) mod tests {
    use lva_inference_schema::{Entity, Rectangle};
    use serde_json::json;

    use super::*;

    /// A person of a track at a place.
    pub(crate) fn person(track: u64, left: f32) -> Inference {
        let entity = Entity::new("person", 0.9_f64, Rectangle::new(left, 0.25, 0.125, 0.5));
        let note = json!({"number": track, "box": [left, 0.25, 0.125, 0.5], "aspect": 1.5});
        Inference::new(entity).with_note(PreviewNote::Track, &note)
    }

    #[test]
    fn a_way_ends_where_the_event_is_and_is_thinned() {
        let mut tracks = Tracks::default();
        for frame in 0..90_u16 {
            tracks.add(
                u64::from(frame) * 6000,
                &[person(1, f32::from(frame) / 128.0), person(2, 0.0)],
            );
        }
        let way = tracks.way(1, 60 * 6000);
        assert_eq!(way.last(), Some(&[f64::from(60.0_f32 / 128.0 + 0.0625), 0.75]));
        assert!(
            way.len() <= WAY_POINTS && way.len() > WAY_POINTS / 3,
            "{}",
            way.len()
        );
        assert!(tracks.way(3, 60 * 6000).is_empty());
    }

    #[test]
    fn time_and_boxes_are_bounded() {
        let mut tracks = Tracks::default();
        let crowd: Vec<_> = (0..50).map(|track| person(track, 0.0)).collect();
        for frame in 0..3000 {
            tracks.add(frame * 6000, &crowd);
        }
        assert!(tracks.boxes <= MAX_BOXES);
        assert_eq!(tracks.frames.len(), MAX_BOXES / 51);
        tracks.add(3000 * 6000 + KEPT_90K, &crowd);
        assert_eq!((tracks.frames.len(), tracks.boxes), (1, 51));
    }

    #[test]
    fn frames_without_people_matter_after_those_with_some() {
        let mut tracks = Tracks::default();
        tracks.add(1, &[]);
        assert_eq!(tracks.frames.len(), 0);
        tracks.add(2, &[person(1, 0.0)]);
        tracks.add(3, &[]);
        tracks.add(3, &[person(1, 0.5)]);
        let times: Vec<_> = tracks.frames.iter().map(|frame| frame.timestamp_90k).collect();
        assert_eq!(times, [2, 3]);
    }

    #[test]
    fn entities_without_tracks_are_not_followed() {
        let mut tracks = Tracks::default();
        let foreign = Entity::new("person", 0.9_f64, Rectangle::new(0.0, 0.0, 0.5, 0.5)).with_id("7");
        tracks.add(1, &[Inference::new(foreign)]);
        assert_eq!((tracks.frames.len(), tracks.aspect), (0, None));
    }
}
