//! Plays the files of a directory as cameras, until Ctrl-C.
//!
//! `cargo run -p lva-rtsp-simulator --example rtsp-simulator-minimal -- videos`
#![allow(clippy::print_stdout)] // a program

use std::path::Path;

use anyhow::{Context, bail};
use lva_rtsp_simulator::{Simulator, SimulatorOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory] = arguments.as_slice() else {
        bail!("usage: rtsp-simulator-minimal DIRECTORY");
    };
    // On a free port of loopback. `with_address` chooses another, `with_faults` adds losses, stalls and more.
    let simulator = Simulator::start(SimulatorOptions::new(directory)).await?;
    let files = std::fs::read_dir(directory).with_context(|| format!("cannot read {directory}"))?;
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        let extension = Path::new(&name).extension();
        if extension.is_some_and(|extension| extension == "mp4" || extension == "mkv") {
            println!("{}", simulator.url(&name));
        }
    }
    std::future::pending().await
}
