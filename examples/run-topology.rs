//! Runs one topology of any generation.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use lva_examples::ModelArgs;
use lva_examples::demo::{Lines, Printer, Witness};
use lva_examples::simulate::Simulation;
use lva_examples::topology_run::{
    Expected, INSTANCE, Listener, Summary, activate, deactivate, instance_of, recorded,
};
use lva_examples::tutorial::first_session;
use lva_graph_model::{Family, Topology};
use lva_graph_runtime::{HubMessage, InstanceStats, MessageSink, Module, RuntimeOptions};
use lva_inference_schema::{ProductFamily, default_topic};
use lva_spatial_analysis::{Detectors, OperationConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often it is said on standard error how far things are.
const PROGRESS: Duration = Duration::from_secs(10);

/// Run one media graph topology: Live Video Analytics 1.0 and 2.0, Video Analyzer 1.0 and 1.1.
///
/// With --simulate nothing else is needed: a camera plays the plaza with sound, extensions detect people by gRPC and
/// HTTP or watch zones and lines, and every --trigger-every seconds a hub message comes to the topology's message
/// sources. The addresses of the topology's camera and extensions are replaced by theirs, so that parameters for them
/// need no value. Without it, the topology's own addresses are used.
///
/// A topology declares parameters, written ${NAME} where they are used. --param NAME=VALUE gives one its value; those
/// with a default need none. What is missing is said by name.
///
/// Events come on standard output, one JSON object a line; how far things are comes on standard error. The last line of
/// standard output sums up, whatever ended the run:
///
///   {"topology":…,"generation":…,"ok":…,"frames":{…},"dropped":{…},"events":{TYPE:n},"recordings":[{"sink":…,"path":…,
///    "seconds":…,"first_keyframe":…}]}
///
/// "ok" is whether every node gave what it is there for: message sinks were given events, extensions answered, gates and
/// sinks recorded as long as they say, and with sound where the topology lets it pass. Otherwise "missing" lists what
/// did not come, and "error" says what ended the run. "frames" counts pictures received and decoded, and frames sent to
/// extensions and answered. "dropped" counts by reason, "dropped_by_node" by node and reason; replacedByNewer is no
/// fault: an extension was slower than its camera, and a newer picture took the place of one that waited.
///
/// Exit status: 0 if "ok"; 1 if not; 2 for flags that make no sense, without a summary. Ctrl-C ends the run as --seconds
/// does; a second one does not wait for recordings to be completed.
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
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Seconds that the camera may take to answer for the first time.
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "30")]
    patience: Duration,
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
    #[arg(long, value_name = "S", value_parser = seconds)]
    trigger_every: Option<Duration>,
    #[command(flatten)]
    model: ModelArgs,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    match duration.is_zero() {
        true => Err("write more than 0".to_owned()),
        false => Ok(duration),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let mut stop = Stop::listen()?;
    // From here on there is a last line, whatever happens.
    let lines = Lines::default();
    let mut summary = Summary {
        topology: args.topology.display().to_string(),
        ..Summary::default()
    };
    let ran = match read(&args.topology) {
        Ok(topology) => {
            summary.topology = topology.name().to_owned();
            summary.generation = Some(topology.generation());
            run(&args, &topology, &lines, &mut stop, &mut summary).await
        }
        Err(error) => Err(error),
    };
    summary.error = ran.err().map(|error| format!("{error:#}"));
    for wrong in summary.error.iter().chain(&summary.missing()) {
        eprintln!("run-topology: {wrong}");
    }
    lines.last(&summary.line().to_string())?;
    Ok(match summary.ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn read(path: &Path) -> anyhow::Result<Topology> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Topology::from_slice(&text).with_context(|| path.display().to_string())
}

/// With the simulation around it, where one is asked for.
async fn run(
    args: &Args,
    topology: &Topology,
    lines: &Lines,
    stop: &mut Stop,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    if !args.simulate {
        return play(args, topology, lines, stop, summary).await;
    }
    let simulation = tokio::select! {
        simulation = simulate(args) => simulation?,
        () = stop.asked() => bail!("it was stopped before the simulation was there"),
    };
    eprintln!("{}", simulation.describe());
    let played = match simulation.bind(topology) {
        Ok(topology) => play(args, &topology, lines, stop, summary).await,
        Err(error) => Err(error),
    };
    let ended = simulation.end().await;
    played.and(ended)
}

/// Runs the topology, and gathers what came of it however it ends.
async fn play(
    args: &Args,
    topology: &Topology,
    lines: &Lines,
    stop: &mut Stop,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let values: BTreeMap<String, String> = args.parameters.iter().cloned().collect();
    let (instance, graph) = instance_of(topology, &values)?;
    summary.expected = Expected::of(&graph).with_sound(args.simulate);

    let topic = default_topic(match topology.generation().family() {
        Family::Lva => ProductFamily::Lva,
        Family::VideoAnalyzer => ProductFamily::VideoAnalyzer,
    });
    let (witness, listener) = (Witness::default(), Listener::default());
    let printer = Printer::new(topic, args.pretty, args.events.as_deref())?.by(lines.clone());
    let sinks: Vec<Box<dyn MessageSink>> = vec![
        Box::new(printer),
        Box::new(witness.clone()),
        Box::new(listener.clone()),
    ];
    let module = Module::new(RuntimeOptions::new(&args.recordings), sinks);
    let active = Cell::new(false);
    let lively = async {
        activate(&module, topology, &instance).await?;
        active.set(true);
        tokio::select! {
            waited = wait(args, &witness) => waited,
            never = trigger(args, &module, summary.expected.inputs()) => never,
            () = progress(&module) => Ok(()),
        }
    };
    let played = tokio::select! {
        played = lively => played,
        () = stop.asked() => Ok(()),
    };
    let ending = async {
        let stopped = match active.get() {
            true => deactivate(&module, topology).await,
            false => Ok(()),
        };
        module.shutdown().await;
        stopped
    };
    let ended = tokio::select! {
        ended = ending => ended,
        () = stop.asked() => Err(anyhow::anyhow!("it was stopped before its recordings were complete")),
    };
    summary.outcome.stats = module.stats(INSTANCE).unwrap_or_default();
    summary.outcome.recordings = recorded(&summary.outcome.stats);
    summary.outcome.heard = listener.heard();
    played.and(ended)
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
    first_session(witness, args.patience).await?;
    match args.seconds {
        Some(seconds) => tokio::time::sleep(seconds).await,
        None => std::future::pending().await,
    }
    Ok(())
}

/// Hub messages, for ever. Ends only with what is wrong.
async fn trigger(args: &Args, module: &Module, inputs: &[String]) -> anyhow::Result<()> {
    let usual = args.simulate.then_some(Duration::from_secs(10));
    let Some(pause) = args.trigger_every.or(usual).filter(|_| !inputs.is_empty()) else {
        return std::future::pending().await;
    };
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

/// How far things are, for ever.
async fn progress(module: &Module) {
    for round in 1_u32.. {
        tokio::time::sleep(PROGRESS).await;
        let stats = module.stats(INSTANCE).unwrap_or_default();
        eprintln!("{} s: {}", (PROGRESS * round).as_secs(), so_far(&stats));
    }
}

fn so_far(stats: &InstanceStats) -> String {
    let events: u64 = stats.events.values().sum();
    let answered: u64 = stats.extensions.values().map(|node| node.answered).sum();
    let dropped: u64 = stats.dropped.values().sum();
    format!(
        "{} pictures, {answered} answers, {events} events, {} recorded files, {dropped} dropped",
        stats.received, stats.clips
    )
}

/// Ctrl-C, and the signal by which services are stopped.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("Ctrl-C cannot be noticed");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
