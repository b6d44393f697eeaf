//! What people keep around a document: method calls, answers, wrappers, resource templates.

use serde_json::{Map, Value};

use super::{Form, Wanted, other_document, resource};
use crate::document::{DocumentError, member, step};
use crate::read::shortened;

/// Most levels around a document: an answer with a list of resources has three.
const MOST_LEVELS: usize = 4;

/// Members that hold the payload of a method.
const PAYLOADS: [&str; 3] = ["payload", "opParams", "methodPayload"];

/// Members that hold its name.
const METHODS: [&str; 3] = ["methodName", "opName", "method"];

impl Wanted {
    /// Members of wrappers that hold such a document.
    fn members(self) -> &'static [&'static str] {
        match self {
            Self::Topology => &["topology", "graphTopology", "pipelineTopology"],
            Self::Instance => &["instance", "graphInstance", "livePipeline"],
        }
    }

    /// Last words of the types of resources that are such documents.
    pub(super) fn resources(self) -> &'static [&'static str] {
        match self {
            Self::Topology => &["mediaGraphs", "graphTopologies", "pipelineTopologies"],
            Self::Instance => &["graphInstances", "livePipelines"],
        }
    }

    /// Methods whose payload is such a document.
    fn set_methods(self) -> &'static [&'static str] {
        match self {
            Self::Topology => &["GraphTopologySet", "pipelineTopologySet"],
            Self::Instance => &["GraphInstanceSet", "livePipelineSet"],
        }
    }
}

/// The payload of a call inside the payload of a call, where people pasted the whole call.
pub(crate) fn unwrapped(value: &Value, wanted: Wanted) -> Option<Value> {
    let map = value.as_object()?;
    if is_document(map) {
        return None;
    }
    unwrap(value.clone(), wanted, &mut Form::default()).ok()
}

/// Takes away what is around a document, and refuses what is plainly another one.
pub(super) fn unwrap(mut value: Value, wanted: Wanted, form: &mut Form) -> Result<Value, DocumentError> {
    for _ in 0..MOST_LEVELS {
        match inner(&mut value, wanted, form)? {
            Some(within) => value = within,
            None => break,
        }
    }
    if let Some(map) = value.as_object() {
        refuse_others(map, wanted)?;
    }
    if let Some(map) = value.as_object_mut() {
        shorten_resource_name(map, form);
    }
    Ok(value)
}

/// Whether it has the shape of a topology or an instance itself.
fn is_document(map: &Map<String, Value>) -> bool {
    let properties = member(map, "properties").and_then(|(_, value)| value.as_object());
    properties.is_some_and(|properties| has_nodes(properties) || topology_name(properties).is_some())
}

fn has_nodes(properties: &Map<String, Value>) -> bool {
    ["sources", "processors", "sinks"]
        .iter()
        .any(|list| member(properties, list).is_some())
}

fn topology_name(properties: &Map<String, Value>) -> Option<&Value> {
    ["topologyName", "topology_name"]
        .iter()
        .find_map(|name| member(properties, name))
        .map(|(_, value)| value)
}

/// What is inside one level of an envelope; `None` where there is none.
fn inner(value: &mut Value, wanted: Wanted, form: &mut Form) -> Result<Option<Value>, DocumentError> {
    if let Value::Array(list) = value {
        // Of several such documents, none is meant more than another.
        let (count, is_only) = (list.len(), list.len() == 1);
        let mut found = list
            .iter_mut()
            .enumerate()
            .filter(|(_, item)| item.is_object() && (is_only || is_wanted(item, wanted)));
        return Ok(match (found.next(), found.next()) {
            (Some((i, item)), None) => {
                form.base = step(&form.base, &i.to_string());
                if !is_only {
                    let message = "the document is read that stands here: the others in the list are not";
                    form.note(form.base.clone(), message);
                }
                Some(item.take())
            }
            (Some(_), Some(_)) => return Err(one_of(wanted, count)),
            _ => None,
        });
    }
    let Some(map) = value.as_object_mut() else {
        return Ok(None);
    };
    if is_document(map) {
        return Ok(None);
    }
    let method = METHODS
        .iter()
        .find_map(|name| member(map, name)?.1.as_str())
        .map(str::to_owned);
    if let Some(payload) = PAYLOADS.iter().find_map(|name| key_of(map, name))
        && let Some(content) = take_json(map, &payload)
    {
        let is_set = |name: &String| {
            let known = wanted.set_methods().iter();
            known.into_iter().any(|set| set.eq_ignore_ascii_case(name.trim()))
        };
        let is_wanted = content.as_object().is_some_and(is_document);
        if let Some(other) = method.filter(|name| !is_set(name) && !is_wanted) {
            return Err(other_document(
                wanted,
                format!("a call of {}", shortened(&other)),
                "give the file with the document itself",
            ));
        }
        form.enter(&payload, "around it is a call of a method");
        return Ok(Some(content));
    }
    if let Some(name) = wanted.members().iter().find_map(|name| key_of(map, name))
        && map.get(&name).is_some_and(Value::is_object)
    {
        form.enter(&name, "the other members beside it are not read");
        return Ok(map.get_mut(&name).map(Value::take));
    }
    if let Some(name) = key_of(map, "value")
        && let Some(Value::Array(list)) = map.get_mut(&name)
    {
        if list.len() > 1 {
            return Err(one_of(wanted, list.len()));
        }
        if let Some(only @ Value::Object(_)) = list.first_mut() {
            let only = only.take();
            form.enter(&name, "around it is the answer of a method");
            form.base.push_str("/0");
            return Ok(Some(only));
        }
    }
    if let Some(name) = sole_document(map, wanted) {
        form.enter(&name, "the other members beside it are not read");
        return Ok(take_json(map, &name));
    }
    resource::take(map, wanted, form)
}

