//! The counters behind [`InstanceStats`]: a handle for each node, which counts without a lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lva_inference_schema::EventName;
use parking_lot::Mutex;

use super::latency::LastMinute;
use super::{
    ClipInfo, DropReason, ExtensionStats, InstanceStats, LatencySummary, MotionStats, RecordingStats,
};

/// Latencies that are kept, the newest ones.
const LATENCIES: usize = 4096;

/// Clips that are listed.
const CLIPS: usize = 256;

/// What was dropped, by node and reason.
pub(crate) type Drops = BTreeMap<(String, DropReason), u64>;

/// A number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::AcqRel);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Raises the number to at least this.
    fn raise_to(&self, least: u64) {
        self.0.fetch_max(least, Ordering::AcqRel);
    }
}

/// The counters of an instance, shared by its tasks and threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    received: Count,
    decoded: Count,
    skipped: Count,
    pictures: Mutex<Pictures>,
    events: Mutex<BTreeMap<EventName, u64>>,
    clips: Mutex<Clips>,
    frame_to_event: Mutex<Latencies>,
    frame_to_answer: Mutex<Latencies>,
    nodes: Mutex<BTreeMap<String, NodeCounters>>,
}

/// Media times of pictures from the camera's first stream.
#[derive(Debug, Default)]
struct Pictures {
    first_90k: Option<u64>,
    last_90k: Option<u64>,
}

#[derive(Debug, Default)]
struct Clips {
    count: u64,
    newest: VecDeque<ClipInfo>,
}

/// The counters of one node. Clones are the same counters.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeCounters(Arc<NodeInner>);

#[derive(Debug, Default)]
struct NodeInner {
    /// By the number of the reason.
    dropped: [Count; DropReason::ALL.len()],
    frames: OnceLock<FrameCounters>,
    motion: OnceLock<MotionCounters>,
    recording: Mutex<Option<RecordingStats>>,
    latency: Mutex<LastMinute>,
}

/// Atomic counters with the fields of a public struct. Fields are read in the given order: later steps of a frame come first,
/// so that no frame seems to be answered before it was sent.
macro_rules! counters_of {
    ($(#[$doc:meta])* $counters:ident => $stats:ident { $($field:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $counters {
            $(pub(crate) $field: Count),+
        }

        impl $counters {
            fn read(&self) -> $stats {
                $(let $field = self.$field.get();)+
                $stats { $($field),+ }
            }
        }
    };
}

counters_of! {
    /// See [`ExtensionStats`].
    FrameCounters => ExtensionStats { answered, lost, sent, offered, filtered, sessions }
}
counters_of! {
    /// See [`MotionStats`].
    MotionCounters => MotionStats { events, moving, looked, filtered }
}

impl Counters {
    /// The handle of a node.
    pub(crate) fn node(&self, name: &str) -> NodeCounters {
        let mut nodes = self.0.nodes.lock();
        match nodes.get(name) {
            Some(node) => node.clone(),
            None => nodes.entry(name.to_owned()).or_default().clone(),
        }
    }

    /// A picture has come from the camera; the time is of its first stream alone.
    pub(crate) fn received(&self, timestamp_90k: Option<u64>) {
        self.0.received.add(1);
        if let Some(time) = timestamp_90k {
            let mut pictures = self.0.pictures.lock();
            pictures.first_90k.get_or_insert(time);
            pictures.last_90k = Some(time);
        }
    }

    /// A new session of the first stream begins: its first picture is still to come.
    pub(crate) fn session_began(&self) {
        self.0.pictures.lock().first_90k = None;
    }

    /// What the decoder did since it was asked last.
    pub(crate) fn decoded(&self, pictures: u64, skipped: u64) {
        self.0.decoded.add(pictures);
        self.0.skipped.add(skipped);
    }

    pub(crate) fn event(&self, name: EventName) {
        *self.0.events.lock().entry(name).or_default() += 1;
    }

    pub(crate) fn clip(&self, clip: ClipInfo) {
        let mut clips = self.0.clips.lock();
        clips.count += 1;
        if clips.newest.len() == CLIPS {
            clips.newest.pop_front();
        }
        clips.newest.push_back(clip);
    }

    /// An extension has answered a frame that arrived at `received_at`.
    pub(crate) fn answered(&self, received_at: Instant, now: Instant) {
        let latency = now.saturating_duration_since(received_at);
        self.0.frame_to_answer.lock().add(latency);
    }

    pub(crate) fn event_after(&self, latency: Duration) {
        self.0.frame_to_event.lock().add(latency);
    }

    /// What was dropped up to now.
    pub(crate) fn drops(&self) -> Drops {
        drops(&self.0.nodes.lock())
    }

