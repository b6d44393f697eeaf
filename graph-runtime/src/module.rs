//! The module: direct methods, and the instances that they start and stop.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lva_graph_model::methods::{
    Action, Completion, InstanceInfo, InstanceState, MethodCall, MethodError, Registry, Request, Response,
    RestoreError, Restored, Start,
};
use lva_graph_model::{CustomNodeTypes, Graph, GraphNode};
use lva_media_types::MediaTime;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::watch;

use crate::convert::onvif::{OnvifCallError, described, discovered, onvif_device};
use crate::instance::{InstanceLifecycle, Prepared, Run, Running, StartError, StateChangeCause};
use crate::message::{DeliverError, HubMessage};
use crate::options::RuntimeOptions;
use crate::plan::Plan;
use crate::record::RecoveredClips;
use crate::sink::{EventBus, MessageSink, SinkStats};
use crate::stats::InstanceStats;

/// Topologies, instances, and the instances that run. Cheap to clone; all clones are the same module.
///
/// Dropping the last one ends its instances without waiting for them; [`shutdown`](Self::shutdown) waits.
#[derive(Clone)]
pub struct Module {
    shared: Arc<Shared>,
}

struct Shared {
    options: RuntimeOptions,
    state: Mutex<State>,
    event_bus: EventBus,
    recovered: RecoveredClips,
    /// Rises when an instance has changed its state.
    changes: watch::Sender<u64>,
    unsecured_endpoints: AtomicBool,
}

struct State {
    registry: Registry,
    running: BTreeMap<String, Running>,
    /// The newest run of each instance, until the instance is deleted.
    runs: BTreeMap<String, Run>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running: Vec<String> = self.shared.state().running.keys().cloned().collect();
        f.debug_struct("Module")
            .field("running", &running)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Takes a report, and emits the state change before the method is answered.
    fn report(
        &self,
        instance: &str,
        report: Completion,
        lifecycle: Option<&InstanceLifecycle>,
        cause: StateChangeCause,
    ) -> Result<Response, MethodError> {
        let answer = self.state().report(instance, report, lifecycle, cause);
        self.changes.send_modify(|changes| *changes += 1);
        answer
    }

    /// A node that may not connect to its endpoint.
    fn forbidden_node(&self, graph: &Graph) -> Option<String> {
        if self.unsecured_endpoints.load(Ordering::Acquire) {
            return None;
        }
        let is_unsecured = |node: &&GraphNode| {
            node.kind
                .endpoint()
                .is_some_and(|endpoint| endpoint.tls.is_none())
        };
        graph
            .nodes()
            .iter()
            .find(is_unsecured)
            .map(|node| node.name.clone())
    }

