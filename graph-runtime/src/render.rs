//! Pictures into an extension's slots: one thread for each extension node.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use lva_extension_protocol::FrameSlot;
use lva_framing::{FrameEncoder, FramePlan, Picture, Renderer};
use lva_inference_schema::Inference;
use tokio::sync::mpsc;

use crate::seam::picture::{PictureForm, padded};
use crate::thread::Worker;

/// What comes back with a frame's answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameContext {
    /// Maps boxes back.
    pub(crate) plan: FramePlan,
    pub(crate) received_at: Instant,
}

/// A picture that is to be rendered into a slot and sent.
pub(crate) struct Job {
    pub(crate) picture: Picture,
    /// What was found on it on its way, in the camera's picture.
    pub(crate) found: Arc<[Inference]>,
    pub(crate) slot: FrameSlot<FrameContext>,
    pub(crate) context: FrameContext,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Rendered {
    Sent,
    /// The session ended meanwhile.
    SessionOver,
    /// Why it could not be made.
    Failed(String),
}

/// The thread, seen from the extension's task: one job at a time.
#[derive(Debug)]
pub(crate) struct RenderThread {
    jobs: SyncSender<Job>,
    done: mpsc::Receiver<Rendered>,
}

impl RenderThread {
    pub(crate) fn start(form: PictureForm) -> io::Result<(Self, Worker)> {
        let (jobs, queue) = sync_channel::<Job>(1);
        let (report, done) = mpsc::channel(1);
        let worker = Worker::start("lva-render", move || {
            let mut hand = Hand {
                form,
                renderer: None,
                encoder: FrameEncoder::new(),
                frame: Vec::new(),
                file: Vec::new(),
            };
            while let Ok(job) = queue.recv() {
                if report.blocking_send(hand.work(job)).is_err() {
                    break;
                }
            }
        })?;
        Ok((Self { jobs, done }, worker))
    }

    /// Gives a job; false when the thread is gone. The one before has to be done.
    pub(crate) fn give(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    /// Waits for the job that was given; `None` when the thread is gone. Nothing is lost when the future is dropped.
    pub(crate) async fn done(&mut self) -> Option<Rendered> {
        self.done.recv().await
    }
}

struct Hand {
    form: PictureForm,
    renderer: Option<Renderer>,
    encoder: FrameEncoder,
    /// For frames that are files: the pixels, and the file. Their size is known only when they are made.
    frame: Vec<u8>,
    file: Vec<u8>,
}

impl Hand {
    fn work(&mut self, job: Job) -> Rendered {
        let Job {
            picture,
            found,
            mut slot,
            context,
        } = job;
        if let Err(reason) = self.fill(&picture, &context.plan, &mut slot) {
            return Rendered::Failed(reason);
        }
        match slot.send(picture.timestamp_90k(), &padded(&context.plan, &found), context) {
            Ok(_) => Rendered::Sent,
            Err(_) => Rendered::SessionOver,
        }
    }

    fn fill(
        &mut self,
        picture: &Picture,
        plan: &FramePlan,
        slot: &mut FrameSlot<FrameContext>,
    ) -> Result<(), String> {
        if self
            .renderer
            .as_ref()
            .is_none_or(|renderer| renderer.plan() != plan)
        {
            self.renderer = Some(Renderer::new(*plan));
        }
        let Some(renderer) = &mut self.renderer else {
            return Err("no renderer".to_owned());
        };
        let Some(file) = self.form.file else {
            return renderer.render(picture, slot).map_err(|error| error.to_string());
        };
        self.frame.resize(plan.bytes(), 0);
        renderer
            .render(picture, &mut self.frame)
            .map_err(|error| error.to_string())?;
        self.encoder
            .encode(plan, &self.frame, file, &mut self.file)
            .map_err(|error| error.to_string())?;
        let length = self.file.len();
        match slot.get_mut(..length) {
            Some(place) => {
                place.copy_from_slice(&self.file);
                slot.truncate(length);
                Ok(())
            }
            None => Err(format!("a file of {length} bytes does not fit into a slot")),
        }
    }
}
