//! Topologies and instances of a module, and the state machine of its methods.

mod adapters;
mod page;
mod saved;

pub use saved::{RestoreError, Restored};

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use self::adapters::StoredAdapter;
use self::page::page;
use crate::check::resolve;
use crate::diagnostic::{Diagnostic, Strictness};
use crate::generation::{Family, Generation};
use crate::graph::{Endpoint, Graph};
use crate::instance::Instance;
use crate::method::{Fault, InstanceState, Method, MethodError, Request, RequestBody, Response};
use crate::own::OwnTypes;
use crate::redact;
use crate::template::iso_utc;
use crate::topology::Topology;

/// How a registry judges, and how much it holds.
///
/// | | default | compatible |
/// |---|---|---|
/// | topologies | 1,000 | 50 |
/// | instances | 10,000 | 1,000 |
///
/// More of them cost memory only: a few kilobytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryOptions {
    strictness: Strictness,
    page_size: Option<usize>,
    own_types: OwnTypes,
}

impl RegistryOptions {
    /// Sets whether quotas and placement rules of the retired product are errors. Open by default.
    ///
    /// In compatible strictness, deactivating an instance that is still activating is a conflict, as it was;
    /// in open strictness it stops the instance.
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// Sets how many entries a list has before it goes on in a next page, at least 1. By default lists are
    /// whole: the contract's own console program reads the first page only.
    pub fn with_page_size(mut self, entries: usize) -> Self {
        self.page_size = Some(entries.max(1));
        self
    }

    /// Sets which types of nodes the program brings along, beside those of the contract. None by default.
    pub fn with_own_types(mut self, own_types: OwnTypes) -> Self {
        self.own_types = own_types;
        self
    }

    fn limits(&self) -> (usize, usize) {
        match self.strictness {
            Strictness::Compatible => (50, 1_000),
            Strictness::Open => (1_000, 10_000),
        }
    }
}

/// What is to be done about a method.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing more: send the answer.
    Done(Response),
    /// Start an instance, then [`report`](Registry::report) how that went.
    Start(Box<Start>),
    /// Stop an instance, let it finish what it has, then [`report`](Registry::report) that it is inactive.
    Stop {
        /// The instance.
        instance: String,
    },
    /// Look for cameras in the network (multicast WS-Discovery, UDP 3702) and answer with
    /// [`Response::of_discovered_devices`], with [`MethodError::device`], or with [`MethodError::not_served`].
    Discover {
        /// How long to wait for answers.
        duration: Duration,
    },
    /// Ask a camera what it has (ONVIF) and answer with [`Response::of_device`], with [`MethodError::device`], or with
    /// [`MethodError::not_served`].
    Describe {
        /// Its service.
        endpoint: Box<Endpoint>,
    },
    /// The same was asked for before and is on its way: send the answer of the next
    /// [`report`](Registry::report) about the instance.
    Wait {
        /// The instance.
        instance: String,
    },
}

/// An instance to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Its name.
    pub instance: String,
    /// What to run.
    pub graph: Graph,
    /// Warnings and hints about its documents, for the log.
    pub findings: Vec<Diagnostic>,
    /// The answer to send at once, as Video Analyzer does; `None` where the answer is that of the report, as
    /// with Live Video Analytics.
    pub answer: Option<Response>,
}

/// What a runtime says of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It runs.
    Activated,
    /// It could not be started, or ended by itself.
    Failed {
        /// The node at fault, where one is.
        node: Option<String>,
        /// Why, with a remedy; without secrets.
        message: String,
    },
    /// It has ended as it was told to, and everything recorded is kept.
    Deactivated,
}

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

#[derive(Debug, Clone)]
struct StoredTopology {
    topology: Topology,
    created_at: String,
    modified_at: String,
}

