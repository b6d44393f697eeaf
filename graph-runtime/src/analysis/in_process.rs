//! A running node in this process: one frame at a time on a thread of its own, the newest first.

use std::io;
use std::time::{Duration, Instant};

use lva_extension_protocol::Backoff;
use lva_inference_schema::Inference;

use self::thread::{End, InProcessThread, Report};
use super::NodeTimeouts;
use super::receiver::{FrameReceiver, PAUSE_AFTER_PANIC};
use super::results::{ExtensionResult, Results};
use crate::failure::Failure;
use crate::flow::{Frame, InFlightFrame, InputSlot};
use crate::node::{InProcessPlan, NodeBuildError};
use crate::panics::catch_panic_async;
use crate::stats::DropReason;
use crate::thread::Worker;

mod thread;

/// How long a node has to end after it was stopped; a part of the time for its last answer.
const END_TIMEOUT: Duration = Duration::from_millis(200);

/// One running node of this process.
pub(crate) struct InProcessNode {
    receiver: FrameReceiver,
    results: Results,
    timeouts: NodeTimeouts,
    thread: InProcessThread,
    worker: Worker,
    backoff: Backoff,
    created_at: Instant,
    /// When the input slot was closed.
    closed_at: Option<Instant>,
}

/// What happened first.
enum Waited {
    Report(Option<Report>),
    TimedOut,
    Stopped,
}

impl InProcessNode {
    pub(super) fn new(
        plan: InProcessPlan,
        slot: InputSlot,
        results: Results,
        timeouts: NodeTimeouts,
    ) -> io::Result<Self> {
        let (thread, worker) = InProcessThread::start(plan)?;
        results.count_session();
        Ok(Self {
            receiver: FrameReceiver::new(slot),
            results,
            timeouts,
            thread,
            worker,
            backoff: Backoff::new(timeouts.backoff),
            created_at: Instant::now(),
            closed_at: None,
        })
    }

    /// Runs until no more frames come.
    pub(crate) async fn run(mut self) {
        while let Err(panicked) = catch_panic_async(self.work()).await {
            self.results.on_panic(&panicked);
            self.receiver.pause(PAUSE_AFTER_PANIC);
        }
        self.receiver.drop_waiting(&self.results);
        self.end().await;
    }

    async fn work(&mut self) {
        while let Some(frame) = self.receiver.next(&self.results).await {
            self.process(frame).await;
        }
    }

    /// The nodes behind end first; then the thread has the rest of the time.
    async fn end(self) {
        let Self {
            results,
            thread,
            worker,
            closed_at,
            timeouts,
            ..
        } = self;
        let name = results.node.name().to_owned();
        drop(results);
        drop(thread);
        let now = Instant::now();
        let until = (closed_at.unwrap_or(now) + timeouts.last_answers).max(now + END_TIMEOUT);
        if tokio::time::timeout_at(until.into(), worker.ended())
            .await
            .is_err()
        {
            tracing::error!(node = %name, "a custom node blocks; its thread is left running, and its results are ignored");
        }
    }

    async fn process(&mut self, frame: Frame) {
        self.receiver.set_replace_reason(DropReason::ReplacedByNewer);
        let (picture, frame) = frame.split();
        if !self.thread.give(picture, &frame.meta) {
            return self.results.dropped(&frame, DropReason::ExtensionUnavailable);
        }
        self.results.count_sent();
        match self.wait().await {
            Waited::Report(Some(report)) => self.take(frame, report),
            Waited::Report(None) => self.results.lost(&frame, DropReason::NodeFailed),
            Waited::Stopped => self.results.lost(&frame, DropReason::Stopped),
            Waited::TimedOut => {
                tracing::error!(node = self.results.node.name(), waited = ?self.timeouts.answer, "a custom node exceeded the answer time-out");
                self.results.lost(&frame, DropReason::Unanswered);
                // No longer in flight: frames may pass to the nodes behind.
                drop(frame);
                self.results.report_failure(&Failure::node_timeout());
                self.bypass_until_back().await;
            }
        }
    }

    async fn wait(&mut self) -> Waited {
        let (receiver, closed_at) = (&self.receiver, &mut self.closed_at);
        let last = self.timeouts.last_answers.saturating_sub(END_TIMEOUT);
        let end = async {
            receiver.closed().await;
            *closed_at = Some(Instant::now());
            tokio::time::sleep(last).await;
        };
        tokio::select! {
            report = self.thread.report() => Waited::Report(report),
            () = tokio::time::sleep(self.timeouts.answer) => Waited::TimedOut,
            () = end => Waited::Stopped,
        }
    }

    /// Passes frames on without the node until it returns.
    async fn bypass_until_back(&mut self) {
        self.thread.cancel();
        loop {
            tokio::select! {
                report = self.thread.report() => {
                    // Its frame has gone on without its results.
                    let _ = report.and_then(|report| self.results_of(report));
                    return;
                }
                frame = self.receiver.next(&self.results) => match frame {
                    Some(frame) => {
                        self.results.dropped(&frame.into_in_flight(), DropReason::ExtensionUnavailable);
                    }
                    None => return,
                },
            }
        }
    }

    fn take(&mut self, frame: InFlightFrame, report: Report) {
        match self.results_of(report) {
            Some(inferences) => {
                let body = None;
                self.results.answered(frame, ExtensionResult { inferences, body });
            }
            None => self.results.lost(&frame, DropReason::NodeFailed),
        }
    }

    /// The inferences; `None` after a failure, which is reported.
    fn results_of(&mut self, report: Report) -> Option<Vec<Inference>> {
        if report.created {
            self.results.count_session();
            self.created_at = Instant::now();
        }
        let node = self.results.node.name();
        match report.end {
            End::Found(inferences) => return Some(inferences),
            End::Failed(error) => {
                tracing::warn!(node, %error, "a custom node failed on a frame");
                self.results
                    .report_failure(&Failure::node_failed(&error.to_string()));
            }
            End::Panicked(panicked) => {
                tracing::error!(
                    node,
                    panic = panicked.message(),
                    "a custom node panicked; it is created again"
                );
                self.results.report_failure(&Failure::node_panicked());
                self.wait_after(self.created_at.elapsed());
            }
            End::BuildFailed(error) => {
                tracing::error!(node, ?error, "a custom node could not be created again");
                self.results.report_failure(&match error {
                    NodeBuildError::Failed(error) => Failure::node_failed(&error.to_string()),
                    NodeBuildError::Panicked(_) => Failure::node_panicked(),
                });
                self.wait_after(Duration::ZERO);
            }
            End::Cancelled => {}
        }
        None
    }

    /// The node is created again after a pause.
    fn wait_after(&mut self, lived: Duration) {
        self.receiver.pause(self.backoff.next_delay(lived));
    }
}
