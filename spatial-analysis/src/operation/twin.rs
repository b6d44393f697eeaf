//! The operations of a module twin, and the documents that hold a twin.

use serde_json::Value;

use super::MAX_OPERATIONS;
use super::error::{Finding, OperationError, shown};
use super::json::{Object, find, is, string, take};

/// An operation's members with its name, or why it is none.
type Named = (String, Result<Object, OperationError>);

/// What a twin or an operation has, and no document around one.
const OPERATION: [&str; 8] = [
    "graphs",
    "operations",
    "operationId",
    "parameters",
    "extensionConfiguration",
    "zones",
    "lines",
    super::SPACE,
];

/// Most documents around each other.
const MAX_WRAPS: usize = 4;

/// Most names in a message.
const MAX_NAMES: usize = 32;

/// The operations of a twin.
pub(super) struct Twin {
    /// The member that holds them.
    pub(super) member: &'static str,
    /// By name, at most [`MAX_OPERATIONS`] of them without an error.
    pub(super) enabled: Vec<Named>,
    disabled: Vec<String>,
}

impl Twin {
    /// The operations; `None`: not a twin.
    pub(super) fn of(members: &Object) -> Option<Self> {
        let (member, graphs) = ["graphs", "operations"]
            .into_iter()
            .find_map(|member| Some((member, find(members, member)?)))?;
        let numbered: Object;
        let graphs = match graphs {
            Value::Object(graphs) => graphs,
            Value::Array(list) => {
                numbered = numbered_or_named(list);
                &numbered
            }
            _ => return None,
        };
        let mut twin = Self {
            member,
            enabled: Vec::new(),
            disabled: Vec::new(),
        };
        for (name, graph) in graphs {
            let graph = match graph {
                Value::Object(graph) => graph,
                // Null is how a twin's member is deleted.
                Value::Null => continue,
                _ => {
                    twin.enabled
                        .push((name.clone(), Err(OperationError::NotAnObject)));
                    continue;
                }
            };
            match find(graph, "instances") {
                Some(Value::Object(instances)) if is_enabled(graph) && !instances.is_empty() => {
                    for (instance_name, instance) in instances {
                        let full = format!("{name}/{instance_name}");
                        match instance {
                            Value::Object(instance) => {
                                let both = || with_instance(graph, instance);
                                twin.add(full, is_enabled(instance), both);
                            }
                            Value::Null => {}
                            _ => twin.enabled.push((full, Err(OperationError::NotAnObject))),
                        }
                    }
                }
                _ => twin.add(name.clone(), is_enabled(graph), || graph.clone()),
            }
        }
        // By name: the order of a JSON object has no meaning.
        twin.enabled.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, operation) in twin.enabled.iter_mut().skip(MAX_OPERATIONS) {
            *operation = Err(OperationError::TooMany);
        }
        Some(twin)
    }

    fn add(&mut self, name: String, enabled: bool, operation: impl FnOnce() -> Object) {
        match enabled {
            true => self.enabled.push((name, Ok(operation()))),
            false => self.disabled.push(shown(&name)),
        }
    }

    /// Why no operation is enabled.
    pub(super) fn nothing(self) -> OperationError {
        let member = self.member.to_owned();
        match self.disabled.is_empty() {
            true => OperationError::NoOperation { member },
            false => OperationError::AllDisabled {
                member,
                names: self.disabled,
            },
        }
    }
}

/// The operations of a list by the names that they have, or by their numbers.
fn numbered_or_named(list: &[Value]) -> Object {
    let digits = list.len().to_string().len();
    let mut all = Object::new();
    for (graph, n) in list.iter().zip(1..) {
        let own = graph.as_object().and_then(|graph| string(graph, "name"));
        let own = own.filter(|name| !name.is_empty() && !all.contains_key(name));
        // As many digits each: operations are in the order of their names.
        all.insert(own.unwrap_or_else(|| format!("{n:0digits$}")), graph.clone());
    }
    all
}

