//! From the camera, through a gate where there is one, to files: one thread for each recording sink.

mod input;
mod recorders;
mod store;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lva_inference_schema::EventName;
use lva_inference_schema::body::{EventBody, OutputType, Recording};
use lva_recording::{
    ClipError, ClipReport, PreRollLimits, PreRollStats, Recorder, RecorderEvent, RecorderStats, Recovery,
    Signal, SignalOutcome, StoreStats, Tracks, recover, recover_owned_by,
};
use tokio::sync::mpsc;

use crate::budget::Budget;
use crate::event::event_now;
use crate::failure::Failure;
use crate::guard::{Panicked, guarded, trap};
use crate::once_a_minute::OnceAMinute;
use crate::plan::{Place, RecordingPlan};
use crate::preview::{self, PreviewInput};
use crate::speaker::Speaker;
use crate::stats::{ClipInfo, DropReason};
use crate::thread::Worker;
use input::{Command, QUEUE_BYTES};
pub(crate) use input::{MetadataInput, RecorderInput, SignalInput};
pub(crate) use recorders::Recorders;
use store::Store;

/// How late an event may arrive after its frame and still find its media: rendering, a slow model, an extension that
/// warms up.
const EVENT_DELAY: Duration = Duration::from_secs(20);
/// Encoded data in the pre-roll of each sink.
const PRE_ROLL_BYTES: usize = 96 << 20;

/// Signals that wait for the camera's first picture.
const EARLY_SIGNALS: usize = 64;

/// Starts the thread of a sink. It ends, with its clip finished, when all inputs are dropped.
pub(crate) fn start(
    plan: RecordingPlan,
    names: Names,
    root: PathBuf,
    speaker: Speaker,
    budget: Budget,
) -> io::Result<(RecorderInput, SignalInput, Worker)> {
    let counters = speaker.counters().clone();
    let sink = plan.sink.name.clone();
    let most_bytes = budget.queue_bytes(QUEUE_BYTES);
    let (input, receiver) = RecorderInput::new(sink, counters, most_bytes, plan.media.clone());
    let (signals, bytes) = (input.signals(plan.switch().to_owned()), input.waiting_bytes());
    let previews = match &plan.place {
        Place::Video(sink) if sink.preview_image => {
            let sink = plan.sink.name.clone();
            Some(preview::start(sink, speaker.counters().clone())?)
        }
        Place::Video(_) | Place::Asset(_) | Place::Files(_) => None,
    };
    let worker = Worker::start("lva-record", move || {
        let (previews, maker) = previews.unzip();
        let mut thread = RecorderThread {
            plan,
            names,
            root,
            speaker,
            bytes,
            budget,
            previews,
            tracks: None,
            recorder: None,
            early: Vec::new(),
            told: None,
            started: None,
            defects: OnceAMinute::default(),
        };
        thread.run(receiver);
        drop(thread);
        // Whoever waits for the recordings finds their pictures, too.
        if let Some(maker) = maker {
            maker.join();
        }
    })?;
    Ok((input, signals, worker))
}

/// What patterns are filled with.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) topology: String,
    pub(crate) instance: String,
}

struct RecorderThread {
    plan: RecordingPlan,
    names: Names,
    root: PathBuf,
    speaker: Speaker,
    bytes: Arc<AtomicUsize>,
    budget: Budget,
    previews: Option<PreviewInput>,
    /// The newest ones.
    tracks: Option<Tracks>,
    recorder: Option<Recorder<Store>>,
    /// Signals that came before there was a recorder.
    early: Vec<Signal>,
    /// What the counters know.
    told: Option<(RecorderStats, StoreStats, PreRollStats)>,
    /// Number and place of the recording that was said to have started, and not yet to have stopped.
    started: Option<(u64, EventBody)>,
    defects: OnceAMinute,
}

