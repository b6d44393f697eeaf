//! Serves spatial analysis to media graphs: what `lva-edge spatial-analysis` is, as a program of your own.

use clap::Parser;
use lva_edge_module::analysis::{AnalysisArgs, AnalysisServer};
use lva_edge_module::flags::Verbosity;
use lva_edge_module::service::Signals;

/// Serve spatial analysis to media graphs over gRPC, with frames in shared memory or in the messages, and over HTTP.
///
/// The flags are those of lva-edge spatial-analysis, whose --help explains them. This program is the shortest one around the
/// same server: change it to host detectors or operations of yours.
///
/// Counts are logged on standard error once a minute. Ctrl-C or SIGTERM answers the frames in progress, removes the sockets and
/// ends the program.
///
/// Example: extension-server --port 50051 --config examples/media/plaza.json
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    #[command(flatten)]
    server: AnalysisArgs,
    #[command(flatten)]
    verbosity: Verbosity,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    lva_examples::log(args.verbosity.filter().unwrap_or("info"));
    let mut signals = Signals::listen()?;
    let mut server = AnalysisServer::start(&args.server).await?;
    tokio::select! {
        () = signals.received() => {}
        failure = server.failed() => return Err(failure.into()),
    }
    Ok(server.stop().await?)
}
