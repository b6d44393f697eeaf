//! From the camera, through a gate where there is one, to files: one thread for each recording sink.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lva_inference_schema::EventName;
use lva_inference_schema::body::{EventBody, OutputType, Recording};
use lva_media_types::MediaTime;
use lva_recording::{
    ClipError, ClipReport, MediaUnit, PreRollLimits, PreRollStats, Recorder, RecorderEvent, RecorderStats,
    Signal, SignalOutcome, StoreStats, Track, Tracks,
};
use tokio::sync::mpsc;

use self::keyframes::KeyframeWatch;
use self::preview::PreviewInput;
pub(crate) use self::recorders::Recorders;
pub(crate) use self::recovery::RecoveredClips;
pub(crate) use self::store::RecordingFolders;
use self::store::{PatternContext, Store};
use crate::budget::Budget;
use crate::emitter::{EventEmitter, NodeReporter};
use crate::failure::Failure;
use crate::flow::{QUEUE_BYTES, RecorderCommand, RecorderInput, SignalInput, StreamClock};
use crate::panics::{Panicked, catch_panic, failpoint};
use crate::plan::{RecordingPlan, RecordingTarget};
use crate::rate_limiter::RateLimiter;
use crate::stats::{ClipInfo, DropReason, NodeCounters};
use crate::thread::Worker;

mod keyframes;
mod preview;
mod recorders;
mod recovery;
mod store;

/// How late an event may arrive after its frame and still find its media: rendering, a slow model, an extension that
/// warms up.
const EVENT_DELAY: Duration = Duration::from_secs(20);
/// Encoded data in the pre-roll of each sink.
const PRE_ROLL_BYTES: usize = 96 << 20;

/// Signals that wait for the camera's first picture.
const EARLY_SIGNALS: usize = 64;

/// What the recorders of an instance share.
#[derive(Clone)]
pub(crate) struct RecorderContext {
    pub(crate) topology: String,
    pub(crate) instance: String,
    pub(crate) folders: RecordingFolders,
    pub(crate) emitter: EventEmitter,
    pub(crate) budget: Budget,
    pub(crate) recovered: RecoveredClips,
}

/// Starts the thread of a sink, which records the stream of this clock. It ends, after its clip is finished, when all inputs
/// are dropped.
fn start(
    plan: RecordingPlan,
    clock: StreamClock,
    context: &RecorderContext,
) -> io::Result<(RecorderInput, SignalInput, Worker)> {
    let emitter = &context.emitter;
    let sink = emitter.node(plan.sink.clone());
    let gate = emitter.counters().node(plan.gate_or_sink_name());
    let most_bytes = context.budget.queue_bytes(QUEUE_BYTES);
    let (input, receiver) = RecorderInput::new(sink.counters().clone(), most_bytes, plan.media.clone());
    let (signals, bytes) = (input.signals(gate.clone(), clock), input.waiting_bytes());
    let previews = match &plan.target {
        RecordingTarget::Video(video) if video.preview_image => {
            Some(preview::start(sink.clone(), context.folders.boundaries())?)
        }
        RecordingTarget::Video(_) | RecordingTarget::Asset(_) | RecordingTarget::Files(_) => None,
    };
    let patterns = PatternContext {
        topology: context.topology.clone(),
        instance: context.instance.clone(),
        clock: emitter.clock().clone(),
        folders: context.folders.clone(),
    };
    store::warn_of_moved_directory(&plan, &patterns);
    let (root, budget, recovered) = (
        context.folders.root().to_owned(),
        context.budget.clone(),
        context.recovered.clone(),
    );
    let keyframes = KeyframeWatch::new(store::segment_length(&plan));
    let worker = Worker::start("lva-record", move || {
        let (previews, preview_worker) = previews.unzip();
        let mut thread = RecorderThread {
            plan,
            patterns,
            root,
            sink,
            gate,
            bytes,
            budget,
            recovered,
            previews,
            tracks: None,
            recorder: None,
            early: Vec::new(),
            published: None,
            started: None,
            panic_reports: RateLimiter::default(),
            keyframes,
        };
        thread.run(receiver);
        drop(thread);
        // The end of the recordings includes their previews.
        if let Some(worker) = preview_worker {
            worker.join();
        }
    })?;
    Ok((input, signals, worker))
}

