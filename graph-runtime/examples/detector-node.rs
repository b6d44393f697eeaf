//! A model in a custom node: prints the people that are detected in the pictures of a camera.
//!
//! `cargo run --release -p lva-graph-runtime --example detector-node -- rtsp://user:password@camera/stream`, until Ctrl-C.
#![allow(clippy::print_stdout)] // a program

use lva_framing::{ImageSettings, PixelFormat, Renderer};
use lva_graph_model::{Instance, Topology};
use lva_graph_runtime::{
    CustomNode, GraphEvent, MessageSink, Module, NodeContext, NodeError, NodeFactory, NodeFrame,
    RuntimeOptions, SinkError,
};
use lva_inference::{Detector, ImageView, RtenDetector};
use lva_inference_schema::{Entity, EventName, Inference, JsonStyle};

const TOPOLOGY: &str = r##"{
    "@apiVersion": "1.1",
    "name": "people",
    "properties": {
        "parameters": [{"name": "rtspUrl", "type": "string"}],
        "sources": [{
            "@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera",
            "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "${rtspUrl}"}
        }],
        "processors": [{
            "@type": "#Example.Detector", "name": "detector",
            "samplingOptions": {"maximumSamplesPerSecond": "2"}, "inputs": [{"nodeName": "camera"}]
        }],
        "sinks": [{
            "@type": "#Microsoft.VideoAnalyzer.IotHubMessageSink", "name": "events",
            "hubOutputName": "people", "inputs": [{"nodeName": "detector"}]
        }]
    }
}"##;

struct DetectorFactory;

impl NodeFactory for DetectorFactory {
    fn type_name(&self) -> &str {
        "#Example.Detector"
    }

    fn create(&self, _node: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
        // The embedded model finds drawn people; `RtenDetector::load` takes one that finds real ones.
        let detector = RtenDetector::plaza_person().map_err(NodeError::new)?;
        Ok(Box::new(DetectorNode(detector)))
    }
}

struct DetectorNode(RtenDetector);

impl DetectorNode {
    fn detect(&mut self, frame: NodeFrame<'_>) -> anyhow::Result<Vec<Inference>> {
        let picture = frame.picture();
        let plan = ImageSettings::new(PixelFormat::Rgb24).plan(picture.width(), picture.height())?;
        let mut pixels = vec![0; plan.bytes()];
        Renderer::new(plan).render(picture, &mut pixels)?;
        let view = ImageView::packed(&pixels, plan.width(), plan.height(), plan.format())?;
        let detections = self.0.detect(&[view.into()])?.pop().unwrap_or_default();
        let people = detections.iter().map(|found| {
            let name = self.0.info().class_name(found.class).unwrap_or("person");
            Inference::new(Entity::new(name, found.score, found.bbox.into()))
        });
        Ok(people.collect())
    }
}

#[async_trait::async_trait]
impl CustomNode for DetectorNode {
    // On a thread of the node's own, which may block.
    async fn process(&mut self, frame: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError> {
        self.detect(frame).map_err(NodeError::new)
    }
}

struct Lines;

#[async_trait::async_trait]
impl MessageSink for Lines {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        if event.name == EventName::Inference {
            println!("{}", event.body.to_json(JsonStyle::VideoAnalyzer));
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(url) = std::env::args().nth(1) else {
        anyhow::bail!("usage: detector-node rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH");
    };
    let options = RuntimeOptions::new("recordings").with_node_factory(DetectorFactory)?;
    let module = Module::new(options, vec![Box::new(Lines)]);
    let topology = Topology::from_json(TOPOLOGY)?;
    let instance = Instance::new("camera-1", topology.name(), [("rtspUrl", url.as_str())]);
    let camera = module.start(topology, instance).await?;
    tokio::select! {
        ended = camera.wait() => ended?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    module.shutdown().await; // delivers the last events
    Ok(())
}
