//! Records a camera: clips of motion, or everything.

use std::path::PathBuf;

use clap::Parser;
use lva_examples::demo::Printer;
use lva_examples::play::{camera, play};
use lva_graph_runtime::{Module, RuntimeOptions};

/// Record a clip whenever something moves in front of a camera, or everything with --continuously.
///
/// A motion node opens a signal gate for at least ten seconds. A clip starts two seconds before the motion and contains the
/// camera's own encoded pictures. Clips are DIRECTORY/motion/clip-TIME.mp4.
///
/// With --continuously, video and audio are recorded in segments of a minute, DIRECTORY/all/TIME.mp4, and the playlist
/// DIRECTORY/all/index.m3u8 lists them with their dates for ffplay or VLC. A restart continues in the same directory; a
/// killed process loses the last second.
///
/// Example: record -- --camera rtsp://user:password@192.168.1.20/stream1 --recordings clips
#[derive(Parser)]
struct Args {
    /// The camera. Default: a simulated camera that plays the plaza.
    #[arg(long)]
    camera: Option<String>,
    /// Record everything.
    #[arg(long)]
    continuously: bool,
    /// Directory for recordings.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// Stop after this many seconds. Default: on Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let printer = Printer::new(String::new(), true, None)?;
    let module = Module::new(RuntimeOptions::new(&args.recordings), vec![Box::new(printer)]);
    let topology = serde_json::from_str(match args.continuously {
        true => include_str!("documents/record-continuously.json"),
        false => include_str!("documents/record-on-motion.json"),
    })?;
    let camera = camera(args.camera.as_deref()).await?;
    play(&module, topology, camera, args.seconds).await
}
