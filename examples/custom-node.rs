//! A custom node in a graph: reports when a camera is covered, and records it.
#![allow(clippy::print_stdout)] // a program

use std::path::PathBuf;

use async_trait::async_trait;
use clap::Parser;
use lva_examples::covered::covered_camera;
use lva_examples::play::{camera, play};
use lva_framing::{ImageSettings, PixelFormat, Renderer, ScaleMode};
use lva_graph_runtime::{
    CustomNode, GraphEvent, MessageSink, Module, NodeContext, NodeError, NodeFactory, NodeFrame,
    RuntimeOptions, SinkError,
};
use lva_inference_schema::{Event, EventName, Inference, JsonStyle, event_time};

/// Report when a camera is covered and uncovered, and record ten seconds around both.
///
/// The custom node is part of this program; examples/documents/custom-node.json uses it by its type "#Example.CoveredCamera".
/// Its events go to a message sink and open a gate. Clips are DIRECTORY/covered/clip-TIME.mp4.
///
/// Example: custom-node -- --camera rtsp://user:password@192.168.1.20/stream1 --recordings clips
#[derive(Parser)]
struct Args {
    /// The camera. Default: a simulated camera that is covered from time to time.
    #[arg(long)]
    camera: Option<String>,
    /// Directory for clips.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// Stop after this many seconds. Default: on Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Creates the nodes of the type "#Example.CoveredCamera".
struct CoveredCamera;

impl NodeFactory for CoveredCamera {
    fn type_name(&self) -> &str {
        "#Example.CoveredCamera"
    }

    fn create(&self, node: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
        let below = node.number("below")?.unwrap_or(40.0);
        if !(1.0..=255.0).contains(&below) {
            let error = NodeError::new(format!("{below} is not a brightness from 1 to 255"));
            return Err(error.with_remedy("write a number from 1 to 255 as 'below'"));
        }
        let covered = false;
        Ok(Box::new(Covered { below, covered }))
    }
}

/// The node. It has its own thread, so it may block.
struct Covered {
    below: f64,
    /// The last reported state.
    covered: bool,
}

#[async_trait]
impl CustomNode for Covered {
    async fn process(&mut self, frame: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError> {
        let light = light(&frame)?;
        let covered = light < self.below;
        if std::mem::replace(&mut self.covered, covered) == covered {
            return Ok(Vec::new());
        }
        let name = if covered {
            "cameraCovered"
        } else {
            "cameraSeesAgain"
        };
        let event = Event::new(name).with_property("light", format!("{light:.0}"));
        Ok(vec![Inference::new(event)])
    }
}

/// The mean brightness of a frame, 0 to 255, measured on a very small picture of it.
fn light(frame: &NodeFrame<'_>) -> Result<f64, NodeError> {
    let picture = frame.picture();
    let small = ImageSettings::new(PixelFormat::Rgb24).with_scale(ScaleMode::Stretch, Some(32), Some(18));
    let plan = small.plan(picture.width(), picture.height());
    let plan = plan.map_err(NodeError::new)?;
    let mut pixels = vec![0; plan.bytes()];
    let rendered = Renderer::new(plan).render(picture, &mut pixels);
    rendered.map_err(NodeError::new)?;
    let sum: f64 = pixels.iter().copied().map(f64::from).sum();
    Ok(sum / pixels.len() as f64)
}

/// Prints the node's events and the clips.
struct Lines;

#[async_trait]
impl MessageSink for Lines {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        if event.name != EventName::MediaSessionEstablished {
            let body = event.body.to_json(JsonStyle::VideoAnalyzer);
            println!("{}  {}  {body}", event_time(event.timestamp_90k), event.name);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let topology = serde_json::from_str(include_str!("documents/custom-node.json"))?;
    let options = RuntimeOptions::new(&args.recordings).with_node_factory(CoveredCamera)?;
    let module = Module::new(options, vec![Box::new(Lines)]);
    let directory = tempfile::tempdir()?;
    let camera = match &args.camera {
        Some(address) => camera(Some(address)).await?,
        None => covered_camera(directory.path()).await?,
    };
    play(&module, topology, camera, args.seconds).await
}
