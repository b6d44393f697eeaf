//! Serves MP4 files as an RTSP camera.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use lva_rtsp::{Credentials, Simulator, SimulatorOptions};

/// Serve the MP4 files of a folder as RTSP cameras, each at rtsp://HOST:PORT/media/FILE, over and over.
///
/// RTSP/1.0 with RTP in the same TCP connection, digest authentication, H.264 and AAC. Players ask for TCP with
/// `ffplay -rtsp_transport tcp rtsp://testuser:testpassword@127.0.0.1:8554/media/plaza.mp4`. Ctrl-C ends it.
///
/// Example: rtsp-simulator -- --port 8554 --media examples/media
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Port to listen on; 0 takes a free one and says which.
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// Address to listen on. Anything but loopback shows the folder's videos to the network.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Folder with MP4 files.
    #[arg(long)]
    media: PathBuf,
    /// User name that clients must know.
    #[arg(long, default_value = "testuser")]
    user: String,
    /// The user's password.
    #[arg(long, default_value = "testpassword")]
    password: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let options = SimulatorOptions::new(&args.media)
        .with_address((args.bind, args.port).into())
        .with_credentials(Some(Credentials::new(args.user, args.password)));
    let simulator = Simulator::start(options).await?;
    eprintln!("listening: {}", simulator.url("FILE"));
    tokio::signal::ctrl_c().await?;
    let counters = simulator.counters();
    simulator.shutdown().await;
    eprintln!(
        "sessions played: {}, refused: {}, pictures: {}",
        counters.plays, counters.refused, counters.units
    );
    Ok(())
}
