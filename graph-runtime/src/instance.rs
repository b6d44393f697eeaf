//! A running instance: one camera, received once, decoded at most once, shown to extensions and recorded.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lva_graph_model::Graph;
use lva_inference_schema::{EventBody, EventName, MediaSessionEstablished};
use lva_rtsp::{AccessUnit, Camera, CameraEvent, CameraMonitor, CameraOptions, Codec, MediaKind, StreamInfo};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::GraphEvent;
use crate::analysis::{LAST_ANSWERS, Patience};
use crate::budget::{self, Budget};
use crate::decode::{self, DecoderInput};
use crate::event::event_now;
use crate::extensions::{Asker, Extensions, StartError};
use crate::failure::Failure;
use crate::frame::About;
use crate::guard::{Defects, Panicked, guarded, trap};
use crate::life::Life;
use crate::losses::{Drops, LossVoice};
use crate::motion::Watch;
use crate::options::RuntimeOptions;
use crate::plan::{Named, Plan};
use crate::record::{self, Names, RecorderInput};
use crate::seam::camera::video_codec;
use crate::seam::recording::tracks;
use crate::sink::Outlet;
use crate::stats::{Counters, DropReason, InstanceStats};
use crate::thread::Worker;

/// A camera that was away for longer begins a new session with each extension, so that what they follow starts anew.
const TOLERATED_ABSENCE: Duration = Duration::from_secs(5);

/// How soon the first drop of a node is said.
const LOOK: Duration = Duration::from_secs(1);

/// Says events and counts them.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    outlet: Outlet,
    counters: Counters,
}

impl Speaker {
    pub(crate) fn new(outlet: Outlet, counters: Counters) -> Self {
        Self { outlet, counters }
    }

