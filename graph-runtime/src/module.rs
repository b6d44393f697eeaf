//! The module: methods in, running instances behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lva_graph_model::{
    CustomNodeTypes, InstanceState, MethodError, Node, Outcome, Registry, Report, Response, RestoreError,
    Restored, Start,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::extension::StartError;
use crate::instance::{Prepared, Running, StatsSource};
use crate::message::{DeliverError, HubMessage};
use crate::options::RuntimeOptions;
use crate::plan::Plan;
use crate::seam::onvif::{OnvifCallError, described, discovered, onvif_device};
use crate::sink::{MessageSink, Outlet, SinkStats};
use crate::state_event::{Cause, Life};
use crate::stats::InstanceStats;

/// Topologies, instances, and what runs of them. Cheap to clone; all clones are the same module.
///
/// Dropping the last one ends its instances without waiting for them; [`shutdown`](Self::shutdown) waits.
#[derive(Clone)]
pub struct Module {
    shared: Arc<Shared>,
}

struct Shared {
    options: RuntimeOptions,
    state: Mutex<State>,
    outlet: Outlet,
    /// Rises when an instance has changed its state.
    changes: watch::Sender<u64>,
}

struct State {
    registry: Registry,
    running: BTreeMap<String, Runs>,
    /// Activations up to now.
    activations: u64,
    /// The last run of each instance, so that its numbers can be read after it was stopped.
    stats: BTreeMap<String, StatsSource>,
}