    /// An instance has ended without being stopped.
    fn ended(&self, instance: &str, lifecycle: &InstanceLifecycle, message: String) {
        let mut state = self.state();
        let running = state.running.get(instance);
        // Otherwise it is being stopped, and the stop reports it.
        if running.is_some_and(|running| running.run().lifecycle.is(lifecycle)) {
            state.running.remove(instance);
            tracing::error!(instance, message, "an instance failed");
            let report = Completion::Failed { node: None, message };
            let _ = state.report(instance, report, Some(lifecycle), StateChangeCause::Method);
        }
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// What a method has to stop.
#[derive(Default)]
struct RunToStop {
    /// `None` while the instance is activating, or when it has ended.
    running: Option<Running>,
    /// The end of a run that something else stops.
    ending: Option<watch::Receiver<Option<Result<(), String>>>>,
}

impl State {
    /// Under the lock of the method's dispatch, or a run that fails and starts anew meanwhile would be taken in its place.
    fn take_run(&mut self, instance: &str) -> RunToStop {
        let running = self.running.remove(instance);
        let run = self.runs.get(instance);
        let ending = run.filter(|run| running.is_none() && !run.lifecycle.has_ended());
        let ending = ending.map(|run| run.lifecycle.end());
        RunToStop { running, ending }
    }

    fn report(
        &mut self,
        instance: &str,
        report: Completion,
        lifecycle: Option<&InstanceLifecycle>,
        cause: StateChangeCause,
    ) -> Result<Response, MethodError> {
        let before = self.registry.state(instance);
        let answer = self.registry.complete(instance, report.clone());
        let change = before.zip(self.registry.state(instance));
        if let (Some(change), Some(lifecycle)) = (change, lifecycle) {
            lifecycle.changed(change, report, cause);
        }
        answer
    }
}

impl Module {
    /// An empty module whose events go to these sinks. Starts a task for each sink.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled, as [`tokio::spawn`] does.
    #[track_caller]
    pub fn new(options: RuntimeOptions, sinks: Vec<Box<dyn MessageSink>>) -> Self {
        // Here, where a missing runtime is reported at the caller's line.
        let _in_runtime = tokio::runtime::Handle::current();
        let state = State {
            registry: Registry::new(options.registry()),
            running: BTreeMap::new(),
            runs: BTreeMap::new(),
        };
        let unsecured_endpoints = AtomicBool::new(options.unsecured_endpoints);
        Self {
            shared: Arc::new(Shared {
                unsecured_endpoints,
                options,
                state: Mutex::new(state),
                event_bus: EventBus::start(sinks),
                recovered: RecoveredClips::default(),
                changes: watch::Sender::new(0),
            }),
        }
    }

    /// A module with the state from [`save`](Self::save); instances that were active are started again. Instances that cannot
    /// start are inactive, and their errors are returned with the module.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] for any other value, without restoring a part of it.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn restore(
        saved: &Value,
        options: RuntimeOptions,
        sinks: Vec<Box<dyn MessageSink>>,
    ) -> Result<(Self, Vec<MethodError>), RestoreError> {
        let Restored {
            registry,
            starts,
            mut failures,
        } = Registry::restore(saved, options.registry())?;
        let module = Self::new(options, sinks);
        module.shared.state().registry = registry;
        for start in starts {
            failures.extend(module.begin(start, StateChangeCause::Restored).err());
        }
        Ok((module, failures))
    }

    /// Topologies, instances and which of them are active, or were until [`shutdown`](Self::shutdown), for
    /// [`restore`](Self::restore) in another process.
    /// **Contains secrets**: store it where only the module reads it. Save after each method with a status below 300.
    pub fn save(&self) -> Value {
        self.shared.state().registry.save()
    }

    /// Runs a direct method of either family: takes its name and payload as they come from a hub, and returns the status and
    /// payload of the answer. Inside a program, [`start`](Self::start) and [`call`](Self::call) do the same with types.
    ///
    /// Activation answers when the instance runs, before its camera answers: events report whether the camera can be reached,
    /// and reconnecting goes on without limit by default. Deactivation answers when all recordings are complete. Dropping the
    /// future interrupts neither.
    #[must_use = "the status shows whether the method succeeded"]
    pub async fn invoke(&self, method: &str, payload: &Value) -> (u16, Value) {
        let answer = match MethodCall::parse(method, payload) {
            Ok(call) => self.call(&call).await,
            Err(error) => Err(error),
        };
        let answer = answer.unwrap_or_else(|error| {
            tracing::warn!(method, %error, "a method failed");
            error.to_response()
        });
        (answer.status, answer.payload)
    }

    /// Runs a direct method that is parsed already. See [`invoke`](Self::invoke).
    ///
    /// # Errors
    ///
    /// [`MethodError`] with the method, the object that it is about, and a typed [`Fault`](lva_graph_model::methods::Fault).
    pub async fn call(&self, call: &MethodCall) -> Result<Response, MethodError> {
        let response = self.execute(call, None).await?;
        for finding in &response.findings {
            tracing::info!(method = call.name(), pointer = %finding.pointer, "{}", finding.message);
        }
        Ok(response)
    }

    /// Delivers a message for an input of the module to the message sources of that input, whose gates it opens: in every
    /// running instance, or in the one that it names. Returns the number of gates.
    ///
    /// # Errors
    ///
    /// [`DeliverError`] for an invalid time or target; no gate is opened then.
    pub fn deliver(&self, input: &str, message: &HubMessage) -> Result<usize, DeliverError> {
        let signal = message.signal()?;
        let now_90k = self.shared.options.wall.now_90k();
        let state = self.shared.state();
        let running = state.running.iter();
        let addressed = running.filter(|(name, _)| signal.instance.as_ref().is_none_or(|only| only == *name));
        let gates = addressed.map(|(_, running)| {
            let correlation_id = signal.correlation_id.as_deref();
            running.signal(input, signal.timestamp_90k, now_90k, correlation_id)
        });
        Ok(gates.sum())
    }

    /// Whether instances may connect to endpoints without TLS. Applies to activations from now on; instances that run go on.
    pub fn allow_unsecured_endpoints(&self, allow: bool) {
        self.shared.unsecured_endpoints.store(allow, Ordering::Release);
    }

    /// The custom node types that topologies may use, for programs that read a topology before they set it.
    pub fn custom_types(&self) -> &CustomNodeTypes {
        self.shared.options.factories.types()
    }

    /// The state of an instance; `None` for an unknown instance.
    pub fn state(&self, instance: &str) -> Option<InstanceState> {
        self.shared.state().registry.state(instance)
    }

    /// Rises when an instance has been activated, deactivated or has ended. Programs that show instances wait for it.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Adds a message sink to those that were given at the start; it gets the events from now on.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn add_sink(&self, sink: Box<dyn MessageSink>) {
        self.shared.event_bus.add(sink);
    }