    pub(crate) fn say(&self, event: GraphEvent) {
        self.counters.event(event.name);
        self.outlet.say(event);
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A node is done with a frame.
    pub(crate) fn left(&self, node: &Named, about: &About) {
        self.counters.left(&node.name, about.received_at, Instant::now());
    }

    /// A node's work ended in a panic; says so, unless it did a moment ago.
    pub(crate) fn stumbled(&self, node: &Named, defects: &mut Defects, panicked: &Panicked) {
        tracing::error!(node = %node.name, %panicked, "a node begins anew");
        if defects.are_news(Instant::now()) {
            self.fail(node, &Failure::defect(node.name.clone()));
        }
    }

    pub(crate) fn fail(&self, node: &Named, failure: &Failure) {
        let (name, body) = failure.said();
        self.say(event_now(name, &node.subject, body));
    }
}

/// An instance of which everything is made that can fail. It has said nothing, touched no file and asked for no camera;
/// dropped, it leaves nothing behind.
pub(crate) struct Prepared {
    life: Life,
    budget: Budget,
    source: Named,
    camera: CameraOptions,
    losses: LossVoice,
    decoder: Option<DecoderInput>,
    analyses: Vec<Asker>,
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
    gates: Vec<record::SignalInput>,
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
        let watches: Vec<_> = plan
            .motions
            .into_iter()
            .map(|motion| Watch::new(recorders.gates(&motion.reach.gates), motion, speaker.clone()))
            .collect();
        let mut workers = Vec::new();
        let (taps, analyses) = Extensions {
            recorders: &recorders,
            speaker: &speaker,
            patience: Patience {
                backoff: options.extension_backoff,
                answer: options.answer_timeout,
                last_answers: LAST_ANSWERS,
            },
            trackers: plan.trackers.into_iter().map(Some).collect(),
        }
        .start(plan.analyses, &mut workers)?;
        // The gates' own ends would keep the recorders alive.
        recorders.signals.clear();
        let decoder = if taps.is_empty() && watches.is_empty() {
            None
        } else {
            let (input, worker) = decode::start(
                plan.source.clone(),
                taps,
                watches,
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
            .with_audio(recorders.inputs.iter().any(|recorder| recorder.audio));
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
        let analyses = self.analyses.into_iter().map(Asker::spawn).collect();
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
            defects: Defects::default(),
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

pub(crate) struct Recorders {
    inputs: Vec<RecorderInput>,
    signals: Vec<record::SignalInput>,
    workers: Vec<Worker>,
}

impl Recorders {
    /// The ends by which a node opens the gates at these places.
    pub(crate) fn gates(&self, places: &[usize]) -> Vec<record::SignalInput> {
        let places = places.iter();
        places
            .filter_map(|place| self.signals.get(*place).cloned())
            .collect()
    }

    /// The ends by which results come to lie beside the media of these places.
    pub(crate) fn notes(&self, places: &[usize]) -> Vec<record::MetadataInput> {
        let inputs = places.iter().filter_map(|place| self.inputs.get(*place));
        inputs.map(RecorderInput::metadata).collect()
    }

    fn start(
        plans: Vec<crate::plan::RecordingPlan>,
        names: &Names,
        root: &std::path::Path,
        speaker: &Speaker,
        budget: &Budget,
    ) -> io::Result<Self> {
        let mut all = Self {
            inputs: Vec::new(),
            signals: Vec::new(),
            workers: Vec::new(),
        };
        for plan in plans {
            let root: PathBuf = root.to_owned();
            let (input, signals, worker) =
                record::start(plan, names.clone(), root, speaker.clone(), budget.clone())?;
            all.inputs.push(input);
            all.signals.push(signals);
            all.workers.push(worker);
        }
        Ok(all)
    }
}

/// How a life ended.
enum End {
    /// As it was told to.
    Told,
    /// The camera did not answer for as long as the options are patient.
    GaveUp,
    /// The camera's task is gone, and has not said why.
    NoCamera,
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
    drop(source);
    for recorder in recorders {
        recorder.ended().await;
    }
    end
}

/// The camera's task.
struct Source {
    node: Named,
    stats: StatsSource,
    losses: LossVoice,
    camera: Camera,
    speaker: Speaker,
    decoder: Option<DecoderInput>,
    recorders: Vec<RecorderInput>,
    streams: Vec<StreamInfo>,
    epoch: u64,
    lost_at: Option<Instant>,
    /// Nothing more comes of the camera, as it has said.
    gave_up: bool,
    defects: Defects,
}

impl Source {
    /// Until it is stopped, or the camera gives up.
    async fn run(&mut self, mut stop: oneshot::Receiver<()>) -> End {
        let mut stopping = false;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = &mut stop, if !stopping => {
                    stopping = true;
                    // What has come already is taken still.
                    self.camera.stop();
                }
                _ = looks.tick() => self.say_losses(),
                event = self.camera.next() => match event {
                    Some(event) => {
                        if let Err(panicked) = guarded(|| self.take(event)) {
                            self.stumbled(&panicked);
                        }
                    }
                    None => break,
                },
            }
        }
        match (stopping, self.gave_up) {
            (true, _) => End::Told,
            (false, true) => End::GaveUp,
            (false, false) => End::NoCamera,
        }
    }

    fn say_losses(&mut self) {
        for event in self.losses.due(Instant::now(), &self.stats.drops()) {
            self.speaker.say(event);
        }
    }

    /// What came is lost, and it may have been a picture.
    fn stumbled(&mut self, panicked: &Panicked) {
        let counters = self.speaker.counters();
        counters.dropped(&self.node.name, DropReason::Defect, 1);
        if let Some(decoder) = &mut self.decoder {
            decoder.wait_for_key();
        }
        for recorder in &mut self.recorders {
            recorder.wait_for_key();
        }
        self.speaker.stumbled(&self.node, &mut self.defects, panicked);
    }

    fn take(&mut self, event: CameraEvent) {
        trap("source", &self.node.name);
        match event {
            CameraEvent::Established { streams, sdp } => self.established(streams, &sdp),
            CameraEvent::StreamChanged(stream) => {
                if let Some(known) = self.streams.iter_mut().find(|known| known.index == stream.index) {
                    *known = stream;
                    self.announce_streams();
                }
            }
            CameraEvent::Unit(unit) => self.unit(unit),
            CameraEvent::Lost { error } => {
                self.lost_at.get_or_insert_with(Instant::now);
                if let Some(decoder) = &mut self.decoder {
                    decoder.pause();
                }
                self.speaker.fail(&self.node, &Failure::camera(&error));
            }
            CameraEvent::Stopped { .. } => self.gave_up = true,
            CameraEvent::Waiting { .. } => {}
            // `CameraEvent` may grow.
            _ => {}
        }
    }

    fn established(&mut self, streams: Vec<StreamInfo>, sdp: &str) {
        let away = self.lost_at.take().map(|lost_at| lost_at.elapsed());
        if away.is_none_or(|away| away > TOLERATED_ABSENCE) {
            self.epoch += 1;
        }
        self.streams = streams;
        self.speaker
            .counters()
            .update(|stats| stats.first_picture_90k = None);
        let body = EventBody::MediaSessionEstablished(MediaSessionEstablished::new(sdp));
        let event = event_now(EventName::MediaSessionEstablished, &self.node.subject, body);
        self.speaker.say(event);
        self.complain_of_media();
        self.announce_streams();
    }

    /// Says what of the camera's media somebody wants and nobody here can use.
    fn complain_of_media(&self) {
        let records = !self.recorders.is_empty();
        let records_sound = self.recorders.iter().any(|recorder| recorder.audio);
        let of = |media: MediaKind| self.streams.iter().filter(move |stream| stream.media == media);
        let recordable = |codec: Codec| matches!(codec, Codec::H264 | Codec::H265);
        let video_lost = of(MediaKind::Video).any(|stream| stream.format_error_code().is_some())
            || records && of(MediaKind::Video).any(|stream| stream.playing && !recordable(stream.codec));
        let sound_lost = of(MediaKind::Audio).any(|stream| stream.format_error_code().is_some())
            || records_sound && of(MediaKind::Audio).any(|stream| stream.codec != Codec::Aac);
        if video_lost {
            let failure = Failure::unusable_video(self.node.name.clone());
            self.speaker.fail(&self.node, &failure);
        }
        if sound_lost {
            let failure = Failure::unusable_audio(self.node.name.clone());
            self.speaker.fail(&self.node, &failure);
        }
    }

    /// Tells decoder and recorders what comes from now on.
    fn announce_streams(&mut self) {
        if let Some(decoder) = &mut self.decoder
            && let Some(video) = self
                .streams
                .iter()
                .find(|stream| stream.playing && stream.media == MediaKind::Video)
            && let Some(codec) = video_codec(video.codec)
        {
            decoder.stream(codec, video.extra_data.clone());
        }
        for recorder in &mut self.recorders {
            if let Some(tracks) = tracks(&self.streams, recorder.audio) {
                recorder.tracks(tracks);
            }
        }
    }

    fn unit(&mut self, unit: AccessUnit) {
        let stream = self.streams.iter().find(|stream| stream.index == unit.stream);
        let Some(media) = stream.map(|stream| stream.media) else {
            return;
        };
        let decoder = match media {
            MediaKind::Video => {
                let counters = self.speaker.counters();
                counters.received(unit.timestamp_90k, unit.received_at);
                self.decoder.as_mut().map(|decoder| (decoder, self.epoch))
            }
            MediaKind::Audio => None,
            _ => return,
        };
        budget::hand_out(&self.stats.budget, unit, media, &mut self.recorders, decoder);
    }
}
