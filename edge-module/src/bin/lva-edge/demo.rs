//! `lva-edge module --demo`: a camera, an extension and a graph on this machine.
//!
//! The camera plays the drawn plaza of the repository's examples, which is embedded here; the extension is asked over the real
//! wire, with frames in shared memory; the graph is that of the tutorial.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use lva_edge_module::analysis::{AnalysisArgs, AnalysisServer, ModelArgs};
use lva_edge_module::{ANSWER_LIMIT, Config, DataDirectory, EdgeModule, readable};
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use lva_media_types::Credentials;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use serde_json::{Value, json};

/// Everything that the demo writes, below the current directory.
const DIRECTORY: &str = "lva-edge-demo";
const CLIP: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/plaza.mp4"));
/// Zones and lines of that clip.
const SCENE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/scene.json"));
const TOPOLOGY: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/topology.json"));
/// Size of its pictures.
const CAMERA_SIZE: (u32, u32) = (1280, 720);
/// Pictures that the extension gets in a second. A slow machine detects people in ten of them: with more, all come late.
const FRAME_RATE: &str = "6";
const USER: &str = "testuser";
const PASSWORD: &str = "testpassword";
const INSTANCE: &str = "Sample-Graph-1";

/// The parts of the demo beside the module.
pub(crate) struct Demo {
    camera: Simulator,
    extension: AnalysisServer,
    recordings: PathBuf,
}

impl Demo {
    /// Keeps the demo's state apart from the site's, and the log short. Flags win over it.
    pub(crate) fn configure(config: &mut Config) {
        config.module.data = Path::new(DIRECTORY).join("state");
        config.module.recordings = Path::new(DIRECTORY).join("recordings");
        config.log.level = "warn".to_owned();
    }

    /// Starts the camera and the extension on free ports of loopback.
    pub(crate) async fn start(config: &Config) -> anyhow::Result<Self> {
        print_line(format_args!(
            "The demo writes below {DIRECTORY}. Ctrl-C stops it.\n"
        ));
        forget_earlier_state(config)?;
        let media = Path::new(DIRECTORY).join("media");
        let scene = Path::new(DIRECTORY).join("scene.json");
        let written = std::fs::create_dir_all(&media)
            .and_then(|()| replace(&media.join("plaza.mp4"), CLIP))
            .and_then(|()| replace(&scene, SCENE.as_bytes()));
        written.with_context(|| format!("cannot write the demo's files below {DIRECTORY}"))?;
        let options = SimulatorOptions::new(media).with_credentials(Some(Credentials::new(USER, PASSWORD)));
        let camera = Simulator::start(options).await?;
        print_line(format_args!(
            "camera     {} (user {USER}, password {PASSWORD})",
            camera.url("plaza.mp4")
        ));
        let extension = AnalysisServer::start(&extension_args(scene)).await?;
        print_line(format_args!(
            "extension  {} (gRPC, frames in shared memory)",
            extension.urls().join(" ")
        ));
        Ok(Self {
            camera,
            extension,
            recordings: config.module.recordings.clone(),
        })
    }

    /// Sets the tutorial's graph and activates it, and prints what to try.
    pub(crate) async fn run_graph(&self, module: &EdgeModule) -> anyhow::Result<()> {
        let topology: Value = serde_json::from_str(TOPOLOGY)?;
        let scene: Value = serde_json::from_str(SCENE)?;
        let topology_name = topology["name"].clone();
        let parameter = |name: &str, value: &str| json!({"name": name, "value": value});
        let instance = json!({"@apiVersion": "1.0", "name": INSTANCE, "properties": {
            "topologyName": topology_name,
            "description": "People at the plaza, seen by the computer vision extension",
            "parameters": [
                parameter("rtspUrl", &self.camera.url("plaza.mp4")),
                parameter("rtspUserName", USER),
                parameter("rtspPassword", PASSWORD),
                parameter("grpcUrl", &self.extension.urls().join(" ")),
                parameter("scene", &scene.to_string()),
                parameter("frameRate", FRAME_RATE),
            ],
        }});
        call(module, "GraphTopologySet", topology).await?;
        call(module, "GraphInstanceSet", instance).await?;
        print_line(format_args!("graph      {INSTANCE}"));
        print_line(format_args!("clips      {}", self.recordings.display()));
        if let Some(url) = module.console_url() {
            print_line(format_args!("console    {url}"));
        }
        print_line(format_args!("\nTry in another terminal:"));
        if let Some(address) = module.http_address() {
            print_line(format_args!(
                "  curl http://{address}/api/v1/methods/GraphInstanceList --data '{{\"@apiVersion\": \"1.0\"}}'"
            ));
            print_line(format_args!("  curl http://{address}/readyz"));
        }
        if let Some(address) = module.metrics_address() {
            print_line(format_args!("  curl http://{address}/metrics"));
        }
        print_line(format_args!("\nEvents, at zones and lines after some seconds:"));
        // Its first events follow at once.
        let named = json!({"@apiVersion": "1.0", "name": INSTANCE});
        call(module, "GraphInstanceActivate", named).await
    }

    /// Stops the camera and the extension, after the module.
    pub(crate) async fn stop(self) {
        if let Err(error) = self.extension.stop().await {
            tracing::error!("the extension failed: {error}");
        }
        self.camera.shutdown().await;
        print_line(format_args!(
            "\nStopped. Clips are in {}.",
            self.recordings.display()
        ));
    }
}

async fn call(module: &EdgeModule, method: &str, payload: Value) -> anyhow::Result<()> {
    let answer = module.methods().invoke(method, payload, ANSWER_LIMIT).await;
    ensure!(
        answer.status < 300,
        "{method} failed with status {}: {}",
        answer.status,
        answer.payload
    );
    Ok(())
}

fn extension_args(scene: PathBuf) -> AnalysisArgs {
    AnalysisArgs {
        port: Some(0),
        unix: None,
        http_port: None,
        auth: None,
        auth_file: None,
        bind: std::net::Ipv4Addr::LOCALHOST.into(),
        config: Some(scene),
        camera_size: Some(CAMERA_SIZE),
        every_frame: false,
        detector_each: false,
        batch_wait_ms: 0,
        trusted_peers: false,
        new_track_score: None,
        high_score: None,
        low_score: None,
        hold_ms: None,
        lost_grace_ms: None,
        model: ModelArgs::default(),
    }
}

/// Ports change from demo to demo, so a graph of an earlier one would look for a camera that is gone.
fn forget_earlier_state(config: &Config) -> anyhow::Result<()> {
    // Locked, so that a demo that runs keeps its state.
    let data = DataDirectory::open(&config.module.data)?;
    match std::fs::remove_file(data.file("state.json")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context("cannot remove the earlier state")
        }
        _ => Ok(()),
    }
}

/// Prints a line, also where the reader has closed the pipe.
fn print_line(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Replaces a file as a whole, since another program may be reading it.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("part");
    std::fs::write(&unfinished, content)?;
    std::fs::rename(unfinished, path)
}

/// Prints each event as a readable line.
pub(crate) struct EventLines;

#[async_trait]
impl MessageSink for EventLines {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let line = readable::readable(event);
        // One write for each line, so that readers of a pipe get whole lines.
        io::stdout().write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }
}
