//! Where the newest frame waits for a node.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::frame::Frame;
use crate::stats::DropReason;

/// Holds the newest frame for one node: a newer one replaces it. Clones are the same slot.
#[derive(Debug, Clone)]
pub(crate) struct InputSlot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    frame: Option<Frame>,
    closed: bool,
    /// Why a frame that is replaced now was not sent: what the node's task knows.
    replace_reason: DropReason,
}

impl Default for InputSlot {
    fn default() -> Self {
        let state = State {
            frame: None,
            closed: false,
            replace_reason: DropReason::ExtensionUnavailable,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }
}

impl InputSlot {
    /// Puts a frame in; returns the one that it replaces, and why that one was not sent.
    pub(crate) fn put(&self, frame: Frame) -> Option<(Frame, DropReason)> {
        let mut state = self.0.state.lock();
        let replaced = state.frame.replace(frame);
        let reason = state.replace_reason;
        drop(state);
        self.0.changed.notify_one();
        replaced.map(|frame| (frame, reason))
    }

    pub(crate) fn set_replace_reason(&self, reason: DropReason) {
        self.0.state.lock().replace_reason = reason;
    }

    /// The newest frame, if one waits.
    pub(crate) fn take(&self) -> Option<Frame> {
        self.0.state.lock().frame.take()
    }

    /// No more frames come.
    pub(crate) fn close(&self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.state.lock().closed
    }

    /// Waits until a frame was put in or the slot was closed, since the last wait. For one waiter.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// The newest frame, as soon as there is one; `None` when no more come.
    pub(crate) async fn next(&self) -> Option<Frame> {
        loop {
            if self.is_closed() {
                return None;
            }
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            self.changed().await;
        }
    }

    /// Waits until no more frames come.
    pub(crate) async fn closed(&self) {
        while !self.is_closed() {
            self.changed().await;
        }
    }
}
