//! The spatial-analysis tutorial: a camera, the extension and a graph, connected by real sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use lva_extension_protocol::server::{ExtensionServer, HostError, ListenAddress};
use lva_graph_model::methods::{MethodCall, Request};
use lva_graph_model::operations::{OperationsFile, Step};
use lva_graph_model::{Family, Instance, Topology};
use lva_graph_runtime::{InstanceStats, MessageSink, Module, RuntimeOptions};
use lva_rtsp::{CameraUrl, Credentials};
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use lva_spatial_analysis::SpatialExtension;
use serde_json::Value;
use tokio::sync::oneshot;

/// The simulated camera's user.
pub const USER: &str = "testuser";
/// The simulated camera's password.
pub const PASSWORD: &str = "testpassword";

/// A real or simulated camera.
#[derive(Debug)]
pub struct Camera {
    /// Address without user name and password.
    pub url: String,
    user: String,
    password: String,
    simulator: Option<Simulator>,
}

impl Camera {
    /// Starts a camera that repeats an MP4 file (H.264), for [`USER`] with [`PASSWORD`].
    ///
    /// # Errors
    ///
    /// The file does not exist, or no port is free.
    pub async fn simulated(video: &Path) -> anyhow::Result<Self> {
        ensure!(video.is_file(), "the video {} does not exist", video.display());
        let file = video.file_name().and_then(|name| name.to_str());
        let file = file.context("the video's name is not UTF-8")?;
        let directory = match video.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        let credentials = Some(Credentials::new(USER, PASSWORD));
        let simulator =
            Simulator::start(SimulatorOptions::new(directory).with_credentials(credentials)).await?;
        Ok(Self {
            url: simulator.url(file),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            simulator: Some(simulator),
        })
    }

    /// A real camera: `rtsp://user:password@host:554/path`.
    ///
    /// # Errors
    ///
    /// The address is invalid.
    pub fn at(address: &str) -> anyhow::Result<Self> {
        let (url, credentials) = CameraUrl::parse_with_credentials(address)?;
        let secret = |part: fn(&Credentials) -> &str| credentials.as_ref().map_or("", part).to_owned();
        // User name and password are separate parameters of the topologies.
        let address = address.trim();
        let (scheme, rest) = address
            .split_once("://")
            .context("the camera's address has no scheme")?;
        // A password may have an `@` itself, so the last one that leaves the same address counts.
        let bare = rest
            .rmatch_indices('@')
            .filter_map(|(at, _)| Some(format!("{scheme}://{}", rest.get(at + 1..)?)))
            .find(|bare| CameraUrl::parse(bare).as_ref() == Ok(&url));
        Ok(Self {
            url: bare.unwrap_or_else(|| address.to_owned()),
            user: secret(Credentials::username),
            password: secret(Credentials::password),
            simulator: None,
        })
    }

    /// Its address for people, without what looks like a secret in path and query.
    pub fn shown(&self) -> String {
        CameraUrl::parse(&self.url).map_or_else(|error| error.to_string(), |url| url.to_string())
    }

    /// Its address, user name and password under the parameter names of the published topologies.
    pub fn parameters(&self) -> [(String, String); 3] {
        [
            ("rtspUrl", &self.url),
            ("rtspUserName", &self.user),
            ("rtspPassword", &self.password),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
    }

    /// Stops a simulated camera.
    pub async fn end(self) {
        if let Some(simulator) = self.simulator {
            simulator.shutdown().await;
        }
    }
}

/// The extension's server. It must live as long as the tutorial.
#[derive(Debug)]
pub struct Extension {
    /// Its address.
    pub url: String,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), HostError>>,
}

impl Extension {
    /// Serves an extension on a free loopback port.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn serve(extension: SpatialExtension) -> anyhow::Result<Self> {
        Self::serve_any(extension).await
    }

    /// Serves any extension so.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn serve_any(
        extension: impl lva_extension_protocol::server::Extension,
    ) -> anyhow::Result<Self> {
        let listening = ExtensionServer::new(extension)
            .listen(ListenAddress::loopback(0))
            .await?;
        let url = listening.url().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(listening.serve(async {
            let _ = stopped.await;
        }));
        Ok(Self { url, stop, task })
    }

    /// Waits until the server ends, and returns the reason.
    pub async fn ended(&mut self) -> anyhow::Error {
        let why = match (&mut self.task).await {
            Ok(Ok(())) => "it stopped without an error".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        anyhow::anyhow!("the extension ended: {why}")
    }

    async fn end(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        Ok(self.task.await.context("the extension panicked")??)
    }
}

/// The parts of the tutorial.
#[derive(Debug)]
pub struct Tutorial {
    /// The camera.
    pub camera: Camera,
    /// The extension.
    pub extension: Extension,
    /// The operations file; its `topologyFile` is relative to it.
    pub operations: PathBuf,
    /// Directory for clips.
    pub recordings: PathBuf,
    /// Value of the instance's parameter `frameRate`.
    pub frame_rate: String,
}

