//! A running instance: the streams of one camera, each received once and decoded at most once, for extensions and recorders.

use std::time::{Duration, Instant};

use lva_graph_model::Graph;
use lva_rtsp::{Camera, CameraMonitor, CameraOptions};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use self::drop_report::DropReporter;
pub(crate) use self::lifecycle::{InstanceLifecycle, StateChangeCause};
use self::source::{End, Source};
pub(crate) use crate::analysis::StartError;
use crate::analysis::{AnalysisBuilder, AnalysisNode, NodeTimeouts};
use crate::budget::Budget;
use crate::decode::{self, DecoderInput};
use crate::emitter::{EventEmitter, NodeReporter};
use crate::flow::{NodeInput, RecorderInput, SignalInput, StreamClock};
use crate::motion::MotionNode;
use crate::options::RuntimeOptions;
use crate::panics::failpoint;
use crate::plan::{Plan, SourceId, SourcePlan};
use crate::rate_limiter::RateLimiter;
use crate::record::{RecorderContext, Recorders, RecordingFolders, RecoveredClips};
use crate::stats::{Counters, DropReason, Drops, InstanceStats};
use crate::thread::Worker;

mod dispatch;
mod drop_report;
mod lifecycle;
mod source;

/// An instance, built as far as anything can fail. It has emitted nothing, touched no file and contacted no camera; dropping it
/// leaves nothing behind.
pub(crate) struct Prepared {
    lifecycle: InstanceLifecycle,
    budget: Budget,
    sources: Vec<PreparedSource>,
    drop_reporter: DropReporter,
    analyses: Vec<AnalysisNode>,
    workers: Vec<Worker>,
    recorders: Recorders,
    inputs: Vec<Input>,
}

/// A stream of the camera that is not yet connected.
struct PreparedSource {
    node: NodeReporter,
    camera: CameraOptions,
    clock: StreamClock,
    decoder: Option<DecoderInput>,
    recorders: Vec<RecorderInput>,
}

/// How often drops are looked for, and so how soon the first drop of a node is reported.
const DROP_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A running instance. Dropped without [`stop`](Self::stop), it ends in the background.
#[derive(Debug)]
pub(crate) struct Running {
    run: Run,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    /// Dropped at the stop: they keep recorders alive.
    inputs: Vec<Input>,
}

/// What can be read of a run, also after it has ended.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) lifecycle: InstanceLifecycle,
    stats: StatsSource,
}

impl Run {
    pub(crate) fn stats(&self) -> InstanceStats {
        self.stats.read()
    }
}

/// A message source.
#[derive(Debug)]
struct Input {
    name: Option<String>,
    gates: Vec<SignalInput>,
}

/// Reads the statistics of an instance.
#[derive(Debug, Clone)]
struct StatsSource {
    /// By the name of the source.
    cameras: Vec<(String, CameraMonitor)>,
    counters: Counters,
    budget: Budget,
}

impl StatsSource {
    fn read(&self) -> InstanceStats {
        let mut stats = self.counters.snapshot();
        for (source, camera) in &self.cameras {
            let camera = camera.counters();
            stats.camera_sessions += camera.sessions;
            stats.received_bytes.insert(source.clone(), camera.bytes);
        }
        stats.memory = self.budget.stats();
        self.add_cameras(&mut stats.dropped);
        stats
    }

    /// What was dropped up to now.
    fn drops(&self) -> Drops {
        let mut drops = self.counters.drops();
        self.add_cameras(&mut drops);
        drops
    }

    fn add_cameras(&self, drops: &mut Drops) {
        for (source, camera) in &self.cameras {
            let camera = camera.counters();
            for (reason, count) in [
                (DropReason::CameraQueueFull, camera.dropped_queue_full),
                (DropReason::NoKeyFrame, camera.dropped_no_keyframe),
            ] {
                if count > 0 {
                    *drops.entry((source.clone(), reason)).or_default() += count;
                }
            }
        }
    }
}

/// Reports what the nodes of an instance drop.
struct DropReports {
    reporter: DropReporter,
    stats: StatsSource,
    emitter: EventEmitter,
}

impl DropReports {
    fn report(&mut self) {
        for (name, subject, body) in self.reporter.due(Instant::now(), &self.stats.drops()) {
            self.emitter.emit_now(name, subject, body);
        }
    }

    /// Reports what was not yet reported.
    fn report_last(&mut self) {
        for (name, subject, body) in self.reporter.last(Instant::now(), &self.stats.drops()) {
            self.emitter.emit_now(name, subject, body);
        }
    }
}

