//! Every published document, where the shared data is at hand.

use lva_graph_model::methods::{Action, Completion, MethodCall, Registry, RegistryOptions};
use lva_graph_model::operations::{OperationsFile, Step};
use lva_graph_model::{DiagnosticCode, Generation, Instance, Strictness, Topology};

use crate::support::shared_data;

#[test]
fn the_walk_through_of_the_tutorial_runs_to_its_end_or_skips() {
    let Some(directory) = shared_data("samples/composed") else {
        return;
    };
    let bytes = std::fs::read(directory.join("operations.spatial-analysis.json")).unwrap();
    let file = OperationsFile::from_slice(&bytes).unwrap();
    let mut registry = Registry::new(RegistryOptions::default());
    let mut statuses = Vec::new();
    for step in file.steps {
        let request = match step {
            Step::WaitForInput { message } => {
                assert!(!message.is_empty());
                continue;
            }
            Step::SetTopologyUrl { url, .. } => panic!("{url}"),
            Step::SetTopologyFile { family, path } => {
                let bytes = std::fs::read(directory.join(path)).unwrap();
                MethodCall::set_topology(family, Topology::from_slice(&bytes).unwrap())
            }
            Step::Call(request) => *request,
        };
        let response = match registry.dispatch(&request, std::time::UNIX_EPOCH).unwrap() {
            Action::Done(response) => response,
            Action::Start(start) => {
                assert_eq!(start.graph.nodes().len(), 6);
                let url = format!("{:?}", start.graph.node_named("rtspSource").unwrap());
                assert!(url.contains("rtsp://rtspsim:554/media/bulldozer.mkv"), "{url}");
                assert!(!url.contains("testpassword"));
                registry.complete(&start.instance, Completion::Activated).unwrap()
            }
            Action::Stop { instance } => registry.complete(&instance, Completion::Deactivated).unwrap(),
            other => panic!("not asked for: {other:?}"),
        };
        let text = response.payload.to_string();
        assert!(
            !text.contains("testpassword") && !text.contains("dummyPassword"),
            "{text}"
        );
        statuses.push(response.status);
    }
    assert_eq!(statuses, [200, 200, 201, 201, 200, 200, 200, 200, 200, 200]);
}

#[test]
fn published_operations_name_their_topologies_by_url_or_skips() {
    for path in [
        "samples/lva-csharp/cloud-to-device-console-app/operations.json",
        "samples/ava-csharp/cloud-to-device-console-app/operations.json",
    ] {
        let Some(file) = shared_data(path) else { return };
        let file = OperationsFile::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(file.findings, []);
        let urls = file
            .steps
            .iter()
            .filter(|step| matches!(step, Step::SetTopologyUrl { .. }));
        assert_eq!(urls.count(), 1);
    }
}

#[test]
fn the_published_instance_reads_or_skips() {
    let path = "samples/lva/lva-edge-iot-central-gateway/setup/motionGraphInstance.json";
    let Some(file) = shared_data(path) else { return };
    let instance = Instance::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(instance.topology_name(), "LvaIotcMotionDetectionWithCvr");
    assert_eq!(instance.parameters().len(), 5);
}

#[test]
fn every_type_of_the_contracts_is_known_or_skips() {
    for (path, generation) in [
        ("contracts/lva/models-1.0.json", Generation::Lva1),
        ("contracts/lva/models-2.0.json", Generation::Lva2),
        ("contracts/ava/models-1.0.json", Generation::VideoAnalyzer1),
        ("contracts/ava/models-1.1.json", Generation::VideoAnalyzer1_1),
    ] {
        let Some(file) = shared_data(path) else { return };
        let models: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let prefix = generation.family().type_prefix();
        for (name, model) in models["types"].as_object().unwrap() {
            let Some(tag) = model["discriminator"].as_str() else {
                continue;
            };
            let base = model["extends"].as_str().unwrap_or_default();
            let list = match base {
                "Source" | "SourceNodeBase" => "sources",
                "Processor" | "ProcessorNodeBase" | "ExtensionProcessorBase" => "processors",
                "Sink" | "SinkNodeBase" => "sinks",
                _ => continue,
            };
            if name == "ExtensionProcessorBase" {
                continue;
            }
            // All members of the contract, with values of no meaning: none may be unknown, nor of another generation.
            let members = model["properties"].as_object().unwrap().keys();
            let mut node: serde_json::Map<String, serde_json::Value> = members
                .map(|member| (member.clone(), "${later}".into()))
                .collect();
            node.insert("@type".into(), tag.into());
            node.insert("name".into(), "n".into());
            let document = serde_json::json!({
                "@apiVersion": generation.api_version(),
                "name": "t",
                "properties": {"parameters": [{"name": "later", "type": "String"}], list: [node]},
            });
            let topology = Topology::from_value(document).unwrap();
            assert_eq!(topology.generation(), generation, "{tag} begins with {prefix}");
            for found in topology.validate(Strictness::Compatible) {
                let unexpected = matches!(
                    found.code,
                    DiagnosticCode::UnknownMember
                        | DiagnosticCode::UnknownNodeType
                        | DiagnosticCode::WrongRole
                        | DiagnosticCode::NotInGeneration
                );
                assert!(!unexpected, "{tag} of {generation}: {found}");
            }
        }
    }
}
