//! A gRPC extension node: sends frames, takes answers, and opens a new session after a failure.

use std::collections::VecDeque;
use std::time::Instant;

use lva_extension_protocol::Backoff;
use lva_extension_protocol::client::{
    Answer, ConnectError, FrameSlot, NoSlot, SeparateResults, Session, SessionError, SessionEvent,
    Unanswered, connect,
};
use lva_framing::{FramePlan, FramePlanError};

use super::NodeTimeouts;
use super::receiver::FrameReceiver;
use super::render_thread::{FrameContext, Job, RenderThread, Rendered};
use super::results::{ExtensionResult, Results};
use crate::convert::extension::GrpcPlan;
use crate::convert::picture::{FrameSpec, unpad};
use crate::failure::Failure;
use crate::flow::{Frame, FrameMeta, InputSlot};
use crate::panics::catch_panic_async;
use crate::stats::DropReason;
use crate::thread::Worker;

/// One running gRPC extension node.
pub(crate) struct GrpcNode {
    client: GrpcPlan,
    spec: FrameSpec,
    receiver: FrameReceiver,
    results: Results,
    timeouts: NodeTimeouts,
    render: RenderThread,
    /// The frames that this session answered last.
    recent: VecDeque<Recent>,
}

/// A frame that was answered, in case that results follow.
struct Recent {
    sequence: u64,
    plan: FramePlan,
    meta: FrameMeta,
}

/// Frames in flight are as many at most.
const MOST_RECENT: usize = 16;

/// Why a session ends.
enum End {
    /// No more frames come.
    Stopped,
    /// This frame needs another session: its size is new, or the camera was disconnected for long.
    Renew(Frame),
    /// The session failed.
    Lost(SessionError),
    /// The renderer's thread has ended.
    NoRenderer,
}

/// What a session is opened for.
#[derive(Clone, Copy, PartialEq)]
struct Made {
    plan: FramePlan,
    epoch: u64,
}

impl GrpcNode {
    pub(super) fn new(
        client: GrpcPlan,
        spec: FrameSpec,
        slot: InputSlot,
        results: Results,
        timeouts: NodeTimeouts,
    ) -> std::io::Result<(Self, Worker)> {
        let (render, worker) = RenderThread::start(spec, results.node.name())?;
        let analysis = Self {
            client,
            spec,
            receiver: FrameReceiver::new(slot),
            results,
            timeouts,
            render,
            recent: VecDeque::new(),
        };
        Ok((analysis, worker))
    }

    /// Runs until no more frames come.
    pub(crate) async fn run(mut self) {
        while let Err(panicked) = catch_panic_async(self.work()).await {
            self.results.on_panic(&panicked);
            // Its job belongs to a session that has ended.
            self.renew_renderer();
            self.receiver.pause(self.timeouts.backoff.max_delay);
        }
        self.receiver.drop_waiting(&self.results);
    }

    fn renew_renderer(&mut self) {
        match RenderThread::start(self.spec, self.results.node.name()) {
            // The old one ends with its queue.
            Ok((render, _worker)) => self.render = render,
            Err(error) => {
                tracing::error!(node = self.results.node.name(), %error, "could not start a thread for the renderer");
            }
        }
    }

    async fn work(&mut self) {
        let mut backoff = Backoff::new(self.timeouts.backoff);
        let mut kept = None;
        loop {
            let frame = match kept.take() {
                Some(frame) => frame,
                None => match self.receiver.next(&self.results).await {
                    Some(frame) => frame,
                    None => break,
                },
            };
            let made = match self.made_for(&frame) {
                Ok(made) => made,
                Err(error) => {
                    self.report_configuration(&error);
                    self.results
                        .dropped(&frame.into_in_flight(), DropReason::NotRendered);
                    continue;
                }
            };
            let opened = Instant::now();
            let failure = match self.open(made).await {
                None => {
                    self.results.dropped(&frame.into_in_flight(), DropReason::Stopped);
                    break;
                }
                Some(Ok(session)) => {
                    self.results.on_success();
                    self.results.count_session();
                    self.receiver.set_replace_reason(DropReason::ReplacedByNewer);
                    let end = self.session(session, made, frame).await;
                    self.receiver.set_replace_reason(DropReason::ExtensionUnavailable);
                    match end {
                        End::Stopped => break,
                        End::NoRenderer => {
                            tracing::error!(
                                node = self.results.node.name(),
                                "the renderer's thread ended; starting another one"
                            );
                            self.renew_renderer();
                            (Failure::internal_error(self.results.node.name()), true)
                        }
                        End::Renew(frame) => {
                            kept = Some(frame);
                            continue;
                        }
                        End::Lost(error) => {
                            tracing::warn!(node = self.results.node.name(), %error, "the session with the extension failed");
                            let url = self.client.url.to_string();
                            (Failure::session(&error, &url), error.is_transient())
                        }
                    }
                }
                Some(Err(error)) => {
                    self.results
                        .dropped(&frame.into_in_flight(), DropReason::ExtensionUnavailable);
                    tracing::warn!(node = self.results.node.name(), %error, "could not open a session with the extension");
                    let url = self.client.url.to_string();
                    (Failure::connect(&error, &url), error.is_transient())
                }
            };
            let (failure, transient) = failure;
            self.results.report_failure(&failure);
            let wait = backoff.next_delay(opened.elapsed());
            // An error that only an operator can fix is not retried every second.
            let wait = if transient {
                wait
            } else {
                wait.max(self.timeouts.backoff.max_delay)
            };
            self.receiver.pause(wait);
        }
    }

