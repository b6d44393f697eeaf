//! The thread that a network runs on, and the one job that may be under way on it.

use std::mem;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;

use super::load_error::LoadError;
use super::{Backend, InputFacts, Loaded, OutputTensor, RuntimeFailure};

/// Name of the thread, as `top` shows it; Linux cuts at 15 bytes.
const THREAD_NAME: &str = "lva-inference";

/// Memory that travels with a job and comes back with its answer.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) input: Vec<f32>,
    pub(super) outputs: Vec<OutputTensor>,
}

struct Job {
    buffers: Buffers,
    rows: usize,
    reply: oneshot::Sender<Answer>,
}

/// What a job gave.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) buffers: Buffers,
    pub(super) result: Result<(), RuntimeFailure>,
}

/// The thread has ended: its runtime panicked.
#[derive(Debug)]
pub(super) struct Ended;

/// A thread with a network on it. Dropping it waits for the run under way and joins the thread.
#[derive(Debug)]
pub(super) struct Worker {
    /// Bounded to one job: there never is a second, because `pending` is awaited before the next is sent.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Answer of the job under way. It stays here when the caller's future is dropped, so that the next call
    /// can wait for it and get the buffers back.
    pending: Option<oneshot::Receiver<Answer>>,
}

/// What the network said about itself when it was loaded.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) inputs: Vec<InputFacts>,
    pub(super) runtime: String,
}

impl Worker {
    /// Starts the thread and loads the network on it.
    ///
    /// Loading happens there because runtimes may panic on a damaged file: here that is an error like any
    /// other.
    pub(super) fn start<B, F>(load: F) -> Result<(Self, Facts), LoadError>
    where
        B: Backend,
        F: FnOnce() -> Result<Loaded<B>, LoadError> + Send + 'static,
    {
        let (jobs, queue) = sync_channel::<Job>(1);
        let (told, ready) = sync_channel(1);
        let thread = thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || {
                let mut backend = match load() {
                    Ok(Loaded {
                        backend,
                        inputs,
                        runtime,
                    }) => {
                        // The receiver waits below; should it be gone, the queue is closed too and the loop
                        // ends.
                        let _ = told.send(Ok(Facts { inputs, runtime }));
                        backend
                    }
                    Err(error) => {
                        let _ = told.send(Err(error));
                        return;
                    }
                };
                while let Ok(Job {
                    mut buffers,
                    rows,
                    reply,
                }) = queue.recv()
                {
                    let result = backend.run(&buffers.input, rows, &mut buffers.outputs);
                    // Nobody listens when the detector is being dropped.
                    let _ = reply.send(Answer { buffers, result });
                }
            })
            .map_err(|source| LoadError::Thread { source })?;
        let worker = Self {
            jobs: Some(jobs),
            thread: Some(thread),
            pending: None,
        };
        let facts = ready.recv().map_err(|_| LoadError::Panicked)??;
        Ok((worker, facts))
    }

    /// Hands a job over; never blocks. [`Worker::answer`] must have been awaited since the last one.
    pub(super) fn submit(&mut self, buffers: &mut Buffers, rows: usize) -> Result<(), Ended> {
        let (reply, pending) = oneshot::channel();
        let job = Job {
            buffers: mem::take(buffers),
            rows,
            reply,
        };
        self.jobs
            .as_ref()
            .ok_or(Ended)?
            .try_send(job)
            .map_err(|_| Ended)?;
        self.pending = Some(pending);
        Ok(())
    }

    /// Waits for the job under way; `None` when there is none.
    ///
    /// The future may be dropped: the job stays under way and the next call waits for it.
    pub(super) async fn answer(&mut self) -> Result<Option<Answer>, Ended> {
        let Some(pending) = &mut self.pending else {
            return Ok(None);
        };
        let answer = pending.await;
        self.pending = None;
        answer.map(Some).map_err(|_| Ended)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closing the queue ends the thread's loop.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
