//! The console in an axum server of yours: `cargo run --release --example embed-console -- rtsp://CAMERA`.
#![allow(clippy::print_stdout)] // a program

use std::net::SocketAddr;

use axum::Router;
use lva_graph_model::{Instance, Topology};
use lva_graph_runtime::{Module, RuntimeOptions};
use lva_web_console::{Console, ConsoleOptions};

/// A camera whose motion is reported.
const TOPOLOGY: &str = include_str!("motion.json");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or("rtsp://127.0.0.1:8554/media/plaza.mp4".into());
    let module = Module::new(RuntimeOptions::new("recordings"), vec![]);
    let topology = Topology::from_json(TOPOLOGY)?;
    let camera = Instance::new("door", topology.name(), [("rtspUrl", url.as_str())]);
    module.start(topology, camera).await?;

    let console = Console::new(module, ConsoleOptions::new());
    let app = Router::new().nest("/console/", console.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
    println!("http://{}/console/", listener.local_addr()?);
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}
