//! Instances, by name. An instance can change only while it is inactive.

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde_json::Value;

use super::dates::Dates;
use super::options::check_capacity;
use super::{Registry, fitting, page, secrets};
use crate::check::resolve;
use crate::diagnostic::Diagnostic;
use crate::document::{object, set};
use crate::generation::{Family, Generation};
use crate::graph::Graph;
use crate::instance::Instance;
use crate::method::{Fault, InstanceState, ListOptions, Response};
use crate::redact;

#[derive(Debug, Clone)]
pub(super) struct StoredInstance {
    pub(super) instance: Instance,
    pub(super) family: Family,
    pub(super) state: InstanceState,
    /// Inactive because the runtime ends, and to run again after a restart.
    pub(super) is_suspended: bool,
    pub(super) dates: Dates,
    /// Parameters whose values are secret, whatever the topology declares now.
    pub(super) secrets: BTreeSet<String>,
}

impl Registry {
    pub(super) fn list_instances(&self, options: &ListOptions, family: Family) -> Result<Response, Fault> {
        let all = self
            .instances
            .iter()
            .map(|(name, stored)| (name.as_str(), self.shown(stored, family)));
        page(all, options, self.options.page)
    }

    pub(super) fn instance_of(&self, name: &str, family: Family) -> Result<Response, Fault> {
        let stored = self.stored_instance(name)?;
        Ok(Response::with(200, self.shown(stored, family)))
    }

    pub(super) fn delete_instance(&mut self, name: &str) -> Result<Response, Fault> {
        match self.state(name) {
            None => Ok(Response::empty(204)),
            Some(InstanceState::Inactive) => {
                self.instances.remove(name);
                Ok(Response::empty(200))
            }
            Some(state) => Err(Fault::StateConflict {
                state,
                needed: "Inactive",
                remedy: "deactivate it first",
            }),
        }
    }

    pub(super) fn set_instance(
        &mut self,
        instance: &Instance,
        (family, generation): (Family, Generation),
        now: SystemTime,
    ) -> Result<Response, Fault> {
        let old = self.instances.get(instance.name());
        let form = instance.form().clone();
        let document = redact::as_stored(instance.to_value(), generation);
        let (instance, kept) = self.with_kept_values(document, old)?;
        let instance = instance.with_form(form);
        match old {
            Some(old) if old.instance == instance => {
                let payload = fitting(self.shown(old, family), self.options.page);
                return Ok(Response::with(200, payload));
            }
            Some(old) if old.state != InstanceState::Inactive => {
                return Err(Fault::StateConflict {
                    state: old.state,
                    needed: "Inactive",
                    remedy: "deactivate it before you change it",
                });
            }
            _ => {}
        }
        let findings = self.graph_of(&instance)?.1;
        let (status, dates) = match old {
            Some(old) => (200, old.dates.changed(now)),
            None => {
                let limit = self.options.limits().instances;
                check_capacity("instances", self.instances.len(), limit)?;
                (201, Dates::new(now))
            }
        };
        let mut secrets = kept;
        if let Some(topology) = self.topologies.get(instance.topology_name()) {
            secrets.extend(secrets::declared(&instance, &topology.topology));
        }
        let stored = StoredInstance {
            instance,
            secrets,
            family,
            state: InstanceState::Inactive,
            is_suspended: old.is_some_and(|old| old.is_suspended),
            dates,
        };
        let payload = fitting(self.shown(&stored, family), self.options.page);
        self.instances.insert(stored.instance.name().to_owned(), stored);
        Ok(Response {
            findings,
            ..Response::with(status, payload)
        })
    }

    /// An instance with the values that it leaves out and had before, and the secret ones of these. None of those goes to
    /// another topology, another endpoint, or a parameter that is not secret: there it has to be set anew.
    fn with_kept_values(
        &self,
        document: Value,
        old: Option<&StoredInstance>,
    ) -> Result<(Instance, BTreeSet<String>), Fault> {
        let new = Instance::from_value(document.clone()).map_err(Fault::document)?;
        let Some(old) = old else {
            return Ok((new, BTreeSet::new()));
        };
        let moved = new.topology_name() != old.instance.topology_name();
        let never = if moved {
            old.secrets.clone()
        } else {
            BTreeSet::new()
        };
        let keep = |never: &BTreeSet<String>| {
            let kept = redact::keep_values(&document, old.instance.to_value(), never, moved);
            Instance::from_value(kept).map_err(Fault::document)
        };
        let instance = keep(&never)?;
        let given = redact::names_with_values(&document);
        let kept: BTreeSet<String> = old.secrets.difference(&given).cloned().collect();
        let topology = self.topologies.get(instance.topology_name());
        if moved || kept.is_empty() || instance == old.instance {
            return Ok((instance, kept));
        }
        let (Some(topology), Ok((after, _))) = (topology, self.graph_of(&instance)) else {
            return Ok((instance, kept));
        };
        let before = self.graph_of(&old.instance).ok();
        let graphs = (before.as_ref().map(|(graph, _)| graph), &after);
        let exposed = secrets::exposed(&kept, &instance, &topology.topology, graphs);
        if exposed.is_empty() {
            return Ok((instance, kept));
        }
        let kept = kept.difference(&exposed).cloned().collect();
        Ok((keep(&exposed)?, kept))
    }

    pub(super) fn graph_of(&self, instance: &Instance) -> Result<(Graph, Vec<Diagnostic>), Fault> {
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

    pub(super) fn stored_instance(&self, name: &str) -> Result<&StoredInstance, Fault> {
        self.instances
            .get(name)
            .ok_or(Fault::NotFound { what: "instance" })
    }

    pub(super) fn instances_of(&self, topology: &str) -> Vec<String> {
        let all = self.instances.iter();
        all.filter(|(_, stored)| stored.instance.topology_name() == topology)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The object as methods return it, without secrets and with the state as the family spells it.
    fn shown(&self, stored: &StoredInstance, family: Family) -> Value {
        let topology = self.topologies.get(stored.instance.topology_name());
        let declarations = topology.map(|stored| stored.topology.parameters());
        let mut value = redact::instance(
            stored.instance.to_value(),
            declarations.as_deref(),
            &stored.secrets,
        );
        stored.dates.put_into(&mut value);
        let properties = value.as_object_mut().and_then(|map| object(map, "properties"));
        if let Some(properties) = properties {
            set(properties, "state", stored.state.word(family).into());
        }
        value
    }
}
