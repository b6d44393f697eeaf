//! Records a clip whenever something moves before a camera.

use std::path::PathBuf;

use clap::Parser;
use lva_examples::demo::Printer;
use lva_examples::play::{camera, play};
use lva_graph_runtime::{Module, RuntimeOptions};
use serde_json::{Value, json};

/// Record a clip whenever something moves before a camera: ten seconds, and as much longer as it goes on moving.
///
/// A motion node looks at the pictures and opens a signal gate; the clip begins two seconds before the motion, out of memory,
/// and holds the camera's own encoded pictures. Clips are FOLDER/motion/clip-TIME.mp4.
///
/// Example: record-on-motion -- --camera rtsp://user:password@192.168.1.20/stream1 --recordings clips
#[derive(Parser)]
struct Args {
    /// The camera; without one, the plaza is played.
    #[arg(long)]
    camera: Option<String>,
    /// Folder for clips.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// Stop after so many seconds. Default: by Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let printer = Printer::new(String::new(), true, None)?;
    let module = Module::new(RuntimeOptions::new(&args.recordings), vec![Box::new(printer)]);
    play(
        &module,
        topology(),
        camera(args.camera.as_deref()).await?,
        args.seconds,
    )
    .await
}

fn topology() -> Value {
    json!({
        "@apiVersion": "2.0",
        "name": "RecordOnMotion",
        "properties": {
            "parameters": [
                {"name": "rtspUrl", "type": "String"},
                {"name": "rtspUserName", "type": "String"},
                {"name": "rtspPassword", "type": "SecretString"},
            ],
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource",
                "name": "camera",
                "endpoint": {
                    "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint",
                    "url": "${rtspUrl}",
                    "credentials": {
                        "@type": "#Microsoft.Media.MediaGraphUsernamePasswordCredentials",
                        "username": "${rtspUserName}",
                        "password": "${rtspPassword}",
                    },
                },
            }],
            "processors": [
                {
                    "@type": "#Microsoft.Media.MediaGraphMotionDetectionProcessor",
                    "name": "motion",
                    "sensitivity": "medium",
                    "inputs": [{"nodeName": "camera"}],
                },
                {
                    "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor",
                    "name": "gate",
                    "inputs": [{"nodeName": "motion"}, {"nodeName": "camera"}],
                    "activationEvaluationWindow": "PT1S",
                    "activationSignalOffset": "-PT2S",
                    "minimumActivationTime": "PT10S",
                    "maximumActivationTime": "PT5M",
                },
            ],
            "sinks": [{
                "@type": "#Microsoft.Media.MediaGraphFileSink",
                "name": "clips",
                "inputs": [{"nodeName": "gate"}],
                "baseDirectoryPath": "motion",
                "fileNamePattern": "clip-${System.DateTime}",
                "maximumSizeMiB": "2048",
            }],
        },
    })
}
