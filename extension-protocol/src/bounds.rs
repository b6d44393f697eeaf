//! How much of a peer's inferences is taken: what is beyond is left out and counted.

use std::collections::BTreeMap;

use lva_inference_schema::{Attribute, Inference, InferenceValue, Tag};

/// Inferences of one message: several times the heads that models of crowds find.
pub(crate) const MAX_INFERENCES: usize = 2000;
/// Bytes of a name, a label, a value.
pub(crate) const MAX_TEXT_BYTES: usize = 4096;
/// Bytes of a text that was read or heard.
const MAX_CONTENT_BYTES: usize = 64 * 1024;
/// Attributes, properties, extensions and related inferences of one inference, of each kind.
pub(crate) const MAX_PARTS: usize = 256;

/// What was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Inferences beyond [`MAX_INFERENCES`].
    pub(crate) inferences: u64,
    /// Texts and lists that were cut.
    pub(crate) parts: u64,
}

impl LeftOut {
    fn text(&mut self, text: &mut String) {
        self.text_of(text, MAX_TEXT_BYTES);
    }

    fn text_of(&mut self, text: &mut String, max_bytes: usize) {
        if text.len() > max_bytes {
            let end = (0..=max_bytes).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            self.parts += 1;
        }
    }

    fn list<T>(&mut self, list: &mut Vec<T>) {
        if list.len() > MAX_PARTS {
            list.truncate(MAX_PARTS);
            list.shrink_to_fit();
            self.parts += 1;
        }
    }

    fn tag(&mut self, tag: &mut Tag) {
        self.text(&mut tag.value);
    }

    fn attributes(&mut self, attributes: &mut Vec<Attribute>) {
        self.list(attributes);
        for attribute in attributes {
            self.text(&mut attribute.name);
            self.text(&mut attribute.value);
        }
    }

    fn map(&mut self, map: &mut BTreeMap<String, String>) {
        let before = map.len();
        if before > MAX_PARTS || map.keys().any(|name| name.len() > MAX_TEXT_BYTES) {
            let taken = std::mem::take(map).into_iter();
            *map = taken
                .filter(|(name, _)| name.len() <= MAX_TEXT_BYTES)
                .take(MAX_PARTS)
                .collect();
            self.parts += 1;
        }
        for value in map.values_mut() {
            self.text(value);
        }
    }

    fn inference(&mut self, found: &mut Inference) {
        self.text(&mut found.subtype);
        self.text(&mut found.inference_id);
        self.text(&mut found.sequence_id);
        self.list(&mut found.related_inferences);
        for id in &mut found.related_inferences {
            self.text(id);
        }
        self.map(&mut found.extensions);
        match &mut found.value {
            InferenceValue::Classification(it) => {
                self.tag(&mut it.tag);
                self.attributes(&mut it.attributes);
            }
            InferenceValue::Motion(_) => {}
            InferenceValue::Entity(it) => {
                self.tag(&mut it.tag);
                self.attributes(&mut it.attributes);
                self.text(&mut it.id);
            }
            InferenceValue::Text(it) => {
                self.text_of(&mut it.value, MAX_CONTENT_BYTES);
                self.text(&mut it.language);
            }
            InferenceValue::Event(it) => {
                self.text(&mut it.name);
                self.map(&mut it.properties);
            }
            // A part of them would be something else; the message has a limit.
            InferenceValue::Other(it) => self.text(&mut it.content_type),
        }
    }
}

/// Leaves out what is beyond the limits.
pub(crate) fn bound(found: &mut Vec<Inference>) -> LeftOut {
    let mut left_out = LeftOut {
        inferences: found.len().saturating_sub(MAX_INFERENCES) as u64,
        parts: 0,
    };
    found.truncate(MAX_INFERENCES);
    for inference in found {
        left_out.inference(inference);
    }
    left_out
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{Entity, Event, Rectangle};

    use super::*;

    fn person(tag: &str) -> Inference {
        Inference::new(Entity::new(
            tag,
            0.5_f32,
            Rectangle::new(0.25_f32, 0.0_f32, 0.5_f32, 1.0_f32),
        ))
    }

    #[test]
    fn ordinary_results_pass_as_they_are() {
        let event = Event::new("personLineEvent").with_property("status", "Enter");
        let before = vec![
            person("person").with_id("a"),
            Inference::new(event).related_to("a"),
        ];
        let mut after = before.clone();
        assert_eq!(bound(&mut after), LeftOut::default());
        assert_eq!(after, before);
    }

    #[test]
    fn what_is_beyond_the_limits_is_left_out_and_counted() {
        // At the limit stands the first byte of a letter of two.
        let long = format!("{}ä{}", "x".repeat(MAX_TEXT_BYTES - 1), "y".repeat(3 << 20));
        let mut event = Event::new(long.clone());
        for number in 0..1000 {
            event = event.with_property(number.to_string(), "1");
        }
        let mut found = vec![person(&long), Inference::new(event)];
        found.resize(20_000, person("person"));
        let left_out = bound(&mut found);
        let expected = LeftOut {
            inferences: 18_000,
            parts: 3,
        };
        assert_eq!((found.len(), left_out), (MAX_INFERENCES, expected));
        let InferenceValue::Entity(entity) = &found[0].value else {
            panic!("{:?}", found[0])
        };
        assert_eq!(entity.tag.value, "x".repeat(MAX_TEXT_BYTES - 1));
        let InferenceValue::Event(event) = &found[1].value else {
            panic!("{:?}", found[1])
        };
        assert_eq!(
            (event.name.len(), event.properties.len()),
            (MAX_TEXT_BYTES - 1, MAX_PARTS)
        );
        assert_eq!(bound(&mut found), LeftOut::default());
    }
}
