//! An HTTP extension node: one picture at a time, and the newest one next.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lva_extension_protocol::http::{HttpAnswer, HttpClient, HttpClientOptions, HttpError, HttpTlsError};
use lva_framing::{FramePlan, Picture};
use tokio::sync::oneshot;

use crate::analysis::Entrance;
use crate::failure::Failure;
use crate::frame::{Frame, Leaving};
use crate::guard::{Panicked, guarded, guarded_async, trap};
use crate::render::Artist;
use crate::results::{Answered, Results};
use crate::seam::picture::{PictureForm, unpad};
use crate::stats::DropReason;
use crate::thread::Worker;

/// How long the last answer is waited for at an end.
const LAST_ANSWER: Duration = Duration::from_secs(3);
/// How long a node rests after a defect.
pub(crate) const AFTER_DEFECT: Duration = Duration::from_secs(5);

/// One HTTP extension node at work.
///
/// The event's body is the answer as the extension wrote it, with boxes as it gave them: fractions of the picture that
/// it was sent. What trackers and further extensions get is mapped to the camera's picture.
pub(crate) struct Asking {
    url: String,
    client: HttpClient,
    form: PictureForm,
    entrance: Entrance,
    results: Results,
    easel: SyncSender<Sitting>,
    /// The extension asked to be left alone until then, or could not be reached a moment ago.
    paused_until: Option<Instant>,
}

/// A picture to be made ready for posting.
struct Sitting {
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
    Tls(#[from] HttpTlsError),
}

impl Asking {
    pub(crate) fn new(
        options: HttpClientOptions,
        form: PictureForm,
        entrance: Entrance,
        results: Results,
    ) -> Result<(Self, Worker), AskError> {
        let (easel, sittings) = sync_channel::<Sitting>(1);
        let url = options.url().to_string();
        let client = HttpClient::new(options)?;
        let node = results.node.name.clone();
        let worker = Worker::start("lva-render", move || {
            let mut artist = Artist::new(form);
            while let Ok(sitting) = sittings.recv() {
                let mut file = Vec::new();
                let made = guarded(|| {
                    trap("render", &node);
                    artist.make_file(&sitting.picture, &sitting.plan, &mut file)
                });
                let made = match made {
                    Ok(made) => made.map_err(NotMade::Refused),
                    Err(panicked) => {
                        artist = Artist::new(form);
                        Err(NotMade::Broke(panicked))
                    }
                };
                // Nobody waits any more when the node was stopped.
                let _ = sitting.done.send(made.map(|()| file.into()));
            }
        })?;
        let asking = Self {
            url,
            client,
            form,
            entrance,
            results,
            easel,
            paused_until: None,
        };
        Ok((asking, worker))
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

    /// Nothing is made ready that would not be sent.
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
            self.entrance.mailbox.closed().await;
            tokio::time::sleep(LAST_ANSWER).await;
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
        let sitting = Sitting { picture, plan, done };
        self.easel.try_send(sitting).map_err(|_| gone())?;
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
        self.results.works();
        let body = answer.event_body(frame.about.timestamp_90k);
        let mut inferences = answer.content.inferences().to_vec();
        unpad(plan, &mut inferences);
        self.results.answered(frame, Answered { inferences, body });
    }

    fn failed(&mut self, frame: &Leaving, error: &HttpError) {
        let now = Instant::now();
        let unsent = match error {
            HttpError::Paused { remaining } => {
                self.paused_until = now.checked_add(*remaining);
                true
            }
            HttpError::Overloaded { pause, .. } => {
                self.paused_until = now.checked_add(*pause);
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