/// A running instance and the number of its activation.
type Runs = (u64, Running);

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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a report, and says what it changes before anybody is answered.
    fn report(
        &self,
        instance: &str,
        report: Report,
        life: Option<&Life>,
        cause: &Cause,
    ) -> Result<Response, MethodError> {
        let answer = self.state().report(instance, report, life, cause);
        self.changes.send_modify(|changes| *changes += 1);
        answer
    }

    /// An instance has ended though nobody told it to.
    fn ended(&self, instance: &str, activation: u64, message: String) {
        let mut state = self.state();
        let own = |(number, _): &Runs| *number == activation;
        // Otherwise it is being stopped, and whoever does that says so.
        if state.running.get(instance).is_some_and(own)
            && let Some((_, running)) = state.running.remove(instance)
        {
            tracing::error!(instance, message, "an instance ended by itself");
            let report = Report::Failed {
                node: None,
                message: message.clone(),
            };
            let _ = state.report(instance, report, Some(running.life()), &Cause::Ended { message });
        }
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl State {
    fn report(
        &mut self,
        instance: &str,
        report: Report,
        life: Option<&Life>,
        cause: &Cause,
    ) -> Result<Response, MethodError> {
        let before = self.registry.state(instance);
        let answer = self.registry.report(instance, report);
        if let (Some(before), Some(after), Some(life)) = (before, self.registry.state(instance), life) {
            life.changed(before, after, cause);
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
    pub fn new(options: RuntimeOptions, sinks: Vec<Box<dyn MessageSink>>) -> Self {
        let state = State {
            registry: Registry::new(options.registry()),
            running: BTreeMap::new(),
            activations: 0,
            stats: BTreeMap::new(),
        };
        Self {
            shared: Arc::new(Shared {
                options,
                state: Mutex::new(state),
                outlet: Outlet::start(sinks),
                changes: watch::Sender::new(0),
            }),
        }
    }

    /// A module with everything that [`save`](Self::save) gave, and what ran then running again. What cannot run any more
    /// is inactive, and why stands beside the module.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] when the value is something else; nothing of it is taken then.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
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
            failures.extend(module.start(start, &Cause::Restored).err());
        }
        Ok((module, failures))
    }

    /// Topologies, instances and which of them run, for [`restore`](Self::restore) after the process was started anew.
    /// **Holds secrets**: keep it where only the module reads. Take it after each method that was answered below 300.
    pub fn save(&self) -> Value {
        self.shared.state().registry.save()
    }

    /// Carries a direct method out, of either family: its name and payload as they come from a hub, the status and
    /// payload to answer with.
    ///
    /// Activation answers when the instance runs, which is before its camera answers: whether that works is told by
    /// events, and tried again for ever. Deactivation answers when everything recorded is complete. Dropping the future
    /// interrupts neither.
    pub async fn invoke(&self, method: &str, payload: &Value) -> (u16, Value) {
        let answer = match self.carry_out(method, payload).await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(method, error = %error, "a method was refused");
                error.to_response()
            }
        };
        for finding in &answer.findings {
            tracing::info!(method, pointer = %finding.pointer, "{}", finding.message);
        }
        (answer.status, answer.payload)
    }

    /// Gives a message that came by an input of the module to the message sources that listen there, whose gates it
    /// opens: in every running instance, or in the one that it names. How many gates it has reached.
    ///
    /// # Errors
    ///
    /// [`DeliverError`] where the message says when or for whom, and it cannot be read. Nothing is opened then.
    pub fn deliver(&self, input: &str, message: &HubMessage) -> Result<usize, DeliverError> {
        let signal = message.signal()?;
        let now_90k = self.shared.options.wall.now_90k();
        let state = self.shared.state();
        let running = state.running.iter();
        let meant = running.filter(|(name, _)| signal.instance.as_ref().is_none_or(|only| only == *name));
        let gates = meant.map(|(_, (_, running))| {
            let time = signal
                .timestamp_90k
                .unwrap_or_else(|| running.media_now_90k(now_90k));
            running.signal(input, time, signal.correlation_id.as_deref())
        });
        Ok(gates.sum())
    }

    /// The types of nodes that it knows beside those of the contract, for programs that look at a topology before they set it.
    pub fn custom_types(&self) -> &CustomNodeTypes {
        self.shared.options.factories.types()
    }

    /// The state of an instance; `None` when there is no such instance.
    pub fn state(&self, instance: &str) -> Option<InstanceState> {
        self.shared.state().registry.state(instance)
    }

    /// What an instance has counted since its last activation; `None` when it never ran.
    pub fn stats(&self, instance: &str) -> Option<InstanceStats> {
        let source = self.shared.state().stats.get(instance).cloned();
        source.map(|source| source.read())
    }

    /// What became of the events, for each sink in the order in which they were given.
    pub fn sink_stats(&self) -> Vec<SinkStats> {
        self.shared.outlet.stats()
    }

    /// Waits until all events that were said are with their sinks, but not longer than `limit`. Whether they all are.
    pub async fn flush(&self, limit: Duration) -> bool {
        self.shared.outlet.flush(limit).await
    }

    /// Stops all instances, waits until their clips are complete, and delivers their last events, for which sinks have
    /// ten seconds.
    pub async fn shutdown(&self) {
        let running = std::mem::take(&mut self.shared.state().running);
        let stopping: Vec<_> = running
            .into_iter()
            .map(|(name, (_, running))| (name, running.life().clone(), tokio::spawn(running.stop())))
            .collect();
        for (name, life, stopping) in stopping {
            let _ = stopping.await;
            let told = self
                .shared
                .report(&name, Report::Deactivated, Some(&life), &Cause::Shutdown);
            if let Err(error) = told {
                tracing::debug!(instance = %name, error = %error, "stopped without a state");
            }
        }
        self.flush(Duration::from_secs(10)).await;
    }

    async fn carry_out(&self, method: &str, payload: &Value) -> Result<Response, MethodError> {
        loop {
            let mut changes = self.shared.changes.subscribe();
            let outcome = self
                .shared
                .state()
                .registry
                .call(method, payload, SystemTime::now())?;
            match outcome {
                Outcome::Done(response) => return Ok(response),
                Outcome::Start(start) => return self.activate(*start).await,
                Outcome::Stop { instance } => return self.stop(instance).await,
                Outcome::Discover { duration } => {
                    let found = lva_onvif::discover(duration, &self.shared.options.onvif).await;
                    let found = found.map_err(|error| refused(method, &error.into()))?;
                    return Ok(Response::of_discovered_devices(&discovered(found)));
                }
                Outcome::Describe { endpoint } => {
                    let device = onvif_device(&endpoint).map_err(|error| refused(method, &error))?;
                    let device = lva_onvif::describe(device, &self.shared.options.onvif).await;
                    let device = device.map_err(|error| refused(method, &error.into()))?;
                    return Ok(Response::of_device(&described(device)));
                }
                // The call that is on its way decides; then this one is asked again.
                Outcome::Wait { .. } => {
                    let _ = changes.changed().await;
                }
            }
        }
    }

    /// Nodes of one's own are made on a thread that may block, and in a task of its own, so that a caller who goes away leaves
    /// nothing half done.
    async fn activate(&self, start: Start) -> Result<Response, MethodError> {
        let mut nodes = start.graph.nodes().iter();
        if !nodes.any(|node| matches!(node.node, Node::Custom(_))) {
            return self.start(start, &Cause::Asked);
        }
        let (module, instance) = (self.clone(), start.instance.clone());
        let starting = tokio::task::spawn_blocking(move || module.start(start, &Cause::Asked));
        match starting.await {
            Ok(answer) => answer,
            Err(error) => {
                let message = format!("the instance could not be started: {error}");
                let report = Report::Failed { node: None, message };
                self.shared.report(&instance, report, None, &Cause::Asked)
            }
        }
    }

    fn start(&self, start: Start, cause: &Cause) -> Result<Response, MethodError> {
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
        let life = Life::new(&graph, &shared.options.module, shared.outlet.clone());
        let plan = Plan::new(&graph, &shared.options.module, &shared.options.factories).map_err(|error| {
            let node = (!error.node.is_empty()).then(|| error.node.clone());
            (node, error.to_string())
        });
        let prepared = plan.and_then(|plan| {
            Prepared::new(plan, &graph, life.clone(), &shared.options).map_err(|error| {
                let message = error.to_string();
                match error {
                    StartError::Client { node, .. } => (Some(node), message),
                    StartError::Thread(_) => (None, message),
                }
            })
        });
        match prepared {
            Ok(prepared) => {
                let active = self.begin(instance, prepared, &life, cause)?;
                Ok(answer.unwrap_or(active))
            }
            Err((node, message)) => {
                let report = Report::Failed {
                    node: node.clone(),
                    message: message.clone(),
                };
                shared.report(
                    &instance,
                    report,
                    Some(&life),
                    &Cause::NotStarted { node, message },
                )
            }
        }
    }

    /// In one step for everybody else, or one that was told to stop meanwhile would run on. That it has started is said
    /// before it can say anything itself.
    fn begin(
        &self,
        instance: String,
        prepared: Prepared,
        life: &Life,
        cause: &Cause,
    ) -> Result<Response, MethodError> {
        let shared = &self.shared;
        let mut state = shared.state();
        let active = state.report(&instance, Report::Activated, Some(life), cause);
        if active.is_ok() && !state.running.contains_key(&instance) {
            state.activations += 1;
            let activation = state.activations;
            let (module, name) = (Arc::downgrade(shared), instance.clone());
            let running = prepared.begin(move |failure| {
                if let (Some(message), Some(module)) = (failure, module.upgrade()) {
                    module.ended(&name, activation, message);
                }
            });
            state.stats.insert(instance.clone(), running.stats());
            state.running.insert(instance, (activation, running));
        }
        drop(state);
        shared.changes.send_modify(|changes| *changes += 1);
        active
    }

    /// In a task of its own, so that a caller who goes away leaves nothing half done.
    async fn stop(&self, instance: String) -> Result<Response, MethodError> {
        let shared = Arc::clone(&self.shared);
        let name = instance.clone();
        let stopping = tokio::spawn(async move {
            let running = shared.state().running.remove(&instance);
            let mut life = None;
            if let Some((_, running)) = running {
                life = Some(running.life().clone());
                running.stop().await;
            }
            shared.report(&instance, Report::Deactivated, life.as_ref(), &Cause::Asked)
        });
        match stopping.await {
            Ok(answer) => answer,
            // The task panicked; the instance is gone all the same.
            Err(_) => self
                .shared
                .report(&name, Report::Deactivated, None, &Cause::Asked),
        }
    }
}

fn refused(method: &str, error: &OnvifCallError) -> MethodError {
    MethodError::device(method, error.fault(), error.to_string())
}

#[cfg(test)]
mod tests;
