//! What other rules would have made of the last minutes.

use lva_inference_schema::Inference;
use lva_spatial_analysis::{AnalysisOptions, Operation, OperationError};
use lva_zones::report::{EventProfile, IdSource, Reporter};
use lva_zones::{Engine, Observation, SceneOptions, TrackId};

use crate::tracks::{Sighting, TrackedFrames};

/// The class that is followed where an operation names none.
const PERSON: &str = "person";

/// The inferences of the frames that have events.
pub(crate) type ReplayedEvents = Vec<(u64, Vec<Inference>)>;

/// Lets an operation look at people who were tracked. The same people give the same events, as in the extension. A class that the
/// operation names by its number in the model is not found: tracks have names.
///
/// # Errors
///
/// The operation cannot be watched in pictures of this shape.
pub(crate) fn replay(
    operation: &Operation,
    tracked: &TrackedFrames,
) -> Result<ReplayedEvents, OperationError> {
    let options = SceneOptions {
        aspect: tracked.aspect,
        ..AnalysisOptions::default().scene()
    };
    let mut engine = Engine::new(operation.scene_by_class(options)?);
    let mut reporter = Reporter::new(EventProfile::default(), IdSource::new(1));
    if let Some(classes) = operation.classes() {
        reporter = reporter.with_class_names(classes.into());
    }
    let classes = followed(operation, &tracked.classes);
    let observation = |person: &Sighting| {
        let class = *classes.get(usize::from(person.class))?;
        Some(Observation {
            class: class?,
            reidentified_after_90k: person.found_after_90k,
            ..Observation::new(TrackId(person.track), person.bbox)
        })
    };
    let mut events = Vec::new();
    for frame in &tracked.frames {
        let people: Vec<_> = frame.people.iter().filter_map(observation).collect();
        // Times only rise, so the engine refuses nothing but too many people.
        match engine.update(frame.timestamp_90k, &people) {
            Ok(found) if !found.is_empty() => events.push((frame.timestamp_90k, reporter.report(&found))),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a frame was not replayed"),
        }
    }
    Ok(events)
}

/// For each class its place among those that an operation follows; `None` for the others.
fn followed(operation: &Operation, classes: &[String]) -> Vec<Option<u16>> {
    let person = [PERSON.to_owned()];
    let wanted = operation.classes().unwrap_or(&person);
    let place = |class: &String| {
        let mut wanted = wanted.iter();
        let place = wanted.position(|wanted| wanted.eq_ignore_ascii_case(class))?;
        u16::try_from(place).ok()
    };
    classes.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use lva_inference::{DetectError, Detection, Detector, DetectorInfo, Frame, ImageView, PixelFormat};
    use lva_media_types::BoundingBox;
    use lva_spatial_analysis::{Entities, SpatialAnalysis};
    use serde_json::{Value, json};

    use super::*;
    use crate::events::imagined;
    use crate::tracks::Tracks;

    /// Four walk to and fro: people and cars of different speed and height.
    struct Walkers(DetectorInfo, f32);

    impl Walkers {
        fn new() -> Self {
            Self(
                DetectorInfo::new("walkers", 64, 36).with_class_names(["person", "car"]),
                0.0,
            )
        }
    }

    impl Detector for Walkers {
        fn info(&self) -> &DetectorInfo {
            &self.0
        }

        fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
            self.1 += 1.0;
            let walker = |n: u16| {
                let number = f32::from(n);
                let phase = self.1 * (0.008 + 0.003 * number);
                let left = (phase % 2.0 - 1.0).abs() * 0.85;
                let top = 0.05 + 0.2 * number;
                Detection {
                    bbox: BoundingBox::from_edges(left, top, left + 0.08, top + 0.18),
                    class: n % 2,
                    score: 0.9,
                }
            };
            Ok(frames.iter().map(|_| (0..4).map(walker).collect()).collect())
        }
    }

    fn operation(scene: &Value) -> Operation {
        Operation::from_json(&scene.to_string()).unwrap()
    }

    /// The events of an operation in the extension, and the tracks that it sent for people who watch.
    fn analysed(operation: &Operation) -> (Vec<Value>, TrackedFrames) {
        let options = AnalysisOptions::default().with_entities(Entities::Preview);
        let mut analysis = SpatialAnalysis::new(Walkers::new(), operation, options, 1).unwrap();
        let pixels = vec![0; 64 * 36 * 3];
        let frame = ImageView::packed(&pixels, 64, 36, PixelFormat::Bgr24).unwrap();
        let (mut events, mut tracks) = (Vec::new(), Tracks::default());
        for n in 1..=900 {
            let found = analysis.process(frame, n * 6000).unwrap();
            tracks.add(n * 6000, &found);
            events.extend(listed(n * 6000, &found));
        }
        (events, tracks.copied().unwrap())
    }

    /// Time, kind, place and class of the events as the page lists them.
    fn listed(timestamp_90k: u64, found: &[Inference]) -> Vec<Value> {
        let events = imagined("door", &[(timestamp_90k, found.to_vec())]);
        let shown = |event: &Value| {
            let members = ["timestamp90k", "kind", "status", "zone", "line", "label"];
            Value::from_iter(members.map(|name| event[name].clone()))
        };
        events.iter().map(shown).collect()
    }

    #[test]
    fn the_extension_gives_the_same_events() {
        let zone = json!({"name": "middle", "polygon": [[0.3, 0.0], [0.6, 0.0], [0.6, 1.0], [0.3, 1.0]]});
        let line = json!({"name": "gate", "start": [0.5, 1.0], "end": [0.5, 0.0]});
        let dwell = json!({"type": "zonedwelltime", "config": {"trigger": "event", "threshold": 3.0}});
        let both = json!({"classes": ["person", "car"], "zones": [zone], "lines": [line]});
        let mut cars = both.clone();
        cars["zones"][0]["classes"] = json!(["car"]);
        cars["zones"][0]["events"] = json!([{"type": "zonecrossing"}, dwell]);
        let (_, tracked) = analysed(&operation(&both));
        for scene in [both, cars, json!({"zones": [zone]}), json!({"lines": [line]})] {
            let operation = operation(&scene);
            let (expected, _) = analysed(&operation);
            let replayed = replay(&operation, &tracked).unwrap();
            let replayed: Vec<_> = replayed
                .iter()
                .flat_map(|(time, found)| listed(*time, found))
                .collect();
            assert!(expected.len() > 10, "{scene}: {}", expected.len());
            assert_eq!(replayed, expected, "{scene}");
        }
    }
}
