//! The passes that check inputs: names that exist, and no cycles.

use std::collections::{HashMap, HashSet};

use super::nodes::{ParsedNode, Selectors};
use crate::diagnostic::{DiagnosticCode, Findings};
use crate::kind::Role;
use crate::read::shortened;

/// An input whose node exists.
#[derive(Debug)]
pub(crate) struct ParsedEdge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) pointer: String,
    pub(crate) selectors: Selectors,
}

/// Finds the node of every input.
pub(crate) fn edges(parsed: &[ParsedNode], findings: &mut Findings) -> Vec<ParsedEdge> {
    let mut by_name = HashMap::new();
    for (i, node) in parsed.iter().enumerate() {
        by_name.entry(node.name.as_str()).or_insert(i);
    }
    let any_open = parsed.iter().any(|node| node.is_open);
    let mut edges = Vec::new();
    for (to, node) in parsed.iter().enumerate() {
        findings.count_steps(1 + node.inputs.len());
        let mut seen = HashSet::new();
        for input in &node.inputs {
            let Some(&from) = by_name
                .get(input.name.as_str())
                .filter(|_| !input.name.is_empty())
            else {
                // An instance may give the input, or a node, the name that is missing.
                if input.is_open || any_open {
                    continue;
                }
                let similar = by_name
                    .keys()
                    .find(|name| name.eq_ignore_ascii_case(input.name.trim()));
                let remedy = match similar {
                    Some(name) => format!("did you mean '{name}'?"),
                    None => "add the node, or correct the name".to_owned(),
                };
                let name = shortened(&input.name);
                let message = format!(
                    "{} has the input '{name}', but no node has this name: {remedy}",
                    node.what()
                );
                findings.error(DiagnosticCode::NodeNotFound, &input.pointer, message);
                continue;
            };
            if parsed.get(from).is_some_and(|from| from.role == Role::Sink) {
                let message = format!(
                    "{} has the sink '{}' as its input, but sinks have no output: name \
                    what feeds the sink",
                    node.what(),
                    input.name
                );
                findings.error(DiagnosticCode::InputFromSink, &input.pointer, message);
                continue;
            }
            if !seen.insert(from) {
                let message = format!(
                    "{} names '{}' twice: the second one has no effect",
                    node.what(),
                    input.name
                );
                findings.warning(DiagnosticCode::InputDuplicate, &input.pointer, message);
                continue;
            }
            edges.push(ParsedEdge {
                from,
                to,
                pointer: input.pointer.clone(),
                selectors: input.selectors.clone(),
            });
        }
    }
    edges
}

/// The nodes, each after those that feed it; `None` after reporting a cycle.
pub(crate) fn order(
    parsed: &[ParsedNode],
    edges: &[ParsedEdge],
    findings: &mut Findings,
) -> Option<Vec<usize>> {
    findings.count_steps(parsed.len() + edges.len());
    let mut waiting = vec![0_usize; parsed.len()];
    let mut outputs: Vec<Vec<usize>> = vec![Vec::new(); parsed.len()];
    for edge in edges {
        if let (Some(count), Some(list)) = (waiting.get_mut(edge.to), outputs.get_mut(edge.from)) {
            *count += 1;
            list.push(edge.to);
        }
    }
    let mut order: Vec<usize> = (0..parsed.len())
        .filter(|i| waiting.get(*i) == Some(&0))
        .collect();
    let mut next = 0;
    while let Some(&from) = order.get(next) {
        next += 1;
        for &to in outputs.get(from).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(to) {
                *count -= 1;
                if *count == 0 {
                    order.push(to);
                }
            }
        }
    }
    if order.len() == parsed.len() {
        return Some(order);
    }
    report_cycle(parsed, edges, &waiting, findings);
    None
}

/// Walks backwards among the nodes in cycles until one repeats.
fn report_cycle(parsed: &[ParsedNode], edges: &[ParsedEdge], waiting: &[usize], findings: &mut Findings) {
    let waits = |i: &usize| waiting.get(*i).is_some_and(|count| *count > 0);
    let mut before = HashMap::new();
    for edge in edges.iter().filter(|edge| waits(&edge.from) && waits(&edge.to)) {
        before.entry(edge.to).or_insert(edge.from);
    }
    let Some(mut at) = (0..parsed.len()).find(|i| waits(i) && before.contains_key(i)) else {
        return;
    };
    let mut path = vec![at];
    while let Some(&from) = before.get(&at) {
        if let Some(start) = path.iter().position(|i| *i == from) {
            path.drain(..start);
            break;
        }
        path.push(from);
        at = from;
    }
    let most = 10;
    let mut names: Vec<&str> = path
        .iter()
        .rev()
        .take(most)
        .filter_map(|i| parsed.get(*i))
        .map(|d| d.name.as_str())
        .collect();
    if path.len() > most {
        names.push("…");
    }
    names.extend(names.first().copied());
    let pointer = path
        .last()
        .and_then(|i| parsed.get(*i))
        .map_or("", |d| d.pointer.as_str());
    let message = format!(
        "the inputs form a cycle, {}: remove one of them",
        names.join(" → ")
    );
    findings.error(DiagnosticCode::Cycle, pointer, message);
}
