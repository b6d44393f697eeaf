//! The way of units to the decoder's thread.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use bytes::Bytes;
use lva_framing::VideoCodec;
use lva_rtsp::AccessUnit;

use crate::stats::{Counters, DropReason};

/// Units that wait for the decoder: two seconds of a usual camera. Fewer, and a hiccup of the machine costs the rest
/// of a group of pictures; more, and what is analysed may be older than that.
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
    /// The camera is lost; nobody knows for how long.
    Pause,
}

/// The queue to the decoder's thread. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct DecoderInput {
    sender: SyncSender<Command>,
    node: String,
    counters: Counters,
    /// Until the next key frame nothing can be decoded.
    waits_for_key: bool,
    /// Why.
    reason: DropReason,
    /// A change of stream that found the queue full.
    due: Option<(VideoCodec, Bytes)>,
}

impl DecoderInput {
    /// `node` is the source.
    pub(super) fn new(node: String, counters: Counters) -> (Self, Receiver<Command>) {
        let (sender, receiver) = sync_channel(QUEUE);
        let input = Self {
            sender,
            node,
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

    /// Gives a unit, or drops it and all that follow up to a key frame when the decoder is behind. Never waits.
    pub(crate) fn unit(&mut self, unit: AccessUnit, epoch: u64) {
        if self.waits_for_key && !unit.random_access {
            self.counters.dropped(&self.node, self.reason, 1);
            return;
        }
        if let Some((codec, extra_data)) = self.due.take() {
            let stream = Command::Stream {
                codec,
                extra_data: extra_data.clone(),
            };
            if !self.try_send(stream) {
                self.due = Some((codec, extra_data));
                self.drop_from_here(DropReason::DecoderBusy);
                return;
            }
        }
        if self.try_send(Command::Unit { unit, epoch }) {
            self.waits_for_key = false;
        } else {
            self.drop_from_here(DropReason::DecoderBusy);
        }
    }

    /// A unit of the stream is dropped for want of memory, and so is all that follows up to a key frame.
    pub(crate) fn refuse(&mut self) {
        self.drop_from_here(DropReason::OverBudget);
    }

    /// The camera is lost. Best effort: behind a full queue it does not matter.
    pub(crate) fn pause(&mut self) {
        self.try_send(Command::Pause);
    }

    /// Something was lost before it came here.
    pub(crate) fn wait_for_key(&mut self) {
        (self.waits_for_key, self.reason) = (true, DropReason::NoKeyFrame);
    }

    fn drop_from_here(&mut self, reason: DropReason) {
        (self.waits_for_key, self.reason) = (true, reason);
        self.counters.dropped(&self.node, reason, 1);
    }

    fn try_send(&self, command: Command) -> bool {
        match self.sender.try_send(command) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

#[cfg(test)]
impl DecoderInput {
    /// An input whose units are taken out, one by one, by a test.
    pub(crate) fn unserved(counters: Counters) -> (Self, impl FnMut() -> bool) {
        let (input, receiver) = Self::new("camera".to_owned(), counters);
        (input, move || receiver.try_recv().is_ok())
    }
}
