//! Topologies and instances of a module, and the state machine of its methods.

mod adapters;
mod dates;
mod instances;
mod options;
mod outcome;
mod page;
mod saved;
mod states;
mod topologies;

pub use options::RegistryOptions;
pub use outcome::{Outcome, Report, Start};
pub use saved::{RestoreError, Restored};

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use self::adapters::StoredAdapter;
use self::instances::StoredInstance;
use self::page::page;
use self::topologies::StoredTopology;
use crate::generation::Family;
use crate::method::{Fault, InstanceState, Method, MethodError, Request, RequestBody};
use crate::topology::Topology;

/// The topologies and instances of one module.
///
/// It does no I/O and starts nothing: [`call`](Self::call) says what a method means, a runtime does it, and
/// [`report`](Self::report)s back. Times come from the caller. Names share one space: both families' methods
/// see everything.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    options: RegistryOptions,
    topologies: BTreeMap<String, StoredTopology>,
    instances: BTreeMap<String, StoredInstance>,
    adapters: BTreeMap<String, StoredAdapter>,
}

impl Registry {
    /// An empty one.
    pub fn new(options: RegistryOptions) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// The state of an instance; `None` when there is no such instance.
    pub fn state(&self, instance: &str) -> Option<InstanceState> {
        self.instances.get(instance).map(|stored| stored.state)
    }

    /// A topology by its name.
    pub fn topology(&self, name: &str) -> Option<&Topology> {
        self.topologies.get(name).map(|stored| &stored.topology)
    }

    /// The names of all instances with their states.
    pub fn instances(&self) -> impl Iterator<Item = (&str, InstanceState)> {
        self.instances
            .iter()
            .map(|(name, stored)| (name.as_str(), stored.state))
    }

    /// Takes a method as it comes from the hub: name and payload.
    ///
    /// # Errors
    ///
    /// [`MethodError`], whose [`to_response`](MethodError::to_response) is the answer to send.
    pub fn call(&mut self, method: &str, payload: &Value, now: SystemTime) -> Result<Outcome, MethodError> {
        self.carry_out(Request::parse(method, payload)?, now)
    }

    /// Takes a method that was read already.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn carry_out(&mut self, request: Request, now: SystemTime) -> Result<Outcome, MethodError> {
        let name = request.method.name(request.family);
        let subject = request.body.subject().map(str::to_owned);
        self.outcome_of(request, now)
            .map_err(|fault| MethodError::new(name, subject.as_deref(), fault))
    }

    fn outcome_of(&mut self, request: Request, now: SystemTime) -> Result<Outcome, Fault> {
        let (method, family, generation) = (request.method, request.family, request.generation);
        match (method, request.body) {
            (_, RequestBody::Topology(topology)) => self
                .set_topology(&topology, (family, generation), now)
                .map(Outcome::Done),
            (_, RequestBody::Instance(instance)) => self
                .set_instance(&instance, (family, generation), now)
                .map(Outcome::Done),
            (_, RequestBody::Adapter(adapter)) => {
                self.set_adapter(&adapter, generation, now).map(Outcome::Done)
            }
            (_, RequestBody::Discover { duration }) => Ok(Outcome::Discover { duration }),
            (_, RequestBody::Device { endpoint, .. }) => Ok(Outcome::Describe { endpoint }),
            (_, RequestBody::Name(subject)) => self.named(method, &subject, family),
            (Method::TopologyList, RequestBody::List { continuation_token }) => {
                self.list_topologies(continuation_token).map(Outcome::Done)
            }
            (Method::InstanceList, RequestBody::List { continuation_token }) => {
                self.list_instances(continuation_token, family).map(Outcome::Done)
            }
            (Method::AdapterList, RequestBody::List { continuation_token }) => {
                self.list_adapters(continuation_token).map(Outcome::Done)
            }
            // A request is made by parsing, or by hand from parts that do not fit.
            (_, RequestBody::List { .. }) => Err(Fault::PayloadMissing),
        }
    }

    fn named(&mut self, method: Method, subject: &str, family: Family) -> Result<Outcome, Fault> {
        match method {
            Method::TopologyGet => self.topology_of(subject).map(Outcome::Done),
            Method::TopologyDelete => self.delete_topology(subject, family).map(Outcome::Done),
            Method::InstanceGet => self.instance_of(subject, family).map(Outcome::Done),
            Method::InstanceActivate => self.activate(subject, family),
            Method::InstanceDeactivate => self.deactivate(subject),
            Method::InstanceDelete => self.delete_instance(subject).map(Outcome::Done),
            Method::AdapterGet => self.adapter_of(subject).map(Outcome::Done),
            Method::AdapterDelete => Ok(Outcome::Done(self.delete_adapter(subject))),
            Method::TopologySet
            | Method::TopologyList
            | Method::InstanceSet
            | Method::InstanceList
            | Method::AdapterSet
            | Method::AdapterList
            | Method::DeviceDiscover
            | Method::DeviceGet => Err(Fault::PayloadMissing),
        }
    }
}
