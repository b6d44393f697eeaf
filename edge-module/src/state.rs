//! The saved state of a module: topologies, instances, and which of them run.

use lva_graph_model::methods::{InstanceState, MethodError, Registry, RegistryOptions};
use lva_graph_runtime::{MessageSink, Module, RuntimeOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::{DataDirectory, DataError};

const FILE: &str = "state.json";
/// Format of the file; a higher number is of a newer version.
const SCHEMA: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    schema: u64,
    /// [`Module::save`].
    registry: Value,
}

/// Reads the saved state; `None` where there is none that can be read.
///
/// A state that cannot be read never stops the start: it is renamed and logged, and the module starts empty.
///
/// # Errors
///
/// [`DataError`] when it cannot be renamed: starting empty would then lose it at the next save.
pub(crate) fn load(data: &DataDirectory) -> Result<Option<Value>, DataError> {
    let found = match data.read(FILE) {
        Ok(None) => {
            tracing::info!("no saved state: the module starts without topologies");
            return Ok(None);
        }
        Ok(Some(content)) => read(&content),
        Err(error) => Err(error.to_string()),
    };
    match found {
        Ok(registry) => Ok(Some(registry)),
        Err(why) => {
            let aside = data.set_aside(FILE)?;
            tracing::error!(
                "the saved state cannot be read ({why}); it is kept as {}, and the module starts without topologies",
                aside.display()
            );
            Ok(None)
        }
    }
}

/// Starts the module with what [`load`] returned, and the instances that ran. An instance that cannot run any more is
/// inactive, and its error is logged.
///
/// # Errors
///
/// [`DataError`] for another value.
pub(crate) fn restore(
    data: &DataDirectory,
    saved: Option<Value>,
    options: RuntimeOptions,
    sinks: Vec<Box<dyn MessageSink>>,
) -> Result<Module, DataError> {
    let Some(registry) = saved else {
        return Ok(Module::new(options, sinks));
    };
    match Module::restore(&registry, options, sinks) {
        Ok((module, failures)) => {
            report(&module, &failures);
            Ok(module)
        }
        // `load` has restored the same value. A module without its sinks would lose events, so it does not start.
        Err(error) => Err(data.failed("restore", FILE, error)),
    }
}

/// Replaces the saved state.
pub(crate) fn save(data: &DataDirectory, registry: Value) -> Result<(), DataError> {
    let saved = Saved {
        schema: SCHEMA,
        registry,
    };
    let content = serde_json::to_vec(&saved).map_err(|error| data.failed("write", FILE, error))?;
    data.replace(FILE, &content)
}

pub(crate) fn read(content: &[u8]) -> Result<Value, String> {
    let saved: Saved = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    if saved.schema != SCHEMA {
        let schema = saved.schema;
        return Err(format!("it has schema {schema}, and this version reads {SCHEMA}"));
    }
    Registry::restore(&saved.registry, RegistryOptions::default()).map_err(|error| error.to_string())?;
    Ok(saved.registry)
}

fn report(module: &Module, failures: &[MethodError]) {
    for failure in failures {
        tracing::error!("an instance that ran cannot run any more, and is inactive: {failure}");
    }
    let running = module.instances();
    let running = running
        .iter()
        .filter(|one| one.state == InstanceState::Active)
        .count();
    tracing::info!("the saved state is restored: {running} instances run");
}
