//! An extension node: pictures to the extension, answers to sinks and gates, and a new session when one is lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lva_extension_protocol::{
    Answer, Backoff, BackoffPolicy, ConnectError, FrameSlot, NoSlot, Session, SessionError, SessionEvent,
    connect,
};
use lva_framing::{FramePlan, PlanError};

use crate::decode::{Frame, Mailbox};
use crate::event::{event_now, inference_event};
use crate::failure::Failure;
use crate::instance::Speaker;
use crate::plan::AnalysisPlan;
use crate::record::SignalInput;
use crate::render::{FrameContext, Job, RenderThread, Rendered};
use crate::seam::picture::unpad;
use crate::stats::DropReason;
use crate::thread::Worker;

/// How long answers to frames on their way are waited for at an end.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// One extension node at work.
pub(crate) struct Analysis {
    plan: AnalysisPlan,
    mailbox: Arc<Mailbox>,
    replaced: Arc<Mutex<DropReason>>,
    gates: Vec<SignalInput>,
    speaker: Speaker,
    backoff: BackoffPolicy,
    render: RenderThread,
    /// The last failure that was said since a session worked: a dead extension is not an event every second.
    said: Option<String>,
}

/// Why a session is over.
enum End {
    /// No more pictures come.
    Stopped,
    /// This picture needs another session: its size is new, or the camera was away for long.
    Renew(Frame),
    /// The extension is gone.
    Lost(SessionError),
    /// The renderer's thread is gone.
    NoRenderer,
}

/// What a session is made for.
#[derive(Clone, Copy, PartialEq)]
struct Made {
    plan: FramePlan,
    epoch: u64,
}

impl Analysis {
    pub(crate) fn new(
        plan: AnalysisPlan,
        mailbox: Arc<Mailbox>,
        replaced: Arc<Mutex<DropReason>>,
        gates: Vec<SignalInput>,
        speaker: Speaker,
        backoff: BackoffPolicy,
    ) -> std::io::Result<(Self, Worker)> {
        let (render, worker) = RenderThread::start(plan.form)?;
        let analysis = Self {
            plan,
            mailbox,
            replaced,
            gates,
            speaker,
            backoff,
            render,
            said: None,
        };
        Ok((analysis, worker))
    }

