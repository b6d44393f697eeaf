//! Records everything that a camera sends, in pieces that any player scrolls through.

use std::path::PathBuf;

use clap::Parser;
use lva_examples::demo::Printer;
use lva_examples::play::{camera, play};
use lva_graph_runtime::{Module, RuntimeOptions};
use serde_json::{Value, json};

/// Record everything that a camera sends, picture and sound, in pieces of a minute.
///
/// Pieces are FOLDER/all/TIME.mp4, and FOLDER/all/index.m3u8 lists them with their dates: ffplay or VLC scroll through it.
/// Started again, it goes on in the same folder. A process that is killed loses the last second.
///
/// Example: record-continuously -- --camera rtsp://user:password@192.168.1.20/stream1 --recordings clips
#[derive(Parser)]
struct Args {
    /// The camera; without one, the plaza is played.
    #[arg(long)]
    camera: Option<String>,
    /// Folder for recordings.
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
        "name": "RecordContinuously",
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
            "sinks": [{
                "@type": "#Microsoft.Media.MediaGraphAssetSink",
                "name": "everything",
                "inputs": [{"nodeName": "camera"}],
                "assetNamePattern": "all",
                "segmentLength": "PT1M",
                "localMediaCachePath": "/tmp",
                "localMediaCacheMaximumSizeMiB": "2048",
            }],
        },
    })
}
