//! The complete spatial-analysis tutorial on this machine, over real sockets.
#![allow(clippy::print_stdout)] // a program

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use lva_edge_module::service::Signals;
use lva_examples::demo::{Printer, Truth, Witness, summary};
use lva_examples::picture::draw_moments;
use lva_examples::tutorial::{Camera, Extension, PASSWORD, Tutorial, USER, first_session};
use lva_examples::{ModelArgs, load_detector};
use lva_graph_runtime::{InstanceStats, MessageSink};
use lva_inference_schema::{ProductFamily, default_topic};
use lva_spatial_analysis::{AnalysisOptions, Detectors, Operation, Outline, SpatialExtension};
use tokio::io::AsyncBufReadExt;

/// Frames per second of the tutorial's own operations.
const FRAME_RATE: &str = "15";

/// Time to wait for the first session with a camera.
const FIRST_SESSION: Duration = Duration::from_secs(30);

/// Run the spatial-analysis tutorial: a camera, a media graph, an AI extension, events and clips.
///
/// 1. A simulated camera plays examples/media/plaza.mp4 at rtsp://127.0.0.1:PORT/media/plaza.mp4 (or --camera, --video).
/// 2. The spatial-analysis extension serves gRPC and analyses the zones and lines of --scene.
/// 3. The operations of examples/documents/operations.json run examples/documents/topology.json with the addresses, the
///    camera's credentials and the frame rate of this run.
///
/// Events are printed on standard output, one JSON object per line; everything else on standard error. The program ends
/// after --seconds (from the first session with the camera), on Ctrl-C, or on Enter in a terminal. Its exit status is 0 only
/// if every method succeeded and the extension answered a frame.
///
/// Example: spatial-analysis -- --seconds 75 --events events.jsonl --recordings recordings
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Stop this many seconds after the first session with the camera.
    #[arg(long)]
    seconds: Option<f64>,
    /// Also write the events to this file, one JSON object per line.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Print readable lines instead of JSON.
    #[arg(long)]
    pretty: bool,
    /// Directory for clips: DIRECTORY/ASSET/TIME.mp4.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// Use a real camera: rtsp://user:password@host:554/path. Real people need another --model.
    #[arg(long, conflicts_with = "video")]
    camera: Option<String>,
    /// Play this MP4 file (H.264) instead of the plaza.
    #[arg(long)]
    video: Option<PathBuf>,
    /// Zones and lines to analyse. Default: those of --truth, else those of the plaza, or one zone over the whole frame for
    /// other pictures.
    #[arg(long)]
    scene: Option<PathBuf>,
    /// Size of the camera's picture, WIDTHxHEIGHT: zones refer to the picture without the bars of the frame.
    #[arg(long, value_parser = lva_examples::parse_size, default_value = "1280x720")]
    camera_size: (u32, u32),
    /// Draw the reported events of the first clip into this PNG file at the end.
    #[arg(long)]
    picture: Option<PathBuf>,
    /// Compare zone and line events with this truth file, and print the counts as the last line.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Topic of the events. Default: an ARM id with an empty subscription.
    #[arg(long)]
    topic: Option<String>,
    /// Most frames per second for the extension. Default: 15, or the rate in the operations and topology of --operations.
    #[arg(long)]
    frame_rate: Option<String>,
    /// Operations file; its topologyFile is relative to it. Its instances get the addresses of this run.
    #[arg(long)]
    operations: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    lva_examples::log("warn");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let truth = args.truth.as_deref().map(Truth::read).transpose()?;
    let config = scene(&args, here)?;
    let outlines = config.outlines();
    let camera = match &args.camera {
        Some(address) => Camera::at(address).context("invalid camera address")?,
        None => {
            let video = args.video.clone().unwrap_or_else(|| here.join("media/plaza.mp4"));
            let camera = Camera::simulated(&video).await;
            camera.context("cannot start the camera")?
        }
    };
    match &args.camera {
        Some(_) => eprintln!("camera: {}", camera.shown()),
        None => eprintln!("camera: {} (user {USER}, password {PASSWORD})", camera.url),
    }
    let extension = start_extension(&args, config)
        .await
        .context("cannot start the extension")?;
    eprintln!("extension: {}", extension.url);

    let topic = args.topic.clone();
    let topic = topic.unwrap_or_else(|| default_topic(ProductFamily::Lva));
    let printer = Printer::new(topic, args.pretty, args.events.as_deref())?;
    let witness = Witness::default();
    let sinks: Vec<Box<dyn MessageSink>> = vec![Box::new(printer), Box::new(witness.clone())];
    let operations = args.operations.clone();
    let tutorial = Tutorial {
        camera,
        extension,
        operations: operations.unwrap_or_else(|| here.join("documents/operations.json")),
        recordings: args.recordings.clone(),
        frame_rate: match &args.operations {
            None => Some(args.frame_rate.clone().unwrap_or_else(|| FRAME_RATE.to_owned())),
            Some(_) => args.frame_rate.clone(),
        },
    };
    let log = |line: String| eprintln!("{line}");
    let wait = async |message: &str, extension: &mut Extension| {
        eprintln!("{message}");
        wait(&args, &witness, extension).await
    };
    let (stats, outcome) = tutorial.play(sinks, log, wait).await?;

    let answered: u64 = stats
        .iter()
        .flat_map(|stats| stats.extensions.values())
        .map(|extension| extension.answered)
        .sum();
    if let Some(stats) = stats {
        eprint!("{}", summary(&stats, &witness.kinds()));
        if let Some(path) = &args.picture {
            draw(path, &stats, &witness, &outlines)?;
        }
        if let (Some(truth), Some(first), Some(last)) =
            (truth, stats.first_picture_90k, stats.last_picture_90k)
        {
            println!("{}", truth.compare(&witness.seen(), first, last));
        }
    }
    outcome?;
    ensure!(
        answered > 0,
        "the extension answered no frame: check that an extension node of the topology has the address \"${{grpcUrl}}\", which \
         this program sets"
    );
    Ok(())
}

