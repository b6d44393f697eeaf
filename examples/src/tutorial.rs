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
use serde_json::{Value, json};
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
    /// Value of the instance's parameter `frameRate`. `None`: as the operations and the topology have it.
    pub frame_rate: Option<String>,
}

impl Tutorial {
    /// Runs the operations with the addresses of this run. Instances get those parameters that their topology declares for the
    /// camera and the extension, whether they give them or not. Where the operations wait for input, `wait` decides how long; it gets their message and the extension,
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
        let mut values = vec![
            ("rtspUrl", format!(" {}", camera.url)),
            ("rtspUserName", camera.user),
            ("rtspPassword", camera.password),
            ("grpcUrl", extension.url.clone()),
        ];
        values.extend(frame_rate.map(|rate| ("frameRate", rate)));
        let steps = read_steps(&operations, &values)?;
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
    Call(Box<MethodCall>),
    Wait(String),
}

/// Reads the operations and the files that they name, with the values of this run.
fn read_steps(path: &Path, values: &[(&str, String)]) -> anyhow::Result<Vec<Act>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let operations = OperationsFile::from_slice(&text)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut declared = Vec::new();
    let mut act = |step| {
        let call = match step {
            Step::WaitForInput { message } => return Ok(Act::Wait(message)),
            Step::SetTopologyFile { family, path } => topology(family, &directory.join(path))?,
            Step::SetTopologyUrl { url, .. } => {
                bail!("{url}: topologies are not downloaded: save the file and name it as topologyFile")
            }
            Step::Call(call) => *call,
        };
        if let Request::TopologySet(topology) = &call.request {
            declared.push(Declared::of(topology.to_value()));
        }
        Ok(Act::Call(Box::new(with_values(call, &declared, values)?)))
    };
    operations.steps.into_iter().map(&mut act).collect()
}

fn topology(family: Family, path: &Path) -> anyhow::Result<MethodCall> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    Ok(MethodCall::set_topology(family, Topology::from_value(value)?))
}

/// A topology's parameters.
struct Declared {
    topology: String,
    names: Vec<String>,
    /// Parameters that are an address of the camera or the extension, or the camera's user or password, with the name that this
    /// program has for it.
    meaning: Vec<(String, &'static str)>,
}

impl Declared {
    fn of(topology: &Value) -> Self {
        let list = |name: &str| {
            let list = topology.pointer(&format!("/properties/{name}"));
            list.and_then(Value::as_array).into_iter().flatten()
        };
        let names = list("parameters").filter_map(|parameter| parameter["name"].as_str());
        let parameter = |value: &Value| {
            let name = value.as_str()?.trim().strip_prefix("${")?.strip_suffix('}')?;
            (!name.contains('$')).then(|| name.trim().to_owned())
        };
        let mut meaning = Vec::new();
        for source in list("sources") {
            let (endpoint, credentials) = (&source["endpoint"], &source["endpoint"]["credentials"]);
            let found = [
                (parameter(&endpoint["url"]), "rtspUrl"),
                (parameter(&credentials["username"]), "rtspUserName"),
                (parameter(&credentials["password"]), "rtspPassword"),
            ];
            meaning.extend(found.into_iter().filter_map(|(name, means)| Some((name?, means))));
        }
        for processor in list("processors") {
            let kind = processor["@type"].as_str().unwrap_or_default();
            // Extensions that speak gRPC; others are not here.
            if ["Vision", "Grpc"].iter().any(|word| kind.contains(word)) {
                meaning.extend(parameter(&processor["endpoint"]["url"]).map(|name| (name, "grpcUrl")));
            }
        }
        Self {
            topology: topology["name"].as_str().unwrap_or_default().to_owned(),
            names: names.map(str::to_owned).collect(),
            meaning,
        }
    }

    /// What this program calls a parameter.
    fn meaning<'a>(&self, name: &'a str) -> &'a str {
        let meaning = self.meaning.iter().find(|(known, _)| known == name);
        meaning.map_or(name, |(_, means)| means)
    }
}

