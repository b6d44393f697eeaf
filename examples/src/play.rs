//! Runs a topology, for the short examples.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use lva_edge_module::service::Signals;
use lva_graph_model::Topology;
use lva_graph_runtime::Module;
use serde_json::Value;

use crate::topology_run::{activate, deactivate, instance_of};
use crate::tutorial::Camera;

/// The camera at an address, or a simulated one that plays the plaza.
///
/// # Errors
///
/// The address is invalid, or no port is free.
pub async fn camera(address: Option<&str>) -> anyhow::Result<Camera> {
    let camera = match address {
        Some(address) => Camera::at(address)?,
        None => Camera::simulated(&Path::new(env!("CARGO_MANIFEST_DIR")).join("media/plaza.mp4")).await?,
    };
    eprintln!("camera: {}", camera.shown());
    Ok(camera)
}

/// Runs a topology with the parameters `rtspUrl`, `rtspUserName` and `rtspPassword` for a number of seconds or until
/// Ctrl-C or SIGTERM. Recordings are complete when it returns.
///
/// # Errors
///
/// The topology is invalid, or the module rejects it.
pub async fn play(
    module: &Module,
    topology: Value,
    camera: Camera,
    seconds: Option<f64>,
) -> anyhow::Result<()> {
    let topology = Topology::from_value(topology)?.with_custom_types(module.custom_types().clone());
    let values: BTreeMap<String, String> = camera.parameters().into();
    let (instance, _) = instance_of(&topology, &values)?;
    let mut signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    activate(module, &topology, &instance).await?;
    let time = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::try_from_secs_f64(seconds)?).await,
            None => std::future::pending().await,
        }
        Ok(())
    };
    let waited = tokio::select! {
        waited = time => waited,
        () = signals.received() => Ok(()),
    };
    let stopped = deactivate(module, &topology).await;
    module.shutdown().await;
    camera.end().await;
    waited.and(stopped)
}
