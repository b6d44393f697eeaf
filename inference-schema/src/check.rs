//! Ranges and required texts of the published JSON schema: reported, never refused.

use crate::Real;
use crate::inference::{Attribute, Inference, InferenceValue, Rectangle, Tag};
use std::fmt;

/// Something in an inference that the published schema does not allow. Readers of the time took it nevertheless.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// JSON pointer into the inference.
    pub pointer: String,
    /// What is wrong.
    pub problem: Problem,
}

/// Kind of a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// A coordinate or confidence outside 0 to 1, or no number.
    OutsideUnit(f64),
    /// A text that must not be empty is.
    Empty,
    /// A subtype that begins or ends with white space.
    SurroundingSpace,
    /// A member that the schema does not know.
    UnknownMember,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, problem } = self;
        match problem {
            Problem::OutsideUnit(value) => write!(f, "{pointer}: {value} is outside 0 to 1"),
            Problem::Empty => write!(f, "{pointer}: must not be empty"),
            Problem::SurroundingSpace => write!(f, "{pointer}: begins or ends with white space"),
            Problem::UnknownMember => write!(f, "{pointer}: the published schema has no such member"),
        }
    }
}

impl Inference {
    /// Everything in this inference that the published JSON schema forbids. Empty for what the original wrote, but
    /// for members that its own schema lacks.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Findings(Vec::new());
        if self.subtype.trim() != self.subtype {
            found.add("/subtype".to_owned(), Problem::SurroundingSpace);
        }
        let kind = self.kind().as_str();
        let at = format!("/{kind}");
        let extra = match &self.value {
            InferenceValue::Classification(it) => {
                found.tag(&at, &it.tag);
                found.attributes(&at, &it.attributes);
                &it.extra
            }
            InferenceValue::Motion(it) => {
                found.rectangle(&at, it.bbox.as_ref());
                &it.extra
            }
            InferenceValue::Entity(it) => {
                found.tag(&at, &it.tag);
                found.attributes(&at, &it.attributes);
                found.rectangle(&at, Some(&it.bbox));
                &it.extra
            }
            InferenceValue::Text(it) => &it.extra,
            InferenceValue::Event(it) => {
                found.filled(format!("{at}/name"), &it.name);
                found.rectangle(&at, it.bbox.as_ref());
                &it.extra
            }
            InferenceValue::Other(it) => &it.extra,
        };
        for (place, extra) in [("", &self.extra), (at.as_str(), extra)] {
            for name in extra.keys() {
                found.add(format!("{place}/{name}"), Problem::UnknownMember);
            }
        }
        found.0
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, pointer: String, problem: Problem) {
        self.0.push(Finding { pointer, problem });
    }

    fn unit(&mut self, pointer: String, value: Real) {
        if !(0.0..=1.0).contains(&value.get()) {
            self.add(pointer, Problem::OutsideUnit(value.get()));
        }
    }

    fn filled(&mut self, pointer: String, text: &str) {
        if text.is_empty() {
            self.add(pointer, Problem::Empty);
        }
    }

    fn tag(&mut self, at: &str, tag: &Tag) {
        self.filled(format!("{at}/tag/value"), &tag.value);
        if let Some(confidence) = tag.confidence {
            self.unit(format!("{at}/tag/confidence"), confidence);
        }
    }

    fn attributes(&mut self, at: &str, attributes: &[Attribute]) {
        for (index, attribute) in attributes.iter().enumerate() {
            self.filled(format!("{at}/attributes/{index}/name"), &attribute.name);
            if let Some(confidence) = attribute.confidence {
                self.unit(format!("{at}/attributes/{index}/confidence"), confidence);
            }
        }
    }

    fn rectangle(&mut self, at: &str, bbox: Option<&Rectangle>) {
        let Some(bbox) = bbox else { return };
        for (name, value) in [("l", bbox.l), ("t", bbox.t), ("w", bbox.w), ("h", bbox.h)] {
            self.unit(format!("{at}/box/{name}"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{Entity, Event};

    #[test]
    fn a_sound_entity_has_no_findings() {
        let entity = Entity::new("person", 0.5f32, Rectangle::new(0.0f32, 0.0f32, 1.0f32, 1.0f32));
        assert_eq!(Inference::new(entity).findings(), []);
    }

    #[test]
    fn all_findings_come_at_once_with_their_places() {
        let entity = Entity::new("", f32::NAN, Rectangle::new(-0.1, 0.0, 1.5, 1.0));
        let found = Inference::new(entity).with_subtype(" a").findings();
        let places: Vec<&str> = found.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(
            places,
            [
                "/subtype",
                "/entity/tag/value",
                "/entity/tag/confidence",
                "/entity/box/l",
                "/entity/box/w"
            ]
        );
        assert_eq!(found[3].to_string(), "/entity/box/l: -0.1 is outside 0 to 1");
        assert_eq!(Inference::new(Event::default()).findings().len(), 1);
    }
}
