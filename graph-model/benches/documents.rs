//! The spatial-analysis topology read, checked and resolved; `serde_json::Value` alone as the baseline.
#![allow(missing_docs, reason = "a bench")]

use divan::{Bencher, black_box};
use lva_graph_model::{Diagram, Instance, Strictness, Topology, resolve};
use serde_json::Value;

/// The one that `make demo` runs.
const TOPOLOGY: &str = include_str!("../../examples/documents/topology.json");

fn main() {
    divan::main();
}

fn topology() -> Option<Topology> {
    Topology::from_json(TOPOLOGY).ok()
}

fn instance(topology: &Topology) -> Instance {
    let open = topology.parameters().into_iter().filter(|p| p.default.is_none());
    let values: Vec<(String, &str)> = open
        .map(|p| {
            let is_url = p.name.to_lowercase().contains("rtspurl");
            let value = if is_url { "rtsp://cam:554/1" } else { "value" };
            (p.name, value)
        })
        .collect();
    let pairs = values.iter().map(|(name, value)| (name.as_str(), *value));
    Instance::new("Sample-1", topology.name(), pairs)
}

#[divan::bench]
fn parse_baseline_value(bencher: Bencher<'_, '_>) {
    bencher.bench(|| serde_json::from_str::<Value>(black_box(TOPOLOGY)));
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    bencher.bench(|| Topology::from_json(black_box(TOPOLOGY)));
}

#[divan::bench]
fn parse_and_validate(bencher: Bencher<'_, '_>) {
    bencher.bench(|| {
        Topology::from_json(black_box(TOPOLOGY)).map(|topology| topology.validate(Strictness::Open))
    });
}

/// Resolving runs every check: a document with errors gives no graph.
#[divan::bench]
fn parse_resolve_and_validate(bencher: Bencher<'_, '_>) {
    let instance = topology().map(|topology| instance(&topology));
    let Some(instance) = instance else { return };
    bencher.bench(|| {
        let topology = Topology::from_json(black_box(TOPOLOGY));
        topology
            .map(|topology| resolve(&topology, &instance, Strictness::Open).map(|resolved| resolved.graph))
    });
}

#[divan::bench]
fn write(bencher: Bencher<'_, '_>) {
    let Some(topology) = topology() else { return };
    bencher.bench(|| black_box(&topology).to_json());
}

#[divan::bench]
fn draw_mermaid(bencher: Bencher<'_, '_>) {
    let Some(topology) = topology() else { return };
    bencher.bench(|| Diagram::of(black_box(&topology)).to_mermaid());
}
