//! A topology's JSON while it is edited: members by name without case, notes on the way.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ConversionNote, NoteKind};
use crate::custom::CustomNodeTypes;
use crate::document::{find, list, member, object, scalar_text};
use crate::generation::{Family, Generation};
use crate::kind::{NodeKind, Role};
use crate::template::{Segment, segments};
use crate::topology::Topology;

pub(super) type Object = Map<String, Value>;

pub(super) struct Draft {
    value: Value,
    custom_types: CustomNodeTypes,
    pub(super) notes: Vec<ConversionNote>,
    /// Defaults of parameters: what a reference stands for, as far as a topology alone can tell.
    defaults: BTreeMap<String, String>,
}

impl Draft {
    pub(super) fn new(topology: &Topology) -> Self {
        let defaults = topology.parameters().into_iter().filter_map(|parameter| {
            let default = parameter.default?;
            Some((parameter.name, default.expose().to_owned()))
        });
        Self {
            value: topology.to_value().clone(),
            custom_types: topology.custom_types().clone(),
            notes: Vec::new(),
            defaults: defaults.collect(),
        }
    }

    pub(super) fn finish(mut self, to: Generation) -> (Value, Vec<ConversionNote>) {
        if let Value::Object(map) = &mut self.value {
            // In its place where there is one, and first where there is none.
            match find(map, "@apiVersion") {
                Some(key) => {
                    map.insert(key, to.api_version().into());
                }
                None => {
                    map.shift_insert(0, "@apiVersion".to_owned(), to.api_version().into());
                }
            }
            map.retain(|key, _| !key.eq_ignore_ascii_case("systemData"));
        }
        (self.value, self.notes)
    }

    pub(super) fn note(&mut self, kind: NoteKind, node: Option<&str>, message: impl Into<String>) {
        self.notes.push(ConversionNote {
            kind,
            node: node.map(str::to_owned),
            message: message.into(),
        });
    }

    /// The whole, and how nodes of the program's own are told.
    pub(super) fn value_mut(&mut self) -> (&mut Value, &CustomNodeTypes) {
        (&mut self.value, &self.custom_types)
    }

    /// Whether a node is of a type of the program's own: its members are nobody else's business.
    pub(super) fn is_custom(&self, node: &Object) -> bool {
        is_custom(node, &self.custom_types)
    }

    pub(super) fn properties(&mut self) -> Option<&mut Object> {
        object(self.value.as_object_mut()?, "properties")
    }

    /// A list of nodes; `None` where the document has none.
    pub(super) fn list(&mut self, role: Role) -> Option<&mut Vec<Value>> {
        list(self.properties()?, role.list())
    }

    /// Edits each node of a list, which may note something.
    pub(super) fn each_node(&mut self, role: Role, mut edit: impl FnMut(&mut Self, &mut Object)) {
        let Some(mut nodes) = self.list(role).map(std::mem::take) else {
            return;
        };
        for node in nodes.iter_mut().filter_map(Value::as_object_mut) {
            edit(self, node);
        }
        if let Some(list) = self.list(role) {
            *list = nodes;
        }
    }

    /// The text with the defaults of its parameters; `None` when one has no default.
    pub(super) fn with_defaults(&self, text: &str) -> Option<String> {
        let mut filled = String::new();
        for segment in segments(text) {
            match segment {
                Segment::Literal(text) | Segment::Unclosed(text) => filled.push_str(text),
                Segment::Reference(name) => filled.push_str(self.defaults.get(name)?),
            }
        }
        Some(filled)
    }

    pub(super) fn has_parameter(&mut self, name: &str) -> bool {
        let parameters = self.properties().and_then(|map| list(map, "parameters"));
        parameters.is_some_and(|list| {
            let mut names = list.iter().filter_map(|entry| text(entry.as_object()?, "name"));
            names.any(|other| other == name)
        })
    }
}

/// A scalar member as text.
pub(super) fn text(map: &Object, name: &str) -> Option<String> {
    member(map, name).and_then(|(_, value)| scalar_text(value))
}

pub(super) fn has(map: &Object, name: &str) -> bool {
    member(map, name).is_some()
}

/// Gives a member another name and value, in its place; at the end where it was not there.
pub(super) fn replace(map: &mut Object, old: &str, new: &str, value: Value) {
    let place = find(map, old).and_then(|key| {
        let place = map.keys().position(|other| *other == key);
        map.shift_remove(&key);
        place
    });
    match place {
        Some(place) => {
            map.shift_insert(place, new.to_owned(), value);
        }
        None => {
            map.insert(new.to_owned(), value);
        }
    }
}

pub(super) fn take(map: &mut Object, name: &str) -> Option<Value> {
    let key = find(map, name)?;
    map.shift_remove(&key)
}

/// The local name of an object's `@type`.
pub(super) fn local_type(map: &Object) -> Option<String> {
    let text = text(map, "@type")?;
    Family::split_type(&text).map(|(_, local)| local.to_owned())
}

pub(super) fn kind(node: &Object) -> Option<NodeKind> {
    NodeKind::from_local_name(&local_type(node)?)
}

pub(super) fn is_custom(node: &Object, custom_types: &CustomNodeTypes) -> bool {
    text(node, "@type").is_some_and(|text| custom_types.find(&text).is_some())
}

pub(super) fn name(node: &Object) -> String {
    text(node, "name").unwrap_or_default()
}

pub(super) fn set_type(map: &mut Object, family: Family, local: &str) {
    let key = find(map, "@type").unwrap_or_else(|| "@type".to_owned());
    map.insert(key, format!("{}{local}", family.type_prefix()).into());
}