struct RecorderThread {
    plan: RecordingPlan,
    patterns: PatternContext,
    root: PathBuf,
    sink: NodeReporter,
    /// Of the gate, or of the sink without a gate.
    gate: NodeCounters,
    bytes: Arc<AtomicUsize>,
    budget: Budget,
    recovered: RecoveredClips,
    previews: Option<PreviewInput>,
    /// The newest ones.
    tracks: Option<Tracks>,
    recorder: Option<Recorder<Store>>,
    /// Signals that came before there was a recorder.
    early: Vec<Signal>,
    /// The statistics as last published.
    published: Option<(RecorderStats, StoreStats, PreRollStats)>,
    /// Number and event body of the recording that was reported as started, and not yet as stopped.
    started: Option<(u64, EventBody)>,
    panic_reports: RateLimiter,
    keyframes: KeyframeWatch,
}

impl RecorderThread {
    fn run(&mut self, mut commands: mpsc::Receiver<RecorderCommand>) {
        while let Some(command) = commands.blocking_recv() {
            if let RecorderCommand::Unit(unit) = &command {
                self.bytes.fetch_sub(unit.data.len(), Ordering::Relaxed);
            }
            if let Err(panicked) = catch_panic(|| self.execute(command)) {
                self.restart(&panicked);
            }
        }
        let ended = catch_panic(|| {
            let last = self.with_recorder(Recorder::end);
            self.handle_events(last);
            self.publish_stats();
            let early = std::mem::take(&mut self.early).len() as u64;
            self.gate.dropped(DropReason::NotRecordable, early);
        });
        if let Err(panicked) = ended {
            self.restart(&panicked);
        }
        tracing::info!(sink = self.sink.name(), stats = ?self.published, "recording ended");
    }