    /// All instances, by name.
    pub fn instances(&self) -> Vec<InstanceInfo> {
        self.shared.state().registry.instances().collect()
    }

    /// The statistics of an instance since its last activation; `None` when it never ran.
    pub fn stats(&self, instance: &str) -> Option<InstanceStats> {
        self.run(instance).map(|run| run.stats())
    }

    /// The newest run of an instance.
    pub(crate) fn run(&self, instance: &str) -> Option<Run> {
        self.shared.state().runs.get(instance).cloned()
    }

    /// The statistics of each message sink, in the order in which they were given.
    pub fn sink_stats(&self) -> Vec<SinkStats> {
        self.shared.event_bus.stats()
    }

    /// Waits until all emitted events are delivered and the sinks [flushed](MessageSink::flush), but not longer than `limit`.
    /// Returns whether each sink has flushed without an error. Events that a sink refused are in its [`SinkStats`].
    pub async fn flush(&self, limit: Duration) -> bool {
        self.shared.event_bus.flush(limit).await
    }

    /// Stops all instances, waits until their clips are complete, and delivers their last events within ten seconds. What ran
    /// is saved as active by a method that ends later.
    pub async fn shutdown(&self) {
        let (running, ending) = {
            let mut state = self.shared.state();
            let stopped = state
                .runs
                .iter()
                .filter(|(name, run)| !state.running.contains_key(*name) && !run.lifecycle.has_ended());
            // A method stops them at this moment, and reports it.
            let ending: Vec<_> = stopped.map(|(_, run)| run.lifecycle.end()).collect();
            (std::mem::take(&mut state.running), ending)
        };
        let stopping: Vec<_> = running
            .into_iter()
            .map(|(name, running)| {
                let stopping = self.end(name.clone(), Some(running), StateChangeCause::Shutdown);
                (name, stopping)
            })
            .collect();
        for (name, stopping) in stopping {
            if let Err(error) = stopping.await {
                tracing::debug!(instance = %name, %error, "a stopped instance was already removed");
            }
        }
        for mut end in ending {
            let _ = end.wait_for(Option::is_some).await;
        }
        if !self.flush(Duration::from_secs(10)).await {
            tracing::warn!(
                "a message sink did not take its last events within ten seconds; those in its queue are lost"
            );
        }
    }

    pub(crate) fn run_state(&self, instance: &str, run: &Run) -> InstanceState {
        let state = self.shared.state();
        let current = state
            .registry
            .state(instance)
            .filter(|_| !run.lifecycle.has_ended());
        current.unwrap_or(InstanceState::Inactive)
    }

    /// Stops a run, unless it has ended: a newer run of the same instance goes on.
    pub(crate) async fn stop_run(&self, call: &MethodCall, run: &Run) -> Result<(), MethodError> {
        self.execute(call, Some(run)).await.map(drop)
    }

    async fn execute(&self, call: &MethodCall, unless_ended: Option<&Run>) -> Result<Response, MethodError> {
        let failed =
            |error: OnvifCallError| MethodError::device(call.name(), error.fault(), error.to_string());
        loop {
            let mut changes = self.shared.changes.subscribe();
            let (action, run) = {
                let mut state = self.shared.state();
                if unless_ended.is_some_and(|run| run.lifecycle.has_ended()) {
                    return Ok(stopped());
                }
                let now = MediaTime::from_ticks_90k(self.shared.options.wall.now_90k());
                let action = state.registry.dispatch(call, now.to_system_time())?;
                if let Request::InstanceDelete(instance) = &call.request {
                    state.runs.remove(instance);
                }
                let run = match &action {
                    Action::Stop { instance } => state.take_run(instance),
                    _ => RunToStop::default(),
                };
                (action, run)
            };
            match action {
                Action::Done(response) => return Ok(response),
                Action::Start(start) => return self.activate(*start).await,
                Action::Stop { instance } => return self.stop(instance, run).await,
                Action::Discover { duration } => {
                    let found = lva_onvif::discover(duration, self.shared.options.onvif.clone()).await;
                    let found = found.map_err(|error| failed(error.into()))?;
                    return Ok(Response::of_discovered_devices(&discovered(found)));
                }
                Action::Describe { endpoint } => {
                    let device = onvif_device(&endpoint).map_err(failed)?;
                    let device = device.with_basic_authentication(self.shared.options.basic_authentication);
                    let device = lva_onvif::describe(device, self.shared.options.onvif.clone()).await;
                    let device = device.map_err(|error| failed(error.into()))?;
                    return Ok(Response::of_device(&described(device)));
                }
                // The call in progress decides; then this one is tried again.
                Action::Wait { .. } => {
                    let _ = changes.changed().await;
                }
            }
        }
    }

