//! Serves spatial analysis to media graphs.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use lva_examples::ModelArgs;
use lva_extension_protocol::http::{HttpExtensionServer, HttpServerOptions, HttpStatsReader};
use lva_extension_protocol::server::{
    Extension, ExtensionServer, ListenAddress, Listening, ServerOptions, ServerStats, StatsReader,
};
use lva_extension_protocol::{Credentials, Trust};
use lva_inference::Detector;
use lva_spatial_analysis::{
    AnalysisOptions, AnalysisStatsReader, Detectors, Entities, Operation, SpatialExtension,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Serve spatial analysis to media graphs over gRPC, with frames in shared memory or in the messages.
///
/// A graph's extension node connects to a URL such as tcp://127.0.0.1:50051 and receives events when people enter or
/// leave zones and cross lines. Each stream has its own tracker, and the configuration that it sends; the default is
/// --config, or one zone over the whole frame.
///
/// A configuration file is a SPACEANALYTICS_CONFIG, an operation of the original container, the truth file of
/// sample-video, or, in fractions of the frame from the top left:
///
///   {"zones": [{"name": "door", "polygon": [[0.4,0.5],[0.6,0.5],[0.6,0.9],[0.4,0.9]]}],
///    "lines": [{"name": "gate", "start": [0.7,1.0], "end": [0.7,0.0]}]}
///
/// Lines are directed: seen from the start towards the end, CrossRight goes from left to right.
///
/// With --http-port, JPEG, PNG or BMP pictures can also be posted to http://127.0.0.1:PORT/score?stream=NAME; people
/// are tracked per NAME.
///
/// Counts are printed on standard error once a minute. Ctrl-C answers the frames in progress and ends the program.
///
/// Examples:
///
///   extension-server --port 50051 --config examples/media/plaza.json
///   extension-server --unix /run/extension.sock --auth camera:secret --model FastestDet.onnx --family fastest-det
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Port; 0 selects a free one, which is printed. Default: 50051, or none with --unix.
    #[arg(long)]
    port: Option<u16>,
    /// Unix socket: faster, and not reachable by other users or over the network.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Also serve HTTP on this port; 0 selects a free one, which is printed.
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// Require this user name and password from all clients.
    #[arg(long, value_parser = lva_examples::parse_credentials, value_name = "USER:PASSWORD")]
    auth: Option<Credentials>,
    /// Address. Any other than loopback is reachable over the network: use --auth.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Configuration of streams that send none.
    #[arg(long, visible_alias = "scene", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Size of the camera's picture, WIDTHxHEIGHT, if graphs pad it: zones refer to the picture without the bars.
    #[arg(long, value_parser = lva_examples::parse_size)]
    camera_size: Option<(u32, u32)>,
    /// Report every person in every frame, not only those with events. A signal gate after it stays open.
    #[arg(long)]
    every_frame: bool,
    /// One detector per stream instead of one that all streams share.
    #[arg(long)]
    detector_each: bool,
    /// Read frames in the clients' shared memory without a copy. A hostile client can then crash this program.
    #[arg(long)]
    trusted_peers: bool,
    #[command(flatten)]
    model: ModelArgs,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    // Report a wrong model before a client connects.
    let detector = args.model.load()?;
    let info = detector.info();
    eprintln!("detector: {} by {} on {}", info.model, info.runtime, info.device);
    let extension = extension(&args, detector)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&args, extension))
}

fn extension(args: &Args, detector: Box<dyn Detector>) -> anyhow::Result<SpatialExtension> {
    let config = match &args.config {
        None => Operation::whole_frame(),
        Some(path) => {
            let config = Operation::from_file(path);
            config.with_context(|| format!("the configuration {} cannot be used", path.display()))?
        }
    };
    for finding in config.findings() {
        eprintln!("configuration: {finding}");
    }
    let (zones, lines) = (config.zone_names().join(", "), config.line_names().join(", "));
    eprintln!("watching: zones [{zones}], lines [{lines}]");
    let mut options = AnalysisOptions::default();
    if args.every_frame {
        options = options.with_entities(Entities::EveryFrame);
    }
    if let Some((width, height)) = args.camera_size {
        options = options.with_camera_aspect(f64::from(width) / f64::from(height));
    }
    let detectors = if args.detector_each {
        let model = args.model.clone();
        Detectors::each(move || model.load())
    } else {
        Detectors::shared(detector)
    };
    Ok(SpatialExtension::with_options(config, detectors, options))
}

