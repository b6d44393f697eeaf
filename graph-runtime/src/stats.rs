//! What an instance counts.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lva_inference_schema::EventName;
use lva_recording::{PreRollStats, RecorderStats, StoreStats};

use crate::latency::{LastMinute, NodeLatency};

/// Latencies that are remembered, the newest ones.
const LATENCIES: usize = 4096;

/// Clips that are remembered.
const CLIPS: usize = 256;

/// Why something was dropped. Each is counted for the node where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The camera's queue was full; encoded units.
    CameraQueueFull,
    /// Decoding could not start at the unit: before a session's first key frame, or
    /// after a loss or a defect.
    NoKeyFrame,
    /// The decoder was behind; encoded units until the next key frame.
    DecoderBusy,
    /// The decoder had to guess at the picture after a loss.
    DamagedPicture,
    /// A newer picture took its place while the extension was busy.
    ReplacedByNewer,
    /// There was no session with the extension, or the node of one's own was hanging or waited to be made anew.
    ExtensionUnavailable,
    /// The extension before was busy with an earlier frame, which it would have overtaken.
    UpstreamBusy,
    /// It was on its way when the session with the extension ended.
    SessionLost,
    /// The extension answered later frames and not this one, or a node of one's own took too long for it.
    Unanswered,
    /// It could not be rendered or written as the extension wants it.
    NotRendered,
    /// A node of one's own failed on it, panicked, or could not be made anew.
    NodeFailed,
    /// A defect of this program ended the work on it.
    Defect,
    /// The instance was stopped while it waited.
    Stopped,
    /// The recorder was behind; encoded units until the next key frame.
    RecorderBusy,
    /// The instance held as much encoded media as it may; encoded units until the next key frame. Analysis gives way first.
    OverBudget,
    /// The seconds before an event were shortened because of that; encoded units, counted for the gate.
    PreRollShrunk,
    /// What the camera sends cannot be recorded, is not selected, or its parameters are not known yet: encoded pictures,
    /// and signals for a gate that had none to record.
    NotRecordable,
    /// The disk refused the recording that it belongs to; encoded units, as in [`RecordingStats`].
    NotWritten,
    /// A gate's clip, none of whose pictures was there: the event came after they had gone, or the camera was away.
    ClipMissed,
    /// A signal for a gate found its queue full.
    SignalQueueFull,
    /// A signal for a gate was older than what the gate had decided.
    SignalLate,
    /// A signal for a gate was more than a minute ahead of the media.
    SignalAhead,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 22] = [
        Self::CameraQueueFull,
        Self::NoKeyFrame,
        Self::DecoderBusy,
        Self::DamagedPicture,
        Self::ReplacedByNewer,
        Self::ExtensionUnavailable,
        Self::UpstreamBusy,
        Self::SessionLost,
        Self::Unanswered,
        Self::NotRendered,
        Self::NodeFailed,
        Self::Defect,
        Self::Stopped,
        Self::RecorderBusy,
        Self::OverBudget,
        Self::PreRollShrunk,
        Self::NotRecordable,
        Self::NotWritten,
        Self::ClipMissed,
        Self::SignalQueueFull,
        Self::SignalLate,
        Self::SignalAhead,
    ];

    /// Whether signals for gates are dropped, and not media.
    pub(crate) fn is_of_signals(self) -> bool {
        matches!(self, Self::SignalQueueFull | Self::SignalLate | Self::SignalAhead)
    }

    /// As a label of a metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CameraQueueFull => "cameraQueueFull",
            Self::NoKeyFrame => "noKeyFrame",
            Self::DecoderBusy => "decoderBusy",
            Self::DamagedPicture => "damagedPicture",
            Self::ReplacedByNewer => "replacedByNewer",
            Self::ExtensionUnavailable => "extensionUnavailable",
            Self::UpstreamBusy => "upstreamBusy",
            Self::SessionLost => "sessionLost",
            Self::Unanswered => "unanswered",
            Self::NotRendered => "notRendered",
            Self::NodeFailed => "nodeFailed",
            Self::Defect => "defect",
            Self::Stopped => "stopped",
            Self::RecorderBusy => "recorderBusy",
            Self::OverBudget => "overBudget",
            Self::PreRollShrunk => "preRollShrunk",
            Self::NotRecordable => "notRecordable",
            Self::NotWritten => "notWritten",
            Self::ClipMissed => "clipMissed",
            Self::SignalQueueFull => "signalQueueFull",
            Self::SignalLate => "signalLate",
            Self::SignalAhead => "signalAhead",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to the frames of one extension node, or of one of your own, which is given a frame where an extension is
