//! Inferences of extensions as detections of `lva-zones`, and a line-crossing node's lines as its scene.

use std::collections::BTreeMap;

use lva_graph_model::nodes::LineCrossing;
use lva_inference_schema::{Entity, Inference, InferenceValue};
use lva_zones::{CrossingLine, Detection, Point, Scene, SceneError, SceneOptions};

/// Tags with a class of their own; objects of further tags share one class.
const MAX_CLASSES: usize = 256;

/// Numbers for the tags of objects, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    numbers: BTreeMap<String, u16>,
    names: Vec<String>,
}

impl Classes {
    /// The objects among the inferences.
    pub(crate) fn detections(&mut self, found: &[Inference]) -> Vec<Detection> {
        let entities = found.iter().filter_map(|inference| match &inference.value {
            InferenceValue::Entity(entity) => Some(entity),
            _ => None,
        });
        entities.map(|entity| self.detection(entity)).collect()
    }

    fn detection(&mut self, entity: &Entity) -> Detection {
        Detection {
            bbox: (&entity.bbox).into(),
            class: self.number(&entity.tag.value),
            // An extension without a confidence counts as certain.
            score: entity
                .tag
                .confidence
                .map_or(1.0, |confidence| confidence.to_f32()),
        }
    }

    fn number(&mut self, tag: &str) -> u16 {
        if let Some(number) = self.numbers.get(tag) {
            return *number;
        }
        if self.names.len() >= MAX_CLASSES {
            return MAX_CLASSES as u16;
        }
        let number = self.names.len() as u16;
        self.names.push(tag.to_owned());
        self.numbers.insert(tag.to_owned(), number);
        number
    }

    /// The tag of a number.
    pub(crate) fn name(&self, number: u16) -> Option<String> {
        let known = self.names.get(usize::from(number)).cloned();
        known.or_else(|| Some("object".to_owned()))
    }
}

/// The lines of a node, for pictures of this shape.
pub(crate) fn line_scene(node: &LineCrossing, aspect: f64) -> Result<Scene, SceneError> {
    let lines = node.lines.iter().map(|line| {
        let [start, end] = [line.start, line.end].map(|[x, y]| Point::new(x, y));
        CrossingLine::new(line.name.clone(), start, end)
    });
    let options = SceneOptions {
        aspect,
        ..SceneOptions::default()
    };
    Scene::new(Vec::new(), lines.collect(), options)
}

#[cfg(test)]
mod tests {
    use lva_graph_model::nodes::NamedLine;
    use lva_inference_schema::{Event, Rectangle};

    use super::*;

    fn entity(tag: &str) -> Inference {
        let bbox = Rectangle::new(0.1_f32, 0.2_f32, 0.3_f32, 0.4_f32);
        Inference::new(Entity::new(tag, 0.75_f32, bbox))
    }

    #[test]
    fn tags_come_back_and_inferences_without_an_object_are_ignored() {
        let mut classes = Classes::default();
        let found = [
            entity("person"),
            Inference::new(Event::new("e")),
            entity("car"),
            entity("person"),
        ];
        let detections = classes.detections(&found);
        let numbers: Vec<u16> = detections.iter().map(|found| found.class).collect();
        assert_eq!(numbers, [0, 1, 0]);
        assert_eq!(detections[0].score, 0.75);
        assert_eq!(classes.name(1).as_deref(), Some("car"));
    }

    #[test]
    fn an_extension_that_invents_tags_without_end_is_bounded() {
        let mut classes = Classes::default();
        for number in 0..2 * MAX_CLASSES {
            classes.detections(&[entity(&number.to_string())]);
        }
        assert_eq!(classes.names.len(), MAX_CLASSES);
        assert_eq!(classes.name(MAX_CLASSES as u16).as_deref(), Some("object"));
    }

    #[test]
    fn lines_keep_their_names_and_a_line_without_length_is_an_error() {
        let line = |end: f64| LineCrossing {
            lines: vec![NamedLine {
                name: "gate".to_owned(),
                start: [0.5, 0.1],
                end: [0.5, end],
            }],
        };
        let scene = line_scene(&line(0.9), 16.0 / 9.0).unwrap();
        assert_eq!(scene.line_names().collect::<Vec<_>>(), ["gate"]);
        let error = line_scene(&line(0.1), 16.0 / 9.0).unwrap_err();
        assert!(error.to_string().contains("gate"));
    }
}