#[derive(Debug, Clone)]
struct StoredInstance {
    instance: Instance,
    family: Family,
    state: InstanceState,
    created_at: String,
    modified_at: String,
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
        let (method, family, generation) = (request.method, request.family, request.generation);
        let name = method.name(family);
        match (method, request.body) {
            (Method::TopologyList, RequestBody::List { continuation_token }) => {
                let all = self
                    .topologies
                    .iter()
                    .map(|(name, stored)| (name.as_str(), stored.shown()));
                let page = page(all, continuation_token, self.options.page_size);
                page.map(Outcome::Done)
                    .map_err(|fault| MethodError::new(name, None, fault))
            }
            (Method::InstanceList, RequestBody::List { continuation_token }) => {
                let all = self
                    .instances
                    .iter()
                    .map(|(name, stored)| (name.as_str(), self.shown(stored, family)));
                let page = page(all, continuation_token, self.options.page_size);
                page.map(Outcome::Done)
                    .map_err(|fault| MethodError::new(name, None, fault))
            }
            (Method::AdapterList, RequestBody::List { continuation_token }) => self
                .list_adapters(continuation_token)
                .map_err(|fault| MethodError::new(name, None, fault)),
            (_, RequestBody::Adapter(adapter)) => {
                let subject = adapter.name().to_owned();
                self.set_adapter(&adapter, generation, now)
                    .map(Outcome::Done)
                    .map_err(|fault| MethodError::new(name, Some(&subject), fault))
            }
            (_, RequestBody::Discover { duration }) => Ok(Outcome::Discover { duration }),
            (_, RequestBody::Device { endpoint, .. }) => Ok(Outcome::Describe { endpoint }),
            (_, RequestBody::Topology(topology)) => {
                let subject = topology.name().to_owned();
                self.set_topology(&topology, (family, generation), now)
                    .map(Outcome::Done)
                    .map_err(|fault| MethodError::new(name, Some(&subject), fault))
            }
            (_, RequestBody::Instance(instance)) => {
                let subject = instance.name().to_owned();
                self.set_instance(&instance, (family, generation), now)
                    .map(Outcome::Done)
                    .map_err(|fault| MethodError::new(name, Some(&subject), fault))
            }
            (_, RequestBody::Name(subject)) => self
                .named(method, &subject, family)
                .map_err(|fault| MethodError::new(name, Some(&subject), fault)),
            // A request is made by parsing, or by hand from parts that do not fit.
            (_, RequestBody::List { .. }) => Err(MethodError::new(name, None, Fault::PayloadMissing)),
        }
    }

    fn named(&mut self, method: Method, subject: &str, family: Family) -> Result<Outcome, Fault> {
        match method {
            Method::TopologyGet => {
                let stored = self
                    .topologies
                    .get(subject)
                    .ok_or(Fault::NotFound { what: "topology" })?;
                Ok(Outcome::Done(Response::with(200, stored.shown())))
            }
            Method::InstanceGet => {
                let stored = self
                    .instances
                    .get(subject)
                    .ok_or(Fault::NotFound { what: "instance" })?;
                Ok(Outcome::Done(Response::with(200, self.shown(stored, family))))
            }
            Method::TopologyDelete => {
                let instances = self.instances_of(subject);
                if !instances.is_empty() {
                    let remedy = "deactivate and delete them first";
                    return Err(Fault::TopologyInUse {
                        instances,
                        remedy,
                        family,
                    });
                }
                let status = if self.topologies.remove(subject).is_some() {
                    200
                } else {
                    204
                };
                Ok(Outcome::Done(Response::empty(status)))
            }
            Method::InstanceDelete => match self.state(subject) {
                None => Ok(Outcome::Done(Response::empty(204))),
                Some(InstanceState::Inactive) => {
                    self.instances.remove(subject);
                    Ok(Outcome::Done(Response::empty(200)))
                }
                Some(state) => Err(Fault::StateConflict {
                    state,
                    needed: "Inactive",
                    remedy: "deactivate it first",
                }),
            },
            Method::InstanceActivate => self.activate(subject, family),
            Method::InstanceDeactivate => self.deactivate(subject),
            Method::AdapterGet => self.adapter_of(subject),
            Method::AdapterDelete => Ok(self.delete_adapter(subject)),
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

    fn set_topology(
        &mut self,
        topology: &Topology,
        (family, generation): (Family, Generation),
        now: SystemTime,
    ) -> Result<Response, Fault> {
        let topology = Topology::from_value(redact::as_stored(topology.to_value(), generation))
            .map_err(Fault::document)?
            .with_own_types(self.options.own_types.clone());
        let findings = topology.validate(self.options.strictness);
        if findings.iter().any(Diagnostic::is_error) {
            return Err(Fault::InvalidTopology { findings });
        }
        let now = iso_utc(now);
        let old = self.topologies.get(topology.name());
        let (status, created_at, modified_at) = match old {
            None => {
                let (limit, _) = self.options.limits();
                if self.topologies.len() >= limit {
                    return Err(Fault::TooMany {
                        what: "topologies",
                        limit,
                    });
                }
                (201, now.clone(), now)
            }
            Some(old) if old.topology == topology => {
                return Ok(Response {
                    findings,
                    ..Response::with(200, old.shown())
                });
            }
            Some(old) => {
                self.check_change(&topology, family)?;
                (200, old.created_at.clone(), now)
            }
        };
        let stored = StoredTopology {
            topology,
            created_at,
            modified_at,
        };
        let payload = stored.shown();
        self.topologies.insert(stored.topology.name().to_owned(), stored);
        Ok(Response {
            findings,
            ..Response::with(status, payload)
        })
    }

    /// A topology may change while no instance of it runs, and only so that all of them still fit it.
    fn check_change(&self, topology: &Topology, family: Family) -> Result<(), Fault> {
        let instances = self.instances_of(topology.name());
        let running: Vec<String> = instances
            .iter()
            .filter(|name| self.state(name) != Some(InstanceState::Inactive))
            .cloned()
            .collect();
        if !running.is_empty() {
            return Err(Fault::TopologyInUse {
                instances: running,
                remedy: "deactivate them before you change it",
                family,
            });
        }
        for name in instances {
            let Some(stored) = self.instances.get(&name) else {
                continue;
            };
            if let Err(error) = resolve(topology, &stored.instance, self.options.strictness) {
                return Err(Fault::TopologyChange {
                    instance: name,
                    findings: error.findings,
                    family,
                });
            }
        }
        Ok(())
    }

    fn set_instance(
        &mut self,
        instance: &Instance,
        (family, generation): (Family, Generation),
        now: SystemTime,
    ) -> Result<Response, Fault> {
        let mut document = redact::as_stored(instance.to_value(), generation);
        let old = self.instances.get(instance.name());
        if let Some(old) = old {
            document = redact::keep_secrets(&document, old.instance.to_value());
        }
        let instance = Instance::from_value(document).map_err(Fault::document)?;
        let identical = old.is_some_and(|old| old.instance == instance);
        if let Some(old) = old
            && identical
        {
            return Ok(Response::with(200, self.shown(old, family)));
        }
        if let Some(old) = old
            && old.state != InstanceState::Inactive
        {
            return Err(Fault::StateConflict {
                state: old.state,
                needed: "Inactive",
                remedy: "deactivate it before you change it",
            });
        }
        let findings = self.graph_of(&instance)?.1;
        let now = iso_utc(now);
        let (status, created_at) = match old {
            Some(old) => (200, old.created_at.clone()),
            None => {
                let (_, limit) = self.options.limits();
                if self.instances.len() >= limit {
                    return Err(Fault::TooMany {
                        what: "instances",
                        limit,
                    });
                }
                (201, now.clone())
            }
        };
        let stored = StoredInstance {
            instance,
            family,
            state: InstanceState::Inactive,
            created_at,
            modified_at: now,
        };
        let payload = self.shown(&stored, family);
        self.instances.insert(stored.instance.name().to_owned(), stored);
        Ok(Response {
            findings,
            ..Response::with(status, payload)
        })
    }

    fn graph_of(&self, instance: &Instance) -> Result<(Graph, Vec<Diagnostic>), Fault> {
        let name = instance.topology_name();
        let Some(stored) = self.topologies.get(name) else {
            return Err(Fault::UnknownTopology {
                topology: name.to_owned(),
            });
        };
        match resolve(&stored.topology, instance, self.options.strictness) {
            Ok(resolved) => Ok((resolved.graph, resolved.findings)),
            Err(error) => Err(Fault::InvalidInstance {
                findings: error.findings,
            }),
        }
    }

    fn activate(&mut self, name: &str, family: Family) -> Result<Outcome, Fault> {
        let stored = self
            .instances
            .get(name)
            .ok_or(Fault::NotFound { what: "instance" })?;
        let instance = name.to_owned();
        match (stored.state, family) {
            (InstanceState::Active, _) | (InstanceState::Activating, Family::VideoAnalyzer) => {
                Ok(Outcome::Done(Response::empty(200)))
            }
            (InstanceState::Activating, Family::Lva) => Ok(Outcome::Wait { instance }),
            (InstanceState::Deactivating, _) => Err(Fault::StateConflict {
                state: InstanceState::Deactivating,
                needed: "Inactive or Active",
                remedy: "wait until it is Inactive",
            }),
            (InstanceState::Inactive, _) => {
                let (graph, findings) = self.graph_of(&stored.instance)?;
                self.move_to(name, InstanceState::Activating);
                Ok(Outcome::Start(Box::new(Start {
                    instance,
                    graph,
                    findings,
                    answer: (family == Family::VideoAnalyzer).then(|| Response::empty(200)),
                })))
            }
        }
    }

    fn deactivate(&mut self, name: &str) -> Result<Outcome, Fault> {
        let stored = self
            .instances
            .get(name)
            .ok_or(Fault::NotFound { what: "instance" })?;
        let instance = name.to_owned();
        match (stored.state, self.options.strictness) {
            (InstanceState::Inactive, _) => Ok(Outcome::Done(Response::empty(200))),
            (InstanceState::Deactivating, _) => Ok(Outcome::Wait { instance }),
            (InstanceState::Activating, Strictness::Compatible) => Err(Fault::StateConflict {
                state: InstanceState::Activating,
                needed: "Active or Inactive",
                remedy: "wait until it is Active",
            }),
            // Whoever sees a camera that never answers must be able to give up on it.
            (InstanceState::Activating, Strictness::Open) | (InstanceState::Active, _) => {
                self.move_to(name, InstanceState::Deactivating);
                Ok(Outcome::Stop { instance })
            }
        }
    }

    /// Takes what a runtime says of an instance. The result is the answer to whoever waits for it: to the
    /// activation after [`Outcome::Start`], to the deactivation after [`Outcome::Stop`], and to all that were
    /// told to wait since.
    ///
    /// # Errors
    ///
    /// [`MethodError`] when the instance did not become what was asked for, and when the report cannot be.
    pub fn report(&mut self, instance: &str, report: Report) -> Result<Response, MethodError> {
        use InstanceState as S;
        let Some(stored) = self.instances.get(instance) else {
            let fault = Fault::NotFound { what: "instance" };
            return Err(MethodError::new("report", Some(instance), fault));
        };
        let (state, family) = (stored.state, stored.family);
        let fail = |fault| {
            let name = Method::InstanceActivate.name(family);
            Err(MethodError::new(name, Some(instance), fault))
        };
        match (state, report) {
            (S::Activating | S::Active, Report::Activated) => {
                self.move_to(instance, S::Active);
                Ok(Response::empty(200))
            }
            (S::Activating | S::Active, Report::Failed { node, message }) => {
                self.move_to(instance, S::Inactive);
                fail(Fault::ActivationFailed { node, message })
            }
            (S::Activating, Report::Deactivated) => {
                self.move_to(instance, S::Inactive);
                fail(Fault::ActivationFailed {
                    node: None,
                    message: "the instance was stopped before it was active: activate it again".to_owned(),
                })
            }
            // It was told to stop while it was starting; whoever activated it did not get it.
            (S::Deactivating, Report::Activated) => fail(Fault::StateConflict {
                state,
                needed: "Inactive or Active",
                remedy: "wait until it is Inactive",
            }),
            (S::Active | S::Deactivating | S::Inactive, Report::Deactivated)
            | (S::Deactivating | S::Inactive, Report::Failed { .. }) => {
                self.move_to(instance, S::Inactive);
                Ok(Response::empty(200))
            }
            (S::Inactive, Report::Activated) => fail(Fault::UnexpectedReport { state }),
        }
    }

    fn move_to(&mut self, instance: &str, state: InstanceState) {
        if let Some(stored) = self.instances.get_mut(instance) {
            stored.state = state;
        }
    }

    fn instances_of(&self, topology: &str) -> Vec<String> {
        let all = self.instances.iter();
        all.filter(|(_, stored)| stored.instance.topology_name() == topology)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The object as it is returned, in the words of the caller's family.
    fn shown(&self, stored: &StoredInstance, family: Family) -> Value {
        let topology = self.topologies.get(stored.instance.topology_name());
        let declarations = topology.map(|stored| stored.topology.parameters());
        let mut value = redact::instance(stored.instance.to_value(), declarations.as_deref());
        if let Value::Object(map) = &mut value {
            redact::set(
                map,
                "systemData",
                system_data(&stored.created_at, &stored.modified_at),
            );
            let properties = redact::find(map, "properties").and_then(|key| map.get_mut(&key));
            if let Some(Value::Object(properties)) = properties {
                redact::set(properties, "state", stored.state.word(family).into());
            }
        }
        value
    }
}

impl StoredTopology {
    fn shown(&self) -> Value {
        let mut value = redact::topology(self.topology.to_value());
        if let Value::Object(map) = &mut value {
            redact::set(
                map,
                "systemData",
                system_data(&self.created_at, &self.modified_at),
            );
        }
        value
    }
}

fn system_data(created_at: &str, modified_at: &str) -> Value {
    json!({"createdAt": created_at, "lastModifiedAt": modified_at})
}
