//! The spatial-analysis tutorial, every part of it on this machine and over real sockets.
#![allow(clippy::print_stdout)] // a program

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use lva_examples::ModelArgs;
use lva_examples::demo::{Printer, Truth, Witness, summary};
use lva_examples::picture::draw_moments;
use lva_extension_protocol::{ExtensionServer, ListenAddress};
use lva_graph_model::{
    Family, Generation, Instance, Method, OperationsFile, Request, RequestBody, Step, Topology,
};
use lva_graph_runtime::{Module, RuntimeOptions};
use lva_inference_schema::{Generation as EventGeneration, default_topic};
use lva_rtsp::{Credentials, Simulator, SimulatorOptions};
use lva_spatial_analysis::{AnalysisOptions, Detectors, OperationConfig, SpatialExtension};
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::sync::oneshot;

const USER: &str = "testuser";
const PASSWORD: &str = "testpassword";
/// How long a camera may take to answer for the first time.
const FIRST_SESSION: Duration = Duration::from_secs(30);

/// Play the spatial-analysis tutorial: a camera, a media graph, an AI extension, events and clips.
///
/// 1. A simulated camera plays examples/media/plaza.mp4 at rtsp://127.0.0.1:PORT/media/plaza.mp4 (or --camera, --video).
/// 2. The spatial-analysis extension listens for gRPC and watches the zones and lines of --scene.
/// 3. A media graph carries out examples/documents/operations.json on examples/documents/topology.json. The addresses,
///    the camera's user and the frame rate of the instance are replaced by those of this run.
///
/// Events come on standard output, one JSON object a line; everything else on standard error. It ends after
/// --seconds (from the camera's first answer), by Ctrl-C, or by Enter on a terminal.
///
/// Example: spatial-analysis -- --seconds 75 --events events.jsonl --recordings recordings
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Stop after so many seconds, counted from the camera's first answer.
    #[arg(long)]
    seconds: Option<f64>,
    /// Also write the events into this file, one JSON object a line.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Print a line for people in place of each event's JSON.
    #[arg(long)]
    pretty: bool,
    /// Folder for clips: FOLDER/ASSET/TIME.mp4.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// Use a real camera: rtsp://user:password@host:554/path. Its people are real, so bring a --model too.
    #[arg(long, conflicts_with = "video")]
    camera: Option<String>,
    /// Play this MP4 file (H.264) instead of the plaza.
    #[arg(long)]
    video: Option<PathBuf>,
    /// Zones and lines to watch. Default: those of the plaza, or one zone over the whole frame for other pictures.
    #[arg(long)]
    scene: Option<PathBuf>,
    /// The camera's picture, WIDTHxHEIGHT: zones lie on it, not on the bars that fill the frame.
    #[arg(long, value_parser = lva_examples::parse_size, default_value = "1280x720")]
    camera_size: (u32, u32),
    /// Draw moments of the first clip into this PNG file at the end: who was reported, where, and doing what.
    #[arg(long)]
    picture: Option<PathBuf>,
    /// Compare zone and line events with this truth file, and print the counts as a last line.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Topic of the events. Default: an ARM id with an empty subscription.
    #[arg(long)]
    topic: Option<String>,
    /// Frames a second that the extension is shown at most.
    #[arg(long, default_value = "15")]
    frame_rate: String,
    /// Operations to carry out; a topologyFile in it is looked for beside it.
    #[arg(long)]
    operations: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// A part that has to live as long as the demonstration.
struct ExtensionPart {
    url: String,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), lva_extension_protocol::HostError>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let truth = args.truth.as_deref().map(Truth::read).transpose()?;
    let simulator = start_camera(&args, here)
        .await
        .context("the camera did not start")?;
    let (camera, user, password) = camera_address(&args, simulator.as_ref(), here)?;
    let config = scene(&args, here)?;
    let outlines = config.outlines();
    let mut extension = start_extension(&args, config)
        .await
        .context("the extension did not start")?;
    eprintln!("extension: {}", extension.url);

    let topic = args
        .topic
        .clone()
        .unwrap_or_else(|| default_topic(EventGeneration::Lva));
    let printer = Printer::new(topic, args.pretty, args.events.as_deref())?;
    let witness = Witness::default();
    let sinks: Vec<Box<dyn lva_graph_runtime::MessageSink>> =
        vec![Box::new(printer), Box::new(witness.clone())];
    let module = Module::new(RuntimeOptions::new(&args.recordings), sinks);
    let path = args
        .operations
        .clone()
        .unwrap_or_else(|| here.join("documents/operations.json"));
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let operations = OperationsFile::from_slice(&text)?;
    let folder = path.parent().unwrap_or(here);
    let values = [
        ("rtspUrl", format!(" {camera}")),
        ("rtspUserName", user),
        ("rtspPassword", password),
        ("grpcUrl", extension.url.clone()),
        ("frameRate", args.frame_rate.clone()),
    ];

    let mut instance = None;
    let mut outcome = Ok(());
    for step in operations.steps {
        let request = match step {
            Step::WaitForInput { message } => {
                if outcome.is_ok() && instance.is_some() {
                    eprintln!("{message}");
                    outcome = wait(&args, &witness, &mut extension).await;
                }
                continue;
            }
            Step::SetTopologyFile { family, path } => read_topology(family, &folder.join(path))?,
            Step::SetTopologyUrl { url, .. } => {
                anyhow::bail!("{url}: nothing is fetched here; download the topology and name its file")
            }
            Step::Call(request) => with_values(*request, &values)?,
        };
        if let (Method::InstanceActivate, RequestBody::Name(name)) = (request.method, &request.body) {
            instance = Some(name.clone());
        }
        let name = request.method.name(request.family);
        let (status, answer) = module.invoke(name, &request.to_payload()).await;
        eprintln!("{name}: {status}");
        if status >= 400 && outcome.is_ok() {
            outcome = Err(anyhow::anyhow!("{name} was answered {status}: {answer}"));
        }
    }
    module.shutdown().await;

    if let Some(stats) = instance.and_then(|instance| module.stats(&instance)) {
        eprint!("{}", summary(&stats, &witness.kinds()));
        if let Some(path) = &args.picture {
            let drawn = match stats.newest_clips.first() {
                Some(clip) => draw_moments(clip, &witness.moments(), &outlines, path)?,
                None => 0,
            };
            match drawn {
                0 => eprintln!("picture: none, as no clip holds an event"),
                _ => eprintln!("picture: {}", path.display()),
            }
        }
        if let (Some(truth), Some(first), Some(last)) =
            (truth, stats.first_picture_90k, stats.last_picture_90k)
        {
            println!("{}", truth.compare(&witness.seen(), first, last));
        }
    }
    let _ = extension.stop.send(());
    if outcome.is_ok() {
        extension.task.await.context("the extension panicked")??;
    }
    if let Some(simulator) = simulator {
        simulator.shutdown().await;
    }
    outcome
}

