//! A running instance: one camera, received once, decoded at most once, for extensions and recorders.

use std::time::Instant;

use lva_graph_model::Graph;
use lva_rtsp::{Camera, CameraMonitor, CameraOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::drop_report::DropReporter;
pub(crate) use self::lifecycle::{InstanceLifecycle, StateChangeCause};
use self::source::{End, Source};
pub(crate) use crate::analysis::StartError;
use crate::analysis::{AnalysisBuilder, AnalysisNode, NodeTimeouts};
use crate::budget::Budget;
use crate::decode::{self, DecoderInput};
use crate::emitter::NodeReporter;
use crate::flow::{RecorderInput, SignalInput};
use crate::motion::MotionNode;
use crate::options::RuntimeOptions;
use crate::panics::failpoint;
use crate::plan::Plan;
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
    source: NodeReporter,
    camera: CameraOptions,
    drop_reporter: DropReporter,
    decoder: Option<DecoderInput>,
    analyses: Vec<AnalysisNode>,
    workers: Vec<Worker>,
    recorders: Recorders,
    inputs: Vec<Input>,
}

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
    source: String,
    camera: CameraMonitor,
    counters: Counters,
    budget: Budget,
}

impl StatsSource {
    fn read(&self) -> InstanceStats {
        let mut stats = self.counters.snapshot();
        let camera = self.camera.counters();
        stats.camera_sessions = camera.sessions;
        stats.received_bytes.insert(self.source.clone(), camera.bytes);
        stats.memory = self.budget.stats();
        self.add_camera(&mut stats.dropped);
        stats
    }

    /// What was dropped up to now.
    fn drops(&self) -> Drops {
        let mut drops = self.counters.drops();
        self.add_camera(&mut drops);
        drops
    }

    fn add_camera(&self, drops: &mut Drops) {
        let camera = self.camera.counters();
        for (reason, count) in [
            (DropReason::CameraQueueFull, camera.dropped_queue_full),
            (DropReason::NoKeyFrame, camera.dropped_no_keyframe),
        ] {
            if count > 0 {
                *drops.entry((self.source.clone(), reason)).or_default() += count;
            }
        }
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
        let mut recorders = Recorders::start(plan.recordings, &context)?;
        let inputs: Vec<Input> = plan
            .inputs
            .into_iter()
            .map(|input| Input {
                gates: recorders.gates(&input.gates),
                name: input.input,
            })
            .collect();
        let motions: Vec<_> = plan
            .motions
            .into_iter()
            .map(|motion| {
                let gates = recorders.gates(&motion.downstream.gates);
                let node = emitter.node(motion.node.clone());
                MotionNode::new(gates, motion, node)
            })
            .collect();
        let mut workers = Vec::new();
        let (node_inputs, analyses) = AnalysisBuilder {
            recorders: &recorders,
            emitter: &emitter,
            timeouts: NodeTimeouts::of(options),
        }
        .start(plan.analyses, &mut workers)?;
        recorders.close_gates();
        let source = emitter.node(plan.source);
        let decoder = if node_inputs.is_empty() && motions.is_empty() {
            None
        } else {
            let (input, worker) =
                decode::start(source.clone(), node_inputs, motions, options.decoder.clone())?;
            workers.push(worker);
            Some(input)
        };
        let camera = plan
            .camera
            .with_reconnect(options.camera_reconnect)
            .with_timeouts(options.camera_timeouts)
            .with_wall_clock(options.wall.clone())
            .with_audio(recorders.inputs.iter().any(RecorderInput::wants_audio));
        Ok(Self {
            lifecycle,
            budget,
            drop_reporter: DropReporter::new(graph, &options.module),
            source,
            camera,
            decoder,
            analyses,
            workers,
            recorders,
            inputs,
        })
    }

    /// Starts everything, and returns at once: the camera is connected in the background. After the end of the instance,
    /// `on_end` gets the reason, if the instance was not stopped; nothing is emitted after that.
    pub(crate) fn begin(self, on_end: impl FnOnce(Option<String>) + Send + 'static) -> Running {
        for recorder in &self.recorders.inputs {
            recorder.begin();
        }
        let camera = Camera::connect(self.camera);
        let stats = StatsSource {
            source: self.source.name().to_owned(),
            camera: camera.monitor(),
            counters: self.source.emitter().counters().clone(),
            budget: self.budget,
        };
        let analyses = self.analyses.into_iter().map(AnalysisNode::spawn).collect();
        let source = Source {
            stats: stats.clone(),
            drop_reporter: self.drop_reporter,
            node: self.source,
            camera,
            decoder: self.decoder,
            recorders: self.recorders.inputs,
            streams: Vec::new(),
            epoch: 0,
            lost_at: None,
            gave_up: false,
            panic_reports: RateLimiter::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(run(
            source,
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

    /// The media time of what the camera sends now; `wall_90k` before its first picture. Not the wall clock: media do not
    /// follow at once when that is set, and a camera may have a better one.
    pub(crate) fn media_now_90k(&self, wall_90k: u64) -> u64 {
        let now = self.run.stats.counters.media_now_90k(Instant::now());
        now.unwrap_or(wall_90k)
    }

    /// Delivers a message for an input of the module; returns the number of gates that it reached.
    pub(crate) fn signal(&self, input: &str, timestamp_90k: u64, correlation_id: Option<&str>) -> usize {
        let listening = self.inputs.iter().filter(|own| match &own.name {
            Some(name) => name == input,
            None => true,
        });
        let gates = listening.flat_map(|own| &own.gates);
        gates
            .map(|gate| gate.signal_with(timestamp_90k, correlation_id.map(str::to_owned)))
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
    mut source: Source,
    stop: oneshot::Receiver<()>,
    analyses: Vec<JoinHandle<()>>,
    workers: Vec<Worker>,
    recorders: Vec<Worker>,
) -> End {
    failpoint("instance", source.node.name());
    let end = source.run(stop).await;
    source.decoder = None;
    for analysis in analyses {
        if let Err(error) = analysis.await {
            tracing::error!(%error, "an extension's task panicked");
        }
    }
    for worker in workers {
        worker.ended().await;
    }
    source.recorders.clear();
    for recorder in recorders {
        recorder.ended().await;
    }
    source.report_last_drops();
    end
}