impl PreparedSource {
    /// Builds the decoder of a stream, where nodes look at its pictures.
    fn new(
        plan: SourcePlan,
        source: SourceId,
        clock: StreamClock,
        node_inputs: Vec<NodeInput>,
        recorders: &mut Recorders,
        (emitter, options): (&EventEmitter, &RuntimeOptions),
        workers: &mut Vec<Worker>,
    ) -> Result<Self, StartError> {
        let motions = plan.motions.into_iter().map(|motion| {
            let gates = recorders.gates_for(&motion.downstream.gates, source);
            let node = emitter.node(motion.node.clone());
            MotionNode::new(gates, motion, node)
        });
        let motions: Vec<MotionNode> = motions.collect();
        let node = emitter.node(plan.node);
        let decoder = if node_inputs.is_empty() && motions.is_empty() {
            None
        } else {
            let decoder = options.decoder.clone();
            let (input, worker) = decode::start(node.clone(), node_inputs, motions, decoder)?;
            workers.push(worker);
            Some(input)
        };
        let recorders = recorders.take_inputs(source);
        let camera = plan
            .camera
            .with_reconnect(options.camera_reconnect)
            .with_timeouts(options.camera_timeouts)
            .with_basic_authentication(options.basic_authentication)
            .with_wall_clock(options.wall.clone())
            .with_audio(recorders.iter().any(RecorderInput::wants_audio));
        Ok(Self {
            node,
            camera,
            clock,
            decoder,
            recorders,
        })
    }
}

impl Prepared {
    /// Builds everything.
    pub(crate) fn new(
        plan: Plan,
        graph: &Graph,
        lifecycle: InstanceLifecycle,
        options: &RuntimeOptions,
        recovered: RecoveredClips,
    ) -> Result<Self, StartError> {
        let emitter = lifecycle.emitter().clone();
        let budget = Budget::new(options.memory_budget);
        let context = RecorderContext {
            topology: graph.topology_name().to_owned(),
            instance: graph.instance_name().to_owned(),
            folders: RecordingFolders::new(options.recordings.clone(), &options.recordings_also_under),
            emitter: emitter.clone(),
            budget: budget.clone(),
            recovered,
        };
        let clocks: Vec<StreamClock> = plan.sources.iter().map(|_| StreamClock::default()).collect();
        let mut recorders = Recorders::start(plan.recordings, clocks.clone(), &context)?;
        let inputs: Vec<Input> = plan
            .inputs
            .into_iter()
            .map(|input| Input {
                gates: recorders.gates(&input.gates),
                name: input.input,
            })
            .collect();
        let mut workers = Vec::new();
        let (mut node_inputs, analyses) = AnalysisBuilder {
            recorders: &recorders,
            emitter: &emitter,
            timeouts: NodeTimeouts::of(options),
            previews: options.previews,
        }
        .start(plan.analyses, &mut workers)?;
        let mut sources = Vec::new();
        for (index, (plan, clock)) in plan.sources.into_iter().zip(clocks).enumerate() {
            let source = SourceId(index);
            let own = node_inputs.extract_if(.., |(of, _)| *of == source);
            let own: Vec<NodeInput> = own.map(|(_, node_input)| node_input).collect();
            let shared = (&emitter, options);
            let prepared =
                PreparedSource::new(plan, source, clock, own, &mut recorders, shared, &mut workers)?;
            sources.push(prepared);
        }
        recorders.close();
        Ok(Self {
            lifecycle,
            budget,
            drop_reporter: DropReporter::new(graph, &options.module),
            sources,
            analyses,
            workers,
            recorders,
            inputs,
        })
    }

