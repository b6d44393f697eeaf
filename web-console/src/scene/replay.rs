//! What other rules would have made of the last minutes.

use lva_inference_schema::Inference;
use lva_spatial_analysis::{AnalysisOptions, Operation, OperationError};
use lva_zones::report::{EventProfile, IdSource, Reporter};
use lva_zones::{Engine, Observation, SceneOptions, TrackId};

use crate::tracks::TrackedFrame;

/// The inferences of the frames that have events.
pub(crate) type ReplayedEvents = Vec<(u64, Vec<Inference>)>;

/// Lets an operation look at people who were tracked. The same people give the same events, as in the extension.
///
/// # Errors
///
/// The operation cannot be watched in pictures of this shape.
pub(crate) fn replay(
    operation: &Operation,
    aspect: f64,
    frames: &[TrackedFrame],
) -> Result<ReplayedEvents, OperationError> {
    let options = SceneOptions {
        aspect,
        ..AnalysisOptions::default().scene()
    };
    let mut engine = Engine::new(operation.scene(options)?);
    let mut reporter = Reporter::new(EventProfile::default(), IdSource::new(1));
    let mut events = Vec::new();
    for frame in frames {
        let people = frame.people.iter().map(|person| Observation {
            reidentified_after_90k: person.found_after_90k,
            ..Observation::new(TrackId(person.track), person.bbox)
        });
        let people: Vec<_> = people.collect();
        // Times only rise, so the engine refuses nothing but too many people.
        match engine.update(frame.timestamp_90k, &people) {
            Ok(found) if !found.is_empty() => events.push((frame.timestamp_90k, reporter.report(&found))),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a frame was not replayed"),
        }
    }
    Ok(events)
}
