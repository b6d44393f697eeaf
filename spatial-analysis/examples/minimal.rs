//! A small extension server: people, zones and lines for any media graph.
//!
//! `cargo run -p lva-spatial-analysis --example spatial-analysis-minimal -- 5001 operation.json`, then point a graph at tcp://127.0.0.1:5001.
//! Without a file it watches the whole frame. The embedded model finds drawn people; load one of your own for real ones.

use std::future;

use lva_extension_protocol::server::{ExtensionServer, ListenAddress};
use lva_inference::RtenDetector;
use lva_spatial_analysis::{Detectors, Operation, SpatialExtension};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (port, operation) = match args.as_slice() {
        [port] => (port, Operation::whole_frame()),
        [port, file] => (port, Operation::from_file(file)?),
        _ => {
            eprintln!("usage: spatial-analysis-minimal PORT [OPERATION.json]");
            std::process::exit(2);
        }
    };
    for finding in operation.findings() {
        eprintln!("{finding}");
    }
    let detectors = Detectors::each(RtenDetector::plaza_person);
    let server = ExtensionServer::new(SpatialExtension::new(operation, detectors))
        .listen(ListenAddress::loopback(port.parse()?))
        .await?;
    eprintln!("listening on {}", server.address());
    Ok(server.serve(future::pending()).await?)
}
