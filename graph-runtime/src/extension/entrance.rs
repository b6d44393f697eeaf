//! Where pictures wait for a node, and how it takes them: the newest next, with rests in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::results::Results;
use crate::frame::{Frame, Mailbox};
use crate::stats::DropReason;

/// How long a node rests after a defect.
pub(crate) const AFTER_DEFECT: Duration = Duration::from_secs(5);

/// Where a node's pictures wait, and why one that is replaced there was not sent.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    pub(crate) mailbox: Arc<Mailbox>,
    replaced: Arc<Mutex<DropReason>>,
}

impl Default for Entrance {
    fn default() -> Self {
        Self {
            mailbox: Arc::default(),
            replaced: Arc::new(Mutex::new(DropReason::ExtensionUnavailable)),
        }
    }
}

impl Entrance {
    pub(crate) fn replaces_because(&self, reason: DropReason) {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why a picture that is replaced now is not sent: what the node's task knows.
    pub(crate) fn why_replaced(&self) -> DropReason {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's own end of its entrance. What is taken is in the hands of its results.
#[derive(Debug)]
pub(crate) struct Intake {
    entrance: Entrance,
    /// The node works no sooner: it had a defect, or whom it asks wants to be left alone.
    paused_until: Option<Instant>,
}

impl Intake {
    pub(crate) fn new(entrance: Entrance) -> Self {
        Self {
            entrance,
            paused_until: None,
        }
    }

    pub(crate) fn replaces_because(&self, reason: DropReason) {
        self.entrance.replaces_because(reason);
    }

    /// Nothing is taken for so long, and so nothing is made ready that would not be sent.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.paused_until = Instant::now().checked_add(time);
    }

    /// The newest picture, after the pause; `None` when no more come.
    pub(crate) async fn next(&mut self, results: &Results) -> Option<Frame> {
        if let Some(until) = self.paused_until {
            self.replaces_because(DropReason::ExtensionUnavailable);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.closed() => {}
            }
            self.paused_until = None;
        }
        let frame = self.entrance.mailbox.next().await;
        frame.inspect(|_| results.took())
    }

    /// The picture that waits, if one does.
    pub(crate) fn take(&self, results: &Results) -> Option<Frame> {
        let frame = self.entrance.mailbox.take();
        frame.inspect(|_| results.took())
    }

    /// At the end, the picture that waits is not shown any more.
    pub(crate) fn drop_waiting(&self, results: &Results) {
        if let Some(frame) = self.take(results) {
            results.dropped(&frame.leaving(), DropReason::Stopped);
        }
    }

    /// Waits until a picture was put in or no more come, since the last wait.
    pub(crate) async fn changed(&self) {
        self.entrance.mailbox.changed().await;
    }

    /// Until no more pictures come.
    pub(crate) async fn closed(&self) {
        self.entrance.mailbox.closed().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.entrance.mailbox.is_closed()
    }
}
