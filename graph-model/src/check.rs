//! The validation passes. With an instance they also build the graph.

mod nodes;
mod placement;
mod references;
mod runnable;

use serde_json::Value;

pub(crate) use self::nodes::MAX_INPUTS;
use self::nodes::ParsedNode;
use self::references::ParsedEdge;
use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings, Severity, Strictness, summary};
use crate::document::{scalar_string, spelled};
use crate::generation::{Family, Generation};
use crate::graph::{Edge, Flow, Graph, GraphNode, NodeId};
use crate::instance::Instance;
use crate::kind::NodeKind;
use crate::parameter::Bindings;
use crate::read::Reader;
use crate::read::members::Members;
use crate::topology::{Topology, check_name};

/// The findings about a topology, and the work that they took.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationReport {
    /// All findings, errors first.
    pub findings: Vec<Diagnostic>,
    /// How many nodes and inputs all passes visited together; at most [`MAX_STEPS`].
    pub steps: usize,
}

/// Upper bound of [`ValidationReport::steps`] for any document: eight rounds through 1,000 nodes and 10,000 inputs, plus
/// the one list that exceeds its limit; and once more without the defaults of parameters.
pub const MAX_STEPS: usize = 2 * 8 * (nodes::MAX_NODES + 2 * MAX_INPUTS + 1);

impl Topology {
    /// All findings, errors first. Members that hold a parameter without a default are checked once an instance gives
    /// the value.
    pub fn validate(&self, strictness: Strictness) -> Vec<Diagnostic> {
        self.validation_report(strictness).findings
    }

    /// As [`validate`](Self::validate), with the number of steps.
    pub fn validation_report(&self, strictness: Strictness) -> ValidationReport {
        let mut findings = Findings::new(DocumentKind::Topology, strictness);
        self.form().report(DocumentKind::Topology, &mut findings);
        let declarations = self.declarations(&mut findings);
        let bindings = Bindings::of_defaults(&declarations, &mut findings);
        bindings.check_defaults(Severity::Warning, &mut findings);
        run_passes(self, None, &bindings, &mut findings);
        let mut steps = findings.steps();
        // A default that does not fit hurts the instances alone that use it.
        if findings.has_errors() && declarations.iter().any(|declared| declared.default.is_some()) {
            let mut definite = Findings::new(DocumentKind::Topology, strictness);
            self.form().report(DocumentKind::Topology, &mut definite);
            let declarations = self.declarations(&mut definite);
            let open = Bindings::without_defaults(&declarations, &mut definite);
            run_passes(self, None, &open, &mut definite);
            steps += definite.steps();
            findings.weaken_unless_in(&definite);
        }
        let mut findings = findings.into_vec();
        self.form().relocate(DocumentKind::Topology, &mut findings);
        ValidationReport { findings, steps }
    }
}

/// A graph, and what is worth knowing about the documents that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What to carry out.
    pub graph: Graph,
    /// Warnings and hints; no errors.
    pub findings: Vec<Diagnostic>,
}

/// A topology and an instance make no graph. The authors' fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("instance '{instance}': {}", summary(findings))]
pub struct ResolveError {
    /// The instance's name.
    pub instance: String,
    /// Everything that is wrong, at least one error, errors first.
    pub findings: Vec<Diagnostic>,
}

/// Fills the values of an instance into a topology and makes the typed graph.
///
/// # Errors
///
/// [`ResolveError`] with every finding of both documents when one of them is an error.
pub fn resolve(
    topology: &Topology,
    instance: &Instance,
    strictness: Strictness,
) -> Result<Resolved, ResolveError> {
    let mut findings = Findings::new(DocumentKind::Topology, strictness);
    topology.form().report(DocumentKind::Topology, &mut findings);
    instance.form().report(DocumentKind::Instance, &mut findings);
    findings.in_document(DocumentKind::Topology);
    let declarations = topology.declarations(&mut findings);
    let mut bindings = Bindings::of_defaults(&declarations, &mut findings);
    findings.in_document(DocumentKind::Instance);
    check_name(instance.name(), "instance", instance.to_value(), &mut findings);
    let values = instance.values(&mut findings);
    if !instance.topology_name().is_empty() && instance.topology_name() != topology.name() {
        let message = format!(
            "the instance belongs to topology '{}', but this is '{}': correct 'topologyName'",
            instance.topology_name(),
            topology.name()
        );
        let at = spelled(instance.to_value(), &["properties", "topologyName"]);
        findings.error(DiagnosticCode::TopologyMismatch, &at, message);
    }
    let at = spelled(instance.to_value(), &["properties", "parameters"]);
    bindings.set(&values, &at, &mut findings);
    findings.in_document(DocumentKind::Topology);
    let graph = run_passes(topology, Some(instance.name()), &bindings, &mut findings);
    let mut findings = findings.into_vec();
    topology.form().relocate(DocumentKind::Topology, &mut findings);
    instance.form().relocate(DocumentKind::Instance, &mut findings);
    match graph {
        Some(graph) => Ok(Resolved { graph, findings }),
        None => Err(ResolveError {
            instance: instance.name().to_owned(),
            findings,
        }),
    }
}

