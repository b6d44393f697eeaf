//! The ends of the queue to a recorder's thread: for units, for events that open its gate, and for what is kept beside the media.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lva_recording::{MediaUnit, Signal, Tracks};
use lva_rtsp::{AccessUnit, MediaKind, StreamInfo};
use tokio::sync::mpsc;

use crate::plan::MediaSelection;
use crate::seam::recording::{RECORDED_AUDIO, Taken, media_unit, taken};
use crate::stats::{Counters, DropReason};

/// Units that wait for the disk: more than half a minute of a usual camera.
pub(super) const QUEUE: usize = 2048;
/// Places in the queue that units and results never take, so that signals find room.
pub(super) const RESERVED: usize = 256;
/// Bytes of units that wait for the disk, for each sink.
pub(super) const QUEUE_BYTES: usize = 64 << 20;
/// What a recorder's thread is told.
pub(super) enum Command {
    /// The instance runs.
    Begin,
    Tracks(Tracks),
    Unit(MediaUnit),
    Signal(Signal),
    Metadata(u64, String),
}

/// The source's end of the queue to a recorder.
#[derive(Debug)]
pub(crate) struct RecorderInput {
    sender: mpsc::Sender<Command>,
    bytes: Arc<AtomicUsize>,
    sink: String,
    counters: Counters,
    waits_for_key: bool,
    /// Why.
    reason: DropReason,
    /// Bytes of units that may wait.
    most_bytes: usize,
    media: MediaSelection,
    /// What it takes of the camera, as far as that is known.
    taken: Option<Taken>,
    /// The recorder has to be told before the next unit.
    due: bool,
}

/// The end of it by which events open the gate.
#[derive(Debug, Clone)]
pub(crate) struct SignalInput {
    sender: mpsc::Sender<Command>,
    gate: String,
    counters: Counters,
}

impl RecorderInput {
    /// A queue of at most so many bytes, and its other end.
    pub(super) fn new(
        sink: String,
        counters: Counters,
        most_bytes: usize,
        media: MediaSelection,
    ) -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let input = Self {
            sender,
            bytes: Arc::default(),
            sink,
            counters,
            waits_for_key: true,
            reason: DropReason::NoKeyFrame,
            most_bytes,
            media,
            taken: None,
            due: false,
        };
        (input, receiver)
    }

    /// Where events go that open the gate of this name.
    pub(super) fn signals(&self, gate: String) -> SignalInput {
        SignalInput {
            sender: self.sender.clone(),
            gate,
            counters: self.counters.clone(),
        }
    }

    /// Bytes of the units in the queue; whoever takes one out subtracts its own.
    pub(super) fn waiting_bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.bytes)
    }

    /// Where results go that are to be kept with the recording.
    pub(crate) fn metadata(&self) -> MetadataInput {
        MetadataInput {
            sender: self.sender.clone(),
            sink: self.sink.clone(),
            counters: self.counters.clone(),
        }
    }

    /// The instance runs. Comes before anything else; whoever never hears it leaves the disk alone.
    pub(crate) fn begin(&self) {
        if self.sender.try_send(Command::Begin).is_err() {
            tracing::error!(sink = %self.sink, "the recorder is gone before it began");
        }
    }

    /// Whether the way from the camera lets sound pass.
    pub(crate) fn wants_sound(&self) -> bool {
        self.media.passes(RECORDED_AUDIO)
    }

    /// The camera's streams from the next unit on.
    pub(crate) fn streams(&mut self, streams: &[StreamInfo]) {
        let taken = taken(streams, &self.media);
        self.due |= taken.is_some() && taken != self.taken;
        self.taken = taken;
    }

    /// Whether a unit is for the recorder. Video always is, if only to be counted.
    pub(crate) fn wants(&self, stream: usize, media: MediaKind) -> bool {
        let taken = self.taken.as_ref().is_some_and(|taken| taken.takes(stream));
        taken || media == MediaKind::Video
    }

    /// Gives a unit, or drops it and what follows up to a key frame when the disk is far behind. Never waits.
    pub(crate) fn unit(&mut self, unit: &AccessUnit, media: MediaKind) {
        let Some(taken) = self.taken.as_ref().filter(|taken| taken.takes(unit.stream)) else {
            return self.drop_from_here(DropReason::NotRecordable);
        };
        let length = unit.data.len();
        let room = self.sender.capacity() > RESERVED
            && self.bytes.load(Ordering::Relaxed).saturating_add(length) <= self.most_bytes;
        if !room {
            return self.drop_from_here(DropReason::RecorderBusy);
        }
        let key = media == MediaKind::Video && unit.random_access;
        if self.waits_for_key && !key {
            self.counters.dropped(&self.sink, self.reason, 1);
            return;
        }
        if self.due {
            let tracks = Command::Tracks(taken.tracks.clone());
            if self.sender.try_send(tracks).is_err() {
                return self.drop_from_here(DropReason::RecorderBusy);
            }
            self.due = false;
        }
        self.waits_for_key = false;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        let unit = Command::Unit(media_unit(unit, media));
        if self.sender.try_send(unit).is_err() {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            self.drop_from_here(DropReason::RecorderBusy);
        }
    }

    /// Something was lost before it came here.
    pub(crate) fn wait_for_key(&mut self) {
        (self.waits_for_key, self.reason) = (true, DropReason::NoKeyFrame);
    }

    /// A unit is dropped for want of memory, and so is all that follows up to a key frame.
    pub(crate) fn refuse(&mut self) {
        self.drop_from_here(DropReason::OverBudget);
    }

    fn drop_from_here(&mut self, reason: DropReason) {
        (self.waits_for_key, self.reason) = (true, reason);
        self.counters.dropped(&self.sink, reason, 1);
    }
}

