//! One topology, run for a while: what it is given, what it has to give, and what it gave.

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

/// Name of the instance that is made of a topology.
pub const INSTANCE: &str = "run-topology";

/// An instance of a topology with these values, and the graph that both come to. Parameters without a value that
/// nothing refers to any more, such as the address of a camera that was put in its place, get an empty one.
///
/// # Errors
///
/// A value for a parameter that is not declared, one that is missing, and whatever else is wrong with the documents.
pub fn instance_of(
    topology: &Topology,
    values: &BTreeMap<String, String>,
) -> anyhow::Result<(Instance, Graph)> {
    let declared = topology.parameters();
    for name in values.keys() {
        if !declared.iter().any(|parameter| parameter.name == *name) {
            let names: Vec<&str> = declared.iter().map(|parameter| parameter.name.as_str()).collect();
            bail!(
                "the topology declares no parameter '{name}'; it has {}",
                names.join(", ")
            );
        }
    }
    let text = topology.to_json();
    let mut parameters = Vec::new();
    let mut lacking = Vec::new();
    for parameter in &declared {
        let value = match values.get(&parameter.name) {
            Some(value) => value.clone(),
            None if parameter.default.is_some() => continue,
            None if !text.contains(&format!("${{{}}}", parameter.name)) => String::new(),
            None => {
                lacking.push(format!("--param {}=VALUE", parameter.name));
                continue;
            }
        };
        parameters.push(json!({"name": parameter.name, "value": value}));
    }
    if !lacking.is_empty() {
        bail!("parameters have no value: give them with {}", lacking.join(" "));
    }
    let instance = Instance::from_value(json!({
        "@apiVersion": topology.generation().api_version(),
        "name": INSTANCE,
        "properties": {"topologyName": topology.name(), "parameters": parameters},
    }))?;
    let graph = resolve(topology, &instance, Strictness::Open)?.graph;
    Ok((instance, graph))
}

/// Sets and activates.
///
/// # Errors
///
/// The first answer that is none of success.
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

/// Deactivates, so that recordings are completed.
///
/// # Errors
///
/// The answer, if it is none of success.
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
        _ => bail!("{method} was answered {status}: {answer}"),
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
    fn a_value_that_is_missing_or_not_wanted_is_named_with_the_remedy() {
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
