//! A node that the program brought along, at work: one picture at a time on a thread of its own, and the newest one next.

use std::io;
use std::time::{Duration, Instant};

use lva_extension_protocol::Backoff;
use lva_inference_schema::Inference;

use self::thread::{End, LookThread, Report};
use super::Patience;
use super::entrance::{AFTER_DEFECT, Entrance, Intake};
use super::results::{Answered, Results};
use crate::failure::Failure;
use crate::frame::{Frame, Leaving};
use crate::guard::guarded_async;
use crate::stats::DropReason;
use crate::thread::Worker;

mod thread;

pub(crate) use self::thread::{Broken, CustomNodePlan, Maker};

/// How long, of its last answer's time, a node has to leave when it was told to.
const LEAVE: Duration = Duration::from_millis(200);

/// One node of the program's own at work.
pub(crate) struct CustomNodeTask {
    intake: Intake,
    results: Results,
    patience: Patience,
    thread: LookThread,
    worker: Worker,
    backoff: Backoff,
    made_at: Instant,
    /// When no more pictures came.
    closed_at: Option<Instant>,
}

/// What came first.
enum Waited {
    Report(Option<Report>),
    TooLong,
    Stopped,
}

impl CustomNodeTask {
    pub(crate) fn new(
        plan: CustomNodePlan,
        entrance: Entrance,
        results: Results,
        patience: Patience,
    ) -> io::Result<Self> {
        let (thread, worker) = LookThread::start(plan)?;
        results.count_session();
        Ok(Self {
            intake: Intake::new(entrance),
            results,
            patience,
            thread,
            worker,
            backoff: Backoff::new(patience.backoff),
            made_at: Instant::now(),
            closed_at: None,
        })
    }

    /// Works until no more pictures come.
    pub(crate) async fn run(mut self) {
        while let Err(panicked) = guarded_async(self.work()).await {
            self.results.stumbled(&panicked);
            self.intake.pause(AFTER_DEFECT);
        }
        self.intake.drop_waiting(&self.results);
        self.end().await;
    }

    async fn work(&mut self) {
        while let Some(frame) = self.intake.next(&self.results).await {
            self.show(frame).await;
        }
    }

    /// What is behind the node ends too; then its thread has the rest of the time.
    async fn end(self) {
        let Self {
            results,
            thread,
            worker,
            closed_at,
            patience,
            ..
        } = self;
        let name = results.node.name.clone();
        drop(results);
        drop(thread);
        let now = Instant::now();
        let until = (closed_at.unwrap_or(now) + patience.last_answers).max(now + LEAVE);
        if tokio::time::timeout_at(until.into(), worker.ended())
            .await
            .is_err()
        {
            tracing::error!(node = %name, "a node does not come back; its thread is left to itself");
        }
    }

    async fn show(&mut self, frame: Frame) {
        self.intake.replaces_because(DropReason::ReplacedByNewer);
        let (picture, frame) = frame.split();
        if !self.thread.give(picture, &frame.about) {
            return self.results.dropped(&frame, DropReason::ExtensionUnavailable);
        }
        self.results.count_sent();
        match self.wait().await {
            Waited::Report(Some(report)) => self.take(frame, report),
            Waited::Report(None) => self.results.lost(&frame, DropReason::NodeFailed),
            Waited::Stopped => self.results.lost(&frame, DropReason::Stopped),
            Waited::TooLong => {
                tracing::error!(node = %self.results.node.name, waited = ?self.patience.answer, "a node hangs");
                self.results.lost(&frame, DropReason::Unanswered);
                // Its turn is over: frames for the nodes behind may pass.
                drop(frame);
                self.results.complain(&Failure::node_hung());
                self.pass_by().await;
            }
        }
    }

    async fn wait(&mut self) -> Waited {
        let (intake, closed_at) = (&self.intake, &mut self.closed_at);
        let last = self.patience.last_answers.saturating_sub(LEAVE);
        let end = async {
            intake.closed().await;
            *closed_at = Some(Instant::now());
            tokio::time::sleep(last).await;
        };
        tokio::select! {
            report = self.thread.report() => Waited::Report(report),
            () = tokio::time::sleep(self.patience.answer) => Waited::TooLong,
            () = end => Waited::Stopped,
        }
    }

    /// Until the node comes back, frames go on without it.
    async fn pass_by(&mut self) {
        self.thread.give_up();
        loop {
            tokio::select! {
                report = self.thread.report() => {
                    // Its frame has gone on without it.
                    let _ = report.and_then(|report| self.judge(report));
                    return;
                }
                frame = self.intake.next(&self.results) => match frame {
                    Some(frame) => {
                        self.results.dropped(&frame.leaving(), DropReason::ExtensionUnavailable);
                    }
                    None => return,
                },
            }
        }
    }

    fn take(&mut self, frame: Leaving, report: Report) {
        match self.judge(report) {
            Some(inferences) => {
                let body = None;
                self.results.answered(frame, Answered { inferences, body });
            }
            None => self.results.lost(&frame, DropReason::NodeFailed),
        }
    }

    /// What was found; `None` after saying why nothing was.
    fn judge(&mut self, report: Report) -> Option<Vec<Inference>> {
        if report.made {
            self.results.count_session();
            self.made_at = Instant::now();
        }
        let node = &self.results.node.name;
        match report.end {
            End::Found(inferences) => return Some(inferences),
            End::Failed(error) => {
                tracing::warn!(node, %error, "a node could not look at a frame");
                self.results.complain(&Failure::node_failed(&error.to_string()));
            }
            End::Panicked(panicked) => {
                tracing::error!(node, panic = panicked.words(), "a node panicked; it is made anew");
                self.results.complain(&Failure::node_panicked());
                self.wait_after(self.made_at.elapsed());
            }
            End::NotMade(broken) => {
                tracing::error!(node, ?broken, "a node could not be made anew");
                self.results.complain(&match broken {
                    Broken::Failed(error) => Failure::node_failed(&error.to_string()),
                    Broken::Panicked(_) => Failure::node_panicked(),
                });
                self.wait_after(Duration::ZERO);
            }
            End::GivenUp => {}
        }
        None
    }

    /// The node is made anew after a while.
    fn wait_after(&mut self, lived: Duration) {
        self.intake.pause(self.backoff.next_delay(lived));
    }
}
