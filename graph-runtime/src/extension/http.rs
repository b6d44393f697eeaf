//! An HTTP extension node: one picture at a time, and the newest one next.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use bytes::Bytes;
use lva_client_transport::ClientTlsError;
use lva_extension_protocol::http::{HttpAnswer, HttpClient, HttpClientOptions, HttpError};
use lva_framing::{FramePlan, Picture};
use tokio::sync::oneshot;

use super::Patience;
use super::entrance::{AFTER_DEFECT, Entrance, Intake};
use super::render::FrameMaker;
use super::results::{Answered, Results};
use crate::failure::Failure;
use crate::frame::{Frame, Leaving};
use crate::guard::{Panicked, guarded, guarded_async, trap};
use crate::seam::picture::{PictureForm, unpad};
use crate::stats::DropReason;
use crate::thread::Worker;

/// One HTTP extension node at work.
///
/// The event's body is the answer as the extension wrote it, with boxes as it gave them: fractions of the picture that
/// it was sent. What trackers and further extensions get is mapped to the camera's picture.
pub(crate) struct HttpNode {
    url: String,
    client: HttpClient,
    form: PictureForm,
    intake: Intake,
    results: Results,
    patience: Patience,
    jobs: SyncSender<RenderJob>,
}

/// A picture to be made ready for posting.
struct RenderJob {
    picture: Picture,
    plan: FramePlan,
    done: oneshot::Sender<Result<Bytes, NotMade>>,
}

/// Why a picture was not made.
#[derive(Debug, thiserror::Error)]
enum NotMade {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Broke(Panicked),
}

/// Why an asking node could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Thread(#[from] io::Error),
    #[error(transparent)]
    Tls(#[from] ClientTlsError),
}

impl HttpNode {
    pub(crate) fn new(
        options: HttpClientOptions,
        form: PictureForm,
        entrance: Entrance,
        results: Results,
        patience: Patience,
    ) -> Result<(Self, Worker), AskError> {
        let (jobs, queue) = sync_channel::<RenderJob>(1);
        let url = options.url().to_string();
        let options = options
            .with_backoff(patience.backoff)
            .with_answer_timeout(patience.answer);
        let client = HttpClient::new(options)?;
        let node = results.node.name.clone();
        let worker = Worker::start("lva-render", move || {
            let mut maker = FrameMaker::new(form);
            while let Ok(job) = queue.recv() {
                let mut file = Vec::new();
                let made = guarded(|| {
                    trap("render", &node);
                    maker.make_file(&job.picture, &job.plan, &mut file)
                });
                let made = match made {
                    Ok(made) => made.map_err(NotMade::Refused),
                    Err(panicked) => {
                        maker = FrameMaker::new(form);
                        Err(NotMade::Broke(panicked))
                    }
                };
                // Nobody waits any more when the node was stopped.
                let _ = job.done.send(made.map(|()| file.into()));
            }
        })?;
        let asking = Self {
            url,
            client,
            form,
            intake: Intake::new(entrance),
            results,
            patience,
            jobs,
        };
        Ok((asking, worker))
    }

    /// Works until no more pictures come.
    pub(crate) async fn run(mut self) {
        while let Err(panicked) = guarded_async(self.work()).await {
            self.results.stumbled(&panicked);
            self.intake.pause(AFTER_DEFECT);
        }
        self.intake.drop_waiting(&self.results);
    }

    async fn work(&mut self) {
        while let Some(frame) = self.intake.next(&self.results).await {
            self.show(frame).await;
        }
    }

    async fn show(&mut self, frame: Frame) {
        self.intake.replaces_because(DropReason::ReplacedByNewer);
        let (width, height) = (frame.picture.width(), frame.picture.height());
        let plan = match self.form.settings.plan(width, height) {
            Ok(plan) => plan,
            Err(error) => return self.not_made(&frame.leaving(), NotMade::Refused(error.to_string())),
        };
        let (picture, frame) = frame.split();
        let file = match self.make(picture, plan).await {
            Ok(file) => file,
            Err(reason) => return self.not_made(&frame, reason),
        };
        let end = async {
            self.intake.closed().await;
            tokio::time::sleep(self.patience.last_answers).await;
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
    async fn make(&self, picture: Picture, plan: FramePlan) -> Result<Bytes, NotMade> {
        let gone = || NotMade::Refused("the renderer's thread is gone".to_owned());
        let (done, made) = oneshot::channel();
        let job = RenderJob { picture, plan, done };
        self.jobs.try_send(job).map_err(|_| gone())?;
        made.await.map_err(|_| gone())?
    }

    fn not_made(&mut self, frame: &Leaving, reason: NotMade) {
        let reason = match reason {
            NotMade::Refused(reason) => reason,
            NotMade::Broke(panicked) => {
                self.results.dropped(frame, DropReason::Defect);
                return self.results.defect(&panicked);
            }
        };
        tracing::error!(node = %self.results.node.name, reason, "a picture was not made");
        self.results.dropped(frame, DropReason::NotRendered);
        let failure = Failure::configuration(self.results.node.name.clone());
        self.results.complain(&failure);
    }

    fn answered(&mut self, frame: Leaving, answer: HttpAnswer, plan: &FramePlan) {
        self.results.count_sent();
        let body = answer.event_body(frame.about.timestamp_90k);
        let mut inferences = answer.content.inferences().to_vec();
        unpad(plan, &mut inferences);
        self.results.answered(frame, Answered { inferences, body });
    }

    fn failed(&mut self, frame: &Leaving, error: &HttpError) {
        let unsent = match error {
            HttpError::Paused { remaining } => {
                self.intake.pause(*remaining);
                true
            }
            HttpError::Overloaded { pause, .. } => {
                self.intake.pause(*pause);
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
        // A pause follows from what was said before it.
        if !matches!(error, HttpError::Paused { .. }) {
            tracing::warn!(node = %self.results.node.name, %error, "a picture was not answered");
            self.results.complain(&Failure::http(error, &self.url));
        }
    }
}

#[cfg(test)]
mod tests;
