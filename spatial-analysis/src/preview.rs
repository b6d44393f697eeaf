//! Answers for people who watch: everybody is drawn, and events say why.

use lva_inference_schema::{Inference, InferenceKind, PreviewNote};
use lva_zones::event::Reason;
use lva_zones::{EventKind, Observation, SceneOptions, SpatialEvent};
use serde_json::{Value, json};

/// Marks the entities that no event is about, and adds notes: the people come first, each once, the events last.
pub(crate) fn marked(
    inferences: Vec<Inference>,
    people: &[Observation],
    events: &[SpatialEvent],
    options: SceneOptions,
) -> Vec<Inference> {
    let of_events: Vec<String> = inferences
        .iter()
        .filter(|inference| inference.kind() == InferenceKind::Event)
        .flat_map(|event| event.related_inferences.iter().cloned())
        .collect();
    let mut known = Vec::new();
    let seen = people.iter().filter(|person| person.confirmed);
    let mut tracks = seen
        .chain(events.iter().flat_map(SpatialEvent::all_people))
        .filter(move |person| {
            let is_new = !known.contains(&person.track);
            known.push(person.track);
            is_new
        });
    let mut causes = events.iter();
    let mark = |inference: Inference| match inference.kind() {
        InferenceKind::Event => match causes.next() {
            Some(event) => inference.with_note(PreviewNote::Why, &why(event, options)),
            None => inference,
        },
        _ => {
            let is_of_event = of_events.contains(&inference.inference_id);
            let inference = match tracks.next() {
                Some(person) => inference.with_note(PreviewNote::Track, &track(person, options.aspect)),
                None => inference,
            };
            match is_of_event {
                true => inference,
                false => inference.as_preview(),
            }
        }
    };
    inferences.into_iter().map(mark).collect()
}

/// A person as the rules see it: enough to let other rules look at the same.
fn track(person: &Observation, aspect: f64) -> Value {
    let bbox = person.smoothed;
    json!({
        "number": person.track.0,
        "box": [bbox.left, bbox.top, bbox.width, bbox.height],
        "foundAfter90k": person.reidentified_after_90k,
        "aspect": aspect,
    })
}

/// Which rule counted an event, on how many samples, against which thresholds.
fn why(event: &SpatialEvent, options: SceneOptions) -> Value {
    let cause = event.cause;
    let hold_ms = match cause.reason {
        Reason::Appeared => options.appear_ms.max(options.hold_ms),
        _ => options.hold_ms,
    };
    let mut thresholds = json!({"holdMs": hold_ms});
    if cause.reason == Reason::Vanished {
        thresholds["lostAfterMs"] = json!(options.lost_timeout_ms);
    }
    if let EventKind::DwellExceeded { limit_90k, .. } = event.kind {
        thresholds["dwellMs"] = json!(limit_90k / 90);
    }
    json!({
        "rule": rule(cause.reason),
        "samples": cause.samples,
        "heldMs": cause.held_90k / 90,
        "distance": cause.distance,
        "happened90k": event.time_90k,
        "thresholds": thresholds,
    })
}

fn rule(reason: Reason) -> &'static str {
    match reason {
        Reason::Crossed => "crossed",
        Reason::Appeared => "appeared",
        Reason::Vanished => "vanished",
        Reason::PassedThrough => "passedThrough",
        Reason::Lasted => "lasted",
        Reason::Changed => "changed",
        Reason::Interval => "interval",
        // `Reason` may grow.
        _ => "other",
    }
}
