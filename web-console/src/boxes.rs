//! What extensions found in a frame, as the page draws it.

use axum::extract::ws::Utf8Bytes;
use lva_inference_schema::{Inference, InferenceValue, Rectangle};
use serde_json::{Value, json};

/// Boxes of one frame; more are left out.
const MAX_ENTITIES: usize = 500;

/// The message of a frame. A frame in which nothing was found has one too: it clears the boxes.
pub(crate) fn message(node: &str, timestamp_90k: u64, found: &[Inference]) -> Utf8Bytes {
    let entities: Vec<Value> = found.iter().filter_map(entity).take(MAX_ENTITIES).collect();
    let message = json!({"type": "boxes", "node": node, "timestamp90k": timestamp_90k, "entities": entities});
    message.to_string().into()
}

fn entity(inference: &Inference) -> Option<Value> {
    let (id, label, score, bbox) = match &inference.value {
        InferenceValue::Entity(entity) => {
            let id = [&inference.sequence_id, &entity.id];
            let id = id
                .into_iter()
                .find(|id| !id.is_empty())
                .unwrap_or(&inference.inference_id);
            let score = entity.tag.confidence.filter(|score| score.is_finite());
            (id.as_str(), entity.tag.value.as_str(), score, &entity.bbox)
        }
        InferenceValue::Motion(motion) => ("", "motion", None, motion.bbox.as_ref()?),
        InferenceValue::Classification(_)
        | InferenceValue::Text(_)
        | InferenceValue::Event(_)
        | InferenceValue::Other(_) => return None,
    };
    Some(json!({
        "id": id,
        "label": label,
        "score": score.map(|score| score.get()),
        "box": fractions(bbox)?,
    }))
}

/// Left, top, width and height; nothing where one of them is no number.
pub(crate) fn fractions(bbox: &Rectangle) -> Option<[f64; 4]> {
    let all = [bbox.l, bbox.t, bbox.w, bbox.h].map(|side| side.get());
    all.iter().all(|side| side.is_finite()).then_some(all)
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{Entity, Event, Motion};

    use super::*;

    #[test]
    fn entities_have_the_tracker_s_name_and_what_is_no_box_is_left_out() {
        let place = || Rectangle::new(0.25, 0.5, 0.125, 0.25);
        let person = Entity::new("person", 0.5_f64, place());
        let found = [
            Inference::new(person.clone().with_id("7"))
                .with_sequence_id("s-1")
                .with_id("00"),
            Inference::new(person.clone().with_id("7")).with_id("00"),
            Inference::new(person).with_id("00"),
            Inference::new(Motion::new(place())),
            Inference::new(Entity::new(
                "ghost",
                0.5_f64,
                Rectangle::new(f64::NAN, 0.0, 1.0, 1.0),
            )),
            Inference::new(Event::new("personZoneEvent")),
        ];
        let text = message("ext", 9, &found);
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["timestamp90k"], &json["node"]), (&json!(9), &json!("ext")));
        let ids: Vec<_> = json["entities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entity| entity["id"].clone())
            .collect();
        assert_eq!(ids, ["s-1", "7", "00", ""]);
        assert_eq!(
            json["entities"][0],
            json!({"id": "s-1", "label": "person", "score": 0.5, "box": [0.25, 0.5, 0.125, 0.25]})
        );
        assert_eq!(json["entities"][3]["label"], "motion");
    }
}
