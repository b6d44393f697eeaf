//! `lva-edge spatial-analysis`: the extension that detects people at zones and lines.
#![allow(clippy::print_stderr)] // a program

use std::process::ExitCode;

use lva_edge_module::analysis::{AnalysisArgs, AnalysisServer};
use lva_edge_module::service::{Ready, Signals};

use crate::CANNOT_START;
use crate::log_args::LogArgs;

/// Serve spatial analysis to media graphs over gRPC, with frames in shared memory or in the
/// messages.
///
/// A graph's extension node connects to tcp://127.0.0.1:50051 and receives events when people
/// enter or leave zones, cross lines, are counted, or come too close. Each stream has its own
/// tracker.
///
/// A stream that sends a configuration is analysed by it; another one by --config. That file has
/// zones and lines, in fractions of the frame from the top left:
///
///   {"zones": [{"name": "door", "polygon": [[0.4,0.5],[0.6,0.5],[0.6,0.9],[0.4,0.9]]}],
///    "lines": [{"name": "gate", "start": [0.7,1.0], "end": [0.7,0.0]}]}
///
/// (Lines are directed: seen from the start towards the end, CrossRight goes from left to right.)
/// Or it is a SPACEANALYTICS_CONFIG, an operation of the original container, the container's
/// module twin, or a deployment manifest: all enabled operations under "graphs" are served then,
/// and a stream gets the one that is named as its graph instance or its extension node.
///
/// With --http-port, JPEG, PNG or BMP pictures can also be posted to
/// http://127.0.0.1:PORT/score?stream=NAME; people are tracked per NAME. The gRPC port also
/// answers health checks (grpc.health.v1).
///
/// The log reports the state under the container's names: archon_allGraphsStarted,
/// archon_graphHeartbeat with counts once a minute, InputRate and OutputRate every five,
/// archon_exit. SIGTERM or Ctrl-C answers the frames in progress, logs the final counts and
/// removes the sockets.
///
/// The embedded model knows the drawn people of the demo only; give --model for real ones.
///
/// Examples:
///   lva-edge spatial-analysis --config scene.json --model FastestDet.onnx --family fastest-det
///   lva-edge spatial-analysis --unix /run/lva/analysis.sock --auth-file /etc/lva/extension-auth
///
/// Exit codes: 0 after SIGTERM or Ctrl-C; 1 when a listener failed; 2 when the model, the
/// configuration or an address cannot be used; 130 after a second signal.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    server: AnalysisArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let (mut server, mut signals) = match start(&args).await {
        Ok(started) => started,
        Err(error) => {
            eprintln!("lva-edge: {error}");
            return ExitCode::from(CANNOT_START);
        }
    };
    let ready = Ready::notify();
    let failure = tokio::select! {
        () = signals.received() => None,
        error = server.failed() => Some(error),
    };
    match &failure {
        None => tracing::info!("stopping: frames in progress are answered; a second signal ends at once"),
        Some(error) => tracing::error!("archon_error: {error}"),
    }
    let stop = async {
        let stopped = server.stop().await;
        if let Err(error) = &stopped {
            tracing::error!("archon_error: {error}");
        }
        failure.is_none() && stopped.is_ok()
    };
    ready.stop(&mut signals, stop).await
}

async fn start(args: &Args) -> anyhow::Result<(AnalysisServer, Signals)> {
    args.log.start()?;
    // Before anything starts, so that a signal during the start stops cleanly.
    let signals = Signals::listen()?;
    Ok((AnalysisServer::start(&args.server).await?, signals))
}
