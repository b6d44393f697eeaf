//! A custom node and a custom sink: appends a line to a file whenever the picture of a camera gets dark or bright.
//!
//! `cargo run -p lva-graph-runtime --example light-changes -- rtsp://user:password@camera/stream light.txt`, until Ctrl-C.
#![allow(clippy::print_stderr)] // a program

use std::fs::{File, OpenOptions};
use std::io::Write as _;

use lva_graph_model::{Instance, Topology};
use lva_graph_runtime::{
    CustomNode, GraphEvent, MessageSink, Module, NodeContext, NodeError, NodeFactory, NodeFrame,
    RuntimeOptions, SinkError,
};
use lva_inference_schema::{Event, EventName, Inference, JsonStyle, event_time};

/// The node is named by its type, and `below` is a member of its own.
const TOPOLOGY: &str = r##"{
    "@apiVersion": "1.1",
    "name": "light",
    "properties": {
        "parameters": [{"name": "rtspUrl", "type": "string"}],
        "sources": [{
            "@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera",
            "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "${rtspUrl}"}
        }],
        "processors": [{
            "@type": "#Example.Darkness", "name": "darkness", "below": 40,
            "samplingOptions": {"maximumSamplesPerSecond": "2"}, "inputs": [{"nodeName": "camera"}]
        }],
        "sinks": [{
            "@type": "#Microsoft.VideoAnalyzer.IotHubMessageSink", "name": "events",
            "hubOutputName": "light", "inputs": [{"nodeName": "darkness"}]
        }]
    }
}"##;

struct DarknessFactory;

impl NodeFactory for DarknessFactory {
    fn type_name(&self) -> &str {
        "#Example.Darkness"
    }

    fn create(&self, node: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
        let below = node.number("below")?.unwrap_or(40.0);
        Ok(Box::new(Darkness { below, dark: None }))
    }
}

struct Darkness {
    /// Mean luma, 0 to 255.
    below: f64,
    dark: Option<bool>,
}

#[async_trait::async_trait]
impl CustomNode for Darkness {
    async fn process(&mut self, frame: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError> {
        let Some(luma) = frame.picture().plane(0) else {
            return Err(NodeError::new("the picture has no luma"));
        };
        let sum: u64 = if luma.bytes_per_sample == 2 {
            // Ten bits.
            let samples = luma.rows().flat_map(|row| row.as_chunks::<2>().0);
            samples
                .map(|sample| u64::from(u16::from_le_bytes(*sample) >> 2))
                .sum()
        } else {
            luma.rows().flatten().map(|sample| u64::from(*sample)).sum()
        };
        let light = sum as f64 / (f64::from(luma.width) * f64::from(luma.height));
        let dark = Some(light < self.below);
        if std::mem::replace(&mut self.dark, dark) == dark {
            return Ok(Vec::new());
        }
        let name = if dark == Some(true) { "dark" } else { "bright" };
        Ok(vec![Inference::new(
            Event::new(name).with_property("light", format!("{light:.0}")),
        )])
    }
}

struct Lines(File);

#[async_trait::async_trait]
impl MessageSink for Lines {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        if event.name == EventName::Inference {
            let body = event.body.to_json(JsonStyle::VideoAnalyzer);
            writeln!(self.0, "{} {body}", event_time(event.timestamp_90k))?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, file] = arguments.as_slice() else {
        anyhow::bail!("usage: light-changes rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH FILE");
    };
    let lines = Lines(OpenOptions::new().create(true).append(true).open(file)?);
    let options = RuntimeOptions::new("recordings").with_node_factory(DarknessFactory)?;
    let module = Module::new(options, vec![Box::new(lines)]);
    let topology = Topology::from_json(TOPOLOGY)?;
    let instance = Instance::new("camera-1", topology.name(), [("rtspUrl", url.as_str())]);
    let camera = module.start(topology, instance).await?;
    let ended: anyhow::Result<()> = tokio::select! {
        ended = camera.wait() => ended.map_err(Into::into),
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into),
    };
    module.shutdown().await; // delivers the last events
    eprintln!("{:?}", module.sink_stats());
    ended
}
