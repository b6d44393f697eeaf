//! The passes over inputs: what they name, and that they form no circle.

use std::collections::{HashMap, HashSet};

use super::nodes::ParsedNode;
use crate::diagnostic::{DiagnosticCode, Findings};
use crate::graph::OutputSelector;
use crate::kind::Role;
use crate::read::shortened;

/// An input that has found its node.
#[derive(Debug)]
pub(crate) struct ParsedEdge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) pointer: String,
    pub(crate) selectors: Vec<OutputSelector>,
}

/// Follows every input to its node.
pub(crate) fn links(drafts: &[ParsedNode], findings: &mut Findings) -> Vec<ParsedEdge> {
    let mut by_name = HashMap::new();
    for (i, draft) in drafts.iter().enumerate() {
        by_name.entry(draft.name.as_str()).or_insert(i);
    }
    let mut links = Vec::new();
    for (to, draft) in drafts.iter().enumerate() {
        findings.count_steps(1 + draft.inputs.len());
        let mut seen = HashSet::new();
        for input in &draft.inputs {
            let Some(&from) = by_name
                .get(input.name.as_str())
                .filter(|_| !input.name.is_empty())
            else {
                let similar = by_name
                    .keys()
                    .find(|name| name.eq_ignore_ascii_case(input.name.trim()));
                let remedy = match similar {
                    Some(name) => format!("did you mean '{name}'?"),
                    None => "add the node, or correct the name".to_owned(),
                };
                let name = shortened(&input.name);
                let message = format!(
                    "{} names '{name}' as its input, and there is no such node: {remedy}",
                    draft.what()
                );
                findings.error(DiagnosticCode::NodeNotFound, &input.pointer, message);
                continue;
            };
            if drafts.get(from).is_some_and(|from| from.role == Role::Sink) {
                let message = format!(
                    "{} names sink '{}' as its input, and nothing comes out of a sink: name \
                    what feeds the sink",
                    draft.what(),
                    input.name
                );
                findings.error(DiagnosticCode::InputFromSink, &input.pointer, message);
                continue;
            }
            if !seen.insert(from) {
                let message = format!(
                    "{} names '{}' twice: the second one has no effect",
                    draft.what(),
                    input.name
                );
                findings.warning(DiagnosticCode::InputDuplicate, &input.pointer, message);
                continue;
            }
            links.push(ParsedEdge {
                from,
                to,
                pointer: input.pointer.clone(),
                selectors: input.selectors.clone(),
            });
        }
    }
    links
}

/// The nodes, each after those that feed it; `None` after reporting a circle.
pub(crate) fn order(
    drafts: &[ParsedNode],
    links: &[ParsedEdge],
    findings: &mut Findings,
) -> Option<Vec<usize>> {
    findings.count_steps(drafts.len() + links.len());
    let mut waiting = vec![0_usize; drafts.len()];
    let mut outputs: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for link in links {
        if let (Some(count), Some(list)) = (waiting.get_mut(link.to), outputs.get_mut(link.from)) {
            *count += 1;
            list.push(link.to);
        }
    }
    let mut order: Vec<usize> = (0..drafts.len())
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
    if order.len() == drafts.len() {
        return Some(order);
    }
    report_circle(drafts, links, &waiting, findings);
    None
}

/// Walks backwards among the nodes that wait for each other until one comes again.
fn report_circle(drafts: &[ParsedNode], links: &[ParsedEdge], waiting: &[usize], findings: &mut Findings) {
    let waits = |i: &usize| waiting.get(*i).is_some_and(|count| *count > 0);
    let mut before = HashMap::new();
    for link in links.iter().filter(|link| waits(&link.from) && waits(&link.to)) {
        before.entry(link.to).or_insert(link.from);
    }
    let Some(mut at) = (0..drafts.len()).find(|i| waits(i) && before.contains_key(i)) else {
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
        .filter_map(|i| drafts.get(*i))
        .map(|d| d.name.as_str())
        .collect();
    if path.len() > most {
        names.push("…");
    }
    names.extend(names.first().copied());
    let pointer = path
        .last()
        .and_then(|i| drafts.get(*i))
        .map_or("", |d| d.pointer.as_str());
    let message = format!(
        "nodes feed each other in a circle, {}: remove one of these inputs",
        names.join(" → ")
    );
    findings.error(DiagnosticCode::Cycle, pointer, message);
}
