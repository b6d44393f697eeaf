//! A gRPC extension node: pictures to the extension, its answers on their way, and a new session when one is lost.

use std::time::Instant;

use lva_extension_protocol::Backoff;
use lva_extension_protocol::client::{
    Answer, ConnectError, FrameSlot, NoSlot, Session, SessionError, SessionEvent, Unanswered, connect,
};
use lva_framing::{FramePlan, PlanError};

use super::Patience;
use super::entrance::{Entrance, Intake};
use super::render::{FrameContext, Job, RenderThread, Rendered};
use super::results::{Answered, Results};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::guard::guarded_async;
use crate::seam::extension::GrpcPlan;
use crate::seam::picture::{PictureForm, unpad};
use crate::stats::DropReason;
use crate::thread::Worker;

/// One gRPC extension node at work.
pub(crate) struct GrpcNode {
    client: GrpcPlan,
    form: PictureForm,
    intake: Intake,
    results: Results,
    patience: Patience,
    render: RenderThread,
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

impl GrpcNode {
    pub(crate) fn new(
        client: GrpcPlan,
        form: PictureForm,
        entrance: Entrance,
        results: Results,
        patience: Patience,
    ) -> std::io::Result<(Self, Worker)> {
        let (render, worker) = RenderThread::start(form, &results.node.name)?;
        let analysis = Self {
            client,
            form,
            intake: Intake::new(entrance),
            results,
            patience,
            render,
        };
        Ok((analysis, worker))
    }

    /// Works until no more pictures come.
    pub(crate) async fn run(mut self) {
        while let Err(panicked) = guarded_async(self.work()).await {
            self.results.stumbled(&panicked);
            // What it was given last belongs to a session that is gone.
            self.renew_renderer();
            self.intake.pause(self.patience.backoff.cap);
        }
        self.intake.drop_waiting(&self.results);
    }

    fn renew_renderer(&mut self) {
        match RenderThread::start(self.form, &self.results.node.name) {
            // It ends with its queue.
            Ok((render, _worker)) => self.render = render,
            Err(error) => {
                tracing::error!(node = %self.results.node.name, %error, "no thread for the renderer");
            }
        }
    }

    async fn work(&mut self) {
        let mut backoff = Backoff::new(self.patience.backoff);
        let mut kept = None;
        loop {
            let frame = match kept.take() {
                Some(frame) => frame,
                None => match self.intake.next(&self.results).await {
                    Some(frame) => frame,
                    None => break,
                },
            };
            let made = match self.made_for(&frame) {
                Ok(made) => made,
                Err(error) => {
                    self.cannot(&error);
                    self.results.dropped(&frame.leaving(), DropReason::NotRendered);
                    continue;
                }
            };
            let opened = Instant::now();
            let failure = match self.open(made).await {
                None => {
                    self.results.dropped(&frame.leaving(), DropReason::Stopped);
                    break;
                }
                Some(Ok(session)) => {
                    self.results.works();
                    self.results.count_session();
                    self.intake.replaces_because(DropReason::ReplacedByNewer);
                    let end = self.session(session, made, frame).await;
                    self.intake.replaces_because(DropReason::ExtensionUnavailable);
                    match end {
                        End::Stopped => break,
                        End::NoRenderer => {
                            tracing::error!(node = %self.results.node.name, "the renderer's thread is gone");
                            self.renew_renderer();
                            (Failure::defect(self.results.node.name.clone()), true)
                        }
                        End::Renew(frame) => {
                            kept = Some(frame);
                            continue;
                        }
                        End::Lost(error) => {
                            tracing::warn!(node = %self.results.node.name, error = %error, "the extension was lost");
                            let url = self.client.url.to_string();
                            (Failure::session(&error, &url), error.is_transient())
                        }
                    }
                }
                Some(Err(error)) => {
                    self.results
                        .dropped(&frame.leaving(), DropReason::ExtensionUnavailable);
                    tracing::warn!(node = %self.results.node.name, error = %error, "no session with the extension");
                    let url = self.client.url.to_string();
                    (Failure::connect(&error, &url), error.is_transient())
                }
            };
            let (failure, transient) = failure;
            self.results.complain(&failure);
            let wait = backoff.next_delay(opened.elapsed());
            // What somebody has to mend is not asked for every second.
            let wait = if transient {
                wait
            } else {
                wait.max(self.patience.backoff.cap)
            };
            self.intake.pause(wait);
        }
    }

    /// What a session for this picture is made for.
    fn made_for(&self, frame: &Frame) -> Result<Made, PlanError> {
        let (width, height) = (frame.picture.width(), frame.picture.height());
        let plan = self.form.settings.plan(width, height)?;
        Ok(Made {
            plan,
            epoch: frame.about.epoch,
        })
    }

