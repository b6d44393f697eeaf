//! Renders pictures into an extension's slots: one thread for each extension node.

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use lva_extension_protocol::client::FrameSlot;
use lva_framing::{FramePlan, Picture};
use tokio::sync::mpsc;

use crate::convert::picture::{FrameSpec, padded};
use crate::flow::InFlightFrame;
use crate::panics::{Panicked, catch_panic, failpoint};
use crate::render::FrameRenderer;
use crate::thread::Worker;

/// What comes back with a frame's answer.
#[derive(Debug)]
pub(super) struct FrameContext {
    /// Maps boxes back.
    pub(super) plan: FramePlan,
    pub(super) frame: InFlightFrame,
}

/// A picture to render into a slot and send.
pub(super) struct Job {
    pub(super) picture: Picture,
    pub(super) slot: FrameSlot<FrameContext>,
    pub(super) context: FrameContext,
}

/// The result of a job.
#[derive(Debug)]
pub(super) enum Rendered {
    Sent,
    /// The session ended in the meantime.
    SessionOver(InFlightFrame),
    /// With the reason.
    Failed(String, InFlightFrame),
    Panicked(Panicked, InFlightFrame),
}

/// The thread, seen from the extension's task: one job at a time.
#[derive(Debug)]
pub(super) struct RenderThread {
    jobs: SyncSender<Job>,
    done: mpsc::Receiver<Rendered>,
}

impl RenderThread {
    pub(super) fn start(spec: FrameSpec, node: &str) -> io::Result<(Self, Worker)> {
        let (jobs, queue) = sync_channel::<Job>(1);
        let (report, done) = mpsc::channel(1);
        let node = node.to_owned();
        let worker = Worker::start("lva-render", move || {
            let mut worker = RenderWorker {
                node,
                renderer: FrameRenderer::new(spec),
                file: Vec::new(),
            };
            while let Ok(job) = queue.recv() {
                if report.blocking_send(worker.run(job)).is_err() {
                    break;
                }
            }
        })?;
        Ok((Self { jobs, done }, worker))
    }

    /// Gives a job, or returns it when the thread has ended. The job before must be done.
    pub(super) fn give(&self, job: Job) -> Result<(), Box<Job>> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => Box::new(job),
        })
    }

    /// Waits for the job that was given; `None` when the thread has ended. Cancel safe.
    pub(super) async fn done(&mut self) -> Option<Rendered> {
        self.done.recv().await
    }
}

struct RenderWorker {
    node: String,
    renderer: FrameRenderer,
    /// For frames that are files, whose size is known only after encoding.
    file: Vec<u8>,
}

impl RenderWorker {
    fn run(&mut self, job: Job) -> Rendered {
        let Job {
            picture,
            mut slot,
            context,
        } = job;
        failpoint("renderer", &self.node);
        match catch_panic(|| self.fill(&picture, &context.plan, &mut slot)) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Rendered::Failed(reason, context.frame),
            Err(panicked) => {
                self.renderer.reset();
                return Rendered::Panicked(panicked, context.frame);
            }
        }
        let found = context.frame.meta.prior_results();
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
        failpoint("render", &self.node);
        if !self.renderer.makes_files() {
            return self.renderer.render(picture, plan, slot);
        }
        self.renderer.encode(picture, plan, &mut self.file)?;
        let length = self.file.len();
        match slot.get_mut(..length) {
            Some(target) => {
                target.copy_from_slice(&self.file);
                slot.truncate(length);
                Ok(())
            }
            None => Err(format!(
                "a file of {length} bytes does not fit into a slot of shared memory"
            )),
        }
    }
}
