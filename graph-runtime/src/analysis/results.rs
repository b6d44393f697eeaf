//! The results of an analysis node: to gates, message sinks, trackers and the nodes behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lva_inference_schema::Inference;
use lva_inference_schema::body::EventBody;
use serde_json::Value;

use super::failure_throttle::FailureThrottle;
use crate::emitter::NodeReporter;
use crate::failure::Failure;
use crate::flow::{DownstreamFanout, FrameMeta, InFlightFrame, NodeOutputs};
use crate::panics::{Panicked, failpoint};
use crate::rate_limiter::RateLimiter;
use crate::stats::DropReason;
use crate::tracking::TrackerNode;

/// An extension's answer to a frame.
#[derive(Debug, Default)]
pub(super) struct ExtensionResult {
    /// Boxes are fractions of the camera's picture.
    pub(super) inferences: Vec<Inference>,
    /// The event's body as the extension wrote it, where that is to be kept.
    pub(super) body: Option<Value>,
}

/// Emits a node's results, passes its frames on, and counts them.
pub(super) struct Results {
    pub(super) node: NodeReporter,
    outputs: NodeOutputs,
    trackers: Vec<TrackerNode>,
    fanout: Option<Arc<DownstreamFanout>>,
    failure_throttle: FailureThrottle,
    panic_reports: RateLimiter,
    /// Frames that were taken from the input slot, and neither answered nor dropped.
    in_flight: AtomicU64,
}

impl Results {
    pub(super) fn new(
        outputs: NodeOutputs,
        trackers: Vec<TrackerNode>,
        fanout: Option<Arc<DownstreamFanout>>,
    ) -> Self {
        let node = outputs.node.clone();
        // Listed from the start.
        node.counters().frames();
        Self {
            node,
            outputs,
            trackers,
            fanout,
            failure_throttle: FailureThrottle::default(),
            panic_reports: RateLimiter::default(),
            in_flight: AtomicU64::new(0),
        }
    }

    /// A frame was taken from the input slot.
    pub(super) fn on_taken(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// The node's task panicked. Frames in flight are dropped, and tracks end.
    pub(super) fn on_panic(&mut self, panicked: &Panicked) {
        self.node.counters().frames().lose_in_flight();
        self.drop_frames(DropReason::InternalError, self.in_flight.load(Ordering::Relaxed));
        for tracker in &mut self.trackers {
            tracker.reset();
        }
        self.report_panic(panicked);
    }

    /// A part of the node's work panicked.
    pub(super) fn report_panic(&mut self, panicked: &Panicked) {
        self.node.on_panic(&mut self.panic_reports, panicked);
    }

    /// The extension has answered a frame.
    pub(super) fn answered(&mut self, mut frame: InFlightFrame, answer: ExtensionResult) {
        self.on_success();
        let received_at = frame.meta.received_at;
        self.node.counters().frames().answered.add(1);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.node
            .emitter()
            .counters()
            .answered(received_at, Instant::now());
        self.node.frame_done(received_at);
        failpoint("answer", self.node.name());
        let meta = &mut frame.meta;
        let ExtensionResult { inferences, body } = answer;
        let (inferences, shown) = without_previews(inferences);
        // As the extension wrote it, unless the event has results from upstream as well.
        let body = body.filter(|_| meta.results.is_empty() || inferences.is_empty());
        if body.is_none() || !meta.results.is_empty() {
            meta.results = meta.results.iter().cloned().chain(inferences).collect();
            self.outputs.emit_results(meta);
        } else {
            meta.results = inferences.into();
        }
        let shown = shown.as_ref().unwrap_or(&meta.results);
        self.node.show(meta.timestamp_90k, shown);
        if let Some(body) = body {
            self.outputs.emit(meta, || EventBody::Other(body.clone()));
        }
        for tracker in &mut self.trackers {
            tracker.process(meta);
        }
        self.pass(&frame);
    }

    /// Results of a frame that was answered before, and has gone on: they are emitted, and open gates.
    pub(super) fn later(&mut self, mut meta: FrameMeta, inferences: Vec<Inference>) {
        self.on_success();
        let (inferences, shown) = without_previews(inferences);
        meta.results = inferences.into();
        self.node
            .show(meta.timestamp_90k, shown.as_ref().unwrap_or(&meta.results));
        self.outputs.emit_results(&meta);
    }

    /// Drops a frame for a reason; it goes on to the nodes behind without this node's results.
    pub(super) fn dropped(&self, frame: &InFlightFrame, reason: DropReason) {
        self.drop_frames(reason, 1);
        self.outputs.emit_results(&frame.meta);
        self.pass(frame);
    }

    /// The same for a frame that was sent.
    pub(super) fn lost(&self, frame: &InFlightFrame, reason: DropReason) {
        self.node.counters().frames().lost.add(1);
        self.dropped(frame, reason);
    }

    pub(super) fn drop_frames(&self, reason: DropReason, count: u64) {
        self.in_flight.fetch_sub(count, Ordering::Relaxed);
        self.node.dropped(reason, count);
    }

    pub(super) fn count_sent(&self) {
        self.node.counters().frames().sent.add(1);
    }

    pub(super) fn count_session(&self) {
        self.node.counters().frames().sessions.add(1);
    }

    /// The extension works: its next failure is reported again.
    pub(super) fn on_success(&mut self) {
        self.failure_throttle.on_success();
    }

    pub(super) fn report_failure(&mut self, failure: &Failure) {
        let kind = (failure.kind.event(), failure.code());
        if self
            .failure_throttle
            .should_report(kind.0, kind.1, Instant::now())
        {
            self.node.emit_failure(failure);
        }
    }

    fn pass(&self, frame: &InFlightFrame) {
        if let Some(fanout) = &self.fanout {
            fanout.pass_done(frame);
        }
    }
}

/// Takes out what is only to be looked at. All of it, where there is any, is for observers.
fn without_previews(found: Vec<Inference>) -> (Vec<Inference>, Option<Arc<[Inference]>>) {
    let is_plain = |inference: &Inference| !inference.is_preview() && !inference.has_notes();
    if found.iter().all(is_plain) {
        return (found, None);
    }
    let shown: Arc<[Inference]> = found.iter().cloned().collect();
    let mut found = found;
    found.retain(|inference| !inference.is_preview());
    found.iter_mut().for_each(Inference::remove_notes);
    (found, Some(shown))
}

impl Drop for Results {
    /// Also when a panic ends the task: the nodes behind must not wait for ever.
    fn drop(&mut self) {
        if let Some(fanout) = &self.fanout {
            fanout.close();
        }
    }
}