    /// The node's settings cannot be kept.
    fn cannot(&mut self, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(node = %self.results.node.name, error, "frames cannot be made as the node asks");
        let failure = Failure::configuration(self.results.node.name.clone());
        self.results.complain(&failure);
    }

    /// Opens a session; `None` when no more pictures come.
    async fn open(&mut self, made: Made) -> Option<Result<Session<FrameContext>, ConnectError>> {
        let format = match self.form.announced(&made.plan) {
            Ok(format) => format,
            Err(error) => {
                tracing::error!(node = %self.results.node.name, error = %error, "the frame cannot be announced");
                return Some(Err(ConnectError::Options(
                    "the frame's size is out of the protocol's range",
                )));
            }
        };
        let options = self.client.options(format);
        let options = options.with_answer_timeout(self.patience.answer);
        tokio::select! {
            session = connect(&options) => Some(session),
            () = self.intake.closed() => None,
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
                        self.cannot(&error);
                        no_space = true;
                    }
                }
            }
            if !rendering && self.intake.is_closed() {
                break End::Stopped;
            }
            if !rendering && slot.is_some() {
                let newer = self.intake.take(&self.results);
                if newer.is_some() && first.take().is_some() {
                    self.results.drop_frames(DropReason::ReplacedByNewer, 1);
                }
                let frame = newer.or_else(|| first.take());
                // Only now, or the slot would be given back without a frame to put into it.
                if let Some(frame) = frame
                    && let Some(free) = slot.take()
                {
                    if self.made_for(&frame).ok() != Some(made) {
                        break End::Renew(frame);
                    }
                    let (picture, frame) = frame.split();
                    let job = Job {
                        picture,
                        slot: free,
                        context: FrameContext {
                            plan: made.plan,
                            frame,
                        },
                    };
                    if let Err(job) = self.render.give(job) {
                        self.results.dropped(&job.context.frame, DropReason::NotRendered);
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
                        None => {
                            self.results.drop_frames(DropReason::Defect, 1);
                            break End::NoRenderer;
                        }
                    }
                }
                () = self.intake.changed() => {}
                () = frames.ready(), if waits_for_window => {}
            }
        };
        if let Some(first) = first {
            let reason = match end {
                End::Stopped => DropReason::Stopped,
                _ => DropReason::SessionLost,
            };
            self.results.dropped(&first.leaving(), reason);
        }
        drop(slot);
        if rendering {
            match self.render.done().await {
                Some(rendered) => self.rendered(rendered),
                None => {
                    self.results.drop_frames(DropReason::Defect, 1);
                    self.renew_renderer();
                }
            }
        }
        if matches!(end, End::Stopped | End::Renew(_)) {
            frames.finish();
            let patience = self.patience.last_answers;
            let last = async {
                while let Ok(Some(event)) = answers.next().await {
                    self.take(event);
                }
            };
            let _ = tokio::time::timeout(patience, last).await;
        }
        let reason = match end {
            End::Stopped => DropReason::Stopped,
            _ => DropReason::SessionLost,
        };
        // Whether it has ended or not: those that were given up before are not told again.
        for Unanswered { context, .. } in answers.abandon() {
            self.results.lost(&context.frame, reason);
        }
        end
    }

    fn rendered(&mut self, rendered: Rendered) {
        match rendered {
            Rendered::Sent => self.results.count_sent(),
            Rendered::SessionOver(frame) => self.results.dropped(&frame, DropReason::SessionLost),
            Rendered::Broke(panicked, frame) => {
                self.results.dropped(&frame, DropReason::Defect);
                self.results.defect(&panicked);
            }
            Rendered::Failed(reason, frame) => {
                tracing::error!(node = %self.results.node.name, reason, "a frame was not rendered");
                self.results.dropped(&frame, DropReason::NotRendered);
                let failure = Failure::configuration(self.results.node.name.clone());
                self.results.complain(&failure);
            }
        }
    }

    fn take(&mut self, event: SessionEvent<FrameContext>) {
        match event {
            SessionEvent::Answered(answer) => self.answered(answer),
            SessionEvent::Skipped(skipped) => {
                self.results.lost(&skipped.context.frame, DropReason::Unanswered);
            }
            // `SessionEvent` may grow.
            _ => {}
        }
    }

    fn answered(&mut self, answer: Answer<FrameContext>) {
        let FrameContext { plan, frame } = answer.context;
        let mut inferences = answer.inferences;
        unpad(&plan, &mut inferences);
        let answered = Answered {
            inferences,
            body: None,
        };
        self.results.answered(frame, answered);
    }
}

#[cfg(test)]
mod tests;