/// sent one. `sent = answered + lost + on their way`, and `offered = answered + dropped + on their way + waiting`, where
/// `dropped` is what [`InstanceStats::dropped`] has for the node, over all reasons; `dropped - lost` of these were never
/// sent. In the end nothing waits and nothing is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExtensionStats {
    /// Pictures that the frame rate of the node (or of filters before it) left out, of those that reached it; not drops,
    /// but policy. Behind a motion node only pictures with motion reach it.
    pub filtered: u64,
    /// Pictures that it was to be shown, and those dropped as [`UpstreamBusy`](DropReason::UpstreamBusy).
    pub offered: u64,
    /// Frames that were rendered and sent.
    pub sent: u64,
    /// Frames that were answered, empty answers included.
    pub answered: u64,
    /// Frames that were sent and not answered; each is dropped for a reason, too.
    pub lost: u64,
    /// Sessions that were opened; of a node of your own, how often it was made.
    pub sessions: u64,
}

/// What a motion node has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MotionStats {
    /// Pictures that it looked at.
    pub looked: u64,
    /// Of these, pictures with motion; they go on to the nodes behind it.
    pub moving: u64,
    /// Events, each of which joins the motion of `eventAggregationWindow`.
    pub events: u64,
}

/// What a recording sink has done and what it could not, since activation. Numbers only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecordingStats {
    /// What was recorded and what failed; with `not_written`, the units that passed while the disk refused them.
    pub recorder: RecorderStats,
    /// What was removed for size or age, finished after a crash, and left out beside the media.
    pub store: StoreStats,
    /// What the seconds before an event did not keep.
    pub pre_roll: PreRollStats,
    /// Pictures beside the files of a video sink with `enableVideoPreviewImage`.
    pub previews: PreviewStats,
}

/// Finished files by what became of their preview pictures; all zero where none are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PreviewStats {
    /// Files that have them.
    pub made: u64,
    /// Files whose key frame was no whole picture, or where the disk refused them. The file itself is not touched by it.
    pub failed: u64,
    /// Files whose turn did not come, because four others waited, and those that were gone before it.
    pub left_out: u64,
}

/// Encoded media that an instance holds in memory, in bytes: in the queues to the decoder and the recorders, in pre-rolls and
/// in writers. A unit that lies in several of them counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MemoryStats {
    /// What it may hold: [`RuntimeOptions::with_memory_budget`](crate::RuntimeOptions::with_memory_budget).
    pub budget_bytes: u64,
    /// What it holds now; 0 after it was deactivated.
    pub used_bytes: u64,
    /// The most that it held since activation; never more than the budget.
    pub highest_bytes: u64,
}

/// A latency's distribution over the newest 4096 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LatencySummary {
    /// How many there were in all.
    pub count: u64,
    /// The median.
    pub p50: Duration,
    /// Exceeded by one in a hundred.
    pub p99: Duration,
    /// The largest.
    pub max: Duration,
}

/// What an instance has done; all but latencies and memory only grows, from activation on.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct InstanceStats {
    /// Sessions with the camera.
    pub camera_sessions: u64,
    /// Encoded pictures that came from the camera.
    pub received: u64,
    /// Media time of the first picture of the newest session; the simulator begins a file with it.
    pub first_picture_90k: Option<u64>,
    /// Media time of the newest picture.
    pub last_picture_90k: Option<u64>,
    /// Pictures that were decoded.
    pub decoded: u64,
    /// Encoded pictures that were not, because nobody wanted them and no wanted picture needs them; no drops, but thrift.
    pub not_decoded: u64,
    /// By the name of the extension node, or of the node of your own.
    pub extensions: BTreeMap<String, ExtensionStats>,
    /// By the name of the motion node.
    pub motions: BTreeMap<String, MotionStats>,
    /// Encoded media in memory.
    pub memory: MemoryStats,
    /// What was dropped, by the name of the node and the reason.
    pub dropped: BTreeMap<(String, DropReason), u64>,
    /// Events that were said, by name.
    pub events: BTreeMap<EventName, u64>,
    /// From the arrival of a frame's first packet to the way out of an extension's event; frames without an event do not
    /// count, nor does motion, whose events wait for their window.
    pub frame_to_event: LatencySummary,
    /// From the arrival of a frame's first packet to the extension's answer, empty answers included.
    pub frame_to_answer: LatencySummary,
    /// By the name of each node that looks at frames, over the last minute; absent where no frame left the node in it. From
    /// the arrival of a frame's first packet to the extension's answer, or to the end of the look of motion detection,
    /// object tracking and line crossing, so that of nodes in line the later one's is the larger.
    pub latencies: BTreeMap<String, NodeLatency>,
    /// By the name of the recording sink; absent until the camera's stream is known.
    pub recordings: BTreeMap<String, RecordingStats>,
    /// Clips that were finished.
    pub clips: u64,
    /// The newest 256 of them, oldest first.
    pub newest_clips: Vec<ClipInfo>,
}