    pub(crate) fn snapshot(&self) -> InstanceStats {
        self.snapshot_at(Instant::now())
    }

    fn snapshot_at(&self, now: Instant) -> InstanceStats {
        let inner = &self.0;
        let nodes = inner.nodes.lock();
        // Before what was offered: a frame counts as offered first, so the drops never exceed the offers.
        let dropped = drops(&nodes);
        let of_nodes = || nodes.iter().map(|(name, node)| (name, &*node.0));
        let named = |name: &String| name.clone();
        let (pictures, clips) = (inner.pictures.lock(), inner.clips.lock());
        InstanceStats {
            received: inner.received.get(),
            first_picture_90k: pictures.first_90k,
            last_picture_90k: pictures.last_90k,
            decoded: inner.decoded.get(),
            skipped: inner.skipped.get(),
            extensions: of_nodes()
                .filter_map(|(name, node)| Some((named(name), node.frames.get()?.read())))
                .collect(),
            motions: of_nodes()
                .filter_map(|(name, node)| Some((named(name), node.motion.get()?.read())))
                .collect(),
            dropped,
            events: inner.events.lock().clone(),
            frame_to_event: inner.frame_to_event.lock().summary(),
            frame_to_answer: inner.frame_to_answer.lock().summary(),
            latencies: of_nodes()
                .filter_map(|(name, node)| Some((named(name), node.latency.lock().summary(now)?)))
                .collect(),
            recordings: of_nodes()
                .filter_map(|(name, node)| Some((named(name), (*node.recording.lock())?)))
                .collect(),
            clips: clips.count,
            newest_clips: clips.newest.iter().cloned().collect(),
            ..InstanceStats::default()
        }
    }
}

fn drops(nodes: &BTreeMap<String, NodeCounters>) -> Drops {
    let mut drops = Drops::new();
    for (name, node) in nodes {
        for (reason, count) in DropReason::ALL.iter().zip(&node.0.dropped) {
            let count = count.get();
            if count > 0 {
                drops.insert((name.clone(), *reason), count);
            }
        }
    }
    drops
}

impl NodeCounters {
    pub(crate) fn dropped(&self, reason: DropReason, count: u64) {
        if let Some(dropped) = self.0.dropped.get(reason as usize) {
            dropped.add(count);
        }
    }

    /// Of an extension or a custom node; the node is listed from the first call on.
    pub(crate) fn frames(&self) -> &FrameCounters {
        self.0.frames.get_or_init(FrameCounters::default)
    }

    /// Of a motion node; it is listed from the first call on.
    pub(crate) fn motion(&self) -> &MotionCounters {
        self.0.motion.get_or_init(MotionCounters::default)
    }

    /// Of a recording sink; it is listed from the first call on.
    pub(crate) fn recording(&self, change: impl FnOnce(&mut RecordingStats)) {
        change(self.0.recording.lock().get_or_insert_default());
    }

    /// The node is done with a frame that arrived at `received_at`.
    pub(crate) fn frame_done(&self, received_at: Instant, now: Instant) {
        let latency = now.saturating_duration_since(received_at);
        self.0.latency.lock().add(now, latency);
    }
}

impl FrameCounters {
    /// What was sent and not answered is lost. An answer may be counted before its frame is counted as sent.
    pub(crate) fn lose_in_flight(&self) {
        let answered = self.answered.get();
        self.sent.raise_to(answered);
        self.lost.raise_to(self.sent.get().saturating_sub(answered));
    }
}

/// The newest latencies, exactly: a histogram of all of them could not forget the old ones.
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
    fn latencies_are_kept_by_node() {
        let counters = Counters::default();
        let began = Instant::now();
        let ms = |ms| began + Duration::from_millis(ms);
        let answered = |node: &str, received_at, now| {
            counters.answered(received_at, now);
            counters.node(node).frame_done(received_at, now);
        };
        answered("quick", began, ms(10));
        answered("slow", began, ms(100));
        answered("slow", ms(100), ms(400));
        let stats = counters.snapshot_at(ms(500));
        let of = |node: &str| (stats.latencies[node].average, stats.latencies[node].max);
        assert_eq!(
            of("quick"),
            (Duration::from_millis(10), Duration::from_millis(10))
        );
        assert_eq!(
            of("slow"),
            (Duration::from_millis(200), Duration::from_millis(300))
        );
        assert_eq!(stats.frame_to_answer.count, 3);
        counters.node("motion").frame_done(began, ms(450));
        let stats = counters.snapshot_at(ms(500));
        assert_eq!(stats.latencies["motion"].max, Duration::from_millis(450));
        assert_eq!(stats.frame_to_answer.count, 3, "no extension answered");
        assert!(counters.snapshot_at(ms(120_000)).latencies.is_empty());
    }
}
