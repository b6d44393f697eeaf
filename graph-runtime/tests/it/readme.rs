//! The documents of the README.

use lva_graph_runtime::{Module, RuntimeOptions};
use serde_json::Value;

/// The JSON blocks of the README.
fn documents() -> Vec<Value> {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```json\n").skip(1);
    blocks
        .map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn the_topology_and_instance_of_the_readme_are_accepted() {
    let [topology, instance, node] = &documents()[..] else {
        panic!("the README has a topology, an instance and a custom node");
    };
    let source = &topology["properties"]["sources"][0]["name"];
    assert_eq!(
        &node["inputs"][0]["nodeName"], source,
        "the node fits the topology"
    );
    let directory = tempfile::tempdir().unwrap();
    let module = Module::new(RuntimeOptions::new(directory.path()), Vec::new());
    let (status, answer) = module.invoke("GraphTopologySet", topology).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = module.invoke("GraphInstanceSet", instance).await;
    assert_eq!(status, 201, "{answer}");
}