/// Whether it is a document of the wanted kind.
fn is_wanted(value: &Value, wanted: Wanted) -> bool {
    let properties = value.as_object().and_then(|map| member(map, "properties"));
    let Some(properties) = properties.and_then(|(_, value)| value.as_object()) else {
        return false;
    };
    match wanted {
        Wanted::Topology => has_nodes(properties),
        Wanted::Instance => topology_name(properties).is_some() && !has_nodes(properties),
    }
}

/// The member that holds such a document, whatever it is called, where there is one.
fn sole_document(map: &Map<String, Value>, wanted: Wanted) -> Option<String> {
    let holds = |value: &&Value| match value {
        Value::Object(_) => is_wanted(value, wanted),
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).is_ok_and(|inner| is_wanted(&inner, wanted))
        }
        _ => false,
    };
    let mut found = map.iter().filter(|(_, value)| holds(value));
    match (found.next(), found.next()) {
        (Some((name, _)), None) => Some(name.clone()),
        _ => None,
    }
}

/// Names another document that was given.
fn refuse_others(map: &Map<String, Value>, wanted: Wanted) -> Result<(), DocumentError> {
    let properties = member(map, "properties").and_then(|(_, value)| value.as_object());
    if let Some(properties) = properties {
        match wanted {
            Wanted::Topology if !has_nodes(properties) => {
                if let Some(name) = topology_name(properties) {
                    let of = name
                        .as_str()
                        .map_or_else(String::new, |name| format!(" of topology '{name}'"));
                    return Err(other_document(
                        wanted,
                        format!("an instance (a live pipeline or graph instance){of}"),
                        "give the topology's own file, and this one as its instance",
                    ));
                }
            }
            Wanted::Instance if has_nodes(properties) && topology_name(properties).is_none() => {
                return Err(other_document(
                    wanted,
                    "a topology".to_owned(),
                    "give the file that has 'topologyName' and values in 'parameters'",
                ));
            }
            _ => {}
        }
        if member(properties, "desired").is_some() {
            return Err(other_document(
                wanted,
                "a module twin ('properties.desired')".to_owned(),
                "give the file with the document itself; a twin configures a module",
            ));
        }
        return Ok(());
    }
    let files = [
        "topologyUrl",
        "topologyFile",
        "pipelineTopologyUrl",
        "pipelineTopologyFile",
    ];
    if let Some(name) = files.iter().find_map(|name| key_of(map, name)) {
        return Err(other_document(
            wanted,
            format!("an operation that names a file ('{name}')"),
            "give that file, downloaded where it is an address, or this one to lva-edge operations",
        ));
    }
    let schema = member(map, "$schema").and_then(|(_, schema)| schema.as_str());
    if schema.is_some_and(|schema| schema.contains("deploymentParameters.json")) {
        return Err(other_document(
            wanted,
            "a parameter file of Azure Resource Manager".to_owned(),
            "give the file with the document itself",
        ));
    }
    let others = [
        (
            "modulesContent",
            "a deployment manifest",
            "give it to deployment-manifest, or to the deployment",
        ),
        (
            "content",
            "a deployment with 'content'",
            "give it to deployment-manifest, or to the deployment",
        ),
        (
            "operations",
            "an operations file",
            "give it to lva-edge operations, and here the topology that it names",
        ),
        (
            "globalSettings",
            "a configuration of the spatial-analysis container",
            "give it to the extension's --config",
        ),
        (
            "zones",
            "a configuration of the spatial-analysis container",
            "give it to the extension's --config",
        ),
        (
            "lines",
            "a configuration of the spatial-analysis container",
            "give it to the extension's --config",
        ),
    ];
    for (name, found, remedy) in others {
        if member(map, name).is_some_and(|(_, value)| value.is_object() || value.is_array()) {
            return Err(other_document(wanted, format!("{found} ('{name}')"), remedy));
        }
    }
    Ok(())
}

/// A list of several documents.
fn one_of(wanted: Wanted, count: usize) -> DocumentError {
    other_document(
        wanted,
        format!("a list of {count} objects"),
        "save one of them in a file of its own",
    )
}

/// Resources are named by the path to them: `account/name`.
fn shorten_resource_name(map: &mut Map<String, Value>, form: &mut Form) {
    let is_resource = member(map, "type").is_some_and(|(_, kind)| kind.is_string());
    let Some(key) = key_of(map, "name").filter(|_| is_resource) else {
        return;
    };
    let last = map
        .get(&key)
        .and_then(Value::as_str)
        .and_then(|name| name.rsplit_once('/'));
    if let Some((_, last)) = last.filter(|(_, last)| !last.is_empty()) {
        let last = last.to_owned();
        let message = format!("'name' is the path of a resource: its last part '{last}' is taken");
        form.note(step(&form.base, &key), message);
        map.insert(key, last.into());
    }
}

/// A member as it is spelled.
fn key_of(map: &Map<String, Value>, name: &str) -> Option<String> {
    member(map, name).map(|(key, _)| key.to_owned())
}

/// An object, or a string with one in JSON.
fn take_json(map: &mut Map<String, Value>, name: &str) -> Option<Value> {
    match map.get_mut(name)? {
        value @ Value::Object(_) => Some(value.take()),
        Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => None,
    }
}

impl Form {
    fn enter(&mut self, name: &str, around: &str) {
        self.base = step(&self.base, name);
        let message = format!("the document in '{name}' is read: {around}");
        self.note(self.base.clone(), message);
    }
}
