//! Topologies and instances: their documents, and numbers of those that run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use lva_graph_model::methods::InstanceState;
use lva_graph_runtime::{InstanceStats, Module};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::cameras::{Cameras, state_word};
use crate::documents::{self, find, is_named, text};
use crate::events::Events;

/// Numbers of an earlier call, to make rates of.
#[derive(Default)]
pub(crate) struct Rates {
    earlier: Mutex<BTreeMap<String, (Instant, InstanceStats)>>,
}

/// Rates are over at least this time.
const RATE_S: f64 = 1.0;

/// Everything that the diagrams show.
pub(crate) async fn list(module: &Module, cameras: &Arc<Cameras>, events: &Events, rates: &Rates) -> Value {
    let topologies = documents::all(module, "GraphTopologyList").await;
    let documents = documents::all(module, "GraphInstanceList").await;
    let instances: Vec<Value> = module
        .instances()
        .into_iter()
        .map(|instance| {
            let topology = topologies.iter().find(|topology| is_named(topology, &instance.topology));
            let document = documents.iter().find(|document| is_named(document, &instance.name));
            let stats = module.stats(&instance.name).filter(|_| instance.state != InstanceState::Inactive);
            let rates = stats.as_ref().map(|stats| rates.of(&instance.name, stats)).unwrap_or_default();
            let nodes = topology.map(nodes).unwrap_or_default();
            let edges: Vec<Value> = nodes
                .iter()
                .flat_map(|node| node.inputs.iter().map(|from| edge(from, node, stats.as_ref(), &rates)))
                .collect();
            let live = cameras.live(&instance.name);
            let shown: Vec<Value> = nodes
                .iter()
                .map(|node| {
                    let error = events.error_of(
                        &instance.name,
                        Some(&node.name),
                        live.as_ref().and_then(|live| live.answered_at(&node.name)),
                    );
                    let state = match (&stats, &error) {
                        (None, _) => "off",
                        (Some(_), Some(_)) => "failing",
                        (Some(_), None) => "running",
                    };
                    json!({"name": node.name, "type": node.type_name, "role": node.role, "state": state, "lastError": error})
                })
                .collect();
            json!({
                "name": instance.name,
                "topology": instance.topology,
                "state": state_word(instance.state),
                "lastError": events.last_error(&instance.name),
                "nodes": shown,
                "edges": edges,
                "parameters": document.and_then(|document| find(document, &["properties", "parameters"])),
            })
        })
        .collect();
    let topologies: Vec<Value> = topologies
        .into_iter()
        .map(|document| {
            json!({
                "name": find(&document, &["name"]),
                "parameters": find(&document, &["properties", "parameters"]),
                "document": document,
            })
        })
        .collect();
    json!({"topologies": topologies, "instances": instances})
}

/// A node as its document has it.
struct DocumentNode {
    name: String,
    type_name: String,
    role: &'static str,
    inputs: Vec<String>,
}

fn nodes(topology: &Value) -> Vec<DocumentNode> {
    let of_role = |role: &'static str| {
        let listed = find(topology, &["properties", role]).and_then(Value::as_array);
        listed.into_iter().flatten().map(move |node| {
            let inputs = find(node, &["inputs"])
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let type_name = text(node, "@type");
            DocumentNode {
                name: text(node, "name"),
                type_name: type_name.rsplit('.').next().unwrap_or_default().to_owned(),
                role,
                inputs: inputs.map(|input| text(input, "nodeName")).collect(),
            }
        })
    };
    ["sources", "processors", "sinks"]
        .into_iter()
        .flat_map(of_role)
        .collect()
}

fn edge(
    from: &str,
    to: &DocumentNode,
    stats: Option<&InstanceStats>,
    rates: &BTreeMap<String, f64>,
) -> Value {
    let drops: Map<String, Value> = stats
        .map(|stats| {
            let own = stats.dropped.iter().filter(|((node, _), _)| *node == to.name);
            own.map(|((_, reason), count)| (reason.as_str().to_owned(), json!(count)))
                .collect()
        })
        .unwrap_or_default();
    let latency = stats.and_then(|stats| stats.latencies.get(&to.name));
    let rate = rates.get(&to.name).or_else(|| rates.get(from));
    json!({
        "from": from,
        "to": to.name,
        "framesPerSecond": rate,
        "drops": drops,
        "latencyMs": latency.map(|latency| (latency.average.as_secs_f64() * 1e4).round() / 10.0),
    })
}

impl Rates {
    /// Frames a second by node, since an earlier call.
    fn of(&self, instance: &str, now: &InstanceStats) -> BTreeMap<String, f64> {
        let mut earlier = self.earlier.lock();
        let (since, before) = earlier
            .entry(instance.to_owned())
            .or_insert_with(|| (Instant::now(), now.clone()));
        let seconds = since.elapsed().as_secs_f64();
        if now.received < before.received {
            // Activated again.
            (*since, *before) = (Instant::now(), now.clone());
            return BTreeMap::new();
        }
        if seconds < RATE_S {
            return BTreeMap::new();
        }
        let rate =
            |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds * 10.0).round() / 10.0;
        let sources = now.received_bytes.keys();
        let mut rates: BTreeMap<String, f64> = sources
            .map(|name| (name.clone(), rate(now.received, before.received)))
            .collect();
        for (name, stats) in &now.extensions {
            let earlier = before.extensions.get(name).map_or(0, |stats| stats.offered);
            rates.insert(name.clone(), rate(stats.offered, earlier));
        }
        for (name, stats) in &now.motions {
            let earlier = before.motions.get(name).map_or(0, |stats| stats.looked);
            rates.insert(name.clone(), rate(stats.looked, earlier));
        }
        if seconds > 4.0 * RATE_S {
            (*since, *before) = (Instant::now(), now.clone());
        }
        rates
    }

    /// Forgets instances that are gone.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.earlier.lock().retain(|instance, _| is_there(instance));
    }
}