/// Runs every pass. Returns a graph only with an instance's name and without errors.
pub(crate) fn run_passes(
    topology: &Topology,
    instance_name: Option<&str>,
    bindings: &Bindings<'_>,
    findings: &mut Findings,
) -> Option<Graph> {
    let map = topology.map()?;
    let mut envelope = Members::new(map, String::new(), "a topology".to_owned());
    check_version(&mut envelope, topology.generation(), findings);
    check_name(topology.name(), "topology", topology.to_value(), findings);
    envelope.allow("name");
    envelope.allow("systemData");
    let mut properties = match envelope.object("properties", findings) {
        Some(properties) => properties,
        None => {
            envelope.missing("properties", findings);
            envelope.finish(findings);
            return None;
        }
    };
    properties.allow("description");
    properties.allow("parameters");
    let mut reader = Reader {
        bindings,
        findings,
        generation: topology.generation(),
        custom_types: topology.custom_types(),
        topology_name: topology.name(),
        instance_name,
    };
    let parsed = nodes::read(&mut properties, &mut reader);
    properties.finish(findings);
    envelope.finish(findings);
    bindings.unused(findings);
    let parsed = parsed?;
    let edges = references::edges(&parsed, findings);
    // The placement pass walks along the edges, so it needs a graph without cycles.
    if let Some(order) = references::order(&parsed, &edges, findings) {
        placement::check(
            &parsed,
            &edges,
            &order,
            &properties.at,
            topology.generation(),
            findings,
        );
        runnable::check(&parsed, &edges, &order, findings);
    }
    let instance_name = instance_name?;
    if findings.has_errors() {
        return None;
    }
    let graph = assemble(topology, instance_name, parsed, edges);
    if graph.is_none() {
        // Unreachable: every reader reports what it cannot read.
        let message =
            "a node cannot be read and no finding explains it: please report this document as a bug";
        findings.error(DiagnosticCode::InvalidValue, "/properties", message);
    }
    graph
}

/// Nodes and edges, as far as they can be parsed, without findings.
pub(crate) fn parse_outline(topology: &Topology) -> (Vec<ParsedNode>, Vec<ParsedEdge>) {
    let mut findings = Findings::new(DocumentKind::Topology, Strictness::Open);
    let declarations = topology.declarations(&mut findings);
    let bindings = Bindings::of_defaults(&declarations, &mut findings);
    let envelope = topology
        .map()
        .map(|map| Members::new(map, String::new(), String::new()));
    let properties = envelope.and_then(|mut envelope| envelope.object("properties", &mut findings));
    let Some(mut properties) = properties else {
        return (Vec::new(), Vec::new());
    };
    let mut reader = Reader {
        bindings: &bindings,
        findings: &mut findings,
        generation: topology.generation(),
        custom_types: topology.custom_types(),
        topology_name: topology.name(),
        instance_name: None,
    };
    let parsed = nodes::read(&mut properties, &mut reader).unwrap_or_default();
    let edges = references::edges(&parsed, &mut findings);
    (parsed, edges)
}

fn check_version(envelope: &mut Members<'_>, generation: Generation, findings: &mut Findings) {
    match envelope.get("@apiVersion") {
        None => {
            let message = format!(
                "'@apiVersion' is missing: the topology is read as one of {generation}, so add \"{}\"",
                generation.api_version()
            );
            findings.warning(DiagnosticCode::ApiVersionMissing, "", message);
        }
        Some((value, at)) => {
            let version = scalar_string(value).unwrap_or_default();
            if Generation::of(generation.family(), version.trim()).is_none() {
                let family = generation.family();
                let message = format!(
                    "The API version '{version}' is not supported. Supported version(s): {}.",
                    Family::supported_versions(family)
                );
                findings.error(DiagnosticCode::ApiVersionNotSupported, &at, message);
            } else if !matches!(value, Value::String(_)) {
                let message = "'@apiVersion' must be a string: put it in quotes";
                findings.warning(DiagnosticCode::WrongType, &at, message);
            }
        }
    }
}

fn assemble(
    topology: &Topology,
    instance: &str,
    parsed: Vec<ParsedNode>,
    edges: Vec<ParsedEdge>,
) -> Option<Graph> {
    let kinds: Vec<Option<NodeKind>> = parsed.iter().map(|node| node.kind).collect();
    let mut graph_edges = Vec::with_capacity(edges.len());
    for edge in edges {
        let from = kinds.get(edge.from).copied().flatten()?;
        let to = kinds.get(edge.to).copied().flatten()?;
        graph_edges.push(Edge {
            from: NodeId(edge.from),
            to: NodeId(edge.to),
            flow: flow(from, to),
            selectors: edge.selectors.list,
        });
    }
    let mut nodes = Vec::with_capacity(parsed.len());
    for (i, node) in parsed.into_iter().enumerate() {
        nodes.push(GraphNode {
            id: NodeId(i),
            name: node.name,
            pointer: node.pointer,
            kind: node.node?,
        });
    }
    Some(Graph {
        instance_name: instance.to_owned(),
        topology_name: topology.name().to_owned(),
        generation: topology.generation(),
        nodes,
        edges: graph_edges,
    })
}

/// What flows between two kinds of nodes, where something may.
pub(crate) fn flow(from: NodeKind, to: NodeKind) -> Flow {
    match (from, to) {
        (_, NodeKind::MessageSink) => Flow::Messages,
        (NodeKind::RtspSource, NodeKind::SignalGate) => Flow::Media,
        (_, NodeKind::SignalGate) => Flow::Signals,
        (NodeKind::RtspSource | NodeKind::SignalGate, to) if to.is_media_sink() => Flow::Media,
        (_, to) if to.is_media_sink() => Flow::Messages,
        _ => Flow::Frames,
    }
}
