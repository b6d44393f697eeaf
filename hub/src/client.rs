//! The client: one task that keeps a connection, and handles to it.

mod attempt;
mod options;
mod states;
mod stats;
mod task;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

pub use options::ClientOptions;
pub use states::StateError;
use states::States;
pub use stats::ClientStats;
use stats::Counters;

use crate::dialect::Component;
use crate::message::{Event, InputMessage};
use crate::method::MethodRequest;
use crate::outbox::{Outbox, OutboxStats, PushError};
use crate::twin::{Desired, ReportError, Twin};

/// Messages for inputs that wait for the application.
const MAX_WAITING_INPUTS: usize = 256;

/// A connection to a hub that never gives up. Clones share it; it ends with [`shutdown`](Self::shutdown), or with the
/// last clone.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    desired: watch::Receiver<Option<Desired>>,
    state: watch::Receiver<ConnectionState>,
    shutdown: watch::Sender<bool>,
}

/// What the handles and the task share.
#[derive(Debug)]
struct Shared {
    twin: Mutex<Twin>,
    states: Mutex<States>,
    /// Something is to be sent.
    changed: Notify,
    counters: Counters,
}

impl Shared {
    fn twin(&self) -> MutexGuard<'_, Twin> {
        self.twin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes from the hub and wants handling.
#[derive(Debug)]
#[non_exhaustive]
pub struct FromHub {
    /// Calls of direct methods. Where the application does not receive them, callers get an error.
    pub methods: mpsc::Receiver<MethodCall>,
    /// Messages routed to inputs, or sent from the cloud to a device. At most 256 wait; more are dropped and counted.
    pub inputs: mpsc::Receiver<InputMessage>,
}

/// A call of a direct method, to be answered. Dropped without an answer, the caller gets status 500.
#[derive(Debug)]
pub struct MethodCall {
    request: MethodRequest,
    answers: Option<mpsc::UnboundedSender<Answer>>,
}

#[derive(Debug)]
struct Answer {
    request_id: String,
    status: i32,
    payload: Value,
}

impl MethodCall {
    /// The method's name, as the caller wrote it.
    pub fn name(&self) -> &str {
        &self.request.name
    }

    /// Its payload; null where there is none.
    pub fn payload(&self) -> &Value {
        &self.request.payload
    }

    /// Answers. Statuses are those of HTTP by custom; any integer goes. An answer beyond 128 KiB is replaced by an error,
    /// and one that is too late is dropped.
    pub fn answer(mut self, status: i32, payload: Value) {
        self.send(status, payload);
    }

    fn send(&mut self, status: i32, payload: Value) {
        if let Some(answers) = self.answers.take() {
            let request_id = self.request.request_id.clone();
            // The client has ended, and with it the way to the caller.
            let _ = answers.send(Answer {
                request_id,
                status,
                payload,
            });
        }
    }
}

impl Drop for MethodCall {
    fn drop(&mut self) {
        if self.answers.is_some() {
            let body = crate::method::error_body("InternalServerError", "The method was not answered.");
            self.send(500, serde_json::from_slice(&body).unwrap_or_default());
        }
    }
}

/// Whether there is a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// An attempt is under way.
    Connecting,
    /// The broker accepted, and the subscriptions are in place.
    Connected,
    /// The next attempt is due later.
    Waiting {
        /// Why the connection is missing.
        reason: String,
        /// Pause from the moment of the failure on.
        retry_in: Duration,
    },
    /// The client has ended.
    Stopped,
}

