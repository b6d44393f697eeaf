//! The client: one task that keeps a connection, and handles to it.

mod answers;
mod attempt;
mod in_flight;
mod options;
mod states;
mod stats;
mod subscriptions;
mod task;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

pub use options::HubOptions;
pub use states::StateError;
use states::States;
pub use stats::ClientStats;
use stats::Counters;

use crate::dialect::Component;
use crate::message::{InputMessage, OutputMessage};
use crate::method::MethodRequest;
use crate::outbox::{Outbox, OutboxPushError, OutboxStats};
use crate::twin::{Desired, Twin, TwinLimitError, check_properties};

/// Messages for inputs that wait for the application.
const MAX_WAITING_INPUTS: usize = 256;
/// How long an end waits for the disk.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

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
    pub methods: mpsc::Receiver<IncomingCall>,
    /// Messages routed to inputs, or sent from the cloud to a device. At most 256 wait; more are dropped and counted.
    pub inputs: mpsc::Receiver<InputMessage>,
}

/// A call of a direct method, to be answered. Dropped without an answer, the caller gets status 500.
#[derive(Debug)]
pub struct IncomingCall {
    request: MethodRequest,
    answers: Option<mpsc::UnboundedSender<Answer>>,
}

#[derive(Debug)]
struct Answer {
    /// Number of the call.
    call: u64,
    status: i32,
    payload: Value,
}

impl IncomingCall {
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
            let call = self.request.call;
            // The client has ended, and with it the way to the caller.
            let _ = answers.send(Answer {
                call,
                status,
                payload,
            });
        }
    }
}

impl Drop for IncomingCall {
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
    /// The client was ended.
    Stopped,
    /// The client ended by itself, by a defect that the log names. Nothing is sent or received any more; end the program,
    /// so that what watches over it starts it again. What is in the outbox is sent then.
    Failed {
        /// What failed.
        reason: String,
    },
}

impl ConnectionState {
    /// Whether the client has ended, and the state does not change any more.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Stopped | Self::Failed { .. })
    }
}

/// The time of the tokio runtime, which a test may pause and advance.
fn runtime_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Runs the client's task, and reports when it ends by a panic.
async fn supervise(run: impl Future<Output = ()>, state: watch::Sender<ConnectionState>) {
    struct TaskEnd(watch::Sender<ConnectionState>);

    impl Drop for TaskEnd {
        fn drop(&mut self) {
            self.0.send_if_modified(|state| {
                let has_failed = !state.has_ended();
                if has_failed {
                    tracing::error!("the hub client ended by a panic");
                    *state = ConnectionState::Failed {
                        reason: "the client's task has ended".to_owned(),
                    };
                }
                has_failed
            });
        }
    }

    let _end = TaskEnd(state);
    run.await;
}

