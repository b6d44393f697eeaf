//! The surroundings of a topology: a camera with audio, and extensions that detect people.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use lva_extension_protocol::http::HttpExtensionServer;
use lva_extension_protocol::server::{
    Extension, ExtensionOpenError, ExtensionServer, ExtensionSession, ListenAddress, SessionInfo,
};
use lva_graph_model::{NodeKind, Topology};
use lva_spatial_analysis::{AnalysisOptions, Detectors, Entities, Operation, SpatialExtension};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audio::with_audio;
use crate::tutorial::{Camera, PASSWORD, USER};

/// A camera and three extensions on free loopback ports.
#[derive(Debug)]
pub struct Simulation {
    camera: Camera,
    /// Reports every person in every frame, as detectors do.
    people_grpc: String,
    people_http: String,
    /// Reports events at zones and lines.
    spatial: String,
    stop: watch::Sender<bool>,
    serving: JoinSet<anyhow::Result<()>>,
    _clip: tempfile::TempDir,
}

impl Simulation {
    /// Starts the camera and the extensions. The camera plays `video` with a generated audio track; a spatial-analysis node
    /// without its own scene watches `scene`.
    ///
    /// # Errors
    ///
    /// The video cannot be played, the model cannot be loaded, or no port is free.
    pub async fn start(video: &Path, scene: Operation, detectors: Detectors) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let clip = directory.path().join("plaza.mp4");
        with_audio(video, &clip).context("cannot write the camera's clip")?;
        let camera = Camera::simulated(&clip)
            .await
            .context("cannot start the camera")?;
        let (stop, _) = watch::channel(false);
        let mut serving = JoinSet::new();
        let options = AnalysisOptions::default().with_camera_aspect(16.0 / 9.0);
        let every_person = options.with_entities(Entities::EveryFrame);
        let people =
            SpatialExtension::with_options(Operation::whole_frame(), detectors.clone(), every_person);
        let people = Arc::new(People(people));
        let people_grpc = serve(Arc::clone(&people), &stop, &mut serving).await?;
        let people_http = serve_http(people, &stop, &mut serving).await?;
        let spatial = SpatialExtension::with_options(scene, detectors, options);
        let spatial = serve(Arc::new(spatial), &stop, &mut serving).await?;
        Ok(Self {
            camera,
            people_grpc,
            people_http,
            spatial,
            stop,
            serving,
            _clip: directory,
        })
    }

    /// A readable line for each part.
    pub fn describe(&self) -> String {
        let Self {
            camera,
            people_grpc,
            people_http,
            spatial,
            ..
        } = self;
        format!(
            "camera: {} (user {USER}, password {PASSWORD})\n\
             extensions that detect people: {people_grpc} {people_http}\n\
             spatial analysis: {spatial}",
            camera.url
        )
    }

    /// The topology with the endpoints of this camera and these extensions, and with the directories of its file sinks
    /// relative to the directory for recordings.
    ///
    /// # Errors
    ///
    /// The result is not a topology, which is a bug in this function.
    pub fn bind(&self, topology: &Topology) -> anyhow::Result<Topology> {
        let mut document = topology.to_value().clone();
        let prefix = topology.generation().family().type_prefix();
        for list in ["sources", "processors"] {
            let nodes = member(&mut document, "properties").and_then(|properties| member(properties, list));
            for node in nodes.and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(endpoint) = self.endpoint(node, prefix) {
                    set(node, "endpoint", endpoint);
                }
            }
        }
        let sinks = member(&mut document, "properties").and_then(|properties| member(properties, "sinks"));
        for sink in sinks.and_then(Value::as_array_mut).into_iter().flatten() {
            for member in ["baseDirectoryPath", "filePathPattern"] {
                make_relative(sink, member);
            }
        }
        Ok(Topology::from_value(document)?)
    }

    fn endpoint(&self, node: &mut Value, prefix: &str) -> Option<Value> {
        let kind = member(node, "@type")?.as_str()?.to_owned();
        let is = |known: NodeKind| {
            let mut names = known.local_names().iter();
            names.any(|name| kind.to_ascii_lowercase().ends_with(&name.to_ascii_lowercase()))
        };
        let url = if is(NodeKind::RtspSource) {
            let credentials = json!({
                "@type": format!("{prefix}UsernamePasswordCredentials"), "username": USER, "password": PASSWORD,
            });
            return Some(json!({
                "@type": format!("{prefix}UnsecuredEndpoint"), "url": self.camera.url, "credentials": credentials,
            }));
        } else if is(NodeKind::HttpExtension) {
            &self.people_http
        } else if is(NodeKind::GrpcExtension) {
            &self.people_grpc
        } else if is(NodeKind::ComputerVision) {
            &self.spatial
        } else {
            return None;
        };
        Some(json!({"@type": format!("{prefix}UnsecuredEndpoint"), "url": url}))
    }

    /// Stops everything.
    ///
    /// # Errors
    ///
    /// An extension failed.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let mut outcome = Ok(());
        while let Some(served) = self.serving.join_next().await {
            outcome = outcome.and(served.context("an extension panicked").and_then(|served| served));
        }
        self.camera.end().await;
        outcome
    }
}

/// Detects people and ignores the stream's configuration, which is meant for the models of other extensions.
struct People(SpatialExtension);

#[async_trait]
impl Extension for People {
    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        self.0.open(&session.clone().with_configuration("")).await
    }
}

async fn serve(
    extension: Arc<impl Extension>,
    stop: &watch::Sender<bool>,
    serving: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<String> {
    let listening = ExtensionServer::new(extension)
        .listen(ListenAddress::loopback(0))
        .await?;
    let url = listening.url().to_string();
    let stopped = stopped(stop);
    serving.spawn(async { Ok(listening.serve(stopped).await?) });
    Ok(url)
}

async fn serve_http(
    extension: Arc<impl Extension>,
    stop: &watch::Sender<bool>,
    serving: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<String> {
    let listening = HttpExtensionServer::new(extension)
        .listen(([127, 0, 0, 1], 0).into())
        .await?;
    let url = format!("{}score", listening.url());
    let stopped = stopped(stop);
    serving.spawn(async {
        listening.serve(stopped).await;
        Ok(())
    });
    Ok(url)
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stop = stop.subscribe();
    async move {
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

/// Finds a member in any case, as documents may write it.
fn member<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let members = value.as_object_mut()?;
    let key = key(members, name)?;
    members.get_mut(&key)
}

fn set(value: &mut Value, name: &str, to: Value) {
    if let Some(members) = value.as_object_mut() {
        let key = key(members, name).unwrap_or_else(|| name.to_owned());
        members.insert(key, to);
    }
}

fn make_relative(sink: &mut Value, name: &str) {
    let Some(path) = member(sink, name).and_then(|path| path.as_str().map(str::to_owned)) else {
        return;
    };
    set(sink, name, path.trim_start_matches('/').into());
}

fn key(members: &Map<String, Value>, name: &str) -> Option<String> {
    let mut keys = members.keys();
    keys.find(|key| key.eq_ignore_ascii_case(name)).cloned()
}
