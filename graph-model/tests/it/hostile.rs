//! Absurd documents, and work that stays bounded.

use std::time::Instant;

use lva_graph_model::methods::{Method, Registry, RegistryOptions};
use lva_graph_model::operations::OperationsFile;
use lva_graph_model::{DiagnosticCode, Diagram, Instance, MAX_FINDINGS, Strictness, Topology, resolve};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mutations::spent;
use crate::support::{plaza, plaza_instance, street, topology, with};

#[test]
fn a_topology_with_ten_thousand_nodes_is_refused_as_a_whole() {
    let sink = plaza()["properties"]["sinks"][1].clone();
    let document = with(plaza(), "/properties/sinks", Value::Array(vec![sink; 10_000]));
    let found = topology(document).validate(Strictness::Open);
    assert!(
        found.iter().any(|f| f.code == DiagnosticCode::TooLarge),
        "{found:?}"
    );
    assert!(found.len() < 10);
}

#[test]
fn a_node_with_ten_thousand_inputs_is_refused() {
    let inputs = Value::Array(vec![json!({"nodeName": "vision"}); 10_001]);
    let found = topology(with(plaza(), "/properties/sinks/1/inputs", inputs)).validate(Strictness::Open);
    assert!(
        found.iter().any(|f| f.code == DiagnosticCode::TooLarge),
        "{found:?}"
    );
}

#[test]
fn findings_are_capped() {
    let inputs = Value::Array(vec![json!({"nodeName": "absent"}); 5_000]);
    let found = topology(with(plaza(), "/properties/sinks/1/inputs", inputs)).validate(Strictness::Open);
    assert!(found.len() <= 2 * MAX_FINDINGS + 1, "{}", found.len());
    assert!(found.last().unwrap().message.contains("more findings"));
}

#[test]
fn references_cannot_multiply_a_value_without_end() {
    let document = with(
        plaza(),
        "/properties/sinks/1/hubOutputName",
        json!("${url}".repeat(1_000)),
    );
    let url = format!("rtsp://cam/{}", "x".repeat(100_000));
    let instance = Instance::new("Plaza-1", "Plaza", [("url", url.as_str())]);
    let error = resolve(&topology(document), &instance, Strictness::Open).unwrap_err();
    assert!(
        error.findings.iter().any(|f| f.code == DiagnosticCode::TooLarge),
        "{error}"
    );
}

#[test]
fn a_long_chain_and_a_long_circle_end() {
    let node = |i: usize, from: String| {
        json!({
            "@type": "#Microsoft.Media.MediaGraphFrameRateFilterProcessor",
            "name": format!("f{i}"),
            "inputs": [{"nodeName": from}],
        })
    };
    let chain: Vec<Value> = (0..900)
        .rev()
        .map(|i| {
            node(
                i,
                if i == 0 {
                    "camera".into()
                } else {
                    format!("f{}", i - 1)
                },
            )
        })
        .collect();
    let mut processors = plaza()["properties"]["processors"].as_array().unwrap().clone();
    processors.extend(chain);
    let document = with(plaza(), "/properties/processors", Value::Array(processors));
    let resolved = resolve(&topology(document.clone()), &plaza_instance(), Strictness::Open).unwrap();
    assert_eq!(resolved.graph.in_order().len(), 906);
    // The last filter feeds the first: f0 stands at the end of the list.
    let circle = with(
        document,
        "/properties/processors/902/inputs/0/nodeName",
        json!("f899"),
    );
    let found = topology(circle).validate(Strictness::Open);
    let cycle = found.iter().find(|f| f.code == DiagnosticCode::Cycle).unwrap();
    assert!(
        cycle.message.contains("…") && cycle.message.len() < 400,
        "{}",
        cycle.message
    );
}

/// All places of a document.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| pointers(value, &format!("{at}/{}", escaped(key)), all)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(i, value)| pointers(value, &format!("{at}/{i}"), all)),
        _ => {}
    }
}

fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!("")),
        Just(json!("${")),
        Just(json!("${url}")),
        Just(json!("${System.DateTime}")),
        Just(json!("camera")),
        Just(json!("vision")),
        Just(json!("PT-5S")),
        Just(json!([])),
        Just(json!([[]])),
        Just(json!({})),
        Just(json!({"@type": 7, "name": []})),
        Just(json!("9".repeat(400))),
        "\\PC{0,12}".prop_map(Value::String),
    ]
}

