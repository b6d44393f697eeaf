//! Processors of types that a program brings along: their members are their own.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Reader;
use super::members::Members;
use crate::document::step;
use crate::graph::{CustomProcessor, Node};

impl Reader<'_> {
    pub(crate) fn custom_processor(&mut self, node: &mut Members<'_>, type_name: &str) -> Option<Node> {
        let sampling = self.sampling(node);
        let mut secrets = BTreeSet::new();
        let mut settings = Map::new();
        let mut whole = true;
        for (key, value) in node.rest() {
            let at = step(&node.at, key);
            match self.interpolate_value(value, &at, &step("", key), &mut secrets) {
                Some(value) => {
                    settings.insert(key.clone(), value);
                }
                None => whole = false,
            }
        }
        whole.then(|| {
            Node::Custom(CustomProcessor {
                type_name: type_name.to_owned(),
                sampling,
                settings: Value::Object(settings),
                secrets,
            })
        })
    }

    /// A value with parameters interpolated in all its strings. `at` is its place in the document, `place` that in the
    /// settings. `None` when one waits for its value, or is missing, which was reported; the others are looked at all the same.
    fn interpolate_value(
        &mut self,
        value: &Value,
        at: &str,
        place: &str,
        secrets: &mut BTreeSet<String>,
    ) -> Option<Value> {
        match value {
            Value::String(text) => {
                let interpolated = self.interpolate(text, at);
                let text = self.literal(&interpolated, at)?;
                if interpolated.secret {
                    secrets.insert(place.to_owned());
                }
                Some(Value::String(text))
            }
            Value::Array(list) => {
                let items = list.iter().enumerate();
                let items: Vec<_> = items
                    .map(|(i, item)| {
                        self.interpolate_value(item, &format!("{at}/{i}"), &format!("{place}/{i}"), secrets)
                    })
                    .collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Value::Object(map) => {
                let members: Vec<_> = map
                    .iter()
                    .map(|(key, item)| {
                        let interpolated =
                            self.interpolate_value(item, &step(at, key), &step(place, key), secrets);
                        interpolated.map(|interpolated| (key.clone(), interpolated))
                    })
                    .collect();
                members
                    .into_iter()
                    .collect::<Option<Map<_, _>>>()
                    .map(Value::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        }
    }
}
