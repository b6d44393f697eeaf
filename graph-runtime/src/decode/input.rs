//! The queue to the decoder's thread.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use lva_framing::VideoCodec;
use lva_rtsp::AccessUnit;

use crate::stats::{DropReason, NodeCounters};

/// Units that wait for the decoder: two seconds of a typical camera. With fewer, a short stall of the machine costs the rest
/// of a group of pictures; with more, what is analysed may be older than that.
pub(super) const QUEUE: usize = 64;

pub(super) enum Command {
    /// A session began, or its parameters changed.
    Stream {
        codec: VideoCodec,
        extra_data: Bytes,
    },
    Unit {
        unit: AccessUnit,
        epoch: u64,
    },
    /// The camera is disconnected, for an unknown time.
    Pause,
}

/// The sender of the queue. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct DecoderInput {
    sender: SyncSender<Command>,
    counters: NodeCounters,
    /// Nothing can be decoded until the next key frame.
    waits_for_key: bool,
    /// The reason for that.
    reason: DropReason,
    /// A change of stream that found the queue full.
    due: Option<(VideoCodec, Bytes)>,
}

impl DecoderInput {
    /// Counts for the source.
    pub(super) fn new(counters: NodeCounters) -> (Self, Receiver<Command>) {
        let (sender, receiver) = sync_channel(QUEUE);
        let input = Self {
            sender,
            counters,
            waits_for_key: true,
            reason: DropReason::NoKeyFrame,
            due: None,
        };
        (input, receiver)
    }

    /// The stream from the next unit on.
    pub(crate) fn stream(&mut self, codec: VideoCodec, extra_data: Bytes) {
        self.due = Some((codec, extra_data));
    }

    /// Queues a unit, or drops it and all that follow up to a key frame when the decoder is behind. Never waits.
    pub(crate) fn unit(&mut self, unit: AccessUnit, epoch: u64) {
        if self.waits_for_key && !unit.keyframe {
            self.counters.dropped(self.reason, 1);
            return;
        }
        if let Some((codec, extra_data)) = self.due.take() {
            let stream = Command::Stream {
                codec,
                extra_data: extra_data.clone(),
            };
            if self.sender.try_send(stream).is_err() {
                self.due = Some((codec, extra_data));
                self.drop_from_here(DropReason::DecoderBusy);
                return;
            }
        }
        if self.sender.try_send(Command::Unit { unit, epoch }).is_ok() {
            self.waits_for_key = false;
        } else {
            self.drop_from_here(DropReason::DecoderBusy);
        }
    }

    /// Drops a unit because memory is short, and all that follow up to a key frame.
    pub(crate) fn drop_over_budget(&mut self) {
        self.drop_from_here(DropReason::OverBudget);
    }

    /// The camera is disconnected. Best effort: behind a full queue it does not matter.
    pub(crate) fn pause(&mut self) {
        let _ = self.sender.try_send(Command::Pause);
    }

    /// Units were lost upstream.
    pub(crate) fn wait_for_key(&mut self) {
        (self.waits_for_key, self.reason) = (true, DropReason::NoKeyFrame);
    }

    fn drop_from_here(&mut self, reason: DropReason) {
        (self.waits_for_key, self.reason) = (true, reason);
        self.counters.dropped(reason, 1);
    }
}

#[cfg(test)]
impl DecoderInput {
    /// An input without a thread, and a function that takes a command out of its queue.
    pub(crate) fn detached(counters: NodeCounters) -> (Self, impl FnMut() -> bool) {
        let (input, receiver) = Self::new(counters);
        (input, move || receiver.try_recv().is_ok())
    }
}