    /// What a session for this frame is opened for.
    fn made_for(&self, frame: &Frame) -> Result<Made, FramePlanError> {
        let (width, height) = (frame.picture.width(), frame.picture.height());
        let plan = self.spec.settings.plan(width, height)?;
        Ok(Made {
            plan,
            epoch: frame.meta.epoch,
        })
    }

    /// The node's image settings do not work for this camera.
    fn report_configuration(&mut self, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(
            node = self.results.node.name(),
            error,
            "frames cannot be rendered with the node's image settings"
        );
        let failure = Failure::configuration(self.results.node.name(), error);
        self.results.report_failure(&failure);
    }

    /// Opens a session; `None` when no more frames come.
    async fn open(&mut self, made: Made) -> Option<Result<Session<FrameContext>, ConnectError>> {
        let format = match self.spec.announced(&made.plan) {
            Ok(format) => format,
            Err(error) => {
                tracing::error!(node = self.results.node.name(), %error, "the protocol cannot announce frames of this size");
                return Some(Err(ConnectError::Options(
                    "the frame's size is out of the protocol's range",
                )));
            }
        };
        let options = self.client.options(format);
        let options = options.with_answer_timeout(self.timeouts.answer);
        tokio::select! {
            session = connect(&options) => Some(session),
            () = self.receiver.closed() => None,
        }
    }

    /// Sends frames and takes answers until the session ends.
    async fn session(&mut self, session: Session<FrameContext>, made: Made, first: Frame) -> End {
        self.recent.clear();
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
                    // An answer opens the window; the stream of answers reports the end.
                    Err(NoSlot::WindowFull | NoSlot::Ended) => {}
                    Err(error) => {
                        self.report_configuration(&error);
                        no_space = true;
                    }
                }
            }
            if !rendering && self.receiver.is_closed() {
                break End::Stopped;
            }
            if !rendering && slot.is_some() {
                let newer = self.receiver.take(&self.results);
                if newer.is_some() && first.take().is_some() {
                    self.results.drop_frames(DropReason::ReplacedByNewer, 1);
                }
                let frame = newer.or_else(|| first.take());
                // Only now, or the slot would be released without a frame.
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
                            self.results.drop_frames(DropReason::InternalError, 1);
                            break End::NoRenderer;
                        }
                    }
                }
                () = self.receiver.changed() => {}
                () = frames.ready(), if waits_for_window => {}
            }
        };
        if let Some(first) = first {
            let reason = match end {
                End::Stopped => DropReason::Stopped,
                _ => DropReason::SessionLost,
            };
            self.results.dropped(&first.into_in_flight(), reason);
        }
        drop(slot);
        if rendering {
            match self.render.done().await {
                Some(rendered) => self.rendered(rendered),
                None => {
                    self.results.drop_frames(DropReason::InternalError, 1);
                    self.renew_renderer();
                }
            }
        }
        if matches!(end, End::Stopped | End::Renew(_)) {
            frames.finish();
            let limit = self.timeouts.last_answers;
            let last = async {
                while let Ok(Some(event)) = answers.next().await {
                    self.take(event);
                }
            };
            let _ = tokio::time::timeout(limit, last).await;
        }
        let reason = match end {
            End::Stopped => DropReason::Stopped,
            _ => DropReason::SessionLost,
        };
        // Skipped frames were already reported, and are not among these.
        for Unanswered { context, .. } in answers.abandon() {
            self.results.lost(&context.frame, reason);
        }
        end
    }

    fn rendered(&mut self, rendered: Rendered) {
        match rendered {
            Rendered::Sent => self.results.count_sent(),
            Rendered::SessionOver(frame) => self.results.dropped(&frame, DropReason::SessionLost),
            Rendered::Panicked(panicked, frame) => {
                self.results.dropped(&frame, DropReason::InternalError);
                self.results.report_panic(&panicked);
            }
            Rendered::Failed(reason, frame) => {
                tracing::error!(
                    node = self.results.node.name(),
                    reason,
                    "a frame was not rendered"
                );
                self.results.dropped(&frame, DropReason::NotRendered);
                let failure = Failure::configuration(self.results.node.name(), &reason);
                self.results.report_failure(&failure);
            }
        }
    }

    fn take(&mut self, event: SessionEvent<FrameContext>) {
        match event {
            SessionEvent::Answered(answer) => self.answered(answer),
            SessionEvent::Skipped(skipped) => {
                self.results.lost(&skipped.context.frame, DropReason::Unanswered);
            }
            SessionEvent::Results(results) => self.later(results),
            // `SessionEvent` may grow.
            _ => {}
        }
    }

    /// Results that follow the acknowledgement of their frame. Those that name no frame belong to the newest one.
    fn later(&mut self, results: SeparateResults) {
        let recent = match results.sequence {
            Some(sequence) => self
                .recent
                .iter()
                .rev()
                .find(|recent| recent.sequence == sequence),
            None => self.recent.back(),
        };
        let Some(recent) = recent else {
            tracing::warn!(
                node = self.results.node.name(),
                sequence = results.sequence,
                "the extension sent results of a frame that is not known any more"
            );
            return;
        };
        let mut inferences = results.inferences;
        unpad(&recent.plan, &mut inferences);
        self.results.later(recent.meta.copy(), inferences);
    }

    fn answered(&mut self, answer: Answer<FrameContext>) {
        let FrameContext { plan, frame } = answer.context;
        if self.recent.len() == MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent {
            sequence: answer.sequence,
            plan,
            meta: frame.meta.copy(),
        });
        let mut inferences = answer.inferences;
        unpad(&plan, &mut inferences);
        let answered = ExtensionResult {
            inferences,
            body: None,
        };
        self.results.answered(frame, answered);
    }
}

#[cfg(test)]
mod tests;
