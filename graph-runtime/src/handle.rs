//! Instances started and stopped with types.

use lva_graph_model::methods::{Fault, InstanceState, Method, MethodCall, MethodError, Request};
use lva_graph_model::{Family, Generation, Instance, Topology};

use crate::instance::Run;
use crate::module::Module;
use crate::observe::Observer;
use crate::stats::InstanceStats;

/// One run of an instance, from its activation on.
///
/// [`Module::start`] and [`Module::instance`] return it. The module owns the instance: it runs on when its handles are dropped,
/// until it is stopped by a handle or a method, fails, or the module is [shut down](Module::shutdown). A handle keeps the
/// module alive, as a clone of the module does.
///
/// When the instance is activated again, the new run has a handle of its own: this one reports and stops its own run only.
#[derive(Debug, Clone)]
pub struct InstanceHandle {
    module: Module,
    name: String,
    run: Run,
}

/// An instance ended by itself: its camera did not answer for the time in
/// [`Timeouts::with_give_up`](lva_rtsp::Timeouts::with_give_up), or a task panicked. It may be started again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the instance '{instance}' failed: {message}")]
#[non_exhaustive]
pub struct InstanceFailed {
    /// The instance's name.
    pub instance: String,
    /// Why, with a remedy; without secrets.
    pub message: String,
}

impl Module {
    /// Sets a topology and an instance of it, and activates the instance: the methods `GraphTopologySet`, `GraphInstanceSet`
    /// and `GraphInstanceActivate`, with types. Returns when the instance runs, before its camera answers.
    ///
    /// As with the methods, a topology or an inactive instance that exists under the same name is replaced, and an instance
    /// that runs with the same documents is left as it is: the handle is that of its run. Dropping the future leaves what was
    /// done until then.
    ///
    /// ```no_run
    /// use lva_graph_model::{Instance, Topology};
    /// # use lva_graph_runtime::{Module, RuntimeOptions};
    ///
    /// # async fn run(json: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let module = Module::new(RuntimeOptions::new("recordings"), vec![]);
    /// let topology = Topology::from_json(json)?;
    /// let instance = Instance::new("door-1", topology.name(), [("rtspUrl", "rtsp://camera/1")]);
    /// let door = module.start(topology, instance).await?;
    /// // …
    /// door.stop().await?;
    /// println!("{} pictures", door.stats().received);
    /// module.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MethodError`] with the step that failed and a typed [`Fault`](lva_graph_model::methods::Fault): findings about a
    /// document, other instances that run with the topology, a node that cannot run. What was set before the failed step stays
    /// set; a corrected start replaces it.
    pub async fn start(&self, topology: Topology, instance: Instance) -> Result<InstanceHandle, MethodError> {
        let generation = topology.generation();
        let name = instance.name().to_owned();
        for request in [Request::TopologySet(topology), Request::InstanceSet(instance)] {
            self.call(&typed(generation, request)).await?;
        }
        let method = Method::InstanceActivate.name(generation.family());
        // Live Video Analytics waits for an activation that is in progress, Video Analyzer does not.
        let activate = MethodCall {
            family: Family::Lva,
            generation,
            request: Request::InstanceActivate(name.clone()),
        };
        self.call(&activate).await.map_err(|error| MethodError {
            method: method.to_owned(),
            ..error
        })?;
        // Unless it was deleted since.
        self.instance(&name).ok_or_else(|| MethodError {
            method: method.to_owned(),
            subject: Some(name),
            fault: Fault::NotFound { what: "instance" },
        })
    }

    /// The newest run of an instance, however it was activated; `None` for an instance that never ran or is deleted.
    pub fn instance(&self, name: &str) -> Option<InstanceHandle> {
        Some(InstanceHandle {
            module: self.clone(),
            name: name.to_owned(),
            run: self.run(name)?,
        })
    }
}

impl InstanceHandle {
    /// The instance's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `Active` or `Deactivating` while the run lasts, `Inactive` after it.
    pub fn state(&self) -> InstanceState {
        self.module.run_state(&self.name, &self.run)
    }

    /// The statistics of this run, also after its end.
    pub fn stats(&self) -> InstanceStats {
        self.run.stats()
    }

    /// Observes the run: the camera's units as they come, and what extensions answer for each frame. A run that has ended gives
    /// no observation.
    ///
    /// Each observer has a queue of 256 observations; one that is too slow misses some, which are counted, and delays nothing. Units
    /// that an observer holds do not count against the memory budget of the instance.
    pub fn observe(&self) -> Observer {
        self.run.lifecycle.emitter().observers().observe()
    }

    /// Waits until the run has ended: its camera is disconnected, its clips are complete, its last event is emitted.
    ///
    /// # Errors
    ///
    /// [`InstanceFailed`] when it ended by itself; a run that was stopped or shut down is not an error.
    pub async fn wait(&self) -> Result<(), InstanceFailed> {
        let mut end = self.run.lifecycle.end();
        let failed = match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().and_then(Result::err),
            // This handle holds the sender.
            Err(_) => None,
        };
        failed.map_or(Ok(()), |message| {
            Err(InstanceFailed {
                instance: self.name.clone(),
                message,
            })
        })
    }

    /// Deactivates the instance: disconnects the camera, waits up to three seconds for the last answers, and returns when all
    /// clips are complete. Does nothing when the run has ended. Dropping the future does not interrupt it.
    ///
    /// The instance stays set, inactive: [`Module::start`] and the methods start it again.
    ///
    /// # Errors
    ///
    /// [`MethodError`] of the method `GraphInstanceDeactivate`.
    pub async fn stop(&self) -> Result<(), MethodError> {
        let stop = self.call(Request::InstanceDeactivate(self.name.clone()));
        self.module.stop_run(&stop, &self.run).await
    }

    /// Stops the instance as [`stop`](Self::stop) does, and deletes it. Its topology stays set.
    ///
    /// # Errors
    ///
    /// [`MethodError`] of the method `GraphInstanceDelete`: the instance was activated again since.
    pub async fn delete(self) -> Result<(), MethodError> {
        self.stop().await?;
        let delete = self.call(Request::InstanceDelete(self.name.clone()));
        self.module.call(&delete).await.map(drop)
    }

    fn call(&self, request: Request) -> MethodCall {
        typed(self.run.lifecycle.generation(), request)
    }
}

fn typed(generation: Generation, request: Request) -> MethodCall {
    MethodCall {
        family: generation.family(),
        generation,
        request,
    }
}