/// Waits for the end of the time, Ctrl-C or SIGTERM, Enter in a terminal, or the end of the extension.
async fn wait(args: &Args, witness: &Witness, extension: &mut Extension) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let time = async {
        first_session(witness, FIRST_SESSION).await?;
        match args.seconds {
            Some(seconds) => tokio::time::sleep(Duration::try_from_secs_f64(seconds)?).await,
            None => std::future::pending().await,
        }
        Ok(())
    };
    let enter = async {
        let mut line = String::new();
        let mut input = tokio::io::BufReader::new(tokio::io::stdin());
        if !std::io::stdin().is_terminal() || input.read_line(&mut line).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        time = time => time,
        () = enter => Ok(()),
        () = signals.received() => Ok(()),
        why = extension.ended() => Err(why),
    }
}

/// The configuration of the extension.
fn scene(args: &Args, here: &Path) -> anyhow::Result<Operation> {
    let plaza = args.camera.is_none() && args.video.is_none();
    let path = match args.scene.as_ref().or(args.truth.as_ref()) {
        Some(path) => path.clone(),
        None if plaza => here.join("media/plaza.json"),
        None => return Ok(Operation::whole_frame()),
    };
    Operation::from_file(&path).with_context(|| format!("cannot read the scene {}", path.display()))
}

async fn start_extension(args: &Args, config: Operation) -> anyhow::Result<Extension> {
    let (width, height) = args.camera_size;
    let options = AnalysisOptions::default()
        .with_camera_aspect(f64::from(width) / f64::from(height))
        .with_tracker(args.model.tracker());
    let detectors = Detectors::shared(load_detector(&args.model)?);
    Extension::serve(SpatialExtension::with_options(config, detectors, options)).await
}

fn draw(path: &Path, stats: &InstanceStats, witness: &Witness, outlines: &[Outline]) -> anyhow::Result<()> {
    let drawn = match stats.newest_clips.first() {
        Some(clip) => draw_moments(clip, &witness.moments(), outlines, path)?,
        None => 0,
    };
    match drawn {
        0 => eprintln!("picture: none, because no clip contains an event"),
        _ => eprintln!("picture: {}", path.display()),
    }
    Ok(())
}