/// Sets the parameters of an instance that mean these names to this run's values, and adds those that its topology declares.
fn with_values(
    call: MethodCall,
    declared: &[Declared],
    values: &[(&str, String)],
) -> anyhow::Result<MethodCall> {
    let Request::InstanceSet(instance) = &call.request else {
        return Ok(call);
    };
    let mut document = instance.to_value().clone();
    let topology = document
        .pointer("/properties/topologyName")
        .and_then(Value::as_str);
    let declared = declared
        .iter()
        .rfind(|declared| Some(declared.topology.as_str()) == topology);
    let Some(properties) = document.pointer_mut("/properties").and_then(Value::as_object_mut) else {
        return Ok(call);
    };
    let parameters = properties.entry("parameters").or_insert_with(|| json!([]));
    let Some(parameters) = parameters.as_array_mut() else {
        return Ok(call);
    };
    let names = declared.iter().flat_map(|declared| &declared.names);
    for name in names {
        let given = parameters
            .iter()
            .any(|parameter| parameter["name"] == name.as_str());
        if !given {
            parameters.push(json!({"name": name}));
        }
    }
    for parameter in parameters.iter_mut() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let means = declared.map_or(name, |declared| declared.meaning(name));
        if let Some((_, value)) = values.iter().find(|(name, _)| *name == means) {
            parameter["value"] = value.clone().into();
        }
    }
    // Of the added ones, those without a value keep their default.
    parameters.retain(|parameter| parameter.get("value").is_some());
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
    fn an_instance_gets_what_its_topology_declares_for_the_camera_and_the_extension() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, value: Value| {
            std::fs::write(directory.path().join(name), value.to_string()).unwrap();
            directory.path().join(name)
        };
        let endpoint =
            |url: &str| json!({"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": url});
        let parameter = |name: &str| json!({"name": name, "type": "String", "default": "d"});
        let mut camera = endpoint("${camera}");
        camera["credentials"] = json!({
            "@type": "#Microsoft.Media.MediaGraphUsernamePasswordCredentials",
            "username": "${rtspUserName}", "password": "${rtspPassword}",
        });
        let names = [
            "camera",
            "rtspUserName",
            "rtspPassword",
            "analysis",
            "frameRate",
            "other",
        ];
        let parameters = names.map(parameter);
        let topology = json!({"@apiVersion": "2.0", "name": "T", "properties": {
            "parameters": parameters,
            "sources": [{"@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "c", "endpoint": camera}],
            "processors": [{"@type": "#Microsoft.Media.MediaGraphCognitiveServicesVisionExtension", "name": "v",
                "endpoint": endpoint("${analysis}"), "inputs": [{"nodeName": "c"}]}],
        }});
        write("topology.json", topology);
        for parameters in [
            json!(null),
            json!([]),
            json!([{"name": "camera", "value": "rtsp://far"}]),
        ] {
            let mut instance = json!({"name": "I", "properties": {"topologyName": "T"}});
            if !parameters.is_null() {
                instance["properties"]["parameters"] = parameters;
            }
            let operations = write(
                "operations.json",
                json!({"apiVersion": "2.0", "operations": [
                    {"opName": "GraphTopologySet", "opParams": {"topologyFile": "topology.json"}},
                    {"opName": "GraphInstanceSet", "opParams": instance},
                ]}),
            );
            let values = [
                ("rtspUrl", "rtsp://near"),
                ("rtspUserName", "u"),
                ("rtspPassword", "p"),
                ("grpcUrl", "tcp://e:1"),
            ]
            .map(|(name, value)| (name, value.to_owned()));
            let acts = read_steps(&operations, &values).unwrap();
            let Some(Act::Call(call)) = acts.get(1) else {
                panic!()
            };
            let Request::InstanceSet(instance) = &call.request else {
                panic!()
            };
            let given = instance.to_value().pointer("/properties/parameters").unwrap();
            assert_eq!(
                given,
                &json!([
                    {"name": "camera", "value": "rtsp://near"}, {"name": "rtspUserName", "value": "u"},
                    {"name": "rtspPassword", "value": "p"}, {"name": "analysis", "value": "tcp://e:1"},
                ])
            );
        }
    }

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
        assert_eq!(camera.shown(), "rtsp://cam/user=***");
        assert!(camera.url.contains("geheim"), "the camera wants it");
    }
}
