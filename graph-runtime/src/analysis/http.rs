//! An HTTP extension node: posts one picture at a time, the newest first.

use std::sync::mpsc::{SyncSender, sync_channel};

use bytes::Bytes;
use lva_extension_protocol::http::{HttpAnswer, HttpClient, HttpClientOptions, HttpError};
use lva_framing::{FramePlan, Picture};
use tokio::sync::oneshot;

use super::receiver::{FrameReceiver, PAUSE_AFTER_PANIC};
use super::results::{ExtensionResult, Results};
use super::{NodeTimeouts, StartError};
use crate::convert::picture::{FrameSpec, unpad};
use crate::failure::Failure;
use crate::flow::{Frame, InFlightFrame, InputSlot};
use crate::panics::{Panicked, catch_panic, catch_panic_async, failpoint};
use crate::render::FrameRenderer;
use crate::stats::DropReason;
use crate::thread::Worker;

/// One running HTTP extension node.
///
/// The event's body is the answer as the extension wrote it, with its boxes as they are: fractions of the picture that was
/// sent. Trackers and further extensions get boxes mapped to the camera's picture.
pub(crate) struct HttpNode {
    url: String,
    client: HttpClient,
    spec: FrameSpec,
    receiver: FrameReceiver,
    results: Results,
    timeouts: NodeTimeouts,
    jobs: SyncSender<RenderJob>,
}

/// A picture to render and encode.
struct RenderJob {
    picture: Picture,
    plan: FramePlan,
    done: oneshot::Sender<Result<Bytes, RenderFailure>>,
}

/// Why a picture was not made.
#[derive(Debug, thiserror::Error)]
enum RenderFailure {
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Panicked(Panicked),
}

impl HttpNode {
    pub(super) fn new(
        options: HttpClientOptions,
        spec: FrameSpec,
        slot: InputSlot,
        results: Results,
        timeouts: NodeTimeouts,
    ) -> Result<(Self, Worker), StartError> {
        let (jobs, queue) = sync_channel::<RenderJob>(1);
        let url = options.url().to_string();
        let options = options
            .with_backoff(timeouts.backoff)
            .with_answer_timeout(timeouts.answer);
        let node = results.node.name().to_owned();
        let client = HttpClient::new(options).map_err(|error| StartError::Client {
            node: node.clone(),
            reason: error.to_string(),
        })?;
        let worker = Worker::start("lva-render", move || {
            let mut renderer = FrameRenderer::new(spec);
            while let Ok(job) = queue.recv() {
                let mut file = Vec::new();
                let encoded = catch_panic(|| {
                    failpoint("render", &node);
                    renderer.encode(&job.picture, &job.plan, &mut file)
                });
                let encoded = match encoded {
                    Ok(encoded) => encoded.map_err(RenderFailure::Failed),
                    Err(panicked) => {
                        renderer.reset();
                        Err(RenderFailure::Panicked(panicked))
                    }
                };
                // The node does not wait any more when it was stopped.
                let _ = job.done.send(encoded.map(|()| file.into()));
            }
        })?;
        let node = Self {
            url,
            client,
            spec,
            receiver: FrameReceiver::new(slot),
            results,
            timeouts,
            jobs,
        };
        Ok((node, worker))
    }

    /// Runs until no more frames come.
    pub(crate) async fn run(mut self) {
        while let Err(panicked) = catch_panic_async(self.work()).await {
            self.results.on_panic(&panicked);
            self.receiver.pause(PAUSE_AFTER_PANIC);
        }
        self.receiver.drop_waiting(&self.results);
    }

    async fn work(&mut self) {
        while let Some(frame) = self.receiver.next(&self.results).await {
            self.process(frame).await;
        }
    }

    async fn process(&mut self, frame: Frame) {
        self.receiver.set_replace_reason(DropReason::ReplacedByNewer);
        let (width, height) = (frame.picture.width(), frame.picture.height());
        let plan = match self.spec.settings.plan(width, height) {
            Ok(plan) => plan,
            Err(error) => {
                return self.render_failed(&frame.into_in_flight(), RenderFailure::Failed(error.to_string()));
            }
        };
        let (picture, frame) = frame.split();
        let file = match self.encode(picture, plan).await {
            Ok(file) => file,
            Err(reason) => return self.render_failed(&frame, reason),
        };
        let end = async {
            self.receiver.closed().await;
            tokio::time::sleep(self.timeouts.last_answers).await;
        };
        let answer = tokio::select! {
            answer = self.client.ask(file) => answer,
            () = end => {
                self.results.count_sent();
                return self.results.lost(&frame, DropReason::Stopped);
            }
        };
        match answer {
            Ok(answer) => self.answered(frame, answer, &plan),
            Err(error) => self.failed(&frame, &error),
        }
    }

    /// Renders and encodes on the node's thread.
    async fn encode(&self, picture: Picture, plan: FramePlan) -> Result<Bytes, RenderFailure> {
        let gone = || RenderFailure::Failed("the renderer's thread ended".to_owned());
        let (done, encoded) = oneshot::channel();
        let job = RenderJob { picture, plan, done };
        self.jobs.try_send(job).map_err(|_| gone())?;
        encoded.await.map_err(|_| gone())?
    }

    fn render_failed(&mut self, frame: &InFlightFrame, reason: RenderFailure) {
        let reason = match reason {
            RenderFailure::Failed(reason) => reason,
            RenderFailure::Panicked(panicked) => {
                self.results.dropped(frame, DropReason::InternalError);
                return self.results.report_panic(&panicked);
            }
        };
        tracing::error!(
            node = self.results.node.name(),
            reason,
            "a picture was not rendered"
        );
        self.results.dropped(frame, DropReason::NotRendered);
        let failure = Failure::configuration(self.results.node.name(), &reason);
        self.results.report_failure(&failure);
    }

    fn answered(&mut self, frame: InFlightFrame, answer: HttpAnswer, plan: &FramePlan) {
        self.results.count_sent();
        let body = answer.event_body(frame.meta.timestamp_90k);
        let mut inferences = answer.content.inferences().to_vec();
        unpad(plan, &mut inferences);
        self.results.answered(frame, ExtensionResult { inferences, body });
    }

    fn failed(&mut self, frame: &InFlightFrame, error: &HttpError) {
        let unsent = match error {
            HttpError::Paused { remaining } => {
                self.receiver.pause(*remaining);
                true
            }
            HttpError::Overloaded { pause, .. } => {
                self.receiver.pause(*pause);
                false
            }
            HttpError::Unreachable { .. } | HttpError::Untrusted { .. } | HttpError::Busy => true,
            _ => false,
        };
        if unsent {
            self.results.dropped(frame, DropReason::ExtensionUnavailable);
        } else {
            self.results.count_sent();
            self.results.lost(frame, DropReason::Unanswered);
        }
        // The error before the pause was reported.
        if !matches!(error, HttpError::Paused { .. }) {
            tracing::warn!(node = self.results.node.name(), %error, "the extension did not answer a picture");
            self.results.report_failure(&Failure::http(error, &self.url));
        }
    }
}

#[cfg(test)]
mod tests;