impl RecorderThread {
    fn run(&mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            if let Command::Unit(unit) = &command {
                self.bytes.fetch_sub(unit.data.len(), Ordering::Relaxed);
            }
            if let Err(panicked) = guarded(|| self.carry_out(command)) {
                self.begin_anew(&panicked);
            }
        }
        let ended = guarded(|| {
            let last = self.with_recorder(Recorder::end);
            self.tell(last);
            self.tell_stats();
            let early = std::mem::take(&mut self.early).len() as u64;
            self.drop_signals(DropReason::NotRecordable, early);
        });
        if let Err(panicked) = ended {
            self.begin_anew(&panicked);
        }
        tracing::info!(sink = %self.plan.sink.name, stats = ?self.told, "recording ended");
    }

    /// Shortens the pre-roll where memory is short.
    fn give_way(&mut self) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        let units = self.budget.shrink_pre_roll(recorder);
        let counters = self.speaker.counters();
        counters.dropped(self.plan.switch(), DropReason::PreRollShrunk, units);
    }

    fn tell_stats(&mut self) {
        let Some(recorder) = &self.recorder else { return };
        let now = (
            recorder.stats(),
            recorder.store_stats(),
            recorder.pre_roll_stats(),
        );
        let before = self.told.replace(now);
        if before != Some(now) {
            let refused = |recorder: RecorderStats| recorder.not_written;
            let refused = refused(now.0).saturating_sub(before.map_or(0, |(before, ..)| refused(before)));
            let counters = self.speaker.counters();
            counters.recording(&self.plan.sink.name, |stats| {
                (stats.recorder, stats.store, stats.pre_roll) = now;
            });
            counters.dropped(&self.plan.sink.name, DropReason::NotWritten, refused);
        }
    }

    fn carry_out(&mut self, command: Command) {
        trap("record", &self.plan.sink.name);
        let events = match command {
            Command::Begin => {
                self.recover();
                Vec::new()
            }
            Command::Tracks(tracks) => self.tracks(tracks),
            Command::Unit(unit) => {
                let events = self.with_recorder(|recorder| recorder.push(unit));
                self.give_way();
                events
            }
            Command::Signal(signal) => self.signal(signal),
            Command::Metadata(time, json) => self.with_recorder(|recorder| recorder.annotate(time, &json)),
        };
        self.tell(events);
        self.tell_stats();
    }

    /// With another recorder, from the next key frame on. What was being recorded ends here, and is finished.
    fn begin_anew(&mut self, panicked: &Panicked) {
        let counters = self.speaker.counters();
        counters.dropped(&self.plan.sink.name, DropReason::Defect, 1);
        self.speaker
            .stumbled(&self.plan.sink, &mut self.defects, panicked);
        let again = guarded(|| {
            (self.recorder, self.told) = (None, None);
            if let Some((_, body)) = self.started.take() {
                self.say(EventName::RecordingStopped, body);
            }
            let writer = store::writer(&self.plan, &self.names);
            let home = match &self.plan.place {
                Place::Files(sink) => store::home(sink, &self.names, &self.root),
                Place::Asset(_) | Place::Video(_) => self.root.clone(),
            };
            for report in self.told(recover_owned_by(&home, &writer)).unwrap_or_default() {
                self.count(&report);
                self.say(EventName::RecordingAvailable, self.place_of_file(&report.path));
            }
            if let Some(tracks) = self.tracks.clone() {
                self.tracks(tracks);
            }
        });
        if let Err(panicked) = again {
            tracing::error!(sink = %self.plan.sink.name, %panicked, "a recorder could not begin anew");
        }
    }

    /// Finishes what a killed process left: of all assets and videos, once in this process, and of this sink's files.
    /// What is being recorded meanwhile is not touched by it. Each sink says what was its own, whoever finished it.
    fn recover(&self) {
        // What was finished below each root and is not yet said. A root that could not be read is tried again.
        static RECOVERED: Mutex<BTreeMap<PathBuf, Vec<ClipReport>>> = Mutex::new(BTreeMap::new());
        let writer = store::writer(&self.plan, &self.names);
        let mut own = Vec::new();
        // Others wait for it, so that they find everything finished.
        let mut recovered = RECOVERED.lock().unwrap_or_else(PoisonError::into_inner);
        if !recovered.contains_key(&self.root)
            && let Some(found) = self.told(recover(&self.root))
        {
            recovered.insert(self.root.clone(), found);
        }
        if let Some(waiting) = recovered.get_mut(&self.root) {
            own.extend(take_written_by(waiting, &writer));
        }
        drop(recovered);
        if let Place::Files(sink) = &self.plan.place {
            let home = store::home(sink, &self.names, &self.root);
            own.extend(self.told(recover_owned_by(&home, &writer)).unwrap_or_default());
        }
        for report in own {
            self.count(&report);
            self.say(EventName::RecordingAvailable, self.place_of_file(&report.path));
        }
    }

    /// What was finished; the rest goes to the log. `None`: nothing was looked for.
    fn told(&self, recovery: io::Result<Recovery>) -> Option<Vec<ClipReport>> {
        let recovery = match recovery {
            Ok(recovery) => recovery,
            Err(error) => {
                tracing::warn!(sink = %self.plan.sink.name, %error, "unfinished recordings were not looked for");
                return None;
            }
        };
        for (path, error) in &recovery.failed {
            tracing::warn!(path = %path.display(), %error, "an unfinished recording stays unfinished");
        }
        for (path, error) in &recovery.unreadable {
            tracing::warn!(path = %path.display(), %error, "unfinished recordings were not looked for here");
        }
        for report in &recovery.recovered {
            tracing::info!(path = %report.path.display(), "an unfinished recording was finished");
        }
        Some(recovery.recovered)
    }

    fn with_recorder(
        &mut self,
        act: impl FnOnce(&mut Recorder<Store>) -> Vec<RecorderEvent>,
    ) -> Vec<RecorderEvent> {
        self.recorder.as_mut().map(act).unwrap_or_default()
    }

    fn tracks(&mut self, tracks: Tracks) -> Vec<RecorderEvent> {
        self.tracks = Some(tracks.clone());
        if let Some(recorder) = &mut self.recorder {
            return recorder.set_tracks(tracks);
        }
        let store = Store::new(&self.plan, &self.names, &self.root);
        let Some(gate) = &self.plan.gate else {
            self.recorder = Some(Recorder::continuous(tracks, store));
            return Vec::new();
        };
        let reach_back = Duration::from_millis(gate.options.lookback_90k() / 90);
        let limits = PreRollLimits::new(
            reach_back + EVENT_DELAY,
            self.budget.pre_roll_bytes(PRE_ROLL_BYTES),
        );
        match Recorder::new(gate.options, limits, tracks, store) {
            Ok(recorder) => self.recorder = Some(recorder),
            Err(error) => {
                // The plan has tried these times.
                tracing::error!(gate = %gate.name, %error, "the gate's times were refused");
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
                self.drop_signals(DropReason::SignalQueueFull, 1);
            }
            return Vec::new();
        };
        let (outcome, events) = recorder.signal(signal);
        let reason = match outcome {
            SignalOutcome::Accepted => None,
            SignalOutcome::Late => Some(DropReason::SignalLate),
            SignalOutcome::Ahead => Some(DropReason::SignalAhead),
            SignalOutcome::Overflow => Some(DropReason::SignalQueueFull),
        };
        if let Some(reason) = reason {
            self.drop_signals(reason, 1);
        }
        events
    }

    fn drop_signals(&self, reason: DropReason, count: u64) {
        let counters = self.speaker.counters();
        counters.dropped(self.plan.switch(), reason, count);
    }

    fn tell(&mut self, events: Vec<RecorderEvent>) {
        for event in events {
            match event {
                RecorderEvent::Started {
                    recording,
                    path,
                    clip,
                } => {
                    if clip.start_90k > clip.wanted_start_90k {
                        let late_ms = (clip.start_90k - clip.wanted_start_90k) / 90;
                        tracing::warn!(path = %path.display(), late_ms, "the clip begins later than asked");
                    }
                    let body = self.place(&path);
                    self.started = Some((recording, body.clone()));
                    self.say(EventName::RecordingStarted, body);
                }
                RecorderEvent::Stopped { path, .. } => {
                    self.started = None;
                    let body = self.place(&path);
                    self.say(EventName::RecordingStopped, body);
                }
                RecorderEvent::Available { report, .. } | RecorderEvent::Recovered { report } => {
                    self.finished(&report);
                    let body = self.place_of_file(&report.path);
                    self.say(EventName::RecordingAvailable, body);
                }
                RecorderEvent::Extended { report, .. } => self.finished(&report),
                RecorderEvent::Failed { recording, error } => {
                    tracing::error!(sink = %self.plan.sink.name, error = %error, "a recording failed");
                    let (name, body) = Failure::clip(&error, self.root.display().to_string()).said();
                    self.say(name, body);
                    // Whoever waits for its end hears of it; if it goes on, that is another recording.
                    let started = self.started.take_if(|(number, _)| *number == recording);
                    if let Some((_, body)) = started {
                        self.say(EventName::RecordingStopped, body);
                    }
                }
                RecorderEvent::CleanupFailed { error } => {
                    tracing::warn!(sink = %self.plan.sink.name, error = %error, "beside a recording");
                    // Said once in each recording, and nothing heals it but a person.
                    if matches!(error, ClipError::ForeignPlaylist { .. }) {
                        let (name, body) = Failure::clip(&error, self.root.display().to_string()).said();
                        self.say(name, body);
                    }
                }
                RecorderEvent::NoMedia { .. } => self.drop_signals(DropReason::ClipMissed, 1),
                // `RecorderEvent` may grow.
                _ => {}
            }
        }
    }

    fn say(&self, name: EventName, body: EventBody) {
        self.speaker.say(event_now(name, &self.plan.sink.subject, body));
    }

    fn finished(&self, report: &ClipReport) {
        self.count(report);
        if let Some(previews) = &self.previews {
            previews.of(report);
        }
    }

    fn count(&self, report: &ClipReport) {
        let ticks = report
            .last_timestamp_90k
            .saturating_sub(report.first_timestamp_90k);
        self.speaker.counters().clip(ClipInfo {
            sink: self.plan.sink.name.clone(),
            path: report.path.clone(),
            first_timestamp_90k: report.first_timestamp_90k,
            seconds: ticks as f64 / 90_000.0,
            video_packets: report.video_packets,
        });
    }

    /// How events name a recording: the file, or the asset or video whose folder holds its files.
    fn place(&self, path: &Path) -> EventBody {
        let folder = || path.file_name().unwrap_or_default().to_string_lossy();
        EventBody::Recording(match self.plan.place {
            Place::Asset(_) => Recording::new(OutputType::AssetName, folder()),
            Place::Video(_) => Recording::new(OutputType::VideoName, folder()),
            Place::Files(_) => Recording::new(OutputType::FilePath, path.to_string_lossy()),
        })
    }

    fn place_of_file(&self, file: &Path) -> EventBody {
        match self.plan.place {
            Place::Asset(_) | Place::Video(_) => self.place(file.parent().unwrap_or(file)),
            Place::Files(_) => self.place(file),
        }
    }
}

/// Takes a sink's own of what was finished; that of others stays for them.
fn take_written_by(waiting: &mut Vec<ClipReport>, writer: &str) -> Vec<ClipReport> {
    waiting
        .extract_if(.., |report| report.sidecar.owner == writer)
        .collect()
}

#[cfg(test)]
mod tests;
