//! Records everything that a camera sends.

use std::path::PathBuf;

use anyhow::bail;
use clap::Parser;
use lva_examples::demo::{Printer, Witness};
use lva_examples::play::{camera, play};
use lva_examples::topology_run::INSTANCE;
use lva_graph_runtime::{MessageSink, Module, RuntimeOptions};
use lva_inference_schema::{ProductFamily, default_topic};
use lva_media_types::BasicAuthentication;

/// Record everything that a camera sends, pictures and audio, in segments of a minute.
///
/// The graph is examples/documents/record-continuously.json. Segments are DIRECTORY/all/TIME.mp4, and DIRECTORY/all/index.m3u8
/// lists them with their dates, for any player. Started again, it continues in the same directory.
///
/// Exit status: 0 if something was recorded, else 1.
///
/// Example: record-continuously -- --camera rtsp://user:password@192.168.1.20/stream1 --recordings clips
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The camera. Default: a simulated camera that plays the plaza.
    #[arg(long)]
    camera: Option<String>,
    /// Directory for recordings.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// When a camera that offers Basic alone gets the password as it is: allowed, over-tls or never.
    #[arg(long, value_name = "WHEN", default_value_t)]
    basic_authentication: BasicAuthentication,
    /// Stop after this many seconds. Default: on Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    lva_examples::log("warn");
    let witness = Witness::default();
    let printer = Printer::new(default_topic(ProductFamily::Lva), true, None)?;
    let sinks: Vec<Box<dyn MessageSink>> = vec![Box::new(printer), Box::new(witness.clone())];
    let options = RuntimeOptions::new(&args.recordings).with_basic_authentication(args.basic_authentication);
    let module = Module::new(options, sinks);
    let topology = serde_json::from_str(include_str!("documents/record-continuously.json"))?;
    let camera = camera(args.camera.as_deref()).await?;
    play(&module, topology, camera, args.seconds).await?;
    if module.stats(INSTANCE).is_none_or(|stats| stats.clips == 0) {
        let fault = witness.last_fault();
        bail!(
            "nothing was recorded: {}",
            fault.as_deref().unwrap_or("no picture came in this time")
        );
    }
    Ok(())
}