    /// On a thread that may block, since a node that runs in this process may load a model, and in a separate task, which
    /// completes even if the caller is dropped.
    async fn activate(&self, start: Start) -> Result<Response, MethodError> {
        let (module, instance) = (self.clone(), start.instance.clone());
        let starting = tokio::task::spawn_blocking(move || module.begin(start, StateChangeCause::Method));
        match starting.await {
            Ok(answer) => answer,
            Err(error) => {
                let message = format!("the instance could not be started: {error}");
                let report = Completion::Failed { node: None, message };
                self.shared
                    .report(&instance, report, None, StateChangeCause::Method)
            }
        }
    }

    fn begin(&self, start: Start, cause: StateChangeCause) -> Result<Response, MethodError> {
        let Start {
            instance,
            graph,
            findings,
            answer,
        } = start;
        for finding in findings {
            tracing::info!(instance, pointer = %finding.pointer, "{}", finding.message);
        }
        let shared = &self.shared;
        if let Some(node) = shared.forbidden_node(&graph) {
            let report = Completion::Failed {
                node: Some(node),
                message: "its endpoint is unsecured, which this module's allowUnsecuredEndpoints forbids: use a TLS endpoint"
                    .to_owned(),
            };
            return shared.report(&instance, report, None, cause);
        }
        let lifecycle = InstanceLifecycle::new(&graph, &shared.options, shared.event_bus.clone());
        let plan = Plan::new(&graph, &shared.options.module, &shared.options.factories).map_err(|error| {
            let message = error.to_string();
            (error.node, message)
        });
        let prepared = plan.and_then(|plan| {
            let recovered = shared.recovered.clone();
            Prepared::new(plan, &graph, lifecycle.clone(), &shared.options, recovered).map_err(|error| {
                let message = error.to_string();
                match error {
                    StartError::Client { node, .. } => (Some(node), message),
                    StartError::Thread(_) => (None, message),
                }
            })
        });
        match prepared {
            Ok(prepared) => {
                let active = self.run_prepared(instance, prepared, &lifecycle, cause)?;
                Ok(answer.unwrap_or(active))
            }
            Err((node, message)) => {
                let report = Completion::Failed { node, message };
                shared.report(&instance, report, Some(&lifecycle), cause)
            }
        }
    }

    /// Under one lock, or an instance that is stopped meanwhile would run on. Its start is emitted before any event of its
    /// own.
    fn run_prepared(
        &self,
        instance: String,
        prepared: Prepared,
        lifecycle: &InstanceLifecycle,
        cause: StateChangeCause,
    ) -> Result<Response, MethodError> {
        let shared = &self.shared;
        let mut state = shared.state();
        let active = state.report(&instance, Completion::Activated, Some(lifecycle), cause);
        if active.is_ok() && !state.running.contains_key(&instance) {
            let (module, name, own) = (Arc::downgrade(shared), instance.clone(), lifecycle.clone());
            let running = prepared.begin(move |failure| {
                if let (Some(message), Some(module)) = (failure, module.upgrade()) {
                    module.ended(&name, &own, message);
                }
            });
            state.runs.insert(instance.clone(), running.run().clone());
            state.running.insert(instance, running);
        }
        drop(state);
        shared.changes.send_modify(|changes| *changes += 1);
        active
    }

    async fn stop(&self, instance: String, run: RunToStop) -> Result<Response, MethodError> {
        // The module is being shut down, which stops the instance and reports it.
        if let Some(mut end) = run.ending {
            let _ = end.wait_for(Option::is_some).await;
            return Ok(stopped());
        }
        self.end(instance, run.running, StateChangeCause::Method).await
    }

    /// Stops an instance and reports it, in a separate task, which completes even if the caller is dropped.
    fn end(
        &self,
        instance: String,
        running: Option<Running>,
        cause: StateChangeCause,
    ) -> impl Future<Output = Result<Response, MethodError>> + use<> {
        let shared = Arc::clone(&self.shared);
        let lifecycle = running.as_ref().map(|running| running.run().lifecycle.clone());
        let completion = match cause {
            StateChangeCause::Shutdown => Completion::Suspended,
            _ => Completion::Deactivated,
        };
        let report = move || shared.report(&instance, completion, lifecycle.as_ref(), cause);
        let ended = report.clone();
        let stopping = tokio::spawn(async move {
            if let Some(running) = running {
                running.stop().await;
            }
            report()
        });
        // If the task panicked, the instance has ended anyway.
        async move { stopping.await.unwrap_or_else(|_| ended()) }
    }
}

/// The answer of a deactivation that another one has completed.
fn stopped() -> Response {
    Response {
        status: 200,
        payload: Value::Null,
        findings: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
