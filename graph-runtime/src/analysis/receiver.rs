//! How a node takes frames from its input slot: the newest first, with pauses after failures.

use std::time::{Duration, Instant};

use super::results::Results;
use crate::flow::{Frame, InputSlot};
use crate::stats::DropReason;

/// How long a node pauses after a panic.
pub(super) const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(5);

/// A node's end of its input slot. What is taken is counted as in flight by its results.
#[derive(Debug)]
pub(super) struct FrameReceiver {
    slot: InputSlot,
    /// No frame is taken before: the node panicked, or its extension asked for a pause.
    paused_until: Option<Instant>,
}

impl FrameReceiver {
    pub(super) fn new(slot: InputSlot) -> Self {
        Self {
            slot,
            paused_until: None,
        }
    }

    pub(super) fn set_replace_reason(&self, reason: DropReason) {
        self.slot.set_replace_reason(reason);
    }

    /// Takes no frame for this time, so that none is rendered that would not be sent.
    pub(super) fn pause(&mut self, time: Duration) {
        self.paused_until = Instant::now().checked_add(time);
    }

    /// The newest frame, after the pause; `None` when no more come.
    pub(super) async fn next(&mut self, results: &Results) -> Option<Frame> {
        if let Some(until) = self.paused_until {
            self.set_replace_reason(DropReason::ExtensionUnavailable);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.closed() => {}
            }
            self.paused_until = None;
        }
        let frame = self.slot.next().await;
        frame.inspect(|_| results.on_taken())
    }

    /// The frame that waits, if one does.
    pub(super) fn take(&self, results: &Results) -> Option<Frame> {
        let frame = self.slot.take();
        frame.inspect(|_| results.on_taken())
    }

    /// When the node stops, the frame that waits is dropped.
    pub(super) fn drop_waiting(&self, results: &Results) {
        if let Some(frame) = self.take(results) {
            results.dropped(&frame.into_in_flight(), DropReason::Stopped);
        }
    }

    /// Waits until a frame was put in or no more come, since the last wait.
    pub(super) async fn changed(&self) {
        self.slot.changed().await;
    }

    /// Waits until no more frames come.
    pub(super) async fn closed(&self) {
        self.slot.closed().await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.slot.is_closed()
    }
}
