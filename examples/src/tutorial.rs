//! The spatial-analysis tutorial: a camera, the extension and a graph, put together over real sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use lva_extension_protocol::server::{ExtensionServer, HostError, ListenAddress};
use lva_graph_model::{
    Family, Instance, Method, OperationsFile, Request, RequestBody, Step, Topology, instance_request,
    topology_request,
};
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

/// A camera: where it is, and, where it is simulated, itself.
#[derive(Debug)]
pub struct Camera {
    /// Address without user and password.
    pub url: String,
    user: String,
    password: String,
    simulator: Option<Simulator>,
}

impl Camera {
    /// Starts a camera that plays an MP4 file (H.264) over and over, for [`USER`] with [`PASSWORD`].
    ///
    /// # Errors
    ///
    /// No such file, or no free port.
    pub async fn simulated(video: &Path) -> anyhow::Result<Self> {
        ensure!(video.is_file(), "there is no video {}", video.display());
        let file = video.file_name().and_then(|name| name.to_str());
        let file = file.context("the video's name is not UTF-8")?;
        let folder = match video.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let credentials = Some(Credentials::new(USER, PASSWORD));
        let simulator = Simulator::start(SimulatorOptions::new(folder).with_credentials(credentials)).await?;
        Ok(Self {
            url: simulator.url(file),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            simulator: Some(simulator),
        })
    }

    /// A camera somewhere: `rtsp://user:password@host:554/path`.
    ///
    /// # Errors
    ///
    /// What is wrong with the address.
    pub fn at(address: &str) -> anyhow::Result<Self> {
        let (_, credentials) = CameraUrl::parse_with_credentials(address)?;
        let secret = |part: fn(&Credentials) -> &str| credentials.as_ref().map_or("", part).to_owned();
        // User and password go their own way, as addresses are shown.
        let (scheme, rest) = address
            .trim()
            .split_once("://")
            .context("the camera's address has no scheme")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or(authority);
        Ok(Self {
            url: format!("{scheme}://{host}{path}"),
            user: secret(Credentials::username),
            password: secret(Credentials::password),
            simulator: None,
        })
    }

    /// What the published topologies call its address, user and password.
    pub fn parameters(&self) -> [(String, String); 3] {
        [
            ("rtspUrl", &self.url),
            ("rtspUserName", &self.user),
            ("rtspPassword", &self.password),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
    }

    /// Ends a simulated camera; one somewhere else goes on.
    pub async fn end(self) {
        if let Some(simulator) = self.simulator {
            simulator.shutdown().await;
        }
    }
}

/// The extension's server, on a port of its own. It has to live as long as the tutorial.
#[derive(Debug)]
pub struct Extension {
    /// Where it listens.
    pub url: String,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), HostError>>,
}

impl Extension {
    /// Serves an extension on a free port of the loopback.
    ///
    /// # Errors
    ///
    /// No free port.
    pub async fn serve(extension: SpatialExtension) -> anyhow::Result<Self> {
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

    /// Waits until it dies, and says why.
    pub async fn died(&mut self) -> anyhow::Error {
        let why = match (&mut self.task).await {
            Ok(Ok(())) => "it ended by itself".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        anyhow::anyhow!("the extension died: {why}")
    }

    async fn end(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        Ok(self.task.await.context("the extension panicked")??)
    }
}

/// Everything that takes part.
#[derive(Debug)]
pub struct Tutorial {
    /// What is looked at.
    pub camera: Camera,
    /// Who looks.
    pub extension: Extension,
    /// The file of operations that is carried out; a `topologyFile` in it is looked for beside it.
    pub operations: PathBuf,
    /// Folder for clips.
    pub recordings: PathBuf,
    /// Value of the instance's parameter `frameRate`.
    pub frame_rate: String,
}

impl Tutorial {
    /// Carries out the operations. Where they wait for input, `wait` decides how long; it is given their message and
    /// the extension, whose death it has to notice. Tells each answer by `say`. Returns the numbers of the instance,
    /// and the first error: what can be taken down is taken down in any case.
    ///
    /// # Errors
    ///
    /// An operations file or topology that cannot be read; before anything was started.
    pub async fn play(
        self,
        sinks: Vec<Box<dyn MessageSink>>,
        say: impl Fn(String),
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
        let mut instance = None;
        let mut outcome = Ok(());
        for step in steps {
            let request = match step {
                Act::Wait(message) if outcome.is_ok() && instance.is_some() => {
                    outcome = wait(&message, &mut extension).await;
                    continue;
                }
                Act::Wait(_) => continue,
                Act::Call(request) => request,
            };
            if let (Method::InstanceActivate, RequestBody::Name(name)) = (request.method, &request.body) {
                instance = Some(name.clone());
            }
            let name = request.method.name(request.family);
            let (status, answer) = module.invoke(name, &request.to_payload()).await;
            say(format!("{name}: {status}"));
            if status >= 400 && outcome.is_ok() {
                outcome = Err(anyhow::anyhow!("{name} was answered {status}: {answer}"));
            }
        }
        module.shutdown().await;
        let stats = instance.and_then(|instance| module.stats(&instance));
        let died = extension.task.is_finished();
        if !died && let Err(error) = extension.end().await {
            outcome = outcome.and(Err(error));
        }
        if let Some(simulator) = camera.simulator {
            simulator.shutdown().await;
        }
        Ok((stats, outcome))
    }
}

enum Act {
    Call(Request),
    Wait(String),
}

/// Reads the operations and everything that they name, with the values of this run.
fn read_steps(path: &Path, values: &[(&str, String)]) -> anyhow::Result<Vec<Act>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let operations = OperationsFile::from_slice(&text)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let act = |step| {
        Ok(match step {
            Step::WaitForInput { message } => Act::Wait(message),
            Step::SetTopologyFile { family, path } => Act::Call(topology(family, &folder.join(path))?),
            Step::SetTopologyUrl { url, .. } => {
                bail!("{url}: nothing is fetched here; download the topology and name its file")
            }
            Step::Call(request) => Act::Call(with_values(*request, values)?),
        })
    };
    operations.steps.into_iter().map(act).collect()
}

fn topology(family: Family, path: &Path) -> anyhow::Result<Request> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    Ok(topology_request(family, Topology::from_value(value)?))
}

/// Puts this run's values into an instance, where it has parameters of these names.
fn with_values(request: Request, values: &[(&str, String)]) -> anyhow::Result<Request> {
    let RequestBody::Instance(instance) = &request.body else {
        return Ok(request);
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
    Ok(instance_request(
        request.generation,
        Instance::from_value(document)?,
    ))
}

/// Waits for the first session with the camera.
///
/// # Errors
///
/// None came in time; names the last trouble that was heard of.
pub async fn first_session(witness: &crate::demo::Witness, within: Duration) -> anyhow::Result<()> {
    let established = witness.until(|kinds| kinds.contains_key("MediaSessionEstablished"));
    if tokio::time::timeout(within, established).await.is_err() {
        let why = witness
            .last_trouble()
            .unwrap_or_else(|| "it did not answer".to_owned());
        bail!("the camera gave no session within {} s: {why}", within.as_secs());
    }
    Ok(())
}
