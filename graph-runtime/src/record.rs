//! From a gate to files: one thread for each recording sink.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use lva_inference_schema::{DataDropped, EventBody, EventName, OutputType, Recording};
use lva_recording::{
    ClipError, ClipFolder, MediaUnit, NewClip, PreRollLimits, Recorder, RecorderEvent, Signal, SignalOutcome,
    Track, Tracks, clip_path,
};
use tokio::sync::mpsc;

use crate::event::event_now;
use crate::failure::Failure;
use crate::instance::Speaker;
use crate::plan::{GatePlan, Place, RecordingPlan};
use crate::stats::{ClipInfo, Counters, DropReason};
use crate::thread::Worker;

/// Units that wait for the disk: more than half a minute of a usual camera.
const QUEUE: usize = 2048;
/// Places in the queue that units never take, so that signals and changes of the stream find room.
const RESERVED: usize = 256;
/// Bytes of units that wait for the disk, for each sink.
const QUEUE_BYTES: usize = 64 << 20;
/// How late an event may arrive after its frame and still find its media: rendering, a slow model, an extension that
/// warms up.
const EVENT_DELAY: Duration = Duration::from_secs(20);
/// Encoded data in the pre-roll of each sink.
const PRE_ROLL_BYTES: usize = 96 << 20;
/// Letters that no asset name holds, as published.
const NOT_IN_ASSET_NAMES: &str = r"<>%&:\/?*+.'";
/// Letters of the longest asset name.
const MAX_ASSET_NAME: usize = 260;

enum Command {
    Tracks(Tracks),
    Unit(MediaUnit),
    Signal(u64),
}

/// The source's end of the queue to a recorder.
#[derive(Debug)]
pub(crate) struct RecorderInput {
    sender: mpsc::Sender<Command>,
    bytes: Arc<AtomicUsize>,
    sink: String,
    counters: Counters,
    waits_for_key: bool,
    /// Whether the way from the camera lets audio pass.
    pub(crate) audio: bool,
}

/// An extension's end of it.
#[derive(Debug, Clone)]
pub(crate) struct SignalInput {
    sender: mpsc::Sender<Command>,
    gate: String,
    counters: Counters,
}

impl RecorderInput {
    /// The streams from the next unit on.
    pub(crate) fn tracks(&mut self, tracks: Tracks) {
        if self.sender.try_send(Command::Tracks(tracks)).is_err() {
            // The reserve is gone too, so the disk stands still; units are dropped and counted anyway.
            tracing::error!(sink = %self.sink, "the recorder missed a change of the stream");
        }
    }

    /// Gives a unit, or drops it and what follows up to a key frame when the disk is far behind. Never waits.
    pub(crate) fn unit(&mut self, unit: MediaUnit) {
        let length = unit.data.len();
        let key = unit.track == Track::Video && unit.keyframe;
        let room = self.sender.capacity() > RESERVED
            && self.bytes.load(Ordering::Relaxed).saturating_add(length) <= QUEUE_BYTES;
        if !room || (self.waits_for_key && !key) {
            self.waits_for_key = true;
            self.counters.dropped(&self.sink, DropReason::RecorderBusy, 1);
            return;
        }
        self.waits_for_key = false;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        if self.sender.try_send(Command::Unit(unit)).is_err() {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            self.waits_for_key = true;
            self.counters.dropped(&self.sink, DropReason::RecorderBusy, 1);
        }
    }
}

impl SignalInput {
    /// An event happened at this media time.
    pub(crate) fn signal(&self, timestamp_90k: u64) {
        if self.sender.try_send(Command::Signal(timestamp_90k)).is_err() {
            self.counters.dropped(&self.gate, DropReason::SignalQueueFull, 1);
        }
    }

    /// The same, traced by an id.
    pub(crate) fn signal_with(&self, timestamp_90k: u64, _correlation_id: Option<String>) {
        self.signal(timestamp_90k);
    }
}

