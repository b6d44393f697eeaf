//! Batches across streams: one thread, one model, samples of all streams together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use lva_inference_schema::Inference;
use tokio::sync::oneshot;

use super::batch::{BatchLimits, Collector, Reason};
use super::extension::{BoxError, Extension, ExtensionSession, OpenError, Sample, SessionInfo};

/// What one sample of a batch comes to.
pub type BatchResult = Result<Vec<Inference>, BoxError>;

/// An extension that looks at samples of many streams at once, as GPUs want it. [`Batching`] hosts it.
///
/// All its methods run on one thread of their own, so they may block, and the value need not be `Sync`.
pub trait BatchExtension: Send + 'static {
    /// A client wants to open a stream. What is kept for it goes by [`SessionInfo::number`].
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the stream is refused with the status that fits.
    fn open(&mut self, session: &SessionInfo) -> Result<(), OpenError> {
        let _ = session;
        Ok(())
    }

    /// A stream that was opened is over.
    fn close(&mut self, session: &SessionInfo) {
        let _ = session;
    }

    /// Looks at 1 to [`BatchLimits::samples`] samples, at most one of each stream, and gives as many results: the
    /// first is that of the first sample, and so on.
    ///
    /// # Errors
    ///
    /// A result that is an error counts for its sample alone, as in [`ExtensionSession::process`]. An error of the
    /// whole counts for every sample of the batch, and so does a number of results other than that of the samples,
    /// or a panic; the extension is called again with the next batch.
    fn process(&mut self, batch: &[BatchSample<'_>]) -> Result<Vec<BatchResult>, BoxError>;
}

/// One sample of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchSample<'a> {
    /// The stream that it belongs to.
    pub session: &'a SessionInfo,
    /// The frame, and what is known about it.
    pub sample: Sample<'a>,
}

/// Counts of a [`Batching`] since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BatchStats {
    /// Batches shown to the extension.
    pub batches: u64,
    /// Samples in them.
    pub samples: u64,
    /// Batches that had as many samples as they may.
    pub full: u64,
    /// Batches that had a sample of every open stream.
    pub all_streams: u64,
    /// Batches whose first sample had waited long enough.
    pub waited: u64,
    /// Batches that failed as a whole.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    samples: AtomicU64,
    full: AtomicU64,
    all_streams: AtomicU64,
    waited: AtomicU64,
    failed: AtomicU64,
}

/// Reads the counts of a [`Batching`] at any time.
#[derive(Debug, Clone)]
pub struct BatchStatsReader(Arc<Counters>);

impl BatchStatsReader {
    /// The counts now.
    pub fn read(&self) -> BatchStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (full, all_streams, waited) = (
            read(&self.0.full),
            read(&self.0.all_streams),
            read(&self.0.waited),
        );
        BatchStats {
            batches: full + all_streams + waited,
            samples: read(&self.0.samples),
            full,
            all_streams,
            waited,
            failed: read(&self.0.failed),
        }
    }
}

/// Hosts a [`BatchExtension`] on a thread named `extension-batch`, for any server.
///
/// A batch goes when it is full, when it holds a sample of every open stream, or when its first sample has waited
/// [`BatchLimits::wait`]. Samples that come while a batch is looked at make the next one. What waits is bounded by the
/// number of streams, because a stream shows one sample at a time.
///
/// ```
/// use lva_extension_protocol::*;
///
/// struct Model;
///
/// impl BatchExtension for Model {
///     fn process(&mut self, batch: &[BatchSample<'_>]) -> Result<Vec<BatchResult>, BoxError> {
///         // One call of the model for all of them; results in the order of the samples.
///         Ok(batch.iter().map(|it| { let _pixels = it.sample.data(); Ok(Vec::new()) }).collect())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = ExtensionServer::new(Batching::new("model", Model, BatchLimits::default())?);
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Batching {
    identifier: String,
    jobs: mpsc::Sender<Job>,
    counters: Arc<Counters>,
}

impl Batching {
    /// Starts the thread. `identifier` is told to clients; free text. The thread ends when this and every stream are
    /// dropped.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn new<E: BatchExtension>(
        identifier: impl Into<String>,
        extension: E,
        limits: BatchLimits,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let counters = Arc::<Counters>::default();
        let worker = Worker {
            extension,
            collector: Collector::new(limits),
            counters: Arc::clone(&counters),
        };
        thread::Builder::new()
            .name("extension-batch".to_owned())
            .spawn(move || worker.run(&queue))?;
        Ok(Self {
            identifier: identifier.into(),
            jobs,
            counters,
        })
    }

    /// Reads what is counted, also while a server runs it.
    pub fn stats(&self) -> BatchStatsReader {
        BatchStatsReader(Arc::clone(&self.counters))
    }
}

enum Job {
    Open {
        /// Comes back once it is open, so that whoever drops it closes the stream.
        stream: Remote,
        answer: oneshot::Sender<Result<Remote, OpenError>>,
    },
    Sample(Waiting),
    Close {
        session: Arc<SessionInfo>,
    },
}

struct Waiting {
    session: Arc<SessionInfo>,
    data: Bytes,
    timestamp: u64,
    sequence: u64,
    upstream: Vec<Inference>,
    came_at: Instant,
    answer: oneshot::Sender<BatchResult>,
}

