//! The gRPC service: admission of streams, and how the final status reaches the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use lva_server_transport::Connection;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::extension::{Extension, next_number};
use super::stream::{self, Call, ServerState};
use crate::counters::count;
use crate::credentials;
use crate::preview;
use crate::wire::MediaStreamMessage;
use crate::wire::media_graph_extension_server::MediaGraphExtension;

/// Answers queued for the transport. A stream processes one sample at a time, so a longer queue would only hide a client
/// that does not read.
const QUEUED_ANSWERS: usize = 2;

/// Refused streams that are logged one by one; of more, each that doubles the number.
const TOLD: u64 = 128;

#[derive(Debug)]
pub(super) struct Service<E> {
    state: Arc<ServerState<E>>,
    sessions: Arc<Semaphore>,
}

impl<E: Extension> Service<E> {
    pub(super) fn new(state: ServerState<E>) -> Self {
        let sessions = Arc::new(Semaphore::new(
            state.options.max_sessions.min(Semaphore::MAX_PERMITS),
        ));
        Self {
            state: Arc::new(state),
            sessions,
        }
    }

    fn verify(
        &self,
        request: &Request<Streaming<MediaStreamMessage>>,
    ) -> Result<OwnedSemaphorePermit, Status> {
        if let Some(credentials) = &self.state.options.credentials
            && !credentials::verify(credentials, request.metadata())
        {
            return Err(Status::unauthenticated(credentials::MISSING));
        }
        if *self.state.shutdown.borrow() {
            return Err(Status::unavailable("the extension is shutting down"));
        }
        Arc::clone(&self.sessions).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{} streams are already open, which is the limit",
                self.state.options.max_sessions
            ))
        })
    }
}

#[tonic::async_trait]
impl<E: Extension> MediaGraphExtension for Service<E> {
    type ProcessMediaStreamStream = Answers;

    async fn process_media_stream(
        &self,
        request: Request<Streaming<MediaStreamMessage>>,
    ) -> Result<Response<Answers>, Status> {
        let connection = request.extensions().get::<Connection>().cloned();
        let permit = self.verify(&request).inspect_err(|status| {
            let refused = &self.state.counters.sessions_refused;
            count(refused);
            if let Some(connection) = connection.as_ref().filter(|_| status.code() == Code::Unauthenticated) {
                connection.refuse();
            }
            // A peer may cause as many of these as it likes.
            let in_all = refused.load(Ordering::Relaxed);
            if in_all <= TOLD || in_all.is_power_of_two() {
                tracing::warn!(code = ?status.code(), reason = status.message(), in_all, "a stream was refused");
            }
        })?;
        let wants_preview = preview::is_asked_for(request.metadata());
        let inbound = request.into_inner();
        let (outgoing, messages) = mpsc::channel(QUEUED_ANSWERS);
        let end = Arc::new(Mutex::new(End::Running));
        let number = next_number();
        let call = Call {
            number,
            wants_preview,
        };
        let (state, outcome) = (Arc::clone(&self.state), Arc::clone(&end));
        // A separate task: the response headers are sent now, before the first message arrives.
        tokio::spawn(async move {
            let _permit = permit;
            let accepted = || {
                if let Some(connection) = &connection {
                    connection.vouch();
                }
            };
            let result = stream::run(&state, call, inbound, outgoing.clone(), accepted).await;
            match &result {
                Ok(()) => tracing::info!(stream = number, "stream ended"),
                Err(status) if status.code() == Code::Cancelled => {
                    tracing::info!(stream = number, "stream ended: the client disconnected");
                }
                Err(status) => {
                    tracing::warn!(stream = number, code = ?status.code(), reason = status.message(), "stream ended");
                }
            }
            *outcome.lock() = End::Ended(result);
            // The receiver must not see the queue closed before the status is set.
            drop(outgoing);
        });
        Ok(Response::new(Answers { messages, end }))
    }
}

/// How a stream ended.
#[derive(Debug)]
enum End {
    /// Not ended. If the queue is closed in this state, the task panicked.
    Running,
    Ended(Result<(), Status>),
    Reported,
}

/// The answers of a stream, then its status.
#[derive(Debug)]
pub(super) struct Answers {
    messages: mpsc::Receiver<MediaStreamMessage>,
    end: Arc<Mutex<End>>,
}

impl Stream for Answers {
    type Item = Result<MediaStreamMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(message) = ready!(self.messages.poll_recv(context)) {
            return Poll::Ready(Some(Ok(message)));
        }
        let mut end = self.end.lock();
        Poll::Ready(match std::mem::replace(&mut *end, End::Reported) {
            End::Running => Some(Err(Status::internal("the extension ended unexpectedly"))),
            End::Ended(Err(status)) => Some(Err(status)),
            End::Ended(Ok(())) | End::Reported => None,
        })
    }
}
