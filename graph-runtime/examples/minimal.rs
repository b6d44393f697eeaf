//! A complete program: prints where something moves in the picture of a camera.
//!
//! `cargo run -p lva-graph-runtime --example minimal -- rtsp://user:password@camera/stream`, until Ctrl-C.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program

use std::error::Error;
use std::process::ExitCode;

use lva_graph_model::{Instance, Topology};
use lva_graph_runtime::{GraphEvent, MessageSink, Module, RuntimeOptions, SinkError};
use lva_inference_schema::JsonStyle;

/// A camera, motion detection, and a sink for its events.
const TOPOLOGY: &str = r##"{
    "@apiVersion": "1.1",
    "name": "motion",
    "properties": {
        "parameters": [{"name": "rtspUrl", "type": "string"}],
        "sources": [{
            "@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera",
            "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "${rtspUrl}"}
        }],
        "processors": [{
            "@type": "#Microsoft.VideoAnalyzer.MotionDetectionProcessor", "name": "motionDetection",
            "sensitivity": "medium", "inputs": [{"nodeName": "camera"}]
        }],
        "sinks": [{
            "@type": "#Microsoft.VideoAnalyzer.IotHubMessageSink", "name": "events",
            "hubOutputName": "motion", "inputs": [{"nodeName": "motionDetection"}]
        }]
    }
}"##;

struct Print;

#[async_trait::async_trait]
impl MessageSink for Print {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let body = event.body.to_json(JsonStyle::VideoAnalyzer);
        println!("{} {} {body}", event.subject, event.name);
        Ok(())
    }
}

async fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let topology = Topology::from_json(TOPOLOGY)?;
    let instance = Instance::new("camera-1", topology.name(), [("rtspUrl", url)]);
    let module = Module::new(RuntimeOptions::new("recordings"), vec![Box::new(Print)]);
    let camera = module.start(topology, instance).await?;
    let ended: Result<(), Box<dyn Error>> = tokio::select! {
        ended = camera.wait() => ended.map_err(Into::into),
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into),
    };
    module.shutdown().await; // stops the camera, and delivers the last events
    ended?;
    let stats = camera.stats();
    println!("{} pictures received, {} decoded", stats.received, stats.decoded);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = match arguments.as_slice() {
        [url] if !url.starts_with('-') => url,
        _ => {
            eprintln!("usage: minimal rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH");
            return ExitCode::from(2);
        }
    };
    match run(url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
