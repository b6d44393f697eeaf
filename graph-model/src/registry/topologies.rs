//! Topologies, by name. A change must fit all instances.

use std::time::SystemTime;

use serde_json::Value;

use super::dates::Dates;
use super::options::check_capacity;
use super::{Registry, fitting, page, secrets};
use crate::check::resolve;
use crate::diagnostic::Diagnostic;
use crate::generation::{Family, Generation};
use crate::instance::Instance;
use crate::method::{Fault, InstanceState, ListOptions, Response};
use crate::redact;
use crate::topology::Topology;

#[derive(Debug, Clone)]
pub(super) struct StoredTopology {
    pub(super) topology: Topology,
    pub(super) dates: Dates,
}

impl StoredTopology {
    fn shown(&self) -> Value {
        let mut value = redact::topology(self.topology.to_value());
        self.dates.put_into(&mut value);
        value
    }
}

impl Registry {
    pub(super) fn list_topologies(&self, options: &ListOptions) -> Result<Response, Fault> {
        let all = self
            .topologies
            .iter()
            .map(|(name, stored)| (name.as_str(), stored.shown()));
        page(all, options, self.options.page)
    }

    pub(super) fn topology_of(&self, name: &str) -> Result<Response, Fault> {
        let stored = self.topologies.get(name);
        let stored = stored.ok_or(Fault::NotFound { what: "topology" })?;
        Ok(Response::with(200, stored.shown()))
    }

    pub(super) fn delete_topology(&mut self, name: &str, family: Family) -> Result<Response, Fault> {
        let instances = self.instances_of(name);
        if !instances.is_empty() {
            return Err(Fault::TopologyInUse {
                instances,
                remedy: "deactivate and delete them first",
                family,
            });
        }
        let existed = self.topologies.remove(name).is_some();
        Ok(Response::empty(if existed { 200 } else { 204 }))
    }

    pub(super) fn set_topology(
        &mut self,
        topology: &Topology,
        (family, generation): (Family, Generation),
        now: SystemTime,
    ) -> Result<Response, Fault> {
        let mut document = redact::as_stored(topology.to_value(), generation);
        if let Some(old) = self.topologies.get(topology.name()) {
            redact::keep_users(&mut document, old.topology.to_value());
        }
        let topology = Topology::from_value(document)
            .map_err(Fault::document)?
            .with_form(topology.form().clone())
            .with_custom_types(self.options.custom_types.clone());
        let findings = topology.validate(self.options.strictness);
        if findings.iter().any(Diagnostic::is_error) {
            return Err(Fault::InvalidTopology { findings });
        }
        let old = self.topologies.get(topology.name());
        let mut without_secrets = Vec::new();
        let (status, dates) = match old {
            None => {
                let limit = self.options.limits().topologies;
                check_capacity("topologies", self.topologies.len(), limit)?;
                (201, Dates::new(now))
            }
            Some(old) if old.topology == topology => {
                return Ok(Response {
                    findings,
                    ..Response::with(200, fitting(old.shown(), self.options.page))
                });
            }
            Some(old) => {
                without_secrets = self.check_change(&topology, &old.topology, family)?;
                (200, old.dates.changed(now))
            }
        };
        let stored = StoredTopology { topology, dates };
        let payload = fitting(stored.shown(), self.options.page);
        self.topologies.insert(stored.topology.name().to_owned(), stored);
        for instance in without_secrets {
            if let Some(stored) = self.instances.get_mut(instance.name()) {
                stored.instance = instance;
            }
        }
        Ok(Response {
            findings,
            ..Response::with(status, payload)
        })
    }

    /// Checks that no instance of the topology runs, and that all of them resolve with the change. Returns those that lose a
    /// secret by it, as they are then: the change would show it, or send it to another endpoint.
    fn check_change(
        &self,
        topology: &Topology,
        old: &Topology,
        family: Family,
    ) -> Result<Vec<Instance>, Fault> {
        let strictness = self.options.strictness;
        let mut without_secrets = Vec::new();
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
            let change = |instance: &Instance| {
                resolve(topology, instance, strictness).map_err(|error| Fault::TopologyChange {
                    instance: name.clone(),
                    findings: error.findings,
                    family,
                })
            };
            let after = change(&stored.instance)?.graph;
            let before = resolve(old, &stored.instance, strictness).ok();
            let graphs = (before.as_ref().map(|resolved| &resolved.graph), &after);
            let exposed = secrets::exposed(&stored.secrets, &stored.instance, topology, graphs);
            if !exposed.is_empty() {
                let value = redact::without_values(stored.instance.to_value(), &exposed);
                let instance = Instance::from_value(value).map_err(Fault::document)?;
                change(&instance)?;
                without_secrets.push(instance.with_form(stored.instance.form().clone()));
            }
        }
        Ok(without_secrets)
    }
}
