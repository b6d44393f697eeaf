//! The pass that reads the nodes: types, members, values.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::DiagnosticCode;
use crate::document::scalar_string;
use crate::generation::Family;
use crate::graph::{Node, OutputSelector};
use crate::kind::{NodeKind, Role};
use crate::read::members::Members;
use crate::read::{Presence, Reader, ValueError, shortened};

/// Most nodes that are looked at.
pub(crate) const MAX_NODES: usize = 1000;

/// Most inputs of all nodes together that are looked at.
pub(crate) const MAX_INPUTS: usize = 10_000;

/// A node, as far as it can be parsed.
#[derive(Debug)]
pub(crate) struct ParsedNode {
    pub(crate) name: String,
    /// The name waits for a parameter.
    pub(crate) is_open: bool,
    /// `None` when its type is unknown or stands in the wrong list; that was reported.
    pub(crate) kind: Option<NodeKind>,
    pub(crate) role: Role,
    /// The full type of a custom node.
    pub(crate) custom_type: Option<String>,
    pub(crate) pointer: String,
    pub(crate) inputs: Vec<ParsedInput>,
    /// `None` when something in it cannot be read, or waits for a parameter.
    pub(crate) node: Option<Node>,
}

#[derive(Debug)]
pub(crate) struct ParsedInput {
    pub(crate) name: String,
    /// The name waits for a parameter.
    pub(crate) is_open: bool,
    pub(crate) pointer: String,
    pub(crate) selectors: Selectors,
}

/// The selectors of an input.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selectors {
    pub(crate) list: Vec<OutputSelector>,
    /// Where they stand; empty where there are none.
    pub(crate) pointer: String,
}

impl ParsedNode {
    /// `sink 'hubSink'`
    pub(crate) fn what(&self) -> String {
        format!("{} '{}'", self.role.word(), self.name)
    }
}

/// For each node, whether an instance decides what one of its inputs is.
pub(crate) fn unresolved(parsed: &[ParsedNode]) -> Vec<bool> {
    let any_open = parsed.iter().any(|node| node.is_open);
    let names: HashSet<&str> = match any_open {
        true => parsed.iter().map(|node| node.name.as_str()).collect(),
        false => HashSet::new(),
    };
    let is_open = |input: &ParsedInput| input.is_open || any_open && !names.contains(input.name.as_str());
    parsed
        .iter()
        .map(|node| node.inputs.iter().any(is_open))
        .collect()
}

/// Reads all nodes; `None` when there are too many to look at.
pub(crate) fn read(properties: &mut Members<'_>, reader: &mut Reader<'_>) -> Option<Vec<ParsedNode>> {
    let mut items = Vec::new();
    for role in [Role::Source, Role::Processor, Role::Sink] {
        let list = properties.list(role.list(), reader.findings);
        items.extend(list.into_iter().map(|item| (role, item)));
    }
    if items.len() > MAX_NODES {
        let message = format!(
            "there are {} nodes, more than the limit of {MAX_NODES}",
            items.len()
        );
        reader
            .findings
            .error(DiagnosticCode::TooLarge, &properties.at, message);
        return None;
    }
    let mut parsed: Vec<ParsedNode> = Vec::with_capacity(items.len());
    let mut inputs = 0;
    for (role, item) in items {
        let Some(mut members) = properties.item(item, format!("a {}", role.word()), reader.findings) else {
            continue;
        };
        let node = read_node(&mut members, role, reader);
        reader.findings.count_steps(1 + node.inputs.len());
        inputs += node.inputs.len();
        parsed.push(node);
        if inputs > MAX_INPUTS {
            let message = format!("there are more inputs than the limit of {MAX_INPUTS}");
            reader
                .findings
                .error(DiagnosticCode::TooLarge, &properties.at, message);
            return None;
        }
    }
    check_names(&parsed, reader);
    Some(parsed)
}

fn check_names(parsed: &[ParsedNode], reader: &mut Reader<'_>) {
    let mut names = HashMap::new();
    for node in parsed.iter().filter(|node| !node.name.is_empty()) {
        if let Some(other) = names.insert(node.name.as_str(), &node.pointer) {
            let message = format!(
                "{} has the same name as the node at {other}: rename one",
                node.what()
            );
            reader
                .findings
                .error(DiagnosticCode::NodeNameDuplicate, &node.pointer, message);
        }
    }
}

