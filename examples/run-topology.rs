//! Runs one topology of any generation.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use lva_edge_module::service::Signals;
use lva_examples::demo::{Lines, Printer, Witness};
use lva_examples::simulate::Simulation;
use lva_examples::topology_run::{
    Expected, INSTANCE, Listener, Summary, activate, deactivate, instance_of, recorded,
};
use lva_examples::tutorial::first_session;
use lva_examples::{ModelArgs, load_detector};
use lva_graph_model::{Family, Topology};
use lva_graph_runtime::{HubMessage, InstanceStats, MessageSink, Module, RuntimeOptions};
use lva_inference_schema::{ProductFamily, default_topic};
use lva_media_types::BasicAuthentication;
use lva_spatial_analysis::{Detectors, Operation};

/// Time between progress reports on standard error.
const PROGRESS: Duration = Duration::from_secs(10);

/// Run one media graph topology: Live Video Analytics 1.0 and 2.0, Video Analyzer 1.0 and 1.1.
///
/// --simulate provides everything else: a camera that plays the plaza with audio, extensions that detect people over
/// gRPC and HTTP or analyse zones and lines, and a hub message to the topology's message sources every --trigger-every
/// seconds. They replace the addresses of the topology's camera and extensions, so that parameters for those need no
/// value. Without it, the topology's own addresses are used.
///
/// A topology declares parameters, written ${NAME} where they are used. --param NAME=VALUE sets a value; parameters with a
/// default need none. The error names missing ones.
///
/// Events are printed on standard output, one JSON object per line, and progress on standard error. However the run ends,
/// the last line of standard output is a summary:
///
///   {"topology":…,"generation":…,"ok":…,"frames":{…},"dropped":{…},"events":{TYPE:n},"recordings":[{"sink":…,"path":…,
///    "seconds":…,"first_keyframe":…}]}
///
/// "ok" is true if every node has its results: message sinks have received events, extensions have answered, recordings
/// are as long as their gates require, and have audio if the topology passes it. Otherwise "missing" lists the missing
/// results, and "error" is the reason for the end of the run. "frames" counts pictures received and decoded, and frames
/// sent to extensions and answered. "dropped" counts by reason, "dropped_by_node" by node and reason; replacedByNewer is
/// not a fault: an extension was slower than its camera, and a newer picture replaced a waiting one.
///
/// Exit status: 0 if "ok", else 1; 2 for invalid flags, without a summary. Ctrl-C ends the run like --seconds; a second
/// Ctrl-C does not wait for recordings to be completed.
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
    /// Value of a parameter of the topology; may be repeated.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Stop this many seconds after the first session with the camera. Default: on Ctrl-C.
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Seconds to wait for the first session with the camera.
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "30")]
    patience: Duration,
    /// Also write the events to this file, one JSON object per line.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Print readable lines instead of JSON.
    #[arg(long)]
    pretty: bool,
    /// Directory for recordings.
    #[arg(long, default_value = "recordings")]
    recordings: PathBuf,
    /// Let file sinks write to an absolute baseDirectoryPath instead of below --recordings. A --param with an absolute path
    /// as its value asks for that too.
    #[arg(long)]
    absolute_directories: bool,
    /// When a camera that offers Basic alone gets the password as it is: allowed, over-tls or never.
    #[arg(long, value_name = "WHEN", default_value_t)]
    basic_authentication: BasicAuthentication,
    /// Simulate a camera, extensions and hub messages.
    #[arg(long)]
    simulate: bool,
    /// With --simulate: play this MP4 file (H.264) instead of the plaza.
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
    lva_examples::log("warn");
    let mut stop = Signals::listen().context("cannot listen for Ctrl-C")?;
    // From here on, there is always a last line.
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
    for fault in summary.error.iter().chain(&summary.missing()) {
        eprintln!("run-topology: {fault}");
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

/// Runs the topology, with a simulation if requested.
async fn run(
    args: &Args,
    topology: &Topology,
    lines: &Lines,
    stop: &mut Signals,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    if !args.simulate {
        return play(args, topology, lines, stop, summary).await;
    }
    let simulation = tokio::select! {
        simulation = simulate(args) => simulation?,
        () = stop.received() => bail!("stopped before the simulation had started"),
    };
    eprintln!("{}", simulation.describe());
    let played = match simulation.bind(topology) {
        Ok(topology) => play(args, &topology, lines, stop, summary).await,
        Err(error) => Err(error),
    };
    let ended = simulation.end().await;
    played.and(ended)
}

/// Runs the topology, and collects the results however it ends.
async fn play(
    args: &Args,
    topology: &Topology,
    lines: &Lines,
    stop: &mut Signals,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let values: BTreeMap<String, String> = args.parameters.iter().cloned().collect();
    let (instance, graph) = instance_of(topology, &values)?;
    summary.expected = Expected::of(&graph).with_audio(args.simulate);

    let topic = default_topic(match topology.generation().family() {
        Family::Lva => ProductFamily::Lva,
        Family::VideoAnalyzer => ProductFamily::VideoAnalyzer,
    });
    let (witness, listener) = (Witness::default(), Listener::default());
    let printer = Printer::new(topic, args.pretty, args.events.as_deref())?.with_lines(lines.clone());
    let sinks: Vec<Box<dyn MessageSink>> = vec![
        Box::new(printer),
        Box::new(witness.clone()),
        Box::new(listener.clone()),
    ];
    let absolute = args.absolute_directories || values.values().any(|value| value.starts_with('/'));
    let mut options =
        RuntimeOptions::new(&args.recordings).with_basic_authentication(args.basic_authentication);
    if absolute {
        options = options.with_recordings_also_under("/");
    }
    let module = Module::new(options, sinks);
    let active = Cell::new(false);
    let running = async {
        activate(&module, topology, &instance).await?;
        active.set(true);
        tokio::select! {
            waited = wait(args, &witness) => waited,
            never = trigger(args, &module, summary.expected.inputs()) => never,
            () = progress(&module) => Ok(()),
        }
    };
    let played = tokio::select! {
        played = running => played,
        () = stop.received() => Ok(()),
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
        () = stop.received() => Err(anyhow::anyhow!("stopped before the recordings were complete")),
    };
    summary.outcome.stats = module.stats(INSTANCE).unwrap_or_default();
    summary.outcome.recordings = recorded(&summary.outcome.stats);
    summary.outcome.heard = listener.heard();
    played.and(ended)
}

async fn simulate(args: &Args) -> anyhow::Result<Simulation> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scene = match &args.video {
        Some(_) => Operation::whole_frame(),
        None => Operation::from_file(here.join("media/plaza.json"))?,
    };
    let video = args.video.clone().unwrap_or_else(|| here.join("media/plaza.mp4"));
    let detectors = Detectors::shared(load_detector(&args.model)?);
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

/// Sends hub messages. Returns only on an error.
async fn trigger(args: &Args, module: &Module, inputs: &[String]) -> anyhow::Result<()> {
    let default = args.simulate.then_some(Duration::from_secs(10));
    let Some(pause) = args.trigger_every.or(default).filter(|_| !inputs.is_empty()) else {
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

/// Reports progress forever.
async fn progress(module: &Module) {
    for round in 1_u32.. {
        tokio::time::sleep(PROGRESS).await;
        let stats = module.stats(INSTANCE).unwrap_or_default();
        eprintln!("{} s: {}", (PROGRESS * round).as_secs(), progress_line(&stats));
    }
}

fn progress_line(stats: &InstanceStats) -> String {
    let events: u64 = stats.events.values().sum();
    let answered: u64 = stats.extensions.values().map(|node| node.answered).sum();
    let dropped: u64 = stats.dropped.values().sum();
    format!(
        "{} pictures, {answered} answers, {events} events, {} recorded files, {dropped} dropped",
        stats.received, stats.clips
    )
}
