//! Counts the people in front of a camera with an HTTP extension.
#![allow(clippy::print_stdout)] // a program

use async_trait::async_trait;
use clap::Parser;
use lva_examples::play::{camera, play};
use lva_examples::{ModelArgs, load_detector};
use lva_extension_protocol::http::HttpExtensionServer;
use lva_graph_runtime::{GraphEvent, MessageSink, Module, RuntimeOptions, SinkError};
use lva_inference_schema::{EventName, JsonStyle, event_time};
use lva_spatial_analysis::{AnalysisOptions, Detectors, Entities, Operation, SpatialExtension};
use serde_json::{Value, json};

/// Count the people in front of a camera twice a second, and print a line whenever their number changes.
///
/// An HTTP extension in this program receives JPEG pictures and reports the people in them; --url selects another extension.
/// A custom sink counts them.
///
/// Example: count-people -- --camera rtsp://user:password@192.168.1.20/stream1 --url http://yolov3/score
#[derive(Parser)]
struct Args {
    /// The camera. Default: a simulated camera that plays the plaza.
    #[arg(long)]
    camera: Option<String>,
    /// URL of another HTTP extension.
    #[arg(long)]
    url: Option<String>,
    /// Stop after this many seconds. Default: on Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
    #[command(flatten)]
    model: ModelArgs,
}

/// A message sink, which receives every event of the graph.
#[derive(Default)]
struct Count(usize);

#[async_trait]
impl MessageSink for Count {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        if event.name != EventName::Inference {
            return Ok(());
        }
        let body = event.body.to_json(JsonStyle::VideoAnalyzer);
        let found = body["inferences"].as_array().into_iter().flatten();
        let people = found
            .filter(|found| found["entity"]["tag"]["value"] == "person")
            .count();
        if people != self.0 {
            println!("{}  {people} people", event_time(event.timestamp_90k));
            self.0 = people;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let url = match &args.url {
        Some(url) => url.clone(),
        None => serve(&args.model).await?,
    };
    let module = Module::new(RuntimeOptions::new("recordings"), vec![Box::<Count>::default()]);
    play(
        &module,
        topology(&url),
        camera(args.camera.as_deref()).await?,
        args.seconds,
    )
    .await
}

/// Serves an HTTP extension that reports every person in every picture.
async fn serve(model: &ModelArgs) -> anyhow::Result<String> {
    let detectors = Detectors::shared(load_detector(model)?);
    let options = AnalysisOptions::default().with_entities(Entities::EveryFrame);
    let people = SpatialExtension::with_options(Operation::whole_frame(), detectors, options);
    let listening = HttpExtensionServer::new(people)
        .listen(([127, 0, 0, 1], 0).into())
        .await?;
    let url = format!("{}score", listening.url());
    tokio::spawn(listening.serve(std::future::pending()));
    Ok(url)
}

fn topology(url: &str) -> Value {
    json!({
        "@apiVersion": "1.1",
        "name": "CountPeople",
        "properties": {
            "parameters": [
                {"name": "rtspUrl", "type": "string"},
                {"name": "rtspUserName", "type": "string"},
                {"name": "rtspPassword", "type": "secretString"},
            ],
            "sources": [{
                "@type": "#Microsoft.VideoAnalyzer.RtspSource",
                "name": "camera",
                "endpoint": {
                    "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint",
                    "url": "${rtspUrl}",
                    "credentials": {
                        "@type": "#Microsoft.VideoAnalyzer.UsernamePasswordCredentials",
                        "username": "${rtspUserName}",
                        "password": "${rtspPassword}",
                    },
                },
            }],
            "processors": [{
                "@type": "#Microsoft.VideoAnalyzer.HttpExtension",
                "name": "people",
                "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": url},
                "image": {"format": {"@type": "#Microsoft.VideoAnalyzer.ImageFormatJpeg", "quality": "85"}},
                "samplingOptions": {"maximumSamplesPerSecond": "2"},
                "inputs": [{"nodeName": "camera"}],
            }],
            "sinks": [{
                "@type": "#Microsoft.VideoAnalyzer.IotHubMessageSink",
                "name": "hub",
                "hubOutputName": "people",
                "inputs": [{"nodeName": "people"}],
            }],
        },
    })
}
