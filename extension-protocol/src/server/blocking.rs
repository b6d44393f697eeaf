//! Extensions that block: each stream has a named thread of its own, never a worker of the runtime.

use std::sync::Arc;
use std::thread;

use async_trait::async_trait;
use bytes::Bytes;
use lva_inference_schema::Inference;
use tokio::sync::{mpsc, oneshot};

use super::extension::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo};
use crate::BoxError;

/// [`Extension`] for code that blocks. [`ThreadPerStream`] hosts it.
pub trait BlockingExtension: Send + Sync + 'static {
    /// Name that clients are told; free text.
    fn identifier(&self) -> &str {
        ""
    }

    /// A client wants to open a stream. Runs on the thread of that stream, so a model may be loaded here; it need not
    /// be `Send` afterwards.
    ///
    /// # Errors
    ///
    /// [`ExtensionOpenError`]: the stream is refused with the status that fits.
    fn open(&self, session: &SessionInfo) -> Result<Box<dyn BlockingSession>, ExtensionOpenError>;
}

/// [`ExtensionSession`] for code that blocks. It lives and dies on one thread.
pub trait BlockingSession {
    /// Looks at one frame; see [`ExtensionSession::process`].
    ///
    /// # Errors
    ///
    /// As there: an [`StreamError`](crate::server::StreamError) ends the stream, any other error costs the frame its answer.
    fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError>;
}

/// Hosts a [`BlockingExtension`]: one thread for each stream, named `extension-N`. Their number is bounded by
/// [`ServerOptions::with_max_sessions`](crate::server::ServerOptions::with_max_sessions).
#[derive(Debug)]
pub struct ThreadPerStream<E>(Arc<E>);

impl<E: BlockingExtension> ThreadPerStream<E> {
    /// Hosts this extension.
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
        // One job at a time, because the stream waits for each answer.
        let (jobs, mut queue) = mpsc::channel::<Job>(1);
        let (opened, opening) = oneshot::channel();
        let (extension, info) = (Arc::clone(&self.0), session.clone());
        thread::Builder::new()
            .name(format!("extension-{}", info.number))
            .spawn(move || {
                let mut own = match extension.open(&info) {
                    Ok(own) => own,
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
                    let result = own.process(sample);
                    // Before the answer: afterwards the client may write there again.
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
                "its thread ended while it began".into(),
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