    /// Works until no more pictures come.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(self.backoff);
        let mut kept = None;
        loop {
            let frame = match kept.take() {
                Some(frame) => frame,
                None => match self.next_frame().await {
                    Some(frame) => frame,
                    None => break,
                },
            };
            let Some(made) = self.made_for(&frame) else {
                continue;
            };
            let opened = Instant::now();
            let failure = match self.open(made).await {
                None => {
                    self.drop_frames(DropReason::Stopped, 1);
                    break;
                }
                Some(Ok(session)) => {
                    self.said = None;
                    self.count_session();
                    self.replaces_because(DropReason::ReplacedByNewer);
                    let end = self.session(session, made, frame).await;
                    self.replaces_because(DropReason::ExtensionUnavailable);
                    match end {
                        End::Stopped | End::NoRenderer => break,
                        End::Renew(frame) => {
                            kept = Some(frame);
                            continue;
                        }
                        End::Lost(error) => {
                            tracing::warn!(node = %self.plan.node.name, error = %error, "the extension was lost");
                            let url = self.plan.client.url.to_string();
                            (Failure::session(&error, &url), error.is_transient())
                        }
                    }
                }
                Some(Err(error)) => {
                    self.drop_frames(DropReason::ExtensionUnavailable, 1);
                    tracing::warn!(node = %self.plan.node.name, error = %error, "no session with the extension");
                    let url = self.plan.client.url.to_string();
                    (Failure::connect(&error, &url), error.is_transient())
                }
            };
            let (failure, transient) = failure;
            self.complain(&failure);
            let wait = backoff.next_delay(opened.elapsed());
            // What somebody has to mend is not asked for every second.
            let wait = if transient {
                wait
            } else {
                wait.max(self.backoff.cap)
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.closed() => break,
            }
        }
        if self.mailbox.take().is_some() {
            self.drop_frames(DropReason::Stopped, 1);
        }
    }

    /// The newest picture, as soon as there is one.
    async fn next_frame(&self) -> Option<Frame> {
        loop {
            if self.mailbox.is_closed() {
                return None;
            }
            if let Some(frame) = self.mailbox.take() {
                return Some(frame);
            }
            self.mailbox.changed().await;
        }
    }

    async fn closed(&self) {
        while !self.mailbox.is_closed() {
            self.mailbox.changed().await;
        }
    }

    fn plan_of(&self, frame: &Frame) -> Result<Made, PlanError> {
        let (width, height) = (frame.picture.width(), frame.picture.height());
        let plan = self.plan.form.settings.plan(width, height)?;
        Ok(Made {
            plan,
            epoch: frame.epoch,
        })
    }

    /// What a session for this picture is made for; `None` when the node's settings cannot be kept for it.
    fn made_for(&mut self, frame: &Frame) -> Option<Made> {
        match self.plan_of(frame) {
            Ok(made) => Some(made),
            Err(error) => {
                tracing::error!(node = %self.plan.node.name, error = %error, "pictures cannot be rendered");
                self.drop_frames(DropReason::NotRendered, 1);
                self.complain(&Failure::configuration(self.plan.node.name.clone()));
                None
            }
        }
    }

    /// Opens a session; `None` when no more pictures come.
    async fn open(&mut self, made: Made) -> Option<Result<Session<FrameContext>, ConnectError>> {
        let format = match self.plan.form.announced(&made.plan) {
            Ok(format) => format,
            Err(error) => {
                tracing::error!(node = %self.plan.node.name, error = %error, "the frame cannot be announced");
                return Some(Err(ConnectError::Options(
                    "the frame's size is out of the protocol's range",
                )));
            }
        };
        let options = self.plan.client.options(format);
        tokio::select! {
            session = connect(&options) => Some(session),
            () = self.closed() => None,
        }
    }

    /// Sends pictures and takes answers until the session is over.
    async fn session(&mut self, session: Session<FrameContext>, made: Made, first: Frame) -> End {
        let Session {
            frames, mut answers, ..
        } = session;
        let mut first = Some(first);
        let mut slot: Option<FrameSlot<FrameContext>> = None;
        let mut rendering = false;
        let mut no_space = false;
        let end = loop {
            if slot.is_none() && !rendering && !no_space {
                match frames.slot() {
                    Ok(free) => slot = Some(free),
                    Err(NoSlot::NoSpace) => no_space = true,
                    // The window opens by an answer; the end is told by the answers.
                    Err(NoSlot::WindowFull | NoSlot::Ended) => {}
                    Err(error) => {
                        tracing::error!(node = %self.plan.node.name, error = %error, "no slot for a frame");
                        self.complain(&Failure::configuration(self.plan.node.name.clone()));
                        no_space = true;
                    }
                }
            }
            if !rendering && self.mailbox.is_closed() {
                break End::Stopped;
            }
            if !rendering && slot.is_some() {
                let newer = self.mailbox.take();
                if newer.is_some() && first.take().is_some() {
                    self.drop_frames(DropReason::ReplacedByNewer, 1);
                }
                if let (Some(frame), Some(free)) = (newer.or_else(|| first.take()), slot.take()) {
                    if self.plan_of(&frame).ok() != Some(made) {
                        break End::Renew(frame);
                    }
                    let context = FrameContext {
                        plan: made.plan,
                        received_at: frame.received_at,
                    };
                    let job = Job {
                        picture: frame.picture,
                        found: frame.found,
                        slot: free,
                        context,
                    };
                    if !self.render.give(job) {
                        self.drop_frames(DropReason::NotRendered, 1);
                        break End::NoRenderer;
                    }
                    rendering = true;
                }
            }
            let waits_for_window = slot.is_none() && !rendering && !no_space;
            tokio::select! {
                answer = answers.next() => match answer {
                    Ok(Some(event)) => {
                        no_space = false;
                        self.take(event);
                    }
                    Ok(None) => break End::Lost(SessionError::ClosedByPeer),
                    Err(error) => break End::Lost(error),
                },
                done = self.render.done(), if rendering => {
                    rendering = false;
                    match done {
                        Some(rendered) => self.rendered(rendered),
                        None => break End::NoRenderer,
                    }
                }
                () = self.mailbox.changed() => {}
                () = frames.ready(), if waits_for_window => {}
            }
        };
        if first.is_some() {
            let reason = match end {
                End::Stopped => DropReason::Stopped,
                _ => DropReason::SessionLost,
            };
            self.drop_frames(reason, 1);
        }
        drop(slot);
        if rendering && let Some(rendered) = self.render.done().await {
            self.rendered(rendered);
        }
        if matches!(end, End::Stopped | End::Renew(_)) {
            frames.finish();
            let last = async {
                while let Ok(Some(event)) = answers.next().await {
                    self.take(event);
                }
            };
            let _ = tokio::time::timeout(LAST_ANSWERS, last).await;
            let reason = match end {
                End::Stopped => DropReason::Stopped,
                _ => DropReason::SessionLost,
            };
            self.drop_frames(reason, frames.in_flight() as u64);
        }
        let unanswered = answers.take_unanswered().len() as u64;
        self.drop_frames(DropReason::SessionLost, unanswered);
        end
    }

    fn rendered(&mut self, rendered: Rendered) {
        match rendered {
            Rendered::Sent => {
                let counters = self.speaker.counters();
                counters.extension(&self.plan.node.name, |stats| stats.sent += 1);
            }
            Rendered::SessionOver => self.drop_frames(DropReason::SessionLost, 1),
            Rendered::Failed(reason) => {
                tracing::error!(node = %self.plan.node.name, reason, "a frame was not rendered");
                self.drop_frames(DropReason::NotRendered, 1);
                self.complain(&Failure::configuration(self.plan.node.name.clone()));
            }
        }
    }

    fn take(&mut self, event: SessionEvent<FrameContext>) {
        match event {
            SessionEvent::Answered(answer) => self.answered(answer),
            SessionEvent::Skipped(_) => self.drop_frames(DropReason::Unanswered, 1),
            // `SessionEvent` may grow.
            _ => {}
        }
    }

    fn answered(&mut self, answer: Answer<FrameContext>) {
        let counters = self.speaker.counters();
        counters.extension(&self.plan.node.name, |stats| stats.answered += 1);
        let FrameContext { plan, received_at } = answer.context;
        counters.answer_after(received_at.elapsed());
        let mut inferences = answer.inferences;
        if inferences.is_empty() {
            return;
        }
        unpad(&plan, &mut inferences);
        let time = answer.timestamp_90k;
        // The gate first: the clip is what cannot wait.
        for gate in &self.gates {
            gate.signal(time);
        }
        let subject = &self.plan.node.subject;
        for output in &self.plan.outputs {
            let event = inference_event(subject, output.clone(), time, inferences.clone());
            self.speaker.say(event);
        }
        self.speaker.counters().event_after(received_at.elapsed());
    }

    fn count_session(&self) {
        let counters = self.speaker.counters();
        counters.extension(&self.plan.node.name, |stats| stats.sessions += 1);
    }

    fn drop_frames(&self, reason: DropReason, count: u64) {
        self.speaker
            .counters()
            .dropped(&self.plan.node.name, reason, count);
    }

    fn replaces_because(&self, reason: DropReason) {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn complain(&mut self, failure: &Failure) {
        let (name, body) = failure.said();
        let said = format!("{name} {}", failure.code());
        if self.said.as_ref() != Some(&said) {
            self.speaker.say(event_now(name, &self.plan.node.subject, body));
            self.said = Some(said);
        }
    }
}