impl Client {
    /// Starts the client on the present tokio runtime. Connecting goes on in the background.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(options: HubOptions, outbox: Outbox) -> (Self, FromHub) {
        let outbox = Arc::new(outbox);
        let shared = Arc::new(Shared {
            // Half-way where the system has no randomness.
            twin: Mutex::new(
                Twin::new().with_first_request_id(getrandom::u32().unwrap_or(u32::MAX / 2).into()),
            ),
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
        let state_of_end = ends.state.clone();
        let task = task::Task::new(options, Arc::clone(&shared), &outbox, ends);
        tokio::spawn(supervise(task.run(), state_of_end));
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
    /// [`OutboxPushError`]; the event is dropped and counted.
    pub fn send(&self, event: OutputMessage) -> Result<String, OutboxPushError> {
        self.inner.outbox.push(event)
    }

    /// Changes reported properties by a merge patch: null deletes. It is sent until the hub acknowledges it; several
    /// changes travel as one.
    ///
    /// # Errors
    ///
    /// [`TwinLimitError`] for what the hub would refuse.
    pub fn report(&self, patch: Value) -> Result<(), TwinLimitError> {
        self.inner.shared.twin().report(patch)?;
        self.inner.shared.changed.notify_one();
        Ok(())
    }

    /// Replaces the desired properties on a plain broker, as a retained message: until the broker has them, after each
    /// connection again. `replaced` is what the broker sent last; when something else comes, another client has written, and
    /// that is in force. A hub's desired properties are the cloud's, and a hub hears nothing.
    ///
    /// # Errors
    ///
    /// [`TwinLimitError`] for what no twin holds.
    pub fn set_desired(&self, desired: Desired, replaced: Option<Desired>) -> Result<(), TwinLimitError> {
        check_properties(&desired.properties)?;
        self.inner.shared.twin().set_desired(desired, replaced);
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
            delivered = timeout(limit, self.inner.outbox.emptied()) => delivered.unwrap_or(false),
            _ = state.wait_for(|state| *state != ConnectionState::Connected) => false,
        }
    }

    /// Waits up to two seconds for what is under way, sends DISCONNECT within two more, writes the outbox to disk within two
    /// more, and ends. Events that are not delivered stay in the outbox for the next start. Returns false where the disk did
    /// not take the last events in time, and they may be lost.
    pub async fn shutdown(&self) -> bool {
        self.inner.shutdown.send_replace(true);
        let mut state = self.state();
        // An error means that the task is gone, which is what is waited for.
        let _ = state.wait_for(ConnectionState::has_ended).await;
        let is_written = self.inner.outbox.flush_within(FLUSH_TIMEOUT).await;
        if !is_written {
            let waiting = self.inner.outbox.stats().waiting;
            tracing::error!(
                waiting,
                "the disk does not take the last events in time, and they may be lost"
            );
        }
        is_written
    }
}

#[cfg(test)]
mod offline_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::PlainOptions;

    const PATIENCE: Duration = Duration::from_secs(60);

    async fn ended(mut state: watch::Receiver<ConnectionState>) -> ConnectionState {
        let ended = timeout(PATIENCE, state.wait_for(ConnectionState::has_ended));
        ended.await.unwrap().unwrap().clone()
    }

    #[tokio::test]
    async fn a_task_that_panics_is_told() {
        let (sender, state) = watch::channel(ConnectionState::Connected);
        let task = tokio::spawn(supervise(
            async { panic!("a defect that this test needs") },
            sender,
        ));
        assert!(matches!(ended(state).await, ConnectionState::Failed { .. }));
        assert!(task.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn a_task_that_was_ended_has_not_failed() {
        let (sender, state) = watch::channel(ConnectionState::Connected);
        let stop = sender.clone();
        let run = async move {
            stop.send_replace(ConnectionState::Stopped);
        };
        supervise(run, sender).await;
        assert_eq!(*state.borrow(), ConnectionState::Stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_takes_nothing_holds_up_an_end_for_seconds_only() {
        let options = HubOptions::plain(PlainOptions::new("m"), "127.0.0.1").with_port(1);
        let (client, _from_hub) = Client::start(options, Outbox::that_is_stuck());
        client.send(OutputMessage::json("out", "{}")).unwrap();
        let begun = runtime_now();
        assert!(!client.drain(PATIENCE).await);
        assert!(!client.shutdown().await);
        drop(client);
        assert!(runtime_now() - begun <= Duration::from_secs(6));
    }

    #[tokio::test]
    async fn a_client_whose_outbox_fails_ends_and_says_so() {
        let options = HubOptions::plain(PlainOptions::new("m"), "127.0.0.1").with_port(1);
        let (client, _from_hub) = Client::start(options, Outbox::that_fails());
        assert!(matches!(
            ended(client.state()).await,
            ConnectionState::Failed { .. }
        ));
        let end = async {
            client.flush().await;
            assert!(!client.drain(PATIENCE).await);
            client.shutdown().await;
        };
        timeout(PATIENCE, end).await.unwrap();
    }
}