impl SignalInput {
    /// An event happened at this media time.
    pub(crate) fn signal(&self, timestamp_90k: u64) {
        self.signal_with(timestamp_90k, None);
    }

    /// The same for an event that is traced by an id.
    pub(crate) fn signal_with(&self, timestamp_90k: u64, correlation_id: Option<String>) {
        let signal = Signal {
            timestamp_90k,
            correlation_id,
        };
        if self.sender.try_send(Command::Signal(signal)).is_err() {
            self.counters.dropped(&self.gate, DropReason::SignalQueueFull, 1);
        }
    }
}

/// The end of it by which a tracker's results come to lie beside the media.
#[derive(Debug, Clone)]
pub(crate) struct MetadataInput {
    sender: mpsc::Sender<Command>,
    sink: String,
    counters: Counters,
}

impl MetadataInput {
    /// What was seen at this media time, as a line of JSON.
    pub(crate) fn add(&self, timestamp_90k: u64, json: String) {
        let metadata = Command::Metadata(timestamp_90k, json);
        // What is reserved is for signals: a clip is worth more than what is said about it.
        if self.sender.capacity() <= RESERVED || self.sender.try_send(metadata).is_err() {
            self.counters.dropped(&self.sink, DropReason::RecorderBusy, 1);
        }
    }
}

#[cfg(test)]
impl RecorderInput {
    /// An input that takes a stream of this number, and whose units are taken out, one by one, by a test.
    pub(crate) fn unserved(
        counters: Counters,
        most_bytes: usize,
    ) -> (Self, impl FnMut() -> Option<MediaUnit>) {
        let all = MediaSelection::default();
        let (mut input, mut receiver) = Self::new("sink".into(), counters, most_bytes, all);
        input.take_video();
        let bytes = input.waiting_bytes();
        let take = move || {
            loop {
                match receiver.try_recv() {
                    Ok(Command::Unit(unit)) => {
                        bytes.fetch_sub(unit.data.len(), Ordering::Relaxed);
                        return Some(unit);
                    }
                    Ok(Command::Tracks(_)) => {}
                    _ => return None,
                }
            }
        };
        (input, take)
    }

    /// As if the camera had a video of number 0.
    pub(super) fn take_video(&mut self) {
        let mut video = StreamInfo::new(0, MediaKind::Video, lva_rtsp::Codec::H264, 90_000);
        let avcc: &[u8] = &[
            1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5,
        ];
        video.extra_data = avcc.into();
        video.size = Some((160, 120));
        self.streams(&[video]);
    }
}
