//! A node that the program brought along, at work: one picture at a time on a thread of its own, and the newest one next.

use std::io;
use std::time::{Duration, Instant};

use lva_extension_protocol::Backoff;
use lva_inference_schema::Inference;

use self::hand::{End, LookThread, Report};
use crate::analysis::{Entrance, LAST_ANSWERS, Patience};
use crate::ask::AFTER_DEFECT;
use crate::failure::Failure;
use crate::frame::{Frame, Leaving};
use crate::guard::guarded_async;
use crate::results::{Answered, Results};
use crate::stats::DropReason;
use crate::thread::Worker;

mod hand;

pub(crate) use self::hand::{Broken, Maker, OwnPlan};

/// How long, of [`LAST_ANSWERS`], a node has to leave when it was told to.
const LEAVE: Duration = Duration::from_millis(200);

/// How soon a node's failure is said again.
const QUIET: Duration = Duration::from_secs(60);

/// One node of the program's own at work.
pub(crate) struct Own {
    entrance: Entrance,
    results: Results,
    patience: Patience,
    thread: LookThread,
    worker: Worker,
    backoff: Backoff,
    made_at: Instant,
    /// It has panicked, and is not made anew before.
    paused_until: Option<Instant>,
    complained_at: Option<Instant>,
    /// When no more pictures came.
    closed_at: Option<Instant>,
}

/// What came first.
enum Waited {
    Report(Option<Report>),
    TooLong,
    Stopped,
}

impl Own {
    pub(crate) fn new(
        plan: OwnPlan,
        entrance: Entrance,
        results: Results,
        patience: Patience,
    ) -> io::Result<Self> {
        let (thread, worker) = LookThread::start(plan)?;
        results.count_session();
        Ok(Self {
            entrance,
            results,
            patience,
            thread,
            worker,
            backoff: Backoff::new(patience.backoff),
            made_at: Instant::now(),
            paused_until: None,
            complained_at: None,
            closed_at: None,
        })
    }

    /// Works until no more pictures come.
    pub(crate) async fn run(mut self) {
        while let Err(panicked) = guarded_async(self.work()).await {
            self.results.stumbled(&panicked);
            self.paused_until = Instant::now().checked_add(AFTER_DEFECT);
        }
        if let Some(frame) = self.entrance.mailbox.take() {
            self.results.took();
            self.results.dropped(&frame.leaving(), DropReason::Stopped);
        }
        self.end().await;
    }

    async fn work(&mut self) {
        loop {
            self.pause().await;
            match self.entrance.mailbox.next().await {
                Some(frame) => {
                    self.results.took();
                    self.show(frame).await;
                }
                None => break,
            }
        }
    }

    /// What is behind the node ends too; then its thread has the rest of the time.
    async fn end(self) {
        let Self {
            results,
            thread,
            worker,
            closed_at,
            ..
        } = self;
        let name = results.node.name.clone();
        drop(results);
        drop(thread);
        let now = Instant::now();
        let until = (closed_at.unwrap_or(now) + LAST_ANSWERS).max(now + LEAVE);
        if tokio::time::timeout_at(until.into(), worker.ended())
            .await
            .is_err()
        {
            tracing::error!(node = %name, "a node does not come back; its thread is left to itself");
        }
    }

    async fn pause(&mut self) {
        if let Some(until) = self.paused_until.take() {
            self.entrance.replaces_because(DropReason::ExtensionUnavailable);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.entrance.mailbox.closed() => {}
            }
        }
    }

    async fn show(&mut self, frame: Frame) {
        self.entrance.replaces_because(DropReason::ReplacedByNewer);
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
                self.complain(&Failure::node_hung());
                self.pass_by().await;
            }
        }
    }

    async fn wait(&mut self) -> Waited {
        let (mailbox, closed_at) = (&self.entrance.mailbox, &mut self.closed_at);
        let end = async {
            mailbox.closed().await;
            *closed_at = Some(Instant::now());
            tokio::time::sleep(LAST_ANSWERS - LEAVE).await;
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
                frame = self.entrance.mailbox.next() => match frame {
                    Some(frame) => {
                        self.results.took();
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
                self.complain(&Failure::node_failed(&error.to_string()));
            }
            End::Panicked(panic) => {
                tracing::error!(node, panic, "a node panicked; it is made anew");
                self.complain(&Failure::node_panicked());
                self.wait_after(self.made_at.elapsed());
            }
            End::NotMade(broken) => {
                tracing::error!(node, ?broken, "a node could not be made anew");
                self.complain(&match broken {
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
        self.paused_until = Instant::now().checked_add(self.backoff.next_delay(lived));
    }

    /// A node that fails on every other frame is not an event for each.
    fn complain(&mut self, failure: &Failure) {
        let now = Instant::now();
        if self.complained_at.is_none_or(|at| now - at >= QUIET) {
            self.results.works();
            self.complained_at = Some(now);
        }
        self.results.complain(failure);
    }
}
