//! Runs one topology of any generation.
#![allow(clippy::print_stdout)] // a program

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use lva_examples::ModelArgs;
use lva_examples::demo::{Printer, Witness};
use lva_examples::simulate::Simulation;
use lva_examples::topology_run::{Expected, INSTANCE, activate, deactivate, instance_of, recorded, summary};
use lva_examples::tutorial::first_session;
use lva_graph_model::{Family, Topology};
use lva_graph_runtime::{HubMessage, MessageSink, Module, RuntimeOptions};
use lva_inference_schema::{Generation, default_topic};
use lva_spatial_analysis::{Detectors, OperationConfig};

/// How long a camera may take to answer for the first time.
const FIRST_SESSION: Duration = Duration::from_secs(30);

/// Run one media graph topology: Live Video Analytics 1.0 and 2.0, Video Analyzer 1.0 and 1.1.
///
/// With --simulate nothing else is needed: a camera plays the plaza with sound, extensions detect people by gRPC and
/// HTTP or watch zones and lines, and every --trigger-every seconds a hub message comes to the topology's message
/// sources. The topology's endpoints are replaced by theirs. Without it, the topology's own addresses are used.
///
/// Events come on standard output, one JSON object a line. The last line sums up:
///
///   {"topology":…,"generation":…,"ok":…,"frames":{…},"dropped":{…},"events":{TYPE:n},"recordings":[{"sink":…,"path":…,
///    "seconds":…,"first_keyframe":…}]}
///
/// "ok" is whether every sink got what it is there for; "missing" says what did not come. The exit status is 0 then, and
/// 1 otherwise.
///
/// Examples:
///
///   run-topology -- topology.json --simulate --seconds 40
///   run-topology -- topology.json --param rtspUrl=rtsp://192.168.1.20/stream1 --recordings /var/media
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The topology.
    topology: PathBuf,
    /// Value of a parameter of the topology; may be given again and again.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Stop after so many seconds, counted from the camera's first answer. Default: by Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
    /// Also write the events into this file, one JSON object a line.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Print a line for people in place of each event's JSON.
    #[arg(long)]
    pretty: bool,
    /// Folder for recordings.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// Bring a camera, extensions and hub messages along.
    #[arg(long)]
    simulate: bool,
    /// With --simulate: play this MP4 file (H.264) in place of the plaza.
    #[arg(long, requires = "simulate")]
    video: Option<PathBuf>,
    /// Seconds between hub messages to the topology's message sources. Default: 10 with --simulate, else none.
    #[arg(long, value_name = "S")]
    trigger_every: Option<f64>,
    #[command(flatten)]
    model: ModelArgs,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let text =
        std::fs::read(&args.topology).with_context(|| format!("cannot read {}", args.topology.display()))?;
    let topology = Topology::from_slice(&text).with_context(|| args.topology.display().to_string())?;
    let simulation = match args.simulate {
        true => Some(simulate(&args).await?),
        false => None,
    };
    let topology = match &simulation {
        Some(simulation) => {
            eprintln!("{}", simulation.describe());
            simulation.bind(&topology)?
        }
        None => topology,
    };
    let values: BTreeMap<String, String> = args.parameters.iter().cloned().collect();
    let (instance, graph) = instance_of(&topology, &values)?;
    let expected = Expected::of(&graph);

    let topic = default_topic(match topology.generation().family() {
        Family::Lva => Generation::Lva,
        Family::VideoAnalyzer => Generation::VideoAnalyzer,
    });
    let witness = Witness::default();
    let printer = Printer::new(topic, args.pretty, args.events.as_deref())?;
    let sinks: Vec<Box<dyn MessageSink>> = vec![Box::new(printer), Box::new(witness.clone())];
    let module = Module::new(RuntimeOptions::new(&args.recordings), sinks);
    activate(&module, &topology, &instance).await?;
    let waited = tokio::select! {
        waited = wait(&args, &witness) => waited,
        never = trigger(&args, &module, &expected.inputs) => never,
        pressed = tokio::signal::ctrl_c() => pressed.context("Ctrl-C cannot be noticed"),
    };
    let stopped = deactivate(&module, &topology).await;
    module.shutdown().await;
    if let Some(simulation) = simulation {
        simulation.end().await?;
    }
    waited.and(stopped)?;
    let stats = module
        .stats(INSTANCE)
        .context("the instance has counted nothing")?;
    let recordings = recorded(&stats)?;
    let missing = expected.missing(&stats, &recordings);
    println!("{}", summary(&topology, &stats, &recordings, &missing));
    ensure!(missing.is_empty(), "{}", missing.join("; "));
    Ok(())
}

async fn simulate(args: &Args) -> anyhow::Result<Simulation> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scene = match &args.video {
        Some(_) => OperationConfig::whole_frame(),
        None => OperationConfig::from_file(here.join("media/plaza.json"))?,
    };
    let video = args.video.clone().unwrap_or_else(|| here.join("media/plaza.mp4"));
    let detectors = Detectors::shared(args.model.load()?.into_detector());
    Simulation::start(&video, scene, detectors).await
}

async fn wait(args: &Args, witness: &Witness) -> anyhow::Result<()> {
    first_session(witness, FIRST_SESSION).await?;
    match args.seconds {
        Some(seconds) => tokio::time::sleep(Duration::try_from_secs_f64(seconds)?).await,
        None => std::future::pending().await,
    }
    Ok(())
}

/// Hub messages, for ever. Ends only with what is wrong.
async fn trigger(args: &Args, module: &Module, inputs: &[String]) -> anyhow::Result<()> {
    let seconds = args.trigger_every.or(args.simulate.then_some(10.0));
    let Some(seconds) = seconds.filter(|_| !inputs.is_empty()) else {
        return std::future::pending().await;
    };
    let pause = Duration::try_from_secs_f64(seconds).context("--trigger-every")?;
    for number in 1_u64.. {
        tokio::time::sleep(pause).await;
        for input in inputs {
            let message = HubMessage::new().with_id(format!("trigger-{number}"));
            let gates = module.deliver(input, &message)?;
            eprintln!("message {number} to '{input}' reached {gates} gates");
        }
    }
    Ok(())
}
