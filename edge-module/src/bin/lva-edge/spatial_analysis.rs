//! `lva-edge spatial-analysis`: the extension that detects people at zones and lines.
#![allow(clippy::print_stderr)] // a program

use std::path::PathBuf;
use std::process::ExitCode;

use lva_edge_module::Config;
use lva_edge_module::analysis::{AnalysisArgs, AnalysisModule};
use lva_edge_module::service::{Ready, Signals};

use crate::log_args::LogArgs;
use crate::{CANNOT_START, set};

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
/// and a stream gets the one that is named as its graph instance or its extension node, by the
/// name of the graph, of one of its "instances", or of its camera (VIDEO_SOURCE_ID). A stream can
/// also name it by the configuration {"VIDEO_SOURCE_ID": "…"}.
///
/// With --http-port, JPEG, PNG or BMP pictures can also be posted to
/// http://127.0.0.1:PORT/score?stream=NAME; people are tracked per NAME. The gRPC port also
/// answers health checks (grpc.health.v1).
///
/// As a module of IoT Edge it connects to its edgeHub by the IOTEDGE_ variables of its
/// environment; --hub-config or --broker name other hubs and brokers. The enabled "graphs" of
/// its twin are served beside --config then, and win over operations of the same name. A changed
/// twin is applied at once: each stream has what a new stream of the same name would get. A graph
/// that did not change disturbs no stream; a changed one is watched from the next frame on, with
/// people and counts anew; streams of one that is gone end. A wrong graph stays as it was, or is
/// refused, and the reported properties have the reason. The last twin is in force until the hub sends
/// it again.
///
/// With --metrics, http://ADDRESS/metrics serves Prometheus metrics of streams, frames,
/// people, events and the hub.
///
/// The log, and the output "health" of the hub, report the state under the container's names:
/// archon_allGraphsStarted, archon_graphCreationSuccess, archon_graphHeartbeat once a minute,
/// InputRate and OutputRate every five, archon_exit and others. SIGTERM or Ctrl-C answers the
/// frames in progress, logs the final counts and removes the sockets.
///
/// The embedded model knows the drawn people of the demo only; give --model for real ones.
///
/// Examples:
///   lva-edge spatial-analysis --config scene.json --model FastestDet.onnx
///   lva-edge spatial-analysis --unix /run/lva/analysis.sock --auth-file /etc/lva/extension-auth
///   lva-edge spatial-analysis --broker mqtt://127.0.0.1   # graphs: lva/spatialAnalysis/twin/desired
///
/// Exit codes: 0 after SIGTERM or Ctrl-C; 1 when a listener failed, or a fault of the program
/// ended its connection to the hub; 2 when the model, the configuration, the hub's settings or an
/// address cannot be used; 130 after a second signal.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    server: AnalysisArgs,
    #[command(flatten)]
    hub: HubArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The hub whose twin has the operations.
#[derive(clap::Args)]
struct HubArgs {
    /// Configuration file as `lva-edge module --print-config` explains it, of which name and data of the section module and
    /// the sections hub and metrics count. Flags win over it.
    #[arg(long, value_name = "FILE", env = "LVA_CONFIG", hide_env_values = true)]
    hub_config: Option<PathBuf>,
    /// Name of the module at a plain broker. Default: spatialAnalysis.
    #[arg(long, env = "LVA_NAME", hide_env_values = true)]
    name: Option<String>,
    /// Directory for the outbox and the last twin, used with a hub only. Default: lva-analysis-data.
    #[arg(long, value_name = "DIR", env = "LVA_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Plain MQTT broker, mqtt://HOST:PORT or mqtts://HOST:PORT; "" for none.
    #[arg(long, value_name = "URL", env = "LVA_BROKER", hide_env_values = true)]
    broker: Option<String>,
    /// Life of access tokens for the hub.
    #[arg(long, value_name = "SECONDS")]
    token_life: Option<u64>,
    /// Address of the metrics, IP:PORT; port 0 selects a free one, which is logged. Default: none, since `lva-edge module` beside it
    /// has the usual one.
    #[arg(long, value_name = "ADDRESS", env = "LVA_METRICS", hide_env_values = true)]
    metrics: Option<String>,
}

impl HubArgs {
    fn config(&self) -> Result<Config, lva_edge_module::ConfigError> {
        let given = match &self.hub_config {
            Some(path) => Config::from_file(path)?,
            None => Config::default(),
        };
        let mut config = AnalysisModule::config(given);
        set(&mut config.module.name, &self.name);
        set(&mut config.module.data, &self.data);
        set(&mut config.hub.broker, &self.broker);
        set(&mut config.hub.token_life_seconds, &self.token_life);
        set(&mut config.metrics.listen, &self.metrics);
        config.check()?;
        Ok(config)
    }
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let (mut module, mut signals) = match start(&args).await {
        Ok(started) => started,
        Err(error) => {
            eprintln!("lva-edge: {error}");
            return ExitCode::from(CANNOT_START);
        }
    };
    let ready = Ready::notify();
    let failure = tokio::select! {
        () = signals.received() => None,
        error = module.failed() => Some(error),
    };
    if failure.is_none() {
        tracing::info!("stopping: frames in progress are answered; a second signal ends at once");
    }
    let stop = async { module.stop().await.is_ok() && failure.is_none() };
    ready.stop(&mut signals, stop).await
}

async fn start(args: &Args) -> anyhow::Result<(AnalysisModule, Signals)> {
    let config = args.hub.config()?;
    let log = args.log.start()?;
    // Before anything starts, so that a signal during the start stops cleanly.
    let signals = Signals::listen()?;
    let module = AnalysisModule::start(&args.server, &config, Some(log)).await?;
    if let Some(address) = module.metrics_address() {
        tracing::info!("metrics: http://{address}/metrics");
    }
    Ok((module, signals))
}
