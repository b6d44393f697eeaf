//! The queue to a recorder's thread, and its senders: for units, for events that open the gate, and for sidecars.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use lva_recording::{MediaUnit, Signal, Tracks};
use lva_rtsp::{AccessUnit, MediaKind, StreamInfo};
use tokio::sync::mpsc;

use super::stream_clock::{CrossClock, StreamClock};
use crate::convert::recording::{MediaSelection, RecordedStreams, media_unit, recorded_streams};
use crate::stats::{DropReason, NodeCounters};

/// Units that wait for the disk: more than half a minute of a typical camera.
pub(crate) const QUEUE: usize = 2048;
/// Places in the queue that units and results never take, so that signals find space.
pub(crate) const RESERVED: usize = 256;
/// Bytes of units that wait for the disk, for each sink.
pub(crate) const QUEUE_BYTES: usize = 64 << 20;

/// A command to a recorder's thread.
pub(crate) enum RecorderCommand {
    /// The instance starts.
    Begin,
    Tracks(Tracks),
    Unit(MediaUnit),
    Signal(Signal),
    Metadata(u64, String),
}

/// Sends the camera's units to a recorder.
#[derive(Debug)]
pub(crate) struct RecorderInput {
    sender: mpsc::Sender<RecorderCommand>,
    bytes: Arc<AtomicUsize>,
    /// Of the sink.
    counters: NodeCounters,
    waits_for_key: bool,
    /// The reason for that.
    reason: DropReason,
    /// The most bytes of units that may wait.
    most_bytes: usize,
    media: MediaSelection,
    /// What it records of the camera, once that is known.
    streams: Option<RecordedStreams>,
    /// The recorder gets new parameters before the next unit.
    due: bool,
}

/// Sends events that open the gate of a recorder.
#[derive(Debug, Clone)]
pub(crate) struct SignalInput {
    sender: mpsc::Sender<RecorderCommand>,
    /// Of the gate, or of the sink without a gate.
    counters: NodeCounters,
    /// Of the stream that is recorded.
    recorded: StreamClock,
    /// From the stream that the events are about, where that is another one.
    cross: Option<CrossClock>,
}

/// Sends results that are stored in the sidecar of a recording.
#[derive(Debug, Clone)]
pub(crate) struct MetadataInput {
    sender: mpsc::Sender<RecorderCommand>,
    /// Of the sink.
    counters: NodeCounters,
    /// From the stream that the results are about, where that is another one than the recorded one.
    cross: Option<CrossClock>,
}

impl RecorderInput {
    /// A queue of at most this many bytes, and its receiver. The counters are those of the sink.
    pub(crate) fn new(
        counters: NodeCounters,
        most_bytes: usize,
        media: MediaSelection,
    ) -> (Self, mpsc::Receiver<RecorderCommand>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let input = Self {
            sender,
            bytes: Arc::default(),
            counters,
            waits_for_key: true,
            reason: DropReason::NoKeyFrame,
            most_bytes,
            media,
            streams: None,
            due: false,
        };
        (input, receiver)
    }

    /// A sender of signals, which counts for the gate. The clock is that of the recorded stream.
    pub(crate) fn signals(&self, gate: NodeCounters, recorded: StreamClock) -> SignalInput {
        SignalInput {
            sender: self.sender.clone(),
            counters: gate,
            recorded,
            cross: None,
        }
    }

