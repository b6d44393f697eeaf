//! Pictures into an extension's slots: one thread for each extension node.

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use lva_extension_protocol::client::FrameSlot;
use lva_framing::{FrameEncoder, FramePlan, Picture, Renderer};
use tokio::sync::mpsc;

use crate::frame::Leaving;
use crate::guard::{Panicked, guarded, trap};
use crate::seam::picture::{PictureForm, padded};
use crate::thread::Worker;

/// What comes back with a frame's answer.
#[derive(Debug)]
pub(crate) struct FrameContext {
    /// Maps boxes back.
    pub(crate) plan: FramePlan,
    pub(crate) frame: Leaving,
}

/// A picture that is to be rendered into a slot and sent.
pub(crate) struct Job {
    pub(crate) picture: Picture,
    pub(crate) slot: FrameSlot<FrameContext>,
    pub(crate) context: FrameContext,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Rendered {
    Sent,
    /// The session ended meanwhile.
    SessionOver(Leaving),
    /// Why it could not be made.
    Failed(String, Leaving),
    /// The work on it ended in a panic.
    Broke(Panicked, Leaving),
}

/// The thread, seen from the extension's task: one job at a time.
#[derive(Debug)]
pub(crate) struct RenderThread {
    jobs: SyncSender<Job>,
    done: mpsc::Receiver<Rendered>,
}

impl RenderThread {
    /// `node` is whose pictures it makes.
    pub(crate) fn start(form: PictureForm, node: &str) -> io::Result<(Self, Worker)> {
        let (jobs, queue) = sync_channel::<Job>(1);
        let (report, done) = mpsc::channel(1);
        let node = node.to_owned();
        let worker = Worker::start("lva-render", move || {
            let mut hand = Hand {
                node,
                maker: FrameMaker::new(form),
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

    /// Gives a job, or gives it back when the thread is gone. The one before has to be done.
    pub(crate) fn give(&self, job: Job) -> Result<(), Box<Job>> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => Box::new(job),
        })
    }

    /// Waits for the job that was given; `None` when the thread is gone. Nothing is lost when the future is dropped.
    pub(crate) async fn done(&mut self) -> Option<Rendered> {
        self.done.recv().await
    }
}

struct Hand {
    node: String,
    maker: FrameMaker,
    /// For frames that are files, whose size is known only when they are made.
    file: Vec<u8>,
}

impl Hand {
    fn work(&mut self, job: Job) -> Rendered {
        let Job {
            picture,
            mut slot,
            context,
        } = job;
        trap("renderer", &self.node);
        match guarded(|| self.fill(&picture, &context.plan, &mut slot)) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Rendered::Failed(reason, context.frame),
            Err(panicked) => {
                self.maker = FrameMaker::new(self.maker.form);
                return Rendered::Broke(panicked, context.frame);
            }
        }
        let found = context.frame.about.found();
        let found = padded(&context.plan, &found);
        match slot.send(picture.timestamp_90k(), &found, context) {
            Ok(_) => Rendered::Sent,
            Err(error) => Rendered::SessionOver(error.context.frame),
        }
    }

    fn fill(
        &mut self,
        picture: &Picture,
        plan: &FramePlan,
        slot: &mut FrameSlot<FrameContext>,
    ) -> Result<(), String> {
        trap("render", &self.node);
        if !self.maker.makes_files() {
            return self.maker.draw(picture, plan, slot);
        }
        self.maker.make_file(picture, plan, &mut self.file)?;
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

/// Makes frames of one form. It keeps its memory from frame to frame.
pub(crate) struct FrameMaker {
    form: PictureForm,
    renderer: Option<Renderer>,
    encoder: FrameEncoder,
    frame: Vec<u8>,
}

impl FrameMaker {
    pub(crate) fn new(form: PictureForm) -> Self {
        Self {
            form,
            renderer: None,
            encoder: FrameEncoder::new(),
            frame: Vec::new(),
        }
    }

    fn makes_files(&self) -> bool {
        self.form.file.is_some()
    }

    /// Renders into memory of exactly the size of the plan's frames.
    fn draw(&mut self, picture: &Picture, plan: &FramePlan, into: &mut [u8]) -> Result<(), String> {
        let renderer = match self.renderer.take() {
            Some(renderer) if renderer.plan() == plan => renderer,
            _ => Renderer::new(*plan),
        };
        let drawn = self.renderer.insert(renderer).render(picture, into);
        drawn.map_err(|error| error.to_string())
    }

    /// Makes the frame as it is posted: a file, or its bare pixels.
    pub(crate) fn make_file(
        &mut self,
        picture: &Picture,
        plan: &FramePlan,
        file: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Some(kind) = self.form.file else {
            file.resize(plan.bytes(), 0);
            return self.draw(picture, plan, file);
        };
        let mut frame = std::mem::take(&mut self.frame);
        frame.resize(plan.bytes(), 0);
        let drawn = self.draw(picture, plan, &mut frame);
        let made = drawn.and_then(|()| {
            let encoded = self.encoder.encode(plan, &frame, kind, file);
            encoded.map_err(|error| error.to_string())
        });
        self.frame = frame;
        made
    }
}
