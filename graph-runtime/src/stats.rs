//! What an instance counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lva_inference_schema::EventName;
use lva_recording::{PreRollStats, RecorderStats, StoreStats};
use serde::Serialize;

pub(crate) use self::counters::{Counters, Drops, NodeCounters};
pub use self::drop_reason::DropReason;
pub use self::latency::NodeLatency;

mod counters;
mod drop_reason;
mod json;
mod latency;

/// The frames of one extension or custom node. `sent = answered + lost + in flight`, and
/// `offered = answered + dropped + in flight + waiting`, where `dropped` is the sum of [`InstanceStats::dropped`] for the
/// node over all reasons; `dropped - lost` of these were never sent. After the end, no frame waits or is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExtensionStats {
    /// Pictures that the frame rate of the node, or a filter before it, excluded: policy, not drops. Behind a motion node
    /// only pictures with motion count.
    pub filtered: u64,
    /// Pictures that were due for the node, and those dropped as [`UpstreamBusy`](DropReason::UpstreamBusy).
    pub offered: u64,
    /// Frames that were rendered and sent, or given to the custom node.
    pub sent: u64,
    /// Frames that were answered, empty answers included.
    pub answered: u64,
    /// Frames that were sent and not answered; each is also dropped for a reason.
    pub lost: u64,
    /// Sessions that were opened; of a custom node, how often it was created.
    pub sessions: u64,
}

/// What a motion node detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MotionStats {
    /// Pictures that a filter before it excluded: policy, not drops.
    pub filtered: u64,
    /// Pictures that it examined.
    pub looked: u64,
    /// Of these, pictures with motion; they go on to the nodes behind it.
    pub moving: u64,
    /// Events, each of which joins the motion of one `eventAggregationWindow`.
    pub events: u64,
}

/// What a recording sink recorded and what it could not, since activation. Numbers only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RecordingStats {
    /// What was recorded and what failed; `not_written` counts units that passed while the disk rejected them.
    pub recorder: RecorderStats,
    /// What was removed for size or age, finished after a crash, and skipped in sidecars.
    pub store: StoreStats,
    /// What the pre-roll evicted.
    pub pre_roll: PreRollStats,
    /// Preview pictures of a video sink with `enableVideoPreviewImage`.
    pub previews: PreviewStats,
}

/// Finished files by the result of their preview pictures; all zero where no previews are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PreviewStats {
    /// Files with previews.
    pub made: u64,
    /// Files without, because the key frame did not decode or the disk rejected the previews. The file itself stays as it is.
    pub failed: u64,
    /// Files without, because four others were waiting or the file was removed before its turn.
    pub skipped: u64,
}

/// Encoded media that an instance holds in memory, in bytes: in the queues to the decoder and the recorders, in pre-rolls and
/// in writers. A unit that is in several of them counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MemoryStats {
    /// The limit: [`RuntimeOptions::with_memory_budget`](crate::RuntimeOptions::with_memory_budget).
    pub budget_bytes: u64,
    /// Bytes held now; 0 after deactivation.
    pub used_bytes: u64,
    /// The most bytes held since activation; never more than the budget.
    pub highest_bytes: u64,
}

/// A latency's distribution over the newest 4096 samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LatencySummary {
    /// Samples since activation.
    pub count: u64,
    /// The median.
    #[serde(rename = "p50Seconds", serialize_with = "json::seconds")]
    pub p50: Duration,
    /// Exceeded by one in a hundred.
    #[serde(rename = "p99Seconds", serialize_with = "json::seconds")]
    pub p99: Duration,
    /// The largest.
    #[serde(rename = "maxSeconds", serialize_with = "json::seconds")]
    pub max: Duration,
}

/// What an instance did. Everything but latencies and memory only rises, from activation on.
///
/// Serialized with names in camel case, durations in seconds (`p50Seconds`), and `dropped` as an object of nodes, each with its
/// reasons.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InstanceStats {
    /// Sessions with the camera, of all its streams.
    pub camera_sessions: u64,
    /// Encoded pictures from the camera, of all its streams.
    pub received: u64,
    /// Bytes of encoded pictures and audio from the camera, by the name of the source.
    pub received_bytes: BTreeMap<String, u64>,
    /// Media time of the first picture of the newest session of the first RTSP source; the simulator starts a file with it.
    pub first_picture_90k: Option<u64>,
    /// Media time of the newest picture of the first RTSP source.
    pub last_picture_90k: Option<u64>,
    /// Pictures that were decoded.
    pub decoded: u64,
    /// Encoded pictures that were not decoded, because no node wanted them and no wanted picture depends on them; not drops.
    pub skipped: u64,
    /// By the name of the extension or custom node.
    pub extensions: BTreeMap<String, ExtensionStats>,
    /// By the name of the motion node.
    pub motions: BTreeMap<String, MotionStats>,
    /// Encoded media in memory.
    pub memory: MemoryStats,
    /// What was dropped, by the name of the node and the reason.
    #[serde(serialize_with = "json::drops")]
    pub dropped: BTreeMap<(String, DropReason), u64>,
    /// Emitted events by name.
    #[serde(serialize_with = "json::events")]
    pub events: BTreeMap<EventName, u64>,
    /// From the arrival of a frame's first packet to the emission of an extension's event; frames without an event do not
    /// count, nor does motion, whose events wait for their window.
    pub frame_to_event: LatencySummary,
    /// From the arrival of a frame's first packet to the extension's answer, empty answers included.
    pub frame_to_answer: LatencySummary,
    /// By the name of each node that processes frames, over the last minute; absent where no frame left the node in it. From
    /// the arrival of a frame's first packet to the extension's answer, or to the end of motion detection, object tracking or
    /// line crossing: of nodes in series the later one has the larger latency.
    pub latencies: BTreeMap<String, NodeLatency>,
    /// By the name of the recording sink; absent until the camera's stream is known.
    pub recordings: BTreeMap<String, RecordingStats>,
    /// Clips that were finished.
    pub clips: u64,
    /// The newest 256 of them, oldest first.
    pub newest_clips: Vec<ClipInfo>,
}

/// A clip that was finished.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClipInfo {
    /// Name of the sink that recorded it.
    pub sink: String,
    /// The file.
    #[serde(serialize_with = "json::path")]
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