    /// Shortens the pre-roll where memory is short.
    fn shed_load(&mut self) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        let units = self.budget.shrink_pre_roll(recorder);
        self.gate.dropped(DropReason::PreRollShrunk, units);
    }

    fn publish_stats(&mut self) {
        let Some(recorder) = &self.recorder else { return };
        let now = (
            recorder.stats(),
            recorder.store_stats(),
            recorder.pre_roll_stats(),
        );
        let before = self.published.replace(now);
        if before != Some(now) {
            let not_written = before.map_or(0, |(before, ..)| before.not_written);
            self.sink.counters().recording(|stats| {
                (stats.recorder, stats.store, stats.pre_roll) = now;
            });
            let more = now.0.not_written.saturating_sub(not_written);
            self.sink.dropped(DropReason::NotWritten, more);
        }
    }

    fn execute(&mut self, command: RecorderCommand) {
        failpoint("record", self.sink.name());
        let events = match command {
            RecorderCommand::Begin => {
                self.recover();
                Vec::new()
            }
            RecorderCommand::Tracks(tracks) => self.set_tracks(tracks),
            RecorderCommand::Unit(unit) => {
                self.watch_keyframes(&unit);
                let events = self.with_recorder(|recorder| recorder.push(unit));
                self.shed_load();
                events
            }
            RecorderCommand::Signal(signal) => self.signal(signal),
            RecorderCommand::Metadata(time, json) => {
                self.with_recorder(|recorder| recorder.annotate(time, &json))
            }
        };
        self.handle_events(events);
        self.publish_stats();
    }

    /// A segment ends at a key frame only.
    fn watch_keyframes(&mut self, unit: &MediaUnit) {
        if unit.track == Track::Video
            && let Some(missing) = self.keyframes.picture(unit.timestamp_90k, unit.keyframe)
        {
            let failure = Failure::no_keyframes(self.sink.name(), missing);
            tracing::warn!(sink = self.sink.name(), failure = %failure, "no key frame came");
            self.sink.emit_failure(&failure);
        }
    }

    /// Ends and finishes the current recording, and continues with another recorder at the next key frame.
    fn restart(&mut self, panicked: &Panicked) {
        self.sink.dropped(DropReason::InternalError, 1);
        self.sink.on_panic(&mut self.panic_reports, panicked);
        let again = catch_panic(|| {
            (self.recorder, self.published) = (None, None);
            if let Some((_, body)) = self.started.take() {
                self.sink.emit_now(EventName::RecordingStopped, body);
            }
            let owner_id = store::owner_id(&self.plan, &self.patterns);
            let root_dir = self.root_dir();
            self.report_recovered(recovery::recover_own(
                &self.patterns.folders.boundaries(),
                &root_dir,
                &owner_id,
            ));
            if let Some(tracks) = self.tracks.clone() {
                self.set_tracks(tracks);
            }
        });
        if let Err(panicked) = again {
            tracing::error!(sink = self.sink.name(), %panicked, "restarting the recorder panicked; the sink records nothing");
        }
    }

    /// The directory that holds all files of this sink.
    fn root_dir(&self) -> PathBuf {
        match &self.plan.target {
            RecordingTarget::Files(sink) => store::root_dir(sink, &self.patterns),
            RecordingTarget::Asset(_) | RecordingTarget::Video(_) => self.root.clone(),
        }
    }

    /// Finishes what a killed process left: of all assets and videos, and of this sink's files. Current recordings are not
    /// touched by it. Each sink reports its own clips, whichever recorder finished them.
    fn recover(&self) {
        let owner_id = store::owner_id(&self.plan, &self.patterns);
        self.report_recovered(self.recovered.take(&self.root, &owner_id));
        if let RecordingTarget::Files(_) = &self.plan.target {
            self.report_recovered(recovery::recover_own(
                &self.patterns.folders.boundaries(),
                &self.root_dir(),
                &owner_id,
            ));
        }
    }

    fn report_recovered(&self, reports: Vec<ClipReport>) {
        for report in reports {
            self.count(&report);
            self.sink
                .emit_now(EventName::RecordingAvailable, self.body_of_file(&report.path));
        }
    }

    fn with_recorder(
        &mut self,
        act: impl FnOnce(&mut Recorder<Store>) -> Vec<RecorderEvent>,
    ) -> Vec<RecorderEvent> {
        self.recorder.as_mut().map(act).unwrap_or_default()
    }

    fn set_tracks(&mut self, tracks: Tracks) -> Vec<RecorderEvent> {
        self.tracks = Some(tracks.clone());
        if let Some(recorder) = &mut self.recorder {
            return recorder.set_tracks(tracks);
        }
        let store = Store::new(&self.plan, &self.patterns);
        let Some(gate) = &self.plan.gate else {
            self.recorder = Some(Recorder::continuous(tracks, store));
            return Vec::new();
        };
        let lookback = MediaTime::duration_of(gate.options.lookback_90k());
        let limits = PreRollLimits::new(lookback + EVENT_DELAY, self.budget.pre_roll_bytes(PRE_ROLL_BYTES));
        match Recorder::new(gate.options, limits, tracks, store) {
            Ok(recorder) => self.recorder = Some(recorder),
            Err(error) => {
                // The plan has checked these times.
                tracing::error!(gate = %gate.name, %error, "invalid times of a signal gate; nothing is recorded");
                return Vec::new();
            }
        }
        let early = std::mem::take(&mut self.early).into_iter();
        early.flat_map(|signal| self.signal(signal)).collect()
    }

    fn signal(&mut self, signal: Signal) -> Vec<RecorderEvent> {
        let Some(recorder) = &mut self.recorder else {
            // The camera's first picture may be a moment away.
            if self.early.len() < EARLY_SIGNALS {
                self.early.push(signal);
            } else {
                self.gate.dropped(DropReason::SignalQueueFull, 1);
            }
            return Vec::new();
        };
        let outcome = recorder.signal(signal);
        let events = recorder.take_events();
        let reason = match outcome {
            SignalOutcome::Accepted => None,
            SignalOutcome::Late => Some(DropReason::SignalLate),
            SignalOutcome::Ahead => Some(DropReason::SignalAhead),
            SignalOutcome::Overflow => Some(DropReason::SignalQueueFull),
        };
        if let Some(reason) = reason {
            self.gate.dropped(reason, 1);
        }
        events
    }

    fn handle_events(&mut self, events: Vec<RecorderEvent>) {
        for event in events {
            match event {
                RecorderEvent::Started {
                    recording,
                    path,
                    clip,
                } => {
                    if clip.start_90k > clip.wanted_start_90k {
                        let late = MediaTime::duration_of(clip.start_90k - clip.wanted_start_90k);
                        let late_ms = late.as_millis() as u64;
                        tracing::warn!(path = %path.display(), late_ms, "the clip starts later than requested");
                    }
                    let body = self.body(&path);
                    self.started = Some((recording, body.clone()));
                    self.sink.emit_now(EventName::RecordingStarted, body);
                }
                RecorderEvent::Stopped { path, .. } => {
                    self.started = None;
                    self.sink.emit_now(EventName::RecordingStopped, self.body(&path));
                }
                RecorderEvent::Available { report, .. } | RecorderEvent::Recovered { report } => {
                    self.finished(&report);
                    let body = self.body_of_file(&report.path);
                    self.sink.emit_now(EventName::RecordingAvailable, body);
                }
                RecorderEvent::Extended { report, .. } => self.finished(&report),
                RecorderEvent::Failed { recording, error } => {
                    tracing::error!(sink = self.sink.name(), %error, "a recording failed");
                    self.emit_clip_failure(&error);
                    // Its end is reported too. If recording continues, that is another recording.
                    let started = self.started.take_if(|(number, _)| *number == recording);
                    if let Some((_, body)) = started {
                        self.sink.emit_now(EventName::RecordingStopped, body);
                    }
                }
                RecorderEvent::CleanupFailed { error } => {
                    tracing::warn!(sink = self.sink.name(), %error, "a file next to a recording could not be written or removed");
                    // Reported once in each recording, because only an operator can fix it.
                    if matches!(error, ClipError::ForeignPlaylist { .. }) {
                        self.emit_clip_failure(&error);
                    }
                }
                RecorderEvent::NoMedia { .. } => self.gate.dropped(DropReason::ClipMissed, 1),
                // `RecorderEvent` may grow.
                _ => {}
            }
        }
    }

    fn emit_clip_failure(&self, error: &ClipError) {
        let failure = Failure::clip(error, self.root.display().to_string());
        self.sink.emit_failure(&failure);
    }

    fn finished(&self, report: &ClipReport) {
        self.count(report);
        if let Some(previews) = &self.previews {
            previews.request(report);
        }
    }

    fn count(&self, report: &ClipReport) {
        let ticks = report
            .last_timestamp_90k
            .saturating_sub(report.first_timestamp_90k);
        self.sink.emitter().counters().clip(ClipInfo {
            sink: self.sink.name().to_owned(),
            path: report.path.clone(),
            first_timestamp_90k: report.first_timestamp_90k,
            seconds: MediaTime::duration_of(ticks).as_secs_f64(),
            video_packets: report.video_packets,
        });
    }

    /// How events name a recording: by its file, or by the asset or video whose directory holds its files.
    fn body(&self, path: &Path) -> EventBody {
        let directory = || path.file_name().unwrap_or_default().to_string_lossy();
        EventBody::Recording(match self.plan.target {
            RecordingTarget::Asset(_) => Recording::new(OutputType::AssetName, directory()),
            RecordingTarget::Video(_) => Recording::new(OutputType::VideoName, directory()),
            RecordingTarget::Files(_) => Recording::new(OutputType::FilePath, path.to_string_lossy()),
        })
    }

    fn body_of_file(&self, file: &Path) -> EventBody {
        match self.plan.target {
            RecordingTarget::Asset(_) | RecordingTarget::Video(_) => self.body(file.parent().unwrap_or(file)),
            RecordingTarget::Files(_) => self.body(file),
        }
    }
}

#[cfg(test)]
mod tests;