fn read_node(members: &mut Members<'_>, role: Role, reader: &mut Reader<'_>) -> ParsedNode {
    let (name, is_open) = node_name(members, reader);
    members.what = format!("{} '{}'", role.word(), shortened(&name));
    let (kind, custom_type) = match node_kind(members, role, reader) {
        Some(ParsedType::Custom(name)) => (Some(NodeKind::Custom), Some(name)),
        Some(ParsedType::Kind(kind)) => (Some(kind), None),
        None => (None, None),
    };
    let inputs = match role {
        Role::Source => {
            if let Some((_, at)) = members.get("inputs") {
                let message = format!("{} cannot have inputs: remove them", members.what);
                reader
                    .findings
                    .error(DiagnosticCode::SourceHasInputs, &at, message);
            }
            Vec::new()
        }
        Role::Processor | Role::Sink => read_inputs(members, reader),
    };
    let node = match &custom_type {
        Some(name) => reader.custom_processor(members, name),
        None => kind.and_then(|kind| match kind.role() {
            Role::Source => reader.source(kind, members),
            Role::Processor => reader.processor(kind, members),
            Role::Sink => reader.sink(kind, members),
        }),
    };
    if kind.is_some() {
        members.finish(reader.findings);
    }
    ParsedNode {
        name,
        is_open,
        kind,
        role,
        custom_type,
        pointer: members.at.clone(),
        inputs,
        node,
    }
}

/// Empty when it is missing. A parameter without a value, or a secret one, leaves the string as written, so that references
/// which are written the same way still meet.
fn node_name(members: &mut Members<'_>, reader: &mut Reader<'_>) -> (String, bool) {
    let Some((interpolated, at)) = reader.interpolated(members, "name", Presence::Required) else {
        return (String::new(), false);
    };
    let written = members
        .get("name")
        .and_then(|(value, _)| scalar_string(value))
        .unwrap_or_default();
    if interpolated.secret {
        let message = format!(
            "the name of {} holds the value of a SecretString parameter, and events would show it: use a String",
            members.what
        );
        reader.findings.error(DiagnosticCode::SecretExposed, &at, message);
    }
    let name = if interpolated.open || interpolated.secret {
        None
    } else {
        reader.literal(&interpolated, &at)
    };
    let Some(name) = name else {
        return (written, interpolated.open);
    };
    if name.is_empty() || name.contains('/') || name.chars().any(char::is_control) {
        let error = ValueError::with(DiagnosticCode::InvalidName, "a non-empty string without '/'");
        reader.refuse(members, "name", &at, &interpolated, &name, error);
    }
    (name, false)
}

/// A parsed `@type`.
enum ParsedType {
    Kind(NodeKind),
    /// A type of the program's own.
    Custom(String),
}

fn node_kind(members: &mut Members<'_>, role: Role, reader: &mut Reader<'_>) -> Option<ParsedType> {
    let Some((value, at)) = members.get("@type") else {
        members.missing("@type", reader.findings);
        return None;
    };
    let text = scalar_string(value).unwrap_or_default();
    if let Some(own) = reader.custom_types.find(&text) {
        return has_role(NodeKind::Custom, members, role, &at, reader)
            .then(|| ParsedType::Custom(own.to_owned()));
    }
    let split = Family::split_type(&text);
    let kind = split.and_then(|(_, local)| NodeKind::from_local_name(local));
    let (Some((family, _)), Some(kind)) = (split, kind) else {
        let prefix = reader.generation.family().type_prefix();
        let known: Vec<_> = NodeKind::ALL
            .into_iter()
            .filter(|kind| kind.role() == role)
            .flat_map(NodeKind::local_names)
            .copied()
            .collect();
        let mut message = format!(
            "the type '{}' of {} is unknown: write '{prefix}' and one of {}",
            shortened(&text),
            members.what,
            known.join(", ")
        );
        if role == NodeKind::Custom.role() && !reader.custom_types.is_empty() {
            let own: Vec<_> = reader.custom_types.iter().collect();
            message.push_str(&format!("; or one of {}", own.join(", ")));
        }
        if role == NodeKind::Custom.role() && split.is_none() {
            message.push_str(
                "; or register a custom type: its factory with RuntimeOptions::with_node_factory, or where nothing \
                 runs, its name with Topology::with_custom_types",
            );
        }
        reader
            .findings
            .error(DiagnosticCode::UnknownNodeType, &at, message);
        return None;
    };
    if !has_role(kind, members, role, &at, reader) {
        return None;
    }
    if family != reader.generation.family() {
        let message = format!(
            "a type of {family} in a document of {}: it is accepted",
            reader.generation
        );
        reader
            .findings
            .warning(DiagnosticCode::MixedFamilies, &at, message);
    } else if !kind.exists_in(reader.generation) {
        let message = format!(
            "this node type does not exist in {}: it is accepted",
            reader.generation
        );
        reader
            .findings
            .rule(DiagnosticCode::NotInGeneration, &at, message);
    }
    Some(ParsedType::Kind(kind))
}