    /// Starts everything, and returns at once: the camera is connected in the background. After the end of the instance,
    /// `on_end` gets the reason, if the instance was not stopped; nothing is emitted after that.
    pub(crate) fn begin(self, on_end: impl FnOnce(Option<String>) + Send + 'static) -> Running {
        for recorder in self.sources.iter().flat_map(|source| &source.recorders) {
            recorder.begin();
        }
        let emitter = self.lifecycle.emitter().clone();
        let mut cameras = Vec::new();
        let mut sources = Vec::new();
        for (index, source) in self.sources.into_iter().enumerate() {
            let camera = Camera::connect(source.camera);
            cameras.push((source.node.name().to_owned(), camera.monitor()));
            sources.push(Source {
                node: source.node,
                is_first: index == 0,
                budget: self.budget.clone(),
                clock: source.clock,
                camera,
                decoder: source.decoder,
                recorders: source.recorders,
                streams: Vec::new(),
                epoch: 0,
                lost_at: None,
                gave_up: false,
                panic_reports: RateLimiter::default(),
            });
        }
        let stats = StatsSource {
            cameras,
            counters: emitter.counters().clone(),
            budget: self.budget,
        };
        let analyses = self.analyses.into_iter().map(AnalysisNode::spawn).collect();
        let drop_reports = DropReports {
            reporter: self.drop_reporter,
            stats: stats.clone(),
            emitter,
        };
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(run(
            sources,
            drop_reports,
            stopped,
            analyses,
            self.workers,
            self.recorders.workers,
        ));
        let task = tokio::spawn(async move {
            on_end(match running.await {
                Ok(End::Stopped) => None,
                Ok(End::GaveUp) => Some(
                    "the camera did not answer, and reconnecting has stopped: check the camera, then activate the instance again"
                        .to_owned(),
                ),
                Ok(End::NoCamera) => Some(
                    "internal error: the camera's task ended; report it with the log, and activate the instance again".to_owned(),
                ),
                Err(error) => {
                    tracing::error!(%error, "an instance's task panicked");
                    Some("internal error: the instance's task panicked; report it with the log, and activate the instance again".to_owned())
                }
            });
        });
        Running {
            run: Run {
                lifecycle: self.lifecycle,
                stats,
            },
            stop: Some(stop),
            task,
            inputs: self.inputs,
        }
    }
}

impl Running {
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// Delivers a message for an input of the module; returns the number of gates that it reached. Without a time, it stands
    /// for the picture that arrives with it.
    pub(crate) fn signal(
        &self,
        input: &str,
        timestamp_90k: Option<u64>,
        wall_90k: u64,
        correlation_id: Option<&str>,
    ) -> usize {
        let listening = self.inputs.iter().filter(|own| match &own.name {
            Some(name) => name == input,
            None => true,
        });
        let gates = listening.flat_map(|own| &own.gates);
        gates
            .map(|gate| gate.message(timestamp_90k, wall_90k, correlation_id.map(str::to_owned)))
            .count()
    }

    /// Ends the instance: disconnects the camera, waits for the last answers, finishes clips.
    pub(crate) async fn stop(mut self) {
        self.inputs.clear();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

/// Runs an instance. The order at the end matters: no more units; then the last pictures, the last answers and
/// their signals; then the clips, which those signals may still extend.
async fn run(
    sources: Vec<Source>,
    mut drop_reports: DropReports,
    stop: oneshot::Receiver<()>,
    analyses: Vec<JoinHandle<()>>,
    workers: Vec<Worker>,
    recorders: Vec<Worker>,
) -> End {
    if let Some(first) = sources.first() {
        failpoint("instance", first.node.name());
    }
    let (mut sources, end) = receive(sources, stop, &mut drop_reports).await;
    for source in &mut sources {
        source.decoder = None;
    }
    for analysis in analyses {
        if let Err(error) = analysis.await {
            tracing::error!(%error, "an extension's task panicked");
        }
    }
    for worker in workers {
        worker.ended().await;
    }
    sources.clear();
    for recorder in recorders {
        recorder.ended().await;
    }
    drop_reports.report_last();
    end
}

/// Receives all streams until they are stopped, or one of them ends.
async fn receive(
    sources: Vec<Source>,
    mut stop: oneshot::Receiver<()>,
    drop_reports: &mut DropReports,
) -> (Vec<Source>, End) {
    let stop_all = watch::Sender::new(false);
    let mut running = JoinSet::new();
    for source in sources {
        running.spawn(source.run(stop_all.subscribe()));
    }
    let mut reports_due = tokio::time::interval(DROP_REPORT_INTERVAL);
    reports_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ended, mut first_end, mut stopping) = (Vec::new(), None, false);
    loop {
        tokio::select! {
            biased;
            _ = &mut stop, if !stopping => {
                stopping = true;
                stop_all.send_replace(true);
            }
            _ = reports_due.tick() => drop_reports.report(),
            next = running.join_next() => match next {
                Some(Ok((source, end))) => {
                    ended.push(source);
                    first_end.get_or_insert(end);
                    stop_all.send_replace(true);
                }
                Some(Err(error)) => match error.try_into_panic() {
                    // Caught where the instance ends.
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => tracing::error!(%error, "a stream's task was cancelled"),
                },
                None => break,
            },
        }
    }
    (ended, first_end.unwrap_or(End::NoCamera))
}
