//! Extensions with blocking code: each stream has its own named thread.

use std::sync::Arc;
use std::thread;

use async_trait::async_trait;
use bytes::Bytes;
use lva_inference_schema::Inference;
use tokio::sync::{mpsc, oneshot};

use super::extension::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo};
use crate::BoxError;

/// [`Extension`] for blocking code. [`ThreadPerStream`] hosts it.
pub trait BlockingExtension: Send + Sync + 'static {
    /// The name that is sent to clients.
    fn identifier(&self) -> &str {
        ""
    }

    /// Opens a stream. Runs on the thread of that stream: it may load a model, and the session need not be `Send`.
    ///
    /// # Errors
    ///
    /// [`ExtensionOpenError`]: the stream is refused with the matching status.
    fn open(&self, session: &SessionInfo) -> Result<Box<dyn BlockingSession>, ExtensionOpenError>;
}

/// [`ExtensionSession`] for blocking code. It stays on one thread.
pub trait BlockingSession {
    /// Processes one frame; see [`ExtensionSession::process`].
    ///
    /// # Errors
    ///
    /// As there: an [`StreamError`](crate::server::StreamError) ends the stream, any other error costs the frame its answer.
    fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError>;
}

/// Hosts a [`BlockingExtension`]: one thread per stream, named `extension-N`. The number of threads is limited by
/// [`ServerOptions::with_max_sessions`](crate::server::ServerOptions::with_max_sessions).
#[derive(Debug)]
pub struct ThreadPerStream<E>(Arc<E>);

impl<E: BlockingExtension> ThreadPerStream<E> {
    /// Hosts an extension.
    pub fn new(extension: E) -> Self {
        Self(Arc::new(extension))
    }
}

struct Job {
    data: Bytes,
    timestamp: u64,
    timescale: u32,
    sequence: u64,
    upstream: Vec<Inference>,
    answer: oneshot::Sender<Result<Vec<Inference>, BoxError>>,
}

struct Remote {
    jobs: mpsc::Sender<Job>,
    timescale: u32,
}

#[async_trait]
impl<E: BlockingExtension> Extension for ThreadPerStream<E> {
    fn identifier(&self) -> &str {
        self.0.identifier()
    }

    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        // One job at a time: the stream waits for each answer.
        let (jobs, mut queue) = mpsc::channel::<Job>(1);
        let (opened, opening) = oneshot::channel();
        let (extension, info) = (Arc::clone(&self.0), session.clone());
        thread::Builder::new()
            .name(format!("extension-{}", info.number))
            .spawn(move || {
                let mut session = match extension.open(&info) {
                    Ok(session) => session,
                    Err(error) => {
                        let _ = opened.send(Err(error));
                        return;
                    }
                };
                if opened.send(Ok(())).is_err() {
                    return;
                }
                while let Some(Job {
                    data,
                    timestamp,
                    timescale,
                    sequence,
                    upstream,
                    answer,
                }) = queue.blocking_recv()
                {
                    let sample = Sample::new(&data, timestamp, timescale, sequence, &upstream);
                    let result = session.process(sample);
                    // Before the answer: after it, the client may reuse the memory.
                    drop(data);
                    let _ = answer.send(result);
                }
            })
            .map_err(|error| ExtensionOpenError::Failed(error.into()))?;
        match opening.await {
            Ok(Ok(())) => Ok(Box::new(Remote {
                jobs,
                timescale: session.timescale,
            })),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ExtensionOpenError::Failed(
                "its thread panicked during the start".into(),
            )),
        }
    }
}

#[async_trait]
impl ExtensionSession for Remote {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            data: sample.shared_data(),
            timestamp: sample.timestamp(),
            timescale: self.timescale,
            sequence: sample.sequence(),
            upstream: sample.upstream().to_vec(),
            answer,
        };
        let gone = "the extension's thread has ended";
        self.jobs.send(job).await.map_err(|_| gone)?;
        answered.await.map_err(|_| gone)?
    }
}
