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
    AnalysisOptions, AnalysisStatsReader, Detectors, Entities, OperationConfig, SpatialExtension,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Serve spatial analysis to media graphs, by gRPC with frames in shared memory or in the messages.
///
/// A graph's vision node connects with a URL such as tcp://127.0.0.1:50051 and gets events when people enter or
/// leave zones and cross lines. Every stream is followed by itself. A stream that brings a configuration of its own is
/// watched by that; all others by --config, or else as one zone over the whole frame.
///
/// A configuration file is a SPACEANALYTICS_CONFIG, an operation of the original container, the truth file of
/// sample-video, or, in fractions of the frame from the top left:
///
///   {"zones": [{"name": "door", "polygon": [[0.4,0.5],[0.6,0.5],[0.6,0.9],[0.4,0.9]]}],
///    "lines": [{"name": "gate", "start": [0.7,1.0], "end": [0.7,0.0]}]}
///
/// Lines are directed: whoever stands at the start and looks to the end sees CrossRight go from left to right.
///
/// With --http-port, pictures can also be posted to http://127.0.0.1:PORT/score?stream=NAME: JPEG, PNG or BMP; the
/// name is what people are followed under.
///
/// Once a minute, counts go to standard error. Ctrl-C ends well: frames in progress are answered first.
///
/// Examples:
///
///   extension-server --port 50051 --config examples/media/plaza.json
///   extension-server --unix /run/extension.sock --auth camera:secret --model FastestDet.onnx --family fastest-det
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Port to listen on; 0 takes a free one and says which. Default: 50051, or none with --unix.
    #[arg(long)]
    port: Option<u16>,
    /// Listen on a Unix socket at this path: faster, and closed to other users and to the network.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Also take pictures by HTTP on this port; 0 takes a free one and says which.
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// Serve only clients with this user and password, by every way in.
    #[arg(long, value_parser = lva_examples::parse_credentials, value_name = "USER:PASSWORD")]
    auth: Option<Credentials>,
    /// Address to listen on. Anything but loopback lets the network in: use --auth.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// What to watch where a stream does not say it itself.
    #[arg(long, visible_alias = "scene", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The camera's picture, WIDTHxHEIGHT, where graphs pad it to another shape: zones lie on it, not on the bars.
    #[arg(long, value_parser = lva_examples::parse_size)]
    camera_size: Option<(u32, u32)>,
    /// Tell everybody in every frame, not only those who did something. A signal gate behind it stays open.
    #[arg(long)]
    every_frame: bool,
    /// One detector for each stream instead of one that all share in turn.
    #[arg(long)]
    detector_each: bool,
    /// Read frames where clients have them in shared memory, without a copy. A hostile client can then crash
    /// this program.
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
    // A wrong model is better known before anybody connects.
    let detector = args.model.load()?.into_detector();
    let info = detector.info();
    eprintln!("detector: {} by {} on {}", info.model, info.runtime, info.device);
    let extension = extension(&args, detector)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&args, extension))
}

fn extension(args: &Args, detector: Box<dyn Detector>) -> anyhow::Result<SpatialExtension> {
    let config = match &args.config {
        None => OperationConfig::whole_frame(),
        Some(path) => {
            let config = OperationConfig::from_file(path);
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
        Detectors::each(move || model.load().map(|loaded| loaded.into_detector()))
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
    let mut asked = false;
    let outcome = loop {
        tokio::select! {
            ended = serving.join_next() => match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => break Err(error),
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(()),
            },
            _ = minute.tick() => eprintln!("{stats}"),
            pressed = &mut interrupted, if !asked => {
                asked = true;
                pressed.context("Ctrl-C cannot be noticed")?;
                eprintln!("ending: frames in progress are answered first");
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

/// Completes when everything is to end.
fn stopped(down: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut down = down.subscribe();
    async move {
        let _ = down.wait_for(|down| *down).await;
    }
}

/// What is counted, over all ways in.
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