/// Whether a node stands in the list of its kind; reports it if not.
fn has_role(kind: NodeKind, members: &Members<'_>, role: Role, at: &str, reader: &mut Reader<'_>) -> bool {
    if kind.role() == role {
        return true;
    }
    let message = format!(
        "{} is a {}: move it to '{}'",
        members.what,
        kind.role().word(),
        kind.role().list()
    );
    reader.findings.error(DiagnosticCode::WrongRole, at, message);
    false
}

fn read_inputs(members: &mut Members<'_>, reader: &mut Reader<'_>) -> Vec<ParsedInput> {
    let list = members.list("inputs", reader.findings);
    if list.is_empty() {
        let message = format!(
            "{} has no inputs: name the node that feeds it in 'inputs'",
            members.what
        );
        reader
            .findings
            .error(DiagnosticCode::InputsMissing, &members.at, message);
    }
    let mut inputs = Vec::with_capacity(list.len());
    // One more than there may be, so that it is seen that there are too many.
    for item in list.into_iter().take(MAX_INPUTS + 1) {
        let what = format!("an input of {}", members.what);
        let Some(mut input) = members.item(item, what, reader.findings) else {
            continue;
        };
        let Some((interpolated, at)) = reader.interpolated(&mut input, "nodeName", Presence::Required) else {
            continue;
        };
        let written = input
            .get("nodeName")
            .and_then(|(value, _)| scalar_string(value))
            .unwrap_or_default();
        let name = if interpolated.open || interpolated.secret {
            None
        } else {
            reader.literal(&interpolated, &at)
        };
        let mut selectors = Selectors::default();
        for item in input.list("outputSelectors", reader.findings) {
            let what = format!("a selector of {}", members.what);
            if let Some(mut selector) = input.item(item, what, reader.findings) {
                selectors.list.extend(read_selector(&mut selector, reader));
                selector.finish(reader.findings);
            }
        }
        if let Some((_, at)) = input.get("outputSelectors") {
            selectors.pointer = at;
        }
        input.finish(reader.findings);
        inputs.push(ParsedInput {
            name: name.unwrap_or(written),
            is_open: interpolated.open,
            pointer: at,
            selectors,
        });
    }
    inputs
}

fn read_selector(members: &mut Members<'_>, reader: &mut Reader<'_>) -> Option<OutputSelector> {
    let property = reader.scalar(members, "property", Presence::Optional, |text| {
        if text.trim().eq_ignore_ascii_case("mediaType") {
            Ok(())
        } else {
            Err(ValueError::value("mediaType"))
        }
    });
    let named = members.get("property").is_some();
    let is = reader.scalar(members, "operator", Presence::Optional, |text| {
        match text.trim() {
            word if word.eq_ignore_ascii_case("is") => Ok(true),
            word if word.eq_ignore_ascii_case("isNot") => Ok(false),
            _ => Err(ValueError::value("is or isNot")),
        }
    });
    let value = reader.scalar(members, "value", Presence::Required, |text| {
        let text = text.trim();
        let words = ["video", "audio", "application"];
        let full = text
            .split_once('/')
            .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
        if full || words.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            Ok(text.to_owned())
        } else {
            Err(ValueError::value(
                "video, audio, application, or a media type such as video/H264",
            ))
        }
    });
    if named {
        property?;
    }
    Some(OutputSelector {
        is: is.unwrap_or(true),
        value: value?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom::CustomNodeTypes;
    use crate::diagnostic::{DocumentKind, Findings, Strictness};
    use crate::generation::Generation;
    use crate::parameter::Bindings;
    use serde_json::json;

    /// A node without settings is read with its defaults, or what it lacks is reported.
    #[test]
    fn every_kind_has_a_reader() {
        for kind in NodeKind::ALL {
            let name = kind.local_names()[0];
            let properties = json!({kind.role().list(): [
                {"@type": format!("#Microsoft.VideoAnalyzer.{name}"), "name": "node", "inputs": []},
            ]});
            let mut findings = Findings::new(DocumentKind::Topology, Strictness::Open);
            let mut members = Members::new(properties.as_object().unwrap(), String::new(), String::new());
            let bindings = Bindings::of_defaults(&[], &mut findings);
            let mut reader = Reader {
                bindings: &bindings,
                findings: &mut findings,
                generation: Generation::VideoAnalyzer1_1,
                custom_types: &CustomNodeTypes::default(),
                topology_name: "",
                instance_name: None,
            };
            let parsed = read(&mut members, &mut reader).unwrap();
            let lacks_settings = findings
                .into_vec()
                .iter()
                .any(|finding| finding.code == DiagnosticCode::MemberMissing);
            assert!(
                parsed[0].node.is_some() || lacks_settings,
                "{kind:?} has no reader"
            );
        }
    }
}