/// Starts the thread of a sink. It ends, with its clip finished, when all inputs are dropped.
pub(crate) fn start(
    plan: RecordingPlan,
    names: Names,
    root: PathBuf,
    speaker: Speaker,
) -> io::Result<(RecorderInput, SignalInput, Worker)> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let bytes = Arc::new(AtomicUsize::new(0));
    let counters = speaker.counters().clone();
    let input = RecorderInput {
        sender: sender.clone(),
        bytes: Arc::clone(&bytes),
        sink: plan.sink.name.clone(),
        counters: counters.clone(),
        waits_for_key: true,
        audio: plan.audio,
    };
    let signals = SignalInput {
        sender,
        gate: plan
            .gate
            .as_ref()
            .map_or_else(String::new, |gate| gate.name.clone()),
        counters,
    };
    let worker = Worker::start("lva-record", move || {
        let mut thread = RecorderThread {
            plan,
            names,
            root,
            speaker,
            bytes,
            recorder: None,
            written: VecDeque::new(),
        };
        thread.run(receiver);
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
    recorder: Option<Recorder<ClipFolder>>,
    /// Clips since activation with their sizes, oldest first.
    written: VecDeque<(PathBuf, u64)>,
}

impl RecorderThread {
    fn run(&mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            let events = match command {
                Command::Tracks(tracks) => self.tracks(tracks),
                Command::Unit(unit) => {
                    self.bytes.fetch_sub(unit.data.len(), Ordering::Relaxed);
                    self.recorder
                        .as_mut()
                        .map(|recorder| recorder.push(unit))
                        .unwrap_or_default()
                }
                Command::Signal(time) => self.signal(time),
            };
            self.tell(events);
        }
        let last = self.recorder.as_mut().map(Recorder::end).unwrap_or_default();
        self.tell(last);
    }

    fn tracks(&mut self, tracks: Tracks) -> Vec<RecorderEvent> {
        if let Some(recorder) = &mut self.recorder {
            return recorder.set_tracks(tracks);
        }
        let Some(GatePlan { name, options }) = self.plan.gate.clone() else {
            return Vec::new();
        };
        let reach_back = Duration::from_millis(options.reach_back_90k() / 90);
        let limits = PreRollLimits::new(reach_back + EVENT_DELAY, PRE_ROLL_BYTES);
        let store = folder(self.plan.place.clone(), self.names.clone(), self.root.clone());
        match Recorder::new(options, limits, tracks, store) {
            Ok(recorder) => self.recorder = Some(recorder),
            // The plan has tried these times.
            Err(error) => tracing::error!(gate = %name, %error, "the gate's times were refused"),
        }
        Vec::new()
    }

    fn signal(&mut self, time: u64) -> Vec<RecorderEvent> {
        let Some(recorder) = &mut self.recorder else {
            return Vec::new();
        };
        let (outcome, events) = recorder.signal(Signal::at(time));
        let reason = match outcome {
            SignalOutcome::Accepted => None,
            SignalOutcome::Late => Some(DropReason::SignalLate),
            SignalOutcome::Ahead => Some(DropReason::SignalAhead),
            SignalOutcome::Overflow => Some(DropReason::SignalQueueFull),
        };
        if let Some(reason) = reason {
            let gate = self.plan.gate.as_ref().map_or("", |gate| gate.name.as_str());
            self.speaker.counters().dropped(gate, reason, 1);
        }
        events
    }

    fn tell(&mut self, events: Vec<RecorderEvent>) {
        for event in events {
            let (name, body) = match event {
                RecorderEvent::Started { path, clip, .. } => {
                    if clip.start_90k > clip.wanted_start_90k {
                        let late_ms = (clip.start_90k - clip.wanted_start_90k) / 90;
                        tracing::warn!(path = %path.display(), late_ms, "the clip begins later than asked");
                    }
                    (EventName::RecordingStarted, self.recording(&path))
                }
                RecorderEvent::Stopped { path, .. } => (EventName::RecordingStopped, self.recording(&path)),
                RecorderEvent::Available { report, .. } => {
                    let ticks = report
                        .last_timestamp_90k
                        .saturating_sub(report.first_timestamp_90k);
                    let clip = ClipInfo {
                        sink: self.plan.sink.name.clone(),
                        path: report.path.clone(),
                        first_timestamp_90k: report.first_timestamp_90k,
                        seconds: ticks as f64 / 90_000.0,
                        video_packets: report.video_packets,
                    };
                    self.speaker.counters().clip(clip);
                    self.keep_within_limit(&report.path, report.bytes);
                    (EventName::RecordingAvailable, self.recording(&report.path))
                }
                RecorderEvent::Failed { error, .. } => {
                    tracing::error!(sink = %self.plan.sink.name, error = %error, "a recording failed");
                    Failure::clip(&error, self.root.display().to_string()).said()
                }
                RecorderEvent::Missed { .. } => (
                    EventName::DataDropped,
                    EventBody::DataDropped(DataDropped::new("media")),
                ),
                // `RecorderEvent` may grow.
                _ => continue,
            };
            self.speaker.say(event_now(name, &self.plan.sink.subject, body));
        }
    }

    fn recording(&self, path: &Path) -> EventBody {
        let recording = match self.plan.place {
            Place::Asset(_) => {
                let asset = path.parent().and_then(Path::file_name).unwrap_or_default();
                Recording::new(OutputType::AssetName, asset.to_string_lossy())
            }
            Place::Files(_) => Recording::new(OutputType::FilePath, path.to_string_lossy()),
            Place::Video(_) => Recording::new(OutputType::VideoName, path.to_string_lossy()),
        };
        EventBody::Recording(recording)
    }

    /// `maximumSizeMiB` of a file sink: the oldest clips of this activation go. The newest stays in any case.
    fn keep_within_limit(&mut self, path: &Path, bytes: u64) {
        let Place::Files(sink) = &self.plan.place else {
            return;
        };
        let Some(limit) = sink.maximum_bytes else {
            return;
        };
        self.written.push_back((path.to_owned(), bytes));
        let mut total: u64 = self.written.iter().map(|(_, bytes)| bytes).sum();
        while total > limit && self.written.len() > 1 {
            let Some((oldest, bytes)) = self.written.pop_front() else {
                break;
            };
            total -= bytes;
            if let Err(error) = std::fs::remove_file(&oldest) {
                tracing::warn!(path = %oldest.display(), %error, "an old clip was not removed");
            }
        }
    }
}