    /// Bytes of the units in the queue; the receiver subtracts each unit that it takes.
    pub(crate) fn waiting_bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.bytes)
    }

    /// A sender of results for the sidecar.
    pub(crate) fn metadata(&self) -> MetadataInput {
        MetadataInput {
            sender: self.sender.clone(),
            counters: self.counters.clone(),
            cross: None,
        }
    }

    /// The instance starts. A recorder that never gets this leaves the disk alone.
    pub(crate) fn begin(&self) {
        if self.sender.try_send(RecorderCommand::Begin).is_err() {
            tracing::error!("a recorder's thread ended before its instance started");
        }
    }

    /// Whether the selectors between the camera and the sink let audio pass.
    pub(crate) fn wants_audio(&self) -> bool {
        self.media.passes_audio()
    }

    /// The camera's streams from the next unit on.
    pub(crate) fn streams(&mut self, streams: &[StreamInfo]) {
        let recorded = recorded_streams(streams, &self.media);
        self.due |= recorded.is_some() && recorded != self.streams;
        self.streams = recorded;
    }

    /// Whether a unit is for the recorder. Video always is, if only to be counted.
    pub(crate) fn wants(&self, stream: usize, media: MediaKind) -> bool {
        let recorded = self
            .streams
            .as_ref()
            .is_some_and(|streams| streams.contains(stream));
        recorded || media == MediaKind::Video
    }

    /// Queues a unit, or drops it and what follows up to a key frame when the disk is far behind. Never waits.
    pub(crate) fn unit(&mut self, unit: &AccessUnit) {
        let recorded = self.streams.as_ref();
        let Some(streams) = recorded.filter(|streams| streams.contains(unit.stream)) else {
            return self.drop_from_here(DropReason::NotRecordable);
        };
        let length = unit.data.len();
        let fits = self.sender.capacity() > RESERVED
            && self.bytes.load(Ordering::Relaxed).saturating_add(length) <= self.most_bytes;
        if !fits {
            return self.drop_from_here(DropReason::RecorderBusy);
        }
        let key = unit.media == MediaKind::Video && unit.keyframe;
        if self.waits_for_key && !key {
            self.counters.dropped(self.reason, 1);
            return;
        }
        if self.due {
            let tracks = RecorderCommand::Tracks(streams.tracks.clone());
            if self.sender.try_send(tracks).is_err() {
                return self.drop_from_here(DropReason::RecorderBusy);
            }
            self.due = false;
        }
        self.waits_for_key = false;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        let unit = RecorderCommand::Unit(media_unit(unit));
        if self.sender.try_send(unit).is_err() {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            self.drop_from_here(DropReason::RecorderBusy);
        }
    }

    /// Units were lost upstream.
    pub(crate) fn wait_for_key(&mut self) {
        (self.waits_for_key, self.reason) = (true, DropReason::NoKeyFrame);
    }

    /// Drops a unit because memory is short, and all that follow up to a key frame.
    pub(crate) fn drop_over_budget(&mut self) {
        self.drop_from_here(DropReason::OverBudget);
    }

    fn drop_from_here(&mut self, reason: DropReason) {
        (self.waits_for_key, self.reason) = (true, reason);
        self.counters.dropped(reason, 1);
    }
}

impl SignalInput {
    /// The same for events about another stream.
    pub(crate) fn across(&self, clocks: CrossClock) -> Self {
        Self {
            cross: Some(clocks),
            ..self.clone()
        }
    }

    /// An event happened at this media time of the stream that it is about.
    pub(crate) fn signal(&self, timestamp_90k: u64) {
        let cross = self.cross.as_ref();
        self.send(
            cross.map_or(timestamp_90k, |cross| cross.translate(timestamp_90k)),
            None,
        );
    }

    /// A message came with this time, or stands for the picture that arrives with it, or before the first one for the time of
    /// the wall clock.
    pub(crate) fn message(&self, timestamp_90k: Option<u64>, wall_90k: u64, correlation_id: Option<String>) {
        let now = || self.recorded.media_now_90k(Instant::now()).unwrap_or(wall_90k);
        self.send(timestamp_90k.unwrap_or_else(now), correlation_id);
    }

    fn send(&self, timestamp_90k: u64, correlation_id: Option<String>) {
        let signal = Signal {
            timestamp_90k,
            correlation_id,
        };
        if self.sender.try_send(RecorderCommand::Signal(signal)).is_err() {
            self.counters.dropped(DropReason::SignalQueueFull, 1);
        }
    }
}

impl MetadataInput {
    /// The same for results about another stream.
    pub(crate) fn across(&self, clocks: CrossClock) -> Self {
        Self {
            cross: Some(clocks),
            ..self.clone()
        }
    }

    /// What was found at this media time, as a line of JSON.
    pub(crate) fn add(&self, timestamp_90k: u64, json: String) {
        let cross = self.cross.as_ref();
        let timestamp_90k = cross.map_or(timestamp_90k, |cross| cross.translate(timestamp_90k));
        let metadata = RecorderCommand::Metadata(timestamp_90k, json);
        // The reserved places are for signals: a clip is worth more than its sidecar.
        if self.sender.capacity() <= RESERVED || self.sender.try_send(metadata).is_err() {
            self.counters.dropped(DropReason::RecorderBusy, 1);
        }
    }
}

#[cfg(test)]
impl RecorderInput {
    /// An input that records a stream of number 0, and a function that takes units out of its queue.
    pub(crate) fn detached(
        counters: NodeCounters,
        most_bytes: usize,
    ) -> (Self, impl FnMut() -> Option<MediaUnit>) {
        let (mut input, mut receiver) = Self::new(counters, most_bytes, MediaSelection::default());
        input.set_test_video();
        let bytes = input.waiting_bytes();
        let take = move || {
            loop {
                match receiver.try_recv() {
                    Ok(RecorderCommand::Unit(unit)) => {
                        bytes.fetch_sub(unit.data.len(), Ordering::Relaxed);
                        return Some(unit);
                    }
                    Ok(RecorderCommand::Tracks(_)) => {}
                    _ => return None,
                }
            }
        };
        (input, take)
    }

    /// As if the camera had a video of number 0.
    pub(crate) fn set_test_video(&mut self) {
        let mut video = StreamInfo::new(0, MediaKind::Video, lva_rtsp::Codec::H264, 90_000);
        let avcc: &[u8] = &[
            1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5,
        ];
        video.extra_data = avcc.into();
        video.size = Some((160, 120));
        self.streams(&[video]);
    }
}
