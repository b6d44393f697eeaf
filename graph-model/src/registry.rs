//! The topologies and instances of a module, and the state machine of its methods.

mod adapters;
mod dates;
mod instances;
mod options;
mod outcome;
mod page;
mod saved;
mod secrets;
mod states;
mod topologies;

pub use options::RegistryOptions;
pub use outcome::{Action, Completion, Start};
pub use saved::{RestoreError, Restored};

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use self::adapters::StoredAdapter;
use self::instances::StoredInstance;
use self::page::{fitting, page};
use self::topologies::StoredTopology;
use crate::generation::Family;
use crate::method::{Fault, InstanceState, MethodCall, MethodError, Request};
use crate::topology::Topology;

/// One instance of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceInfo {
    /// Its name.
    pub name: String,
    /// The name of its topology.
    pub topology: String,
    /// The family of the method that set it.
    pub family: Family,
    /// Its state.
    pub state: InstanceState,
}

/// The topologies and instances of one module.
///
/// A registry does no I/O and starts nothing. [`call`](Self::call) returns an [`Action`]; a runtime carries it out and
/// [`complete`](Self::complete)s it. The caller passes the time. Methods of both families see the same objects.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    options: RegistryOptions,
    topologies: BTreeMap<String, StoredTopology>,
    instances: BTreeMap<String, StoredInstance>,
    adapters: BTreeMap<String, StoredAdapter>,
}

impl Registry {
    /// An empty registry.
    pub fn new(options: RegistryOptions) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// The state of an instance; `None` for an unknown name.
    pub fn state(&self, instance: &str) -> Option<InstanceState> {
        self.instances.get(instance).map(|stored| stored.state)
    }

    /// A topology by its name.
    pub fn topology(&self, name: &str) -> Option<&Topology> {
        self.topologies.get(name).map(|stored| &stored.topology)
    }

    /// All instances, by name.
    pub fn instances(&self) -> impl Iterator<Item = InstanceInfo> {
        self.instances.iter().map(|(name, stored)| InstanceInfo {
            name: name.clone(),
            topology: stored.instance.topology_name().to_owned(),
            family: stored.family,
            state: stored.state,
        })
    }

    /// Parses and dispatches a method as the hub delivers it: name and payload.
    ///
    /// # Errors
    ///
    /// [`MethodError`], whose [`to_response`](MethodError::to_response) is the answer to send.
    pub fn call(&mut self, method: &str, payload: &Value, now: SystemTime) -> Result<Action, MethodError> {
        self.dispatch(&MethodCall::parse(method, payload)?, now)
    }

    /// Dispatches a method that is parsed already.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn dispatch(&mut self, call: &MethodCall, now: SystemTime) -> Result<Action, MethodError> {
        self.action_for(call, now)
            .map_err(|fault| MethodError::new(call.name(), call.request.subject(), fault))
    }

    fn action_for(&mut self, call: &MethodCall, now: SystemTime) -> Result<Action, Fault> {
        let (family, generation) = (call.family, call.generation);
        let response = match &call.request {
            Request::TopologySet(topology) => self.set_topology(topology, (family, generation), now)?,
            Request::TopologyGet(name) => self.topology_of(name)?,
            Request::TopologyList(options) => self.list_topologies(options)?,
            Request::TopologyDelete(name) => self.delete_topology(name, family)?,
            Request::InstanceSet(instance) => self.set_instance(instance, (family, generation), now)?,
            Request::InstanceGet(name) => self.instance_of(name, family)?,
            Request::InstanceList(options) => self.list_instances(options, family)?,
            Request::InstanceActivate(name) => return self.activate(name, family),
            Request::InstanceDeactivate(name) => return self.deactivate(name),
            Request::InstanceDelete(name) => self.delete_instance(name)?,
            Request::AdapterSet(adapter) => self.set_adapter(adapter, generation, now)?,
            Request::AdapterGet(name) => self.adapter_of(name)?,
            Request::AdapterList(options) => self.list_adapters(options)?,
            Request::AdapterDelete(name) => self.delete_adapter(name),
            Request::DeviceDiscover(options) => {
                return Ok(Action::Discover {
                    duration: options.duration,
                });
            }
            Request::DeviceGet(options) => {
                return Ok(Action::Describe {
                    endpoint: options.endpoint.clone(),
                });
            }
        };
        Ok(Action::Done(response))
    }
}