async fn serve(args: &Args, extension: SpatialExtension) -> anyhow::Result<()> {
    let analysis = extension.stats();
    let extension = Arc::new(extension);
    let mut stats = Counts {
        grpc: Vec::new(),
        http: None,
        analysis,
    };
    let (down, _) = watch::channel(false);
    let mut serving = JoinSet::new();
    let port = match (args.port, &args.unix) {
        (None, None) => Some(50051),
        (port, _) => port,
    };
    let tcp = port.map(|port| ListenAddress::Tcp((args.bind, port).into()));
    for address in tcp.into_iter().chain(args.unix.clone().map(ListenAddress::Unix)) {
        let listening = listen(args, &extension, address).await?;
        stats.grpc.push(listening.stats());
        eprintln!("listening: {}", listening.url());
        let stopped = stopped(&down);
        serving.spawn(async { listening.serve(stopped).await.map_err(anyhow::Error::from) });
    }
    if let Some(port) = args.http_port {
        let mut options = HttpServerOptions::default();
        if let Some(credentials) = &args.auth {
            options = options.with_credentials(credentials.clone());
        }
        let server = HttpExtensionServer::new(Arc::clone(&extension)).with_options(options);
        let listening = server.listen((args.bind, port).into()).await?;
        stats.http = Some(listening.stats());
        eprintln!("listening: {}", listening.url());
        let stopped = stopped(&down);
        serving.spawn(async {
            listening.serve(stopped).await;
            Ok(())
        });
    }
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    minute.tick().await;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut stopping = false;
    let outcome = loop {
        tokio::select! {
            ended = serving.join_next() => match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => break Err(error),
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(()),
            },
            _ = minute.tick() => eprintln!("{stats}"),
            pressed = &mut interrupted, if !stopping => {
                stopping = true;
                pressed.context("cannot listen for Ctrl-C")?;
                eprintln!("stopping after the frames in progress");
                down.send_replace(true);
            }
        }
    };
    eprintln!("{stats}");
    outcome
}

async fn listen<E: Extension>(
    args: &Args,
    extension: &Arc<E>,
    address: ListenAddress,
) -> anyhow::Result<Listening<Arc<E>>> {
    let trust = if args.trusted_peers {
        Trust::Peer
    } else {
        Trust::Untrusted
    };
    let mut options = ServerOptions::default().with_trust(trust);
    if let Some(credentials) = &args.auth {
        options = options.with_credentials(credentials.clone());
    }
    let server = ExtensionServer::new(Arc::clone(extension)).with_options(options);
    Ok(server.listen(address).await?)
}

/// Completes when the program stops.
fn stopped(down: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut down = down.subscribe();
    async move {
        let _ = down.wait_for(|down| *down).await;
    }
}

/// Counters over all listeners.
struct Counts {
    grpc: Vec<StatsReader>,
    http: Option<HttpStatsReader>,
    analysis: AnalysisStatsReader,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grpc: Vec<_> = self.grpc.iter().map(StatsReader::read).collect();
        let sum = |member: fn(&ServerStats) -> u64| grpc.iter().map(member).sum::<u64>();
        let opened = sum(|stats| stats.sessions_opened);
        let analysis = self.analysis.read();
        write!(
            f,
            "streams {} open, {opened} in all, {} refused | frames {}, answered {}, late {}, unreadable {}, failed {} | \
             people {} | entered {}, left {}, crossed {}",
            opened.saturating_sub(sum(|stats| stats.sessions_closed)),
            sum(|stats| stats.sessions_refused),
            sum(|stats| stats.samples),
            sum(|stats| stats.answers),
            analysis.late_frames,
            analysis.unreadable_frames,
            analysis.failed_frames,
            analysis.people,
            analysis.zone_enters,
            analysis.zone_exits,
            analysis.line_crossings,
        )?;
        match &self.http {
            None => Ok(()),
            Some(http) => {
                let http = http.read();
                write!(
                    f,
                    " | HTTP: requests {}, answered {}, busy {}",
                    http.requests, http.answers, http.busy
                )
            }
        }
    }
}
