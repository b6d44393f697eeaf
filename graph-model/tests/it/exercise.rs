//! Everything that can be done with a document, and what has to hold whatever it is. Also used by the fuzz target.

use lva_graph_model::deployment::{
    AppSettings, DeploymentTemplate, EnvironmentFile, Manifest, ManifestOptions, ModuleFile,
};
use lva_graph_model::methods::{Method, Registry, RegistryOptions};
use lva_graph_model::operations::OperationsFile;
use lva_graph_model::report::FileReport;
use lva_graph_model::{
    CustomNodeTypes, DeviceAdapter, Diagram, Instance, MAX_FINDINGS, MAX_STEPS, ParameterType, Strictness,
    Topology, resolve,
};
use serde_json::Value;

/// A type of nodes that a program brings along, where a document has some.
pub(crate) const CUSTOM_TYPE: &str = "#Contoso.QueueLengthProcessor";

/// Reads bytes as every kind of document, and does with it whatever can be done. Panics where something does not hold.
pub(crate) fn exercise(bytes: &[u8], instance: &Instance) {
    let _ = Instance::from_slice(bytes).map(|instance| instance.parameters());
    let _ = AppSettings::from_slice(bytes);
    let _ = ModuleFile::from_slice(bytes);
    if let Ok(file) = OperationsFile::from_slice(bytes) {
        assert!(file.findings.iter().all(|found| !found.is_error()));
    }
    let environment = EnvironmentFile::from_slice(bytes);
    if let Ok(template) = DeploymentTemplate::from_slice(bytes) {
        let options = ManifestOptions::new("amd64");
        let generated = template.generate(options.with_environment(environment.unwrap_or_default()));
        assert!(generated.findings.len() <= 2 * MAX_FINDINGS + 1);
        let text = generated.manifest.to_json();
        assert_eq!(Manifest::from_slice(text.as_bytes()).unwrap(), generated.manifest);
    }
    let report = FileReport::of("f", bytes, None, Strictness::Open);
    assert_eq!(report.to_json()["ok"], report.is_ok());
    if let Ok(topology) = Topology::from_slice(bytes) {
        places_hold(&topology, bytes);
        topology_holds(&topology, instance);
        if topology.to_json().contains("Contoso") {
            let own = CustomNodeTypes::new([CUSTOM_TYPE]).unwrap();
            topology_holds(&topology.with_custom_types(own), instance);
        }
    }
}

/// Findings point into the document as it was written.
fn places_hold(topology: &Topology, bytes: &[u8]) {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let written: Value = serde_json::from_slice(text).unwrap();
    for finding in topology.validate(Strictness::Open) {
        let place = written.pointer(&finding.pointer);
        assert!(place.is_some(), "{finding} points nowhere");
    }
}

fn topology_holds(topology: &Topology, instance: &Instance) {
    let document = topology.to_value();
    let again = Topology::from_json(&topology.to_json()).unwrap();
    assert_eq!(
        &again.with_custom_types(topology.custom_types().clone()),
        topology
    );
    let compatible = topology.validation_report(Strictness::Compatible);
    let open = topology.validation_report(Strictness::Open);
    for examination in [&compatible, &open] {
        assert!(examination.steps <= MAX_STEPS, "{} steps", examination.steps);
        assert!(examination.findings.len() <= 2 * MAX_FINDINGS + 1);
    }
    let is_fine = open.findings.iter().all(|found| !found.is_error());
    match resolve(topology, instance, Strictness::Open) {
        Ok(resolved) => {
            assert!(is_fine, "resolved in spite of {:?}", open.findings);
            let graph = resolved.graph;
            assert_eq!(graph.in_order().len(), graph.nodes().len());
            for edge in graph.edges() {
                assert!(graph.node(edge.from).is_some() && graph.node(edge.to).is_some());
            }
        }
        Err(error) => {
            assert!(error.findings.iter().any(|found| found.is_error()));
            assert!(!error.to_string().contains("please report"), "{error:?}");
            // What a mutation has declared open, or written down elsewhere, may be shown.
            let mut passwords = topology
                .parameters()
                .into_iter()
                .filter(|parameter| parameter.name == "pass");
            let is_written = document.to_string().contains("hunter2");
            if !is_written
                && passwords.all(|parameter| parameter.parameter_type == ParameterType::SecretString)
            {
                assert!(
                    !format!("{error:?}").contains("hunter2"),
                    "{error:?} of {document}"
                );
            }
        }
    }
    let diagram = Diagram::of(topology);
    assert!(!diagram.to_mermaid().is_empty() && !diagram.to_dot().is_empty());
    methods_answer(topology, document);
}

fn methods_answer(topology: &Topology, document: &Value) {
    let options = RegistryOptions::default().with_custom_types(topology.custom_types().clone());
    let mut registry = Registry::new(options.clone());
    for method in Method::ALL {
        let name = method.name(topology.generation().family());
        if let Err(error) = registry.call(name, document, std::time::UNIX_EPOCH) {
            let response = error.to_response();
            assert!(response.status >= 400 && response.payload["error"]["code"].is_string());
        }
    }
    let saved = registry.save();
    let restored = Registry::restore(&saved, options).unwrap();
    assert_eq!(restored.registry.save(), saved);
    let _ = DeviceAdapter::from_value(document.clone()).map(|adapter| adapter.validate(Strictness::Open));
}