const GONE: &str = "the batching thread has ended";

#[async_trait]
impl Extension for Batching {
    fn identifier(&self) -> &str {
        &self.identifier
    }

    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, OpenError> {
        let stream = Remote {
            session: Arc::new(session.clone()),
            jobs: self.jobs.clone(),
            is_open: false,
        };
        let (answer, answered) = oneshot::channel();
        let gone = || OpenError::Failed(GONE.into());
        self.jobs.send(Job::Open { stream, answer }).map_err(|_| gone())?;
        Ok(Box::new(answered.await.map_err(|_| gone())??))
    }
}

struct Remote {
    session: Arc<SessionInfo>,
    jobs: mpsc::Sender<Job>,
    /// The extension has taken it.
    is_open: bool,
}

#[async_trait]
impl ExtensionSession for Remote {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            session: Arc::clone(&self.session),
            data: sample.shared_data(),
            timestamp: sample.timestamp(),
            sequence: sample.sequence(),
            upstream: sample.upstream().to_vec(),
            came_at: Instant::now(),
            answer,
        };
        self.jobs.send(Job::Sample(waiting)).map_err(|_| GONE)?;
        answered.await.map_err(|_| GONE)?
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.is_open {
            let session = Arc::clone(&self.session);
            let _ = self.jobs.send(Job::Close { session });
        }
    }
}

struct Worker<E> {
    extension: E,
    collector: Collector<Waiting>,
    counters: Arc<Counters>,
}

impl<E: BatchExtension> Worker<E> {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        loop {
            // All that is there already, before a batch is judged.
            while let Ok(job) = queue.try_recv() {
                self.take_in(job);
            }
            let now = Instant::now();
            if let Some(reason) = self.collector.due(now) {
                self.show(reason);
                continue;
            }
            let job = match self.collector.wake_at() {
                Some(at) => match queue.recv_timeout(at.saturating_duration_since(now)) {
                    Ok(job) => job,
                    Err(mpsc::RecvTimeoutError::Timeout) => continue,
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                },
                None => match queue.recv() {
                    Ok(job) => job,
                    Err(mpsc::RecvError) => return,
                },
            };
            self.take_in(job);
        }
    }

    fn take_in(&mut self, job: Job) {
        match job {
            Job::Open { mut stream, answer } => {
                let extension = &mut self.extension;
                let opened = catch_unwind(AssertUnwindSafe(|| extension.open(&stream.session)))
                    .unwrap_or_else(|_| Err(OpenError::Failed("it panicked".into())));
                let opened = opened.map(|()| {
                    self.collector.stream_opened();
                    stream.is_open = true;
                    stream
                });
                // If nobody waits for it any more, the stream is dropped, and so closed.
                let _ = answer.send(opened);
            }
            Job::Sample(waiting) => {
                let came_at = waiting.came_at;
                self.collector.push(waiting, came_at);
            }
            Job::Close { session } => {
                self.collector.stream_closed();
                self.close(&session);
            }
        }
    }

    fn close(&mut self, session: &SessionInfo) {
        let extension = &mut self.extension;
        if catch_unwind(AssertUnwindSafe(|| extension.close(session))).is_err() {
            tracing::error!(
                stream = session.number,
                "the extension panicked while it closed a stream"
            );
        }
    }

    fn show(&mut self, reason: Reason) {
        let mut taken = self.collector.take();
        // Whoever left while the sample waited wants no answer.
        taken.retain(|waiting| !waiting.answer.is_closed());
        if taken.is_empty() {
            return;
        }
        let counter = match reason {
            Reason::Full => &self.counters.full,
            Reason::AllStreams => &self.counters.all_streams,
            Reason::Waited => &self.counters.waited,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.counters
            .samples
            .fetch_add(taken.len() as u64, Ordering::Relaxed);
        let batch: Vec<BatchSample<'_>> = taken
            .iter()
            .map(|waiting| BatchSample {
                session: &waiting.session,
                sample: Sample::new(
                    &waiting.data,
                    waiting.timestamp,
                    waiting.session.timescale,
                    waiting.sequence,
                    &waiting.upstream,
                ),
            })
            .collect();
        let extension = &mut self.extension;
        let results = catch_unwind(AssertUnwindSafe(|| extension.process(&batch)))
            .unwrap_or_else(|_| Err("the extension panicked on a batch".into()))
            .and_then(|results| match results.len() == batch.len() {
                true => Ok(results),
                false => {
                    let (results, samples) = (results.len(), batch.len());
                    Err(format!("the extension gave {results} results for a batch of {samples}").into())
                }
            });
        drop(batch);
        match results {
            Ok(results) => {
                for (waiting, result) in taken.into_iter().zip(results) {
                    waiting.tell(result);
                }
            }
            Err(error) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                let words = error.to_string();
                for waiting in taken {
                    waiting.tell(Err(words.clone().into()));
                }
            }
        }
    }
}

impl Waiting {
    fn tell(self, result: BatchResult) {
        // Before the answer: afterwards the client may write there again.
        drop(self.data);
        let _ = self.answer.send(result);
    }
}