/// A list instead of the object that should be around it, whose meaning is plain: of zones, lines or operations.
pub(super) fn listed(mut list: Vec<Value>, findings: &mut Vec<Finding>) -> Result<Object, OperationError> {
    let has = |value: &Value, names: &[&str]| {
        let object = value.as_object();
        object.is_some_and(|object| names.iter().any(|name| find(object, name).is_some()))
    };
    let is_zone = |value: &Value| has(value, &["polygon", "zone"]);
    let is_line = |value: &Value| has(value, &["line", "start"]);
    let count = list.len();
    let mut around = Object::new();
    let read_as = if count > 0 && list.iter().all(|value| is_zone(value) || is_line(value)) {
        let (zones, lines): (Vec<Value>, Vec<Value>) = list.into_iter().partition(is_zone);
        for (name, elements) in [("zones", zones), ("lines", lines)] {
            if !elements.is_empty() {
                around.insert(name.to_owned(), elements.into());
            }
        }
        around
            .keys()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(" and ")
    } else if let [Value::Object(only)] = &mut list[..] {
        return Ok(std::mem::take(only));
    } else if count > 0 && list.iter().all(|value| has(value, &OPERATION)) {
        around.insert("graphs".to_owned(), list.into());
        "\"graphs\"".to_owned()
    } else {
        return Err(OperationError::NotAnObject);
    };
    findings.push(Finding::new(
        "",
        format!("a list of {count} is read as {read_as} of an object around it"),
    ));
    Ok(around)
}

/// What a document holds that has a twin or an operation somewhere inside: a whole twin with its `properties`, a manifest with
/// `properties.desired`, or the module of a deployment manifest that has `graphs`.
pub(super) fn unwrapped(mut members: Object, findings: &mut Vec<Finding>) -> Result<Object, OperationError> {
    for _ in 0..MAX_WRAPS {
        if OPERATION.iter().any(|name| find(&members, name).is_some()) {
            return Ok(members);
        }
        if members.keys().any(|name| name.starts_with(LAYERED)) {
            members = desired(&members);
            continue;
        }
        if let Some(Value::Object(modules)) = find(&members, "modulesContent") {
            let (name, desired) = module(modules)?;
            let message = format!("the operations are those of the module {:?}", shown(name));
            findings.push(Finding::new("modulesContent", message));
            return Ok(desired);
        }
        let inner = [
            "properties.desired",
            "desired",
            "properties",
            "content",
            "payload",
        ]
        .into_iter()
        .find(|name| matches!(find(&members, name), Some(Value::Object(_))));
        match inner.and_then(|name| take(&mut members, name)) {
            Some(Value::Object(inner)) => members = inner,
            _ => break,
        }
    }
    Ok(members)
}

/// Before the names of what a layered deployment sets.
const LAYERED: &str = "properties.desired.";

/// The desired properties in one object: layered deployments name each by its path, `properties.desired.graphs.door`.
fn desired(content: &Object) -> Object {
    let mut all = match find(content, "properties.desired") {
        Some(Value::Object(desired)) => desired.clone(),
        _ => Object::new(),
    };
    for (name, value) in content {
        let Some(path) = name.strip_prefix(LAYERED).filter(|path| !path.is_empty()) else {
            continue;
        };
        let mut steps: Vec<&str> = path.split('.').collect();
        let last = steps.pop().unwrap_or(path);
        let mut place = Some(&mut all);
        for step in steps {
            let inner = place.map(|place| place.entry(step).or_insert_with(|| Object::new().into()));
            place = inner.and_then(Value::as_object_mut);
        }
        if let Some(place) = place {
            place.insert(last.to_owned(), value.clone());
        }
    }
    all
}

fn module(modules: &Object) -> Result<(&String, Object), OperationError> {
    let desired = |content: &Value| {
        let desired = desired(content.as_object()?);
        find(&desired, "graphs").is_some().then_some(desired)
    };
    let found = modules
        .iter()
        .find_map(|(name, content)| Some((name, desired(content)?)));
    found.ok_or_else(|| OperationError::NoModule {
        modules: modules.keys().take(MAX_NAMES).map(|name| shown(name)).collect(),
    })
}

/// The names of members, for an error.
pub(super) fn names(members: &Object) -> Vec<String> {
    members.keys().take(MAX_NAMES).map(|name| shown(name)).collect()
}

fn is_enabled(object: &Object) -> bool {
    match find(object, "enabled") {
        Some(Value::Bool(enabled)) => *enabled,
        Some(Value::String(text)) => !text.trim().eq_ignore_ascii_case("false"),
        _ => true,
    }
}

/// A graph with the members and parameters of an instance, which override its own.
fn with_instance(graph: &Object, instance: &Object) -> Object {
    let mut graph = graph.clone();
    take(&mut graph, "instances");
    for (name, value) in instance {
        if !is(name, "parameters") {
            take(&mut graph, name);
            graph.insert(name.clone(), value.clone());
        }
    }
    let mut parameters = match take(&mut graph, "parameters") {
        Some(Value::Object(parameters)) => parameters,
        _ => Object::new(),
    };
    if let Some(Value::Object(overrides)) = find(instance, "parameters") {
        for (name, value) in overrides {
            take(&mut parameters, name);
            parameters.insert(name.clone(), value.clone());
        }
    }
    graph.insert("parameters".to_owned(), Value::Object(parameters));
    graph
}
