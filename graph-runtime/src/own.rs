//! A node that the program brought along, at work: one picture at a time on a thread of its own, and the newest one next.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use lva_extension_protocol::Backoff;
use lva_framing::Picture;
use lva_graph_model::OwnProcessor;
use lva_inference_schema::Inference;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::analysis::{Entrance, LAST_ANSWERS, Patience};
use crate::failure::Failure;
use crate::frame::{Frame, Leaving};
use crate::node::{NodeContext, NodeError, NodeFactory, NodeFrame, OwnNode};
use crate::results::{Answered, Results};
use crate::stats::DropReason;
use crate::thread::Worker;

/// How long, of [`LAST_ANSWERS`], a node has to leave when it was told to.
const LEAVE: Duration = Duration::from_millis(200);

/// How soon a node's failure is said again.
const QUIET: Duration = Duration::from_secs(60);

/// Makes one node, as often as it has to be made.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) factory: Arc<dyn NodeFactory>,
    pub(crate) topology: String,
    pub(crate) instance: String,
    pub(crate) name: String,
    pub(crate) processor: OwnProcessor,
}

/// A node, and how to make another one.
pub(crate) struct OwnPlan {
    pub(crate) maker: Maker,
    pub(crate) node: Box<dyn OwnNode>,
}

impl fmt::Debug for OwnPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnPlan").field(&self.maker.processor).finish()
    }
}

/// Why there is no node, or no result of it.
#[derive(Debug)]
pub(crate) enum Broken {
    Failed(NodeError),
    /// With what the panic said.
    Panicked(String),
}

impl Maker {
    pub(crate) fn make(&self) -> Result<Box<dyn OwnNode>, Broken> {
        let context = NodeContext {
            topology: &self.topology,
            instance: &self.instance,
            name: &self.name,
            processor: &self.processor,
        };
        match catch_unwind(AssertUnwindSafe(|| self.factory.make(&context))) {
            Ok(made) => made.map_err(Broken::Failed),
            Err(panic) => Err(Broken::Panicked(words(&*panic))),
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

/// A picture for a node, with what was found in it.
struct Job {
    picture: Picture,
    session: u64,
    found: Arc<[Inference]>,
    /// Closed when nobody waits for the node any more.
    gone: oneshot::Receiver<()>,
}

/// What became of a job.
struct Report {
    /// Whether the node was made anew for it.
    made: bool,
    end: End,
}

enum End {
    Found(Vec<Inference>),
    Failed(NodeError),
    Panicked(String),
    /// There was no node, and none could be made.
    NotMade(Broken),
    /// Nobody waited any more.
    GivenUp,
}

/// The node's thread.
struct Hand {
    maker: Maker,
    node: Option<Box<dyn OwnNode>>,
    runtime: Handle,
}

impl Hand {
    fn work(mut self, jobs: &Receiver<Job>, reports: &mpsc::Sender<Report>) {
        let runtime = self.runtime.clone();
        let _inside = runtime.enter();
        while let Ok(job) = jobs.recv() {
            let report = self.look(job);
            if reports.blocking_send(report).is_err() {
                break;
            }
        }
        self.discard();
    }

    fn look(&mut self, job: Job) -> Report {
        let made = self.node.is_none();
        if made {
            match self.maker.make() {
                Ok(node) => self.node = Some(node),
                Err(broken) => {
                    let end = End::NotMade(broken);
                    return Report { made: false, end };
                }
            }
        }
        let end = match &mut self.node {
            Some(node) => looked(&self.runtime, node.as_mut(), job),
            None => End::GivenUp,
        };
        if matches!(end, End::Panicked(_)) {
            self.discard();
        }
        Report { made, end }
    }

    /// What a panic has left behind may panic again.
    fn discard(&mut self) {
        let node = self.node.take();
        if catch_unwind(AssertUnwindSafe(|| drop(node))).is_err() {
            tracing::error!(node = %self.maker.name, "a node panicked while it was dropped");
        }
    }
}

fn looked(runtime: &Handle, node: &mut dyn OwnNode, job: Job) -> End {
    let Job {
        picture,
        session,
        found,
        gone,
    } = job;
    let frame = NodeFrame::new(&picture, session, &found);
    let look = || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                found = node.look(frame) => match found {
                    Ok(found) => End::Found(found),
                    Err(error) => End::Failed(error),
                },
                _ = gone => End::GivenUp,
            }
        })
    };
    match catch_unwind(AssertUnwindSafe(look)) {
        Ok(end) => end,
        Err(panic) => End::Panicked(words(&*panic)),
    }
}

/// The thread, seen from the node's task: one job at a time.
struct LookThread {
    jobs: SyncSender<Job>,
    reports: mpsc::Receiver<Report>,
    /// Dropped to give the job up.
    waits: Option<oneshot::Sender<()>>,
}

impl LookThread {
    fn start(plan: OwnPlan) -> io::Result<(Self, Worker)> {
        // A thread whose node hangs holds nothing of the instance but these ends.
        let (jobs, queue) = sync_channel(1);
        let (report, reports) = mpsc::channel(1);
        let name = format!("lva-own-{}", plan.maker.name);
        let hand = Hand {
            maker: plan.maker,
            node: Some(plan.node),
            runtime: Handle::current(),
        };
        let worker = Worker::start(&name, move || hand.work(&queue, &report))?;
        let thread = Self {
            jobs,
            reports,
            waits: None,
        };
        Ok((thread, worker))
    }

    /// Gives a picture; whether the thread takes it. The one before has to be reported.
    fn give(&mut self, picture: Picture, frame: &Leaving) -> bool {
        let (waits, gone) = oneshot::channel();
        self.waits = Some(waits);
        let job = Job {
            picture,
            session: frame.about.epoch,
            found: frame.about.found(),
            gone,
        };
        self.jobs.try_send(job).is_ok()
    }

    /// Waits for the job that was given; `None` when the thread is gone. Nothing is lost when the future is dropped.
    async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }
}

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
        loop {
            self.pause().await;
            match self.entrance.mailbox.next().await {
                Some(frame) => self.show(frame).await,
                None => break,
            }
        }
        if let Some(frame) = self.entrance.mailbox.take() {
            self.results.dropped(&frame.leaving(), DropReason::Stopped);
        }
        self.end().await;
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
        if !self.thread.give(picture, &frame) {
            return self.results.dropped(&frame, DropReason::ExtensionUnavailable);
        }
        self.results.count_sent();
        match self.wait().await {
            Waited::Report(Some(report)) => self.take(frame, report),
            Waited::Report(None) => self.results.dropped(&frame, DropReason::NodeFailed),
            Waited::Stopped => self.results.dropped(&frame, DropReason::Stopped),
            Waited::TooLong => {
                tracing::error!(node = %self.results.node.name, waited = ?self.patience.answer, "a node hangs");
                self.results.dropped(&frame, DropReason::Unanswered);
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
        self.thread.waits = None;
        loop {
            tokio::select! {
                report = self.thread.report() => {
                    // Its frame has gone on without it.
                    let _ = report.and_then(|report| self.judge(report));
                    return;
                }
                frame = self.entrance.mailbox.next() => match frame {
                    Some(frame) => self.results.dropped(&frame.leaving(), DropReason::ExtensionUnavailable),
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
            None => self.results.dropped(&frame, DropReason::NodeFailed),
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