/// Until the time is over, Ctrl-C, Enter on a terminal, or the death of a part.
async fn wait(args: &Args, witness: &Witness, extension: &mut ExtensionPart) -> anyhow::Result<()> {
    let time = async {
        if tokio::time::timeout(FIRST_SESSION, witness.established())
            .await
            .is_err()
        {
            let why = witness
                .last_trouble()
                .unwrap_or_else(|| "it did not answer".to_owned());
            bail!(
                "the camera gave no session within {} s: {why}",
                FIRST_SESSION.as_secs()
            );
        }
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
        pressed = tokio::signal::ctrl_c() => pressed.context("Ctrl-C cannot be noticed"),
        ended = &mut extension.task => {
            let why = match ended {
                Ok(Ok(())) => "it ended by itself".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            bail!("the extension died: {why}")
        }
    }
}

async fn start_camera(args: &Args, here: &Path) -> anyhow::Result<Option<Simulator>> {
    if args.camera.is_some() {
        return Ok(None);
    }
    let video = args.video.clone().unwrap_or_else(|| here.join("media/plaza.mp4"));
    ensure!(video.is_file(), "there is no video {}", video.display());
    let folder = match video.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let options = SimulatorOptions::new(folder).with_credentials(Some(Credentials::new(USER, PASSWORD)));
    Ok(Some(Simulator::start(options).await?))
}

/// Address, user and password.
fn camera_address(
    args: &Args,
    simulator: Option<&Simulator>,
    here: &Path,
) -> anyhow::Result<(String, String, String)> {
    if let Some(simulator) = simulator {
        let video = args.video.clone().unwrap_or_else(|| here.join("media/plaza.mp4"));
        let file = video
            .file_name()
            .and_then(|name| name.to_str())
            .context("the video's name is not UTF-8")?;
        let url = simulator.url(file);
        eprintln!("camera: {url} (user {USER}, password {PASSWORD})");
        return Ok((url, USER.to_owned(), PASSWORD.to_owned()));
    }
    let given = args.camera.as_deref().context("no camera was given")?;
    let (url, credentials) = lva_rtsp::CameraUrl::parse_with_credentials(given)?;
    eprintln!("camera: {url}");
    let (user, password) = match credentials {
        Some(credentials) => (
            credentials.username().to_owned(),
            credentials.password().to_owned(),
        ),
        None => (String::new(), String::new()),
    };
    // Without user and password, which go their own way: addresses are shown.
    let (scheme, rest) = given
        .trim()
        .split_once("://")
        .context("the camera's address has no scheme")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    Ok((format!("{scheme}://{host}{path}"), user, password))
}

/// What the extension watches.
fn scene(args: &Args, here: &Path) -> anyhow::Result<OperationConfig> {
    let plaza = args.camera.is_none() && args.video.is_none();
    let path = match &args.scene {
        Some(path) => path.clone(),
        None if plaza => here.join("media/plaza.json"),
        None => return Ok(OperationConfig::whole_frame()),
    };
    OperationConfig::from_file(&path).with_context(|| format!("the scene {} cannot be used", path.display()))
}

async fn start_extension(args: &Args, config: OperationConfig) -> anyhow::Result<ExtensionPart> {
    let (width, height) = args.camera_size;
    let options = AnalysisOptions::default().with_camera_aspect(f64::from(width) / f64::from(height));
    let detectors = Detectors::shared(args.model.load()?.into_detector());
    let extension = SpatialExtension::with_options(config, detectors, options);
    let listening = ExtensionServer::new(extension)
        .listen(ListenAddress::loopback(0))
        .await?;
    let url = listening.url().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listening.serve(async {
        let _ = stopped.await;
    }));
    Ok(ExtensionPart { url, stop, task })
}

fn read_topology(family: Family, path: &Path) -> anyhow::Result<Request> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    Ok(lva_graph_model::topology_request(
        family,
        Topology::from_value(value)?,
    ))
}

/// Puts this run's values into an instance, where it has parameters of these names.
fn with_values(request: Request, values: &[(&str, String)]) -> anyhow::Result<Request> {
    let RequestBody::Instance(instance) = &request.body else {
        return Ok(request);
    };
    let mut document = instance.to_value().clone();
    let parameters = document
        .pointer_mut("/properties/parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let value = values.iter().find(|(name, _)| parameter["name"] == *name);
        if let Some((_, value)) = value {
            parameter["value"] = value.clone().into();
        }
    }
    let generation: Generation = request.generation;
    Ok(lva_graph_model::instance_request(
        generation,
        Instance::from_value(document)?,
    ))
}