fn walk_through(document: Value) {
    let Ok(topology) = Topology::from_value(document.clone()) else {
        return;
    };
    let started = Instant::now();
    let before = spent(started);
    let compatible = topology.validate(Strictness::Compatible);
    let open = topology.validate(Strictness::Open);
    assert!(
        open.iter().filter(|f| f.is_error()).count() <= compatible.iter().filter(|f| f.is_error()).count()
    );
    for finding in &open {
        let found = document.pointer(&finding.pointer).is_some();
        assert!(found, "{finding} points nowhere");
    }
    match resolve(&topology, &plaza_instance(), Strictness::Open) {
        Ok(resolved) => {
            assert!(resolved.findings.iter().all(|f| !f.is_error()));
            assert!(
                open.iter().all(|f| !f.is_error()),
                "resolved in spite of {open:?}"
            );
            assert_eq!(resolved.graph.in_order().len(), resolved.graph.nodes().len());
        }
        Err(error) => {
            assert!(error.findings.iter().any(|f| f.is_error()));
            let unexplained = |f: &lva_graph_model::Diagnostic| f.message.contains("please report");
            assert!(!error.findings.iter().any(unexplained), "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
    let diagram = Diagram::of(&topology);
    assert!(!diagram.to_mermaid().is_empty() && !diagram.to_dot().is_empty());
    let mut registry = Registry::new(RegistryOptions::default());
    for method in Method::ALL {
        let name = method.name(topology.generation().family());
        if let Err(error) = registry.call(name, &document, std::time::UNIX_EPOCH) {
            assert!(error.to_response().status >= 400);
        }
    }
    let took = spent(started).saturating_sub(before);
    assert!(took.as_secs() < 5, "took {took:?} of processor time");
}

proptest! {
    #[test]
    fn documents_with_strange_places_are_judged_and_never_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), strange(), 0..3_u8), 1..6),
        which in any::<bool>(),
    ) {
        let mut document = if which { plaza() } else { street() };
        for (index, value, way) in places {
            let mut all = Vec::new();
            pointers(&document, "", &mut all);
            let pointer = index.get(&all).clone();
            let Some((parent, member)) = pointer.rsplit_once('/') else { continue };
            let member = member.replace("~1", "/").replace("~0", "~");
            match (way, document.pointer_mut(parent)) {
                (0, Some(Value::Object(map))) => { map.remove(&member); }
                (0, Some(Value::Array(list))) => { list.remove(member.parse().unwrap()); }
                (1, Some(Value::Object(map))) => { map.insert(member.to_uppercase(), value); }
                (1, Some(Value::Array(list))) => { let twice = list[member.parse::<usize>().unwrap()].clone(); list.push(twice); }
                _ => *document.pointer_mut(&pointer).unwrap() = value,
            }
        }
        walk_through(document);
    }

    #[test]
    fn texts_with_strange_bytes_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = plaza().to_string().into_bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = Instance::from_slice(&bytes);
        let _ = OperationsFile::from_slice(&bytes);
        if let Ok(read) = Topology::from_slice(&bytes) {
            walk_through(read.to_value().clone());
        }
    }
}

#[test]
fn a_directory_that_leads_out_is_refused() {
    let errors = |name: &str, path: &str| {
        let mut sink = json!({
            "@type": "#Microsoft.Media.MediaGraphFileSink", "name": "clips", "inputs": [{"nodeName": "gate"}],
            "fileNamePattern": "clip-${System.DateTime}", "maximumSizeMiB": "512",
        });
        sink[name] = path.into();
        let graph = with(plaza(), "/properties/sinks/-", sink);
        let findings = topology(graph).validate(Strictness::Open);
        let errors = findings.into_iter().filter(lva_graph_model::Diagnostic::is_error);
        errors.map(|error| error.to_string()).collect::<Vec<_>>()
    };
    for path in [
        "..",
        "../x",
        "/var/../etc",
        "a/..",
        "a/../../b/${System.DateTime}",
    ] {
        let errors = errors("baseDirectoryPath", path);
        assert!(
            errors.iter().any(|error| error.contains("'..'")),
            "{path}: {errors:?}"
        );
    }
    let by_path = errors("filePathPattern", "/var/../etc/a-${System.DateTime}");
    assert!(by_path.iter().any(|error| error.contains("'..'")), "{by_path:?}");
    for path in ["/var/media", "a..b", "clips/${System.DateTime}", "..."] {
        assert_eq!(errors("baseDirectoryPath", path), [""; 0], "{path}");
    }
}
