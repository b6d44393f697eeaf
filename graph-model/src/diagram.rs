//! Pictures of a topology, from the same JSON that is carried out.

use std::fmt::Write as _;

use crate::check::{flow, parse_outline};
use crate::custom::short_name;
use crate::graph::Flow;
use crate::kind::Role;
use crate::topology::Topology;

/// What a picture of a topology shows: its nodes in three groups, and what flows between them.
///
/// Drawn as far as the topology can be read: unknown nodes have a `?`, inputs that lead nowhere are left out.
/// Values of parameters are not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagram {
    nodes: Vec<(Role, String, String)>,
    edges: Vec<(usize, usize, &'static str)>,
}

impl Diagram {
    /// Takes what there is to draw.
    pub fn of(topology: &Topology) -> Self {
        let (parsed, parsed_edges) = parse_outline(topology);
        let edges = parsed_edges.iter().map(|edge| {
            let kind = |i: usize| parsed.get(i).and_then(|node| node.kind);
            let label = match kind(edge.from)
                .zip(kind(edge.to))
                .map(|(from, to)| flow(from, to))
            {
                Some(Flow::Media) => "media",
                Some(Flow::Frames) => "frames",
                Some(Flow::Signals) => "signals",
                Some(Flow::Messages) => "messages",
                None => "?",
            };
            (edge.from, edge.to, label)
        });
        let edges = edges.collect();
        let nodes = parsed.into_iter().map(|node| {
            let kind = node.kind.and_then(|kind| kind.local_names().first().copied());
            let kind = node.custom_type.as_deref().map(short_name).or(kind);
            (node.role, node.name, kind.unwrap_or("?").to_owned())
        });
        Self {
            nodes: nodes.collect(),
            edges,
        }
    }

    /// As Mermaid, for Markdown.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for role in [Role::Source, Role::Processor, Role::Sink] {
            let mut group = self.group(role).peekable();
            if group.peek().is_none() {
                continue;
            }
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  subgraph {}", role.list());
            for (i, name, kind) in group {
                let _ = writeln!(text, "    n{i}[\"{}<br/>{kind}\"]", mermaid_text(name));
            }
            text.push_str("  end\n");
        }
        for (from, to, label) in &self.edges {
            let _ = writeln!(text, "  n{from} -->|{label}| n{to}");
        }
        text
    }

    /// As Graphviz DOT.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph topology {\n  rankdir=LR;\n  node [shape=box];\n");
        for role in [Role::Source, Role::Processor, Role::Sink] {
            let _ = writeln!(text, "  subgraph cluster_{0} {{\n    label=\"{0}\";", role.list());
            for (i, name, kind) in self.group(role) {
                let _ = writeln!(text, "    n{i} [label=\"{}\\n{kind}\"];", dot_text(name));
            }
            text.push_str("  }\n");
        }
        for (from, to, label) in &self.edges {
            let _ = writeln!(text, "  n{from} -> n{to} [label=\"{label}\"];");
        }
        text.push_str("}\n");
        text
    }

    fn group(&self, role: Role) -> impl Iterator<Item = (usize, &str, &str)> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(move |(_, node)| node.0 == role)
            .map(|(i, node)| (i, node.1.as_str(), node.2.as_str()))
    }
}

/// Mermaid writes characters of its own as entities.
fn mermaid_text(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '$' | '{' | '}') {
            text.push(c);
        } else {
            let _ = write!(text, "#{};", u32::from(c));
        }
    }
    text
}

fn dot_text(name: &str) -> String {
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    name.chars().filter(|c| !c.is_control()).collect()
}