impl Tutorial {
    /// Runs the operations. Where they wait for input, `wait` decides how long; it gets their message and the extension,
    /// and must return if the extension ends. `log` gets a line for each response. Returns the statistics of the instance
    /// and the first error; clean-up runs in any case.
    ///
    /// # Errors
    ///
    /// The operations file or the topology cannot be read; nothing was started.
    pub async fn play(
        self,
        sinks: Vec<Box<dyn MessageSink>>,
        log: impl Fn(String),
        mut wait: impl AsyncFnMut(&str, &mut Extension) -> anyhow::Result<()>,
    ) -> anyhow::Result<(Option<InstanceStats>, anyhow::Result<()>)> {
        let Self {
            camera,
            mut extension,
            operations,
            recordings,
            frame_rate,
        } = self;
        let steps = read_steps(
            &operations,
            &[
                ("rtspUrl", format!(" {}", camera.url)),
                ("rtspUserName", camera.user),
                ("rtspPassword", camera.password),
                ("grpcUrl", extension.url.clone()),
                ("frameRate", frame_rate),
            ],
        )?;
        let module = Module::new(RuntimeOptions::new(recordings), sinks);
        let (mut instance, mut run) = (None, None);
        let mut outcome = Ok(());
        for step in steps {
            let call = match step {
                Act::Wait(message) if outcome.is_ok() && instance.is_some() => {
                    outcome = wait(&message, &mut extension).await;
                    continue;
                }
                Act::Wait(_) => continue,
                Act::Call(call) => call,
            };
            if let Request::InstanceActivate(name) = &call.request {
                instance = Some(name.clone());
            }
            let name = call.name();
            let (status, answer) = module.invoke(name, &call.to_payload()).await;
            log(format!("{name}: {status}"));
            // A handle knows its run even after the instance is deleted.
            run = instance.as_ref().and_then(|name| module.instance(name)).or(run);
            if status >= 400 && outcome.is_ok() {
                outcome = Err(anyhow::anyhow!("{name} failed with status {status}: {answer}"));
            }
        }
        module.shutdown().await;
        let stats = run.map(|run| run.stats());
        if !extension.task.is_finished()
            && let Err(error) = extension.end().await
        {
            outcome = outcome.and(Err(error));
        }
        if let Some(simulator) = camera.simulator {
            simulator.shutdown().await;
        }
        Ok((stats, outcome))
    }
}

enum Act {
    Call(MethodCall),
    Wait(String),
}

/// Reads the operations and the files that they name, with the values of this run.
fn read_steps(path: &Path, values: &[(&str, String)]) -> anyhow::Result<Vec<Act>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let operations = OperationsFile::from_slice(&text)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let act = |step| {
        Ok(match step {
            Step::WaitForInput { message } => Act::Wait(message),
            Step::SetTopologyFile { family, path } => Act::Call(topology(family, &directory.join(path))?),
            Step::SetTopologyUrl { url, .. } => {
                bail!("{url}: topologies are not downloaded: save the file and name it as topologyFile")
            }
            Step::Call(call) => Act::Call(with_values(*call, values)?),
        })
    };
    operations.steps.into_iter().map(act).collect()
}

fn topology(family: Family, path: &Path) -> anyhow::Result<MethodCall> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    Ok(MethodCall::set_topology(family, Topology::from_value(value)?))
}

/// Sets the instance's parameters of these names to this run's values.
fn with_values(call: MethodCall, values: &[(&str, String)]) -> anyhow::Result<MethodCall> {
    let Request::InstanceSet(instance) = &call.request else {
        return Ok(call);
    };
    let mut document = instance.to_value().clone();
    let parameters = document
        .pointer_mut("/properties/parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let value = values.iter().find(|(name, _)| parameter["name"] == *name);
        if let Some((_, value)) = value {
            parameter["value"] = value.clone().into();
        }
    }
    Ok(MethodCall::set_instance(
        call.generation,
        Instance::from_value(document)?,
    ))
}

/// Waits for the first session with the camera.
///
/// # Errors
///
/// No session in time; names the last reported fault.
pub async fn first_session(witness: &crate::demo::Witness, within: Duration) -> anyhow::Result<()> {
    let established = witness.until(|kinds| kinds.contains_key("MediaSessionEstablished"));
    if tokio::time::timeout(within, established).await.is_err() {
        let why = witness
            .last_fault()
            .unwrap_or_else(|| "it did not answer".to_owned());
        bail!("no session with the camera within {} s: {why}", within.as_secs());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_apart_from_the_address_whatever_they_contain() {
        for (address, url, user, password) in [
            ("rtsp://cam:554/s?x=1", "rtsp://cam:554/s?x=1", "", ""),
            ("rtsp://u:p@cam/s@1", "rtsp://cam/s@1", "u", "p"),
            ("rtsp://u:p@ss@cam/s", "rtsp://cam/s", "u", "p@ss"),
            (" rtsp://u:a/b#c@cam:8554/s ", "rtsp://cam:8554/s", "u", "a/b#c"),
        ] {
            let camera = Camera::at(address).unwrap();
            let seen = (
                camera.url.as_str(),
                camera.user.as_str(),
                camera.password.as_str(),
            );
            assert_eq!(seen, (url, user, password), "{address}");
        }
        assert!(Camera::at("cam/s").is_err());
    }

    #[test]
    fn secrets_in_a_path_are_not_shown() {
        let camera = Camera::at("rtsp://u:p@cam/user=a_password=geheim_channel=1.sdp").unwrap();
        assert_eq!(camera.shown(), "rtsp://cam/user=a_password=***_channel=1.sdp");
        assert!(camera.url.contains("geheim"), "the camera wants it");
    }
}