impl Client {
    /// Starts the client on the present tokio runtime. Connecting goes on in the background.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(options: ClientOptions, outbox: Outbox) -> (Self, FromHub) {
        let outbox = Arc::new(outbox);
        let shared = Arc::new(Shared {
            twin: Mutex::new(Twin::new()),
            states: Mutex::default(),
            changed: Notify::new(),
            counters: Counters::default(),
        });
        let (methods_in, methods) = mpsc::channel(options.methods.max_in_progress.max(1));
        let (inputs_in, inputs) = mpsc::channel(MAX_WAITING_INPUTS);
        let (desired_in, desired) = watch::channel(None);
        let (state_in, state) = watch::channel(ConnectionState::Connecting);
        let (shutdown, until) = watch::channel(false);
        let ends = task::Ends {
            methods: methods_in,
            inputs: inputs_in,
            desired: desired_in,
            state: state_in,
            shutdown: until,
        };
        tokio::spawn(task::Task::new(options, Arc::clone(&shared), outbox.consumer(), ends).run());
        let inner = Inner {
            shared,
            outbox,
            desired,
            state,
            shutdown,
        };
        (
            Self {
                inner: Arc::new(inner),
            },
            FromHub { methods, inputs },
        )
    }

    /// Hands an event to the outbox, and returns its message id. Never blocks, connected or not.
    ///
    /// # Errors
    ///
    /// [`PushError`]; the event is dropped and counted.
    pub fn send(&self, event: Event) -> Result<String, PushError> {
        self.inner.outbox.push(event)
    }

    /// Changes reported properties by a merge patch: null deletes. It is sent until the hub acknowledges it; several
    /// changes travel as one.
    ///
    /// # Errors
    ///
    /// [`ReportError`] for what the hub would refuse.
    pub fn report(&self, patch: Value) -> Result<(), ReportError> {
        self.inner.shared.twin().report(patch)?;
        self.inner.shared.changed.notify_one();
        Ok(())
    }

    /// Sets a state that stands retained on a plain broker, at `{prefix}/{module}/` and these levels; `None` deletes it.
    /// Hubs have no states, and hear nothing.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn set_state(&self, path: &[&str], value: Option<&str>) -> Result<(), StateError> {
        self.inner.shared.states().set(path, value)?;
        self.inner.shared.changed.notify_one();
        Ok(())
    }

    /// Announces a state to Home Assistant, where [`PlainOptions::with_discovery`](crate::PlainOptions::with_discovery)
    /// is used.
    ///
    /// # Errors
    ///
    /// [`StateError::TooMany`].
    pub fn announce(&self, component: Component) -> Result<(), StateError> {
        self.inner.shared.states().announce(component)?;
        self.inner.shared.changed.notify_one();
        Ok(())
    }

    /// Withdraws what was announced for a state.
    pub fn withdraw(&self, path: &[&str]) {
        self.inner.shared.states().withdraw(path);
        self.inner.shared.changed.notify_one();
    }

    /// The desired properties and their changes; `None` until the hub has sent them once.
    pub fn desired(&self) -> watch::Receiver<Option<Desired>> {
        self.inner.desired.clone()
    }

    /// The connection and its changes.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.inner.state.clone()
    }

    /// Whether reported properties still wait for the hub.
    pub fn is_reporting(&self) -> bool {
        self.inner.shared.twin().is_reporting()
    }

    /// Counts of the connection.
    pub fn stats(&self) -> ClientStats {
        self.inner.shared.counters.snapshot()
    }

    /// Counts and size of the outbox.
    pub fn outbox_stats(&self) -> OutboxStats {
        self.inner.outbox.stats()
    }

    /// Waits until everything that was sent so far survives a loss of power, or could not be written and is counted.
    pub async fn flush(&self) {
        self.inner.outbox.flush().await;
    }

    /// Waits until the hub has all events, at most for `limit`, and only while there is a connection. Returns whether it has.
    pub async fn drain(&self, limit: Duration) -> bool {
        let mut state = self.state();
        tokio::select! {
            delivered = timeout(limit, self.inner.outbox.emptied()) => delivered.is_ok(),
            _ = state.wait_for(|state| *state != ConnectionState::Connected) => false,
        }
    }

    /// Waits up to two seconds for what is under way, sends DISCONNECT, writes the outbox to disk, and ends. Events that
    /// are not delivered stay in the outbox for the next start.
    pub async fn shutdown(&self) {
        self.inner.shutdown.send_replace(true);
        let mut state = self.state();
        // An error means that the task is gone, which is what is waited for.
        let _ = state.wait_for(|state| *state == ConnectionState::Stopped).await;
        self.inner.outbox.flush().await;
    }
}
