//! A run of one topology: its parameters, the results expected of its nodes, and the actual results.

mod expected;
mod heard;
mod recorded;
mod summary;

use std::collections::BTreeMap;

use anyhow::bail;
use lva_graph_model::methods::{Method, MethodCall};
use lva_graph_model::{Graph, Instance, Strictness, Topology, resolve};
use lva_graph_runtime::Module;
use serde_json::{Value, json};

pub use self::expected::{Expected, Outcome};
pub use self::heard::{Heard, Listener};
pub use self::recorded::{Contents, Recorded, recorded};
pub use self::summary::Summary;

/// Name of the instance.
pub const INSTANCE: &str = "run-topology";

/// An instance of a topology with these values, and its graph. Parameters that nothing refers to, such as the address of a
/// replaced camera, need no value and get an empty one.
///
/// # Errors
///
/// A value for an undeclared parameter, a missing value, or any other fault of the documents.
pub fn instance_of(
    topology: &Topology,
    values: &BTreeMap<String, String>,
) -> anyhow::Result<(Instance, Graph)> {
    let declared = topology.parameters();
    for name in values.keys() {
        if !declared.iter().any(|parameter| parameter.name == *name) {
            let names: Vec<&str> = declared.iter().map(|parameter| parameter.name.as_str()).collect();
            bail!(
                "the topology does not declare the parameter '{name}'; it declares {}",
                names.join(", ")
            );
        }
    }
    let text = topology.to_json();
    let mut parameters = Vec::new();
    let mut without_value = Vec::new();
    for parameter in &declared {
        let value = match values.get(&parameter.name) {
            Some(value) => value.clone(),
            None if parameter.default.is_some() => continue,
            None if !text.contains(&format!("${{{}}}", parameter.name)) => String::new(),
            None => {
                without_value.push(format!("--param {}=VALUE", parameter.name));
                continue;
            }
        };
        parameters.push(json!({"name": parameter.name, "value": value}));
    }
    if !without_value.is_empty() {
        bail!(
            "parameters have no value: give them with {}",
            without_value.join(" ")
        );
    }
    let instance = Instance::from_value(json!({
        "@apiVersion": topology.generation().api_version(),
        "name": INSTANCE,
        "properties": {"topologyName": topology.name(), "parameters": parameters},
    }))?;
    let graph = resolve(topology, &instance, Strictness::Open)?.graph;
    Ok((instance, graph))
}

/// Sets the topology and the instance, and activates it.
///
/// # Errors
///
/// The first failed method.
pub async fn activate(module: &Module, topology: &Topology, instance: &Instance) -> anyhow::Result<()> {
    let family = topology.generation().family();
    let set = MethodCall::set_topology(family, topology.clone());
    let make = MethodCall::set_instance(topology.generation(), instance.clone());
    for call in [set, make] {
        accepted(call.name(), module.invoke(call.name(), &call.to_payload()).await)?;
    }
    let name = Method::InstanceActivate.name(family);
    accepted(name, module.invoke(name, &named(topology)).await)
}

/// Deactivates the instance, which completes its recordings.
///
/// # Errors
///
/// The method failed.
pub async fn deactivate(module: &Module, topology: &Topology) -> anyhow::Result<()> {
    let name = Method::InstanceDeactivate.name(topology.generation().family());
    accepted(name, module.invoke(name, &named(topology)).await)
}

fn named(topology: &Topology) -> Value {
    json!({"@apiVersion": topology.generation().api_version(), "name": INSTANCE})
}

fn accepted(method: &str, (status, answer): (u16, Value)) -> anyhow::Result<()> {
    match status {
        200..300 => Ok(()),
        _ => bail!("{method} failed with status {status}: {answer}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(parameters: Value) -> Topology {
        let document = json!({
            "@apiVersion": "2.0", "name": "t",
            "properties": {
                "parameters": parameters,
                "sources": [{
                    "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                    "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "${url}"},
                }],
                "sinks": [{
                    "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "asset", "assetNamePattern": "a",
                    "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9",
                    "inputs": [{"nodeName": "camera"}],
                }],
            },
        });
        Topology::from_value(document).unwrap()
    }

    #[test]
    fn a_missing_or_undeclared_value_is_named_with_the_remedy() {
        let declared = json!([{"name": "url", "type": "String"}, {"name": "unused", "type": "String"}]);
        let none = instance_of(&topology(declared.clone()), &BTreeMap::new()).unwrap_err();
        assert!(none.to_string().contains("--param url=VALUE"), "{none}");
        let values = |name: &str| BTreeMap::from([(name.to_owned(), "rtsp://cam/a".to_owned())]);
        let other = instance_of(&topology(declared.clone()), &values("URL2")).unwrap_err();
        assert!(other.to_string().contains("url, unused"), "{other}");
        let (_, graph) = instance_of(&topology(declared), &values("url")).unwrap();
        assert_eq!(Expected::of(&graph).recordings().collect::<Vec<_>>(), ["asset"]);
    }
}