/// A clip that was finished.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClipInfo {
    /// Name of the sink that recorded it.
    pub sink: String,
    /// The file.
    pub path: PathBuf,
    /// Media time of its first picture.
    pub first_timestamp_90k: u64,
    /// From its first to its last picture, in seconds.
    pub seconds: f64,
    /// Pictures in it.
    pub video_packets: u64,
}

impl InstanceStats {
    /// Everything that was dropped for a reason, over all nodes.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        let matching = self.dropped.iter().filter(|((_, why), _)| *why == reason);
        matching.map(|(_, count)| count).sum()
    }
}

#[derive(Debug, Default)]
struct Latencies {
    count: u64,
    newest: VecDeque<Duration>,
}

impl Latencies {
    fn add(&mut self, latency: Duration) {
        self.count += 1;
        if self.newest.len() == LATENCIES {
            self.newest.pop_front();
        }
        self.newest.push_back(latency);
    }

    fn summary(&self) -> LatencySummary {
        let mut sorted: Vec<Duration> = self.newest.iter().copied().collect();
        sorted.sort_unstable();
        // Nearest rank.
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(rank).copied().unwrap_or_default()
        };
        LatencySummary {
            count: self.count,
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    stats: InstanceStats,
    frame_to_event: Latencies,
    frame_to_answer: Latencies,
    nodes: BTreeMap<String, LastMinute>,
    /// Media time of the newest picture, and when it arrived.
    arrived: Option<(u64, Instant)>,
}

impl Inner {
    fn left(&mut self, node: &str, latency: Duration, now: Instant) {
        match self.nodes.get_mut(node) {
            Some(minute) => minute.add(now, latency),
            None => self.nodes.entry(node.to_owned()).or_default().add(now, latency),
        }
    }
}

/// The counters of an instance, shared by its tasks and threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(Arc<Mutex<Inner>>);

impl Counters {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut InstanceStats)) {
        change(&mut self.lock().stats);
    }

    /// A picture has come from the camera.
    pub(crate) fn received(&self, timestamp_90k: u64, received_at: Instant) {
        let mut inner = self.lock();
        inner.stats.received += 1;
        inner.stats.first_picture_90k.get_or_insert(timestamp_90k);
        inner.stats.last_picture_90k = Some(timestamp_90k);
        // One that is presented before others that came before it does not make it earlier.
        if inner.arrived.is_none_or(|(newest, _)| newest < timestamp_90k) {
            inner.arrived = Some((timestamp_90k, received_at));
        }
    }

    /// The media time of what arrives now; `None` before the first picture.
    pub(crate) fn media_now_90k(&self, now: Instant) -> Option<u64> {
        let (newest, at) = self.lock().arrived?;
        let since = now.saturating_duration_since(at);
        let ticks = since.as_nanos().saturating_mul(9) / 100_000;
        Some(newest.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)))
    }

    pub(crate) fn extension(&self, node: &str, change: impl FnOnce(&mut ExtensionStats)) {
        let mut inner = self.lock();
        let extensions = &mut inner.stats.extensions;
        match extensions.get_mut(node) {
            Some(stats) => change(stats),
            None => change(extensions.entry(node.to_owned()).or_default()),
        }
    }

    pub(crate) fn motion(&self, node: &str, change: impl FnOnce(&mut MotionStats)) {
        let mut inner = self.lock();
        let motions = &mut inner.stats.motions;
        match motions.get_mut(node) {
            Some(stats) => change(stats),
            None => change(motions.entry(node.to_owned()).or_default()),
        }
    }

    pub(crate) fn recording(&self, sink: &str, change: impl FnOnce(&mut RecordingStats)) {
        let mut inner = self.lock();
        let recordings = &mut inner.stats.recordings;
        match recordings.get_mut(sink) {
            Some(stats) => change(stats),
            None => change(recordings.entry(sink.to_owned()).or_default()),
        }
    }

    pub(crate) fn dropped(&self, node: &str, reason: DropReason, count: u64) {
        if count > 0 {
            let key = (node.to_owned(), reason);
            *self.lock().stats.dropped.entry(key).or_default() += count;
        }
    }

    pub(crate) fn event(&self, name: EventName) {
        *self.lock().stats.events.entry(name).or_default() += 1;
    }

    pub(crate) fn clip(&self, clip: ClipInfo) {
        let mut inner = self.lock();
        inner.stats.clips += 1;
        if inner.stats.newest_clips.len() == CLIPS {
            inner.stats.newest_clips.remove(0);
        }
        inner.stats.newest_clips.push(clip);
    }

    /// An extension has answered a frame that came at `received_at`.
    pub(crate) fn answered(&self, node: &str, received_at: Instant, now: Instant) {
        let mut inner = self.lock();
        let latency = now.saturating_duration_since(received_at);
        inner.frame_to_answer.add(latency);
        inner.left(node, latency, now);
    }

    /// A node is done with a frame that came at `received_at`.
    pub(crate) fn left(&self, node: &str, received_at: Instant, now: Instant) {
        let latency = now.saturating_duration_since(received_at);
        self.lock().left(node, latency, now);
    }

    pub(crate) fn event_after(&self, latency: Duration) {
        self.lock().frame_to_event.add(latency);
    }

    /// What was dropped up to now.
    pub(crate) fn drops(&self) -> BTreeMap<(String, DropReason), u64> {
        self.lock().stats.dropped.clone()
    }

    pub(crate) fn snapshot(&self) -> InstanceStats {
        self.snapshot_at(Instant::now())
    }

    fn snapshot_at(&self, now: Instant) -> InstanceStats {
        let inner = self.lock();
        let minutes = inner.nodes.iter();
        let latencies = minutes.filter_map(|(node, minute)| Some((node.clone(), minute.summary(now)?)));
        InstanceStats {
            latencies: latencies.collect(),
            frame_to_event: inner.frame_to_event.summary(),
            frame_to_answer: inner.frame_to_answer.summary(),
            ..inner.stats.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), LatencySummary::default());
        for ms in (1..=200).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        let summary = latencies.summary();
        let ms = Duration::from_millis;
        assert_eq!(
            (summary.p50, summary.p99, summary.max),
            (ms(100), ms(198), ms(200))
        );
    }

    #[test]
    fn only_the_newest_latencies_are_kept() {
        let mut latencies = Latencies::default();
        latencies.add(Duration::from_secs(100));
        for _ in 0..LATENCIES {
            latencies.add(Duration::from_secs(1));
        }
        let summary = latencies.summary();
        assert_eq!(
            (summary.count, summary.max),
            (LATENCIES as u64 + 1, Duration::from_secs(1))
        );
    }

    #[test]
    fn latencies_are_told_apart_by_node() {
        let counters = Counters::default();
        let began = Instant::now();
        let ms = |ms| began + Duration::from_millis(ms);
        counters.answered("quick", began, ms(10));
        counters.answered("slow", began, ms(100));
        counters.answered("slow", ms(100), ms(400));
        let stats = counters.snapshot_at(ms(500));
        let told = |node: &str| (stats.latencies[node].average, stats.latencies[node].max);
        assert_eq!(
            told("quick"),
            (Duration::from_millis(10), Duration::from_millis(10))
        );
        assert_eq!(
            told("slow"),
            (Duration::from_millis(200), Duration::from_millis(300))
        );
        assert_eq!(stats.frame_to_answer.count, 3);
        counters.left("motion", began, ms(450));
        let stats = counters.snapshot_at(ms(500));
        assert_eq!(stats.latencies["motion"].max, Duration::from_millis(450));
        assert_eq!(stats.frame_to_answer.count, 3, "nobody was asked");
        assert!(counters.snapshot_at(ms(120_000)).latencies.is_empty());
    }

    #[test]
    fn media_time_goes_on_from_the_newest_picture_whatever_the_wall_clock_shows() {
        let counters = Counters::default();
        let began = Instant::now();
        let seconds = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(counters.media_now_90k(began), None);
        counters.received(1000 * 90_000, seconds(0));
        counters.received(1001 * 90_000, seconds(1));
        counters.received(1000 * 90_000 + 45_000, seconds(2)); // reordered
        assert_eq!(counters.media_now_90k(seconds(3)), Some(1003 * 90_000));
        counters.received(4600 * 90_000, seconds(4));
        assert_eq!(counters.media_now_90k(seconds(4)), Some(4600 * 90_000));
        assert_eq!(counters.snapshot().received, 4);
    }

    #[test]
    fn labels_of_reasons_are_distinct() {
        let labels: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(labels.len(), DropReason::ALL.len());
    }
}
