//! One topology, run for a while: what it is given, what it has to give, and what it gave.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use ffmpeg_next as ffmpeg;
use lva_graph_model::{
    Graph, Instance, Method, Node, Strictness, Topology, instance_request, resolve, topology_request,
};
use lva_graph_runtime::{InstanceStats, Module};
use serde_json::{Map, Value, json};

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
    for parameter in &declared {
        let value = match values.get(&parameter.name) {
            Some(value) => value.clone(),
            None if parameter.default.is_some() => continue,
            None if !text.contains(&format!("${{{}}}", parameter.name)) => String::new(),
            None => bail!(
                "the parameter '{0}' has no value: give one with --param {0}=VALUE",
                parameter.name
            ),
        };
        parameters.push(json!({"name": parameter.name, "value": value}));
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
    let set = topology_request(family, topology.clone());
    let make = instance_request(topology.generation(), instance.clone());
    for request in [set, make] {
        let name = request.method.name(family);
        accepted(name, module.invoke(name, &request.to_payload()).await)?;
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

/// What a graph has to give when something happens before its camera, by its own nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whether a message sink is there.
    pub messages: bool,
    /// Names of the sinks that record.
    pub recordings: Vec<String>,
    /// Inputs of the message sources.
    pub inputs: Vec<String>,
}

impl Expected {
    /// What the graph's nodes promise.
    pub fn of(graph: &Graph) -> Self {
        let mut expected = Self::default();
        for node in graph.nodes() {
            match &node.node {
                Node::MessageSink(_) => expected.messages = true,
                Node::AssetSink(_) | Node::FileSink(_) | Node::VideoSink(_) => {
                    expected.recordings.push(node.name.clone());
                }
                Node::MessageSource(source) => expected.inputs.extend(source.hub_input_name.clone()),
                _ => {}
            }
        }
        expected
    }

    /// What was promised and did not come, for people.
    pub fn missing(&self, stats: &InstanceStats, recordings: &[Recorded]) -> Vec<String> {
        let mut missing = Vec::new();
        if stats.received == 0 {
            missing.push("the camera sent nothing".to_owned());
        }
        let said = |name| stats.events.get(&name).copied().unwrap_or_default();
        if self.messages && said(lva_inference_schema::EventName::Inference) == 0 {
            missing.push("the message sink was given nothing".to_owned());
        }
        for sink in &self.recordings {
            let own = || recordings.iter().filter(|recorded| recorded.sink == *sink);
            if own().next().is_none() {
                missing.push(format!("'{sink}' recorded nothing"));
            }
            for recorded in own().filter(|recorded| !recorded.first_keyframe) {
                missing.push(format!("{} does not begin with a key frame", recorded.path));
            }
        }
        missing
    }
}

/// A file that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Name of the sink.
    pub sink: String,
    /// The file.
    pub path: String,
    /// From its first to its last picture.
    pub seconds: f64,
    /// Whether its first packet of video is a key frame.
    pub first_keyframe: bool,
}

/// Looks into the files that an instance has recorded.
///
/// # Errors
///
/// A file that cannot be read.
pub fn recorded(stats: &InstanceStats) -> anyhow::Result<Vec<Recorded>> {
    let look = |clip: &lva_graph_runtime::ClipInfo| {
        Ok(Recorded {
            sink: clip.sink.clone(),
            path: clip.path.display().to_string(),
            seconds: clip.seconds,
            first_keyframe: begins_with_key(&clip.path)?,
        })
    };
    // What a cap or a retention has removed meanwhile was recorded all the same, and cannot be looked into.
    let there = stats.newest_clips.iter().filter(|clip| clip.path.exists());
    there.map(look).collect()
}

fn begins_with_key(path: &Path) -> anyhow::Result<bool> {
    let mut input = ffmpeg::format::input(path).with_context(|| format!("cannot read {}", path.display()))?;
    let video = input.streams().best(ffmpeg::media::Type::Video);
    let index = video
        .with_context(|| format!("{} has no video", path.display()))?
        .index();
    let first = input.packets().find(|(stream, _)| stream.index() == index);
    Ok(first.is_some_and(|(_, packet)| packet.is_key()))
}

/// The last line: one JSON object about the whole run.
pub fn summary(
    topology: &Topology,
    stats: &InstanceStats,
    recordings: &[Recorded],
    missing: &[String],
) -> Value {
    let mut frames = Map::new();
    frames.insert("received".to_owned(), stats.received.into());
    frames.insert("decoded".to_owned(), stats.decoded.into());
    for (what, of) in [
        (
            "sent",
            (|e: &lva_graph_runtime::ExtensionStats| e.sent) as fn(&_) -> u64,
        ),
        ("answered", |e| e.answered),
    ] {
        let sum: u64 = stats.extensions.values().map(of).sum();
        frames.insert(what.to_owned(), sum.into());
    }
    let mut dropped: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, reason), count) in &stats.dropped {
        *dropped.entry(reason.as_str()).or_default() += count;
    }
    let events: Map<String, Value> = stats
        .events
        .iter()
        .map(|(name, count)| (name.as_str().to_owned(), (*count).into()))
        .collect();
    let recordings: Vec<Value> = recordings
        .iter()
        .map(|recorded| {
            json!({
                "sink": recorded.sink, "path": recorded.path, "seconds": recorded.seconds,
                "first_keyframe": recorded.first_keyframe,
            })
        })
        .collect();
    let mut line = json!({
        "topology": topology.name(), "generation": topology.generation().to_string(), "ok": missing.is_empty(),
        "frames": frames, "dropped": dropped, "events": events, "recordings": recordings,
    });
    if !missing.is_empty() {
        line["missing"] = missing.into();
    }
    line
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
        let expected = Expected::of(&graph);
        assert_eq!(expected.recordings, ["asset"]);
        let missing = expected.missing(&InstanceStats::default(), &[]);
        assert_eq!(missing, ["the camera sent nothing", "'asset' recorded nothing"]);
    }
}
