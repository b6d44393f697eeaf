//! Serves spatial analysis to media graphs.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use lva_examples::ModelArgs;
use lva_extension_protocol::{ExtensionServer, ListenAddress, ServerOptions, ServerStats, Trust};
use lva_inference::Detector;
use lva_spatial_analysis::{
    AnalysisOptions, AnalysisStats, Detectors, Entities, OperationConfig, SpatialExtension,
};

/// Serve spatial analysis to media graphs, by gRPC with frames in shared memory or in the messages.
///
/// A graph's vision node connects with a URL such as tcp://127.0.0.1:50051 and gets events when people enter or
/// leave zones and cross lines. Every stream is followed by itself. A stream that brings a configuration of its own is
/// watched by that; all others by --scene, or else as one zone over the whole frame.
///
/// A scene file, in fractions of the frame from the top left:
///
///   {"zones": [{"name": "door", "polygon": [[0.4,0.5],[0.6,0.5],[0.6,0.9],[0.4,0.9]]}],
///    "lines": [{"name": "gate", "start": [0.7,1.0], "end": [0.7,0.0]}]}
///
/// A SPACEANALYTICS_CONFIG, an operation of the original container, and the truth file of sample-video will do too.
/// Lines are directed: whoever stands at the start and looks to the end sees CrossRight go from left to right.
///
/// Once a minute, counts go to standard error. Ctrl-C ends well: frames in progress are answered first.
///
/// Example: extension-server --port 50051 --scene examples/media/plaza.json
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Port to listen on; 0 takes a free one and says which.
    #[arg(long, default_value_t = 50051)]
    port: u16,
    /// Address to listen on. Anything but loopback lets the network in, without a password.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// What to watch where a stream does not say it itself.
    #[arg(long)]
    scene: Option<PathBuf>,
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
    trust_clients: bool,
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
    let config = match &args.scene {
        None => OperationConfig::whole_frame(),
        Some(path) => {
            let config = OperationConfig::from_file(path);
            config.with_context(|| format!("the scene {} cannot be used", path.display()))?
        }
    };
    for finding in config.findings() {
        eprintln!("scene: {finding}");
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
    let trust = if args.trust_clients {
        Trust::Peer
    } else {
        Trust::Untrusted
    };
    let analysis = extension.stats();
    let server = ExtensionServer::new(extension).with_options(ServerOptions::default().with_trust(trust));
    let listening = server
        .listen(ListenAddress::Tcp((args.bind, args.port).into()))
        .await?;
    let stats = listening.stats();
    eprintln!("listening: {}", listening.url());
    let serving = listening.serve(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Ctrl-C cannot be noticed: {error}");
            std::future::pending::<()>().await;
        }
        eprintln!("ending: frames in progress are answered first");
    });
    tokio::pin!(serving);
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    minute.tick().await;
    let ended = loop {
        tokio::select! {
            ended = &mut serving => break ended,
            _ = minute.tick() => eprintln!("{}", counts(&stats.read(), &analysis.read())),
        }
    };
    eprintln!("{}", counts(&stats.read(), &analysis.read()));
    Ok(ended?)
}

fn counts(server: &ServerStats, analysis: &AnalysisStats) -> String {
    format!(
        "streams {} open, {} in all, {} refused | frames {}, answered {}, late {}, unreadable {}, failed {} | \
         people {} | entered {}, left {}, crossed {}",
        server.sessions_opened.saturating_sub(server.sessions_closed),
        server.sessions_opened,
        server.sessions_refused,
        server.samples,
        server.answers,
        analysis.late_frames,
        analysis.unreadable_frames,
        analysis.failed_frames,
        analysis.people,
        analysis.zone_enters,
        analysis.zone_exits,
        analysis.line_crossings,
    )
}
