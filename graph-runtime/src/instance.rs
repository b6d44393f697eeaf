//! A running instance: one camera, received once, decoded at most once, shown to extensions and recorded.

use std::time::Instant;

use lva_graph_model::Graph;
use lva_rtsp::{Camera, CameraMonitor, CameraOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::source::{End, Source};
use crate::budget::Budget;
use crate::data_dropped::{Drops, LossVoice};
use crate::decode::{self, DecoderInput};
use crate::extension::{ExtensionNode, Extensions, Patience, StartError};
use crate::guard::trap;
use crate::motion::MotionNode;
use crate::once_a_minute::OnceAMinute;
use crate::options::RuntimeOptions;
use crate::plan::{Named, Plan};
use crate::record::{Names, RecorderInput, Recorders, SignalInput};
use crate::state_event::Life;
use crate::stats::{Counters, DropReason, InstanceStats};
use crate::thread::Worker;

mod source;

/// An instance of which everything is made that can fail. It has said nothing, touched no file and asked for no camera;
/// dropped, it leaves nothing behind.
pub(crate) struct Prepared {
    life: Life,
    budget: Budget,
    source: Named,
    camera: CameraOptions,
    losses: LossVoice,
    decoder: Option<DecoderInput>,
    analyses: Vec<ExtensionNode>,
    workers: Vec<Worker>,
    recorders: Recorders,
    inputs: Vec<Input>,
}

/// A running instance. Dropped without [`stop`](Self::stop), it ends too, a little later and without being waited for.
#[derive(Debug)]
pub(crate) struct Running {
    life: Life,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    stats: StatsSource,
    /// Held only while it runs: they keep recorders alive.
    inputs: Vec<Input>,
}

/// A message source.
#[derive(Debug)]
struct Input {
    name: Option<String>,
    gates: Vec<SignalInput>,
}

/// Where the numbers of an instance are read, also after it has ended.
#[derive(Debug, Clone)]
pub(crate) struct StatsSource {
    source: String,
    camera: CameraMonitor,
    counters: Counters,
    budget: Budget,
}

impl StatsSource {
    pub(crate) fn read(&self) -> InstanceStats {
        let mut stats = self.counters.snapshot();
        stats.camera_sessions = self.camera.counters().sessions;
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
            (DropReason::NoKeyFrame, camera.dropped_no_random_access),
        ] {
            if count > 0 {
                *drops.entry((self.source.clone(), reason)).or_default() += count;
            }
        }
    }
}

impl Prepared {
    /// Makes everything.
    pub(crate) fn new(
        plan: Plan,
        graph: &Graph,
        life: Life,
        options: &RuntimeOptions,
    ) -> Result<Self, StartError> {
        let speaker = life.speaker().clone();
        let names = Names {
            topology: graph.topology_name().to_owned(),
            instance: graph.instance_name().to_owned(),
        };
        let budget = Budget::new(options.memory_budget);
        let mut recorders =
            Recorders::start(plan.recordings, &names, &options.recordings, &speaker, &budget)?;
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
            .map(|motion| MotionNode::new(recorders.gates(&motion.reach.gates), motion, speaker.clone()))
            .collect();
        let mut workers = Vec::new();
        let (taps, analyses) = Extensions {
            recorders: &recorders,
            speaker: &speaker,
            patience: Patience::of(options),
            trackers: plan.trackers.into_iter().map(Some).collect(),
        }
        .start(plan.analyses, &mut workers)?;
        recorders.close_gates();
        let decoder = if taps.is_empty() && motions.is_empty() {
            None
        } else {
            let (input, worker) = decode::start(
                plan.source.clone(),
                taps,
                motions,
                options.decoder.clone(),
                speaker.clone(),
            )?;
            workers.push(worker);
            Some(input)
        };
        let camera = plan
            .camera
            .with_reconnect(options.camera_reconnect)
            .with_timeouts(options.camera_timeouts)
            .with_wall_clock(options.wall.clone())
            .with_audio(recorders.inputs.iter().any(RecorderInput::wants_sound));
        Ok(Self {
            life,
            budget,
            losses: LossVoice::new(graph, &options.module),
            source: plan.source,
            camera,
            decoder,
            analyses,
            workers,
            recorders,
            inputs,
        })
    }

    /// Everything begins. Returns at once: the camera is connected to in the background. When the instance has ended,
    /// `over` is told why, if it was not told to; nothing is said after that.
    pub(crate) fn begin(self, over: impl FnOnce(Option<String>) + Send + 'static) -> Running {
        for recorder in &self.recorders.inputs {
            recorder.begin();
        }
        let camera = Camera::connect(self.camera);
        let speaker = self.life.speaker().clone();
        let stats = StatsSource {
            source: self.source.name.clone(),
            camera: camera.monitor(),
            counters: speaker.counters().clone(),
            budget: self.budget,
        };
        let analyses = self.analyses.into_iter().map(ExtensionNode::spawn).collect();
        let source = Source {
            stats: stats.clone(),
            losses: self.losses,
            node: self.source,
            camera,
            speaker,
            decoder: self.decoder,
            recorders: self.recorders.inputs,
            streams: Vec::new(),
            epoch: 0,
            lost_at: None,
            gave_up: false,
            defects: OnceAMinute::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let life = tokio::spawn(run(
            source,
            stopped,
            analyses,
            self.workers,
            self.recorders.workers,
        ));
        let task = tokio::spawn(async move {
            over(match life.await {
                Ok(End::Told) => None,
                Ok(End::GaveUp) => Some("the camera was given up: activate the instance again".to_owned()),
                Ok(End::NoCamera) => {
                    Some("a defect of this program ended its camera: activate it again".to_owned())
                }
                Err(error) => {
                    tracing::error!(%error, "an instance's task failed");
                    Some("a defect of this program ended it: activate it again".to_owned())
                }
            });
        });
        Running {
            life: self.life,
            stop: Some(stop),
            task,
            stats,
            inputs: self.inputs,
        }
    }
}

impl Running {
    /// By which it says what becomes of it.
    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    pub(crate) fn stats(&self) -> StatsSource {
        self.stats.clone()
    }

    /// The media time of what the camera sends now. Not the wall clock: media do not follow that at once when it is set, and
    /// a camera may have a better one. `wall_90k` where the camera has sent nothing yet.
    pub(crate) fn media_now_90k(&self, wall_90k: u64) -> u64 {
        let now = self.stats.counters.media_now_90k(Instant::now());
        now.unwrap_or(wall_90k)
    }

    /// A message has come by an input of the module. How many gates it has reached.
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

    /// Ends the instance: the camera is let go, what is on its way is answered, clips are finished.
    pub(crate) async fn stop(mut self) {
        self.inputs.clear();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

/// The life of an instance. The order of the end matters: no more units; then the last pictures, the last answers and
/// their signals; then the clips, which those signals may still prolong.
async fn run(
    mut source: Source,
    stop: oneshot::Receiver<()>,
    analyses: Vec<JoinHandle<()>>,
    workers: Vec<Worker>,
    recorders: Vec<Worker>,
) -> End {
    trap("instance", &source.node.name);
    let end = source.run(stop).await;
    source.decoder = None;
    for analysis in analyses {
        if let Err(error) = analysis.await {
            tracing::error!(%error, "an extension's task failed");
        }
    }
    for worker in workers {
        worker.ended().await;
    }
    source.recorders.clear();
    for recorder in recorders {
        recorder.ended().await;
    }
    source.say_last_losses();
    end
}
