//! Saves and restores a registry.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::adapters::StoredAdapter;
use super::dates::Dates;
use super::instances::StoredInstance;
use super::topologies::StoredTopology;
use super::{Registry, RegistryOptions, Start, secrets};
use crate::adapter::DeviceAdapter;
use crate::document::{DocumentError, json_type};
use crate::generation::Family;
use crate::instance::Instance;
use crate::method::{Fault, InstanceState, Method, MethodError};
use crate::topology::Topology;

/// The format that this version writes and reads.
const FORM: u64 = 1;

/// Why a registry cannot be restored. Nothing of it is restored then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The value does not have the format of [`Registry::save`].
    #[error("not a saved registry of format {FORM}: {0}; restore it with the version that saved it")]
    Form(String),
    /// An entry is not a topology, instance or device adapter.
    #[error("the saved {what} {index} cannot be read: {cause}")]
    Entry {
        /// `topology`, `instance` or `device adapter`.
        what: &'static str,
        /// Its index in the list.
        index: usize,
        /// The error of the document.
        cause: DocumentError,
    },
}

/// A restored registry.
#[derive(Debug)]
pub struct Restored {
    /// The registry. Instances that were active or activating are activating.
    pub registry: Registry,
    /// The instances to start.
    pub starts: Vec<Start>,
    /// Why other instances that were active are inactive: their documents no longer resolve.
    pub failures: Vec<MethodError>,
}

impl Registry {
    /// All objects as JSON. **Contains secrets**: store it where only the module reads it.
    pub fn save(&self) -> Value {
        let topologies = self.topologies.values().map(|stored| {
            let entry = json!({"document": stored.topology.to_value()});
            stored.dates.merge_into(entry)
        });
        let instances = self.instances.values().map(|stored| {
            let runs = matches!(stored.state, InstanceState::Active | InstanceState::Activating);
            stored.dates.merge_into(json!({
                "document": stored.instance.to_value(),
                "family": match stored.family {
                    Family::Lva => "lva",
                    Family::VideoAnalyzer => "videoAnalyzer",
                },
                "active": runs || stored.is_suspended,
                "secrets": stored.secrets,
            }))
        });
        let adapters = self.adapters.values().map(|stored| {
            let entry = json!({"document": stored.adapter.to_value()});
            stored.dates.merge_into(entry)
        });
        json!({
            "form": FORM,
            "topologies": topologies.collect::<Vec<_>>(),
            "instances": instances.collect::<Vec<_>>(),
            "adapters": adapters.collect::<Vec<_>>(),
        })
    }

    /// Restores what [`save`](Self::save) returned.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] for any other value.
    pub fn restore(saved: &Value, options: RegistryOptions) -> Result<Restored, RestoreError> {
        if saved.get("form").and_then(Value::as_u64) != Some(FORM) {
            return Err(form("the format number differs"));
        }
        let list = |name: &str| {
            let list = saved.get(name).and_then(Value::as_array);
            list.ok_or_else(|| form(&format!("'{name}' is not an array")))
        };
        let mut registry = Self::new(options);
        for (index, entry) in list("topologies")?.iter().enumerate() {
            let topology = document((index, entry), "topology", Topology::from_value)?;
            let stored = StoredTopology {
                dates: dates(entry)?,
                topology: topology.with_custom_types(registry.options.custom_types.clone()),
            };
            registry
                .topologies
                .insert(stored.topology.name().to_owned(), stored);
        }
        // Older versions saved no adapters.
        let adapters = saved.get("adapters").and_then(Value::as_array);
        for (index, entry) in adapters.into_iter().flatten().enumerate() {
            let adapter = document((index, entry), "device adapter", DeviceAdapter::from_value)?;
            let stored = StoredAdapter {
                dates: dates(entry)?,
                adapter,
            };
            registry.adapters.insert(stored.adapter.name().to_owned(), stored);
        }
        let mut resumed = Vec::new();
        for (index, entry) in list("instances")?.iter().enumerate() {
            let instance = document((index, entry), "instance", Instance::from_value)?;
            let family = match text(entry, "family")?.as_str() {
                "lva" => Family::Lva,
                "videoAnalyzer" => Family::VideoAnalyzer,
                other => return Err(form(&format!("unknown family '{other}'"))),
            };
            let name = instance.name().to_owned();
            if entry.get("active").and_then(Value::as_bool) == Some(true) {
                resumed.push((name.clone(), family));
            }
            // Older versions saved no names of secrets.
            let named = entry.get("secrets").and_then(Value::as_array);
            let named = named.into_iter().flatten().filter_map(Value::as_str);
            let mut secrets: BTreeSet<String> = named.map(str::to_owned).collect();
            if let Some(topology) = registry.topologies.get(instance.topology_name()) {
                secrets.extend(secrets::declared(&instance, &topology.topology));
            }
            let stored = StoredInstance {
                instance,
                secrets,
                family,
                state: InstanceState::Inactive,
                is_suspended: false,
                dates: dates(entry)?,
            };
            registry.instances.insert(name, stored);
        }
        let (mut starts, mut failures) = (Vec::new(), Vec::new());
        for (name, family) in resumed {
            let Some(stored) = registry.instances.get(&name) else {
                continue;
            };
            match registry.graph_of(&stored.instance) {
                Ok((graph, findings)) => {
                    starts.push(Start {
                        instance: name.clone(),
                        graph,
                        findings,
                        answer: None,
                    });
                    registry.move_to(&name, InstanceState::Activating);
                }
                Err(fault) => failures.push(failure(family, &name, fault)),
            }
        }
        Ok(Restored {
            registry,
            starts,
            failures,
        })
    }
}

fn failure(family: Family, instance: &str, fault: Fault) -> MethodError {
    MethodError::new(Method::InstanceActivate.name(family), Some(instance), fault)
}

fn form(what: &str) -> RestoreError {
    RestoreError::Form(what.to_owned())
}

fn document<D>(
    (index, entry): (usize, &Value),
    what: &'static str,
    read: fn(Value) -> Result<D, DocumentError>,
) -> Result<D, RestoreError> {
    let document = entry.get("document").cloned().unwrap_or_default();
    read(document).map_err(|cause| RestoreError::Entry { what, index, cause })
}

fn text(entry: &Value, name: &str) -> Result<String, RestoreError> {
    match entry.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        other => Err(form(&format!(
            "'{name}' is {}",
            other.map_or("missing", json_type)
        ))),
    }
}

fn dates(entry: &Value) -> Result<Dates, RestoreError> {
    Dates::read(|name| text(entry, name))
}