/// Clips of a sink below the recordings' folder.
fn folder(place: Place, names: Names, root: PathBuf) -> ClipFolder {
    ClipFolder::with_naming(move |new: &NewClip| {
        let render = |pattern: &lva_graph_model::Pattern| {
            // As published: the date in the name is when the sink began, not the event's.
            pattern.render(&names.topology, &names.instance, SystemTime::now())
        };
        let (folder, name) = match &place {
            Place::Asset(asset) => {
                let name = render(&asset.asset_name);
                if !is_asset_name(&name) {
                    let name = name.chars().take(MAX_ASSET_NAME).collect();
                    return Err(ClipError::Name { name });
                }
                (root.join(name), "${System.PreciseDateTime}".to_owned())
            }
            Place::Files(files) => (root.join(render(&files.directory)), render(&files.file_name)),
            Place::Video(video) => (
                root.join(render(&video.video_name)),
                "${System.PreciseDateTime}".to_owned(),
            ),
        };
        let path = clip_path(&folder, &name, new.start_90k)?;
        std::fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(|source| ClipError::Create {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    })
}

/// `^[^<>%&:\\\/?*+.']{1,260}$`, and nothing that a folder cannot be called.
fn is_asset_name(name: &str) -> bool {
    (1..=MAX_ASSET_NAME).contains(&name.chars().count())
        && !name
            .chars()
            .any(|c| NOT_IN_ASSET_NAMES.contains(c) || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asset_names_cannot_leave_their_folder() {
        assert!(is_asset_name("sampleAssetFromEVR-LVAEdge-20200517T175346Z"));
        for name in ["", "..", "a/b", "a\\b", "a.b", "a:b", "x\0", &"a".repeat(261)] {
            assert!(!is_asset_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_disk_that_stands_still_drops_up_to_a_key_frame_and_leaves_room_for_signals() {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let counters = Counters::default();
        let mut input = RecorderInput {
            sender: sender.clone(),
            bytes: Arc::default(),
            sink: "asset".into(),
            counters: counters.clone(),
            waits_for_key: true,
            audio: false,
        };
        let unit = |time, key| MediaUnit::video(time, key, vec![0].into());
        let dropped = || counters.snapshot().dropped_for(DropReason::RecorderBusy);
        input.unit(unit(0, false));
        assert_eq!(dropped(), 1, "a recording begins with a key frame");
        for time in 1..=(QUEUE - RESERVED) as u64 {
            input.unit(unit(time, time == 1));
        }
        assert_eq!(dropped(), 1);
        input.unit(unit(9000, true));
        assert_eq!(dropped(), 2);
        let signals = SignalInput {
            sender,
            gate: "gate".into(),
            counters: counters.clone(),
        };
        for _ in 0..RESERVED + 3 {
            signals.signal(5);
        }
        assert_eq!(counters.snapshot().dropped_for(DropReason::SignalQueueFull), 3);
        for _ in 0..=RESERVED {
            receiver.try_recv().unwrap();
        }
        input.unit(unit(9001, false));
        assert_eq!(dropped(), 3, "there is room, but no key frame");
        input.unit(unit(9002, true));
        assert_eq!(dropped(), 3);
    }

    #[test]
    fn large_units_are_bounded_in_bytes() {
        let (sender, _receiver) = mpsc::channel(QUEUE);
        let counters = Counters::default();
        let mut input = RecorderInput {
            sender,
            bytes: Arc::new(AtomicUsize::new(QUEUE_BYTES - 10)),
            sink: "asset".into(),
            counters: counters.clone(),
            waits_for_key: true,
            audio: false,
        };
        input.unit(MediaUnit::video(1, true, vec![0; 10].into()));
        input.unit(MediaUnit::video(2, true, vec![0; 1].into()));
        assert_eq!(counters.snapshot().dropped_for(DropReason::RecorderBusy), 1);
    }
}
