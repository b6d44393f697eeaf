//! A camera, a module and a console on this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode, header};
use lva_graph_model::{Instance, Topology};
use lva_graph_runtime::{InstanceHandle, Module, RuntimeOptions};
use lva_rtsp::ReconnectPolicy;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use lva_web_console::{Console, ConsoleOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tower::ServiceExt;

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const CAMERA: &str = "door-1";

const TOPOLOGY: &str = include_str!("../../examples/motion.json");

pub(crate) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long: {what}"),
    }
}

/// Six seconds of a moving test picture, with a key frame in each second.
pub(crate) fn make_clip(directory: &Path, encoder: &[&str]) -> PathBuf {
    let path = directory.join("clip.mp4");
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=160x120:rate=30:duration=6",
        ])
        .args(["-pix_fmt", "yuv420p", "-g", "30", "-c:v"])
        .args(encoder)
        .arg(&path)
        .status()
        .expect("the ffmpeg program makes the clip; `make packages` installs it");
    assert!(made.success());
    path
}

/// Size and hash of each packet of a file's video, untouched by any decoder.
pub(crate) fn packet_hashes(path: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-c", "copy", "-f", "framehash", "-"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let packets = text.lines().filter(|line| !line.starts_with('#'));
    packets
        .map(|line| line.split(',').skip(4).take(2).collect::<Vec<_>>().join(","))
        .collect()
}

pub(crate) struct Site {
    pub(crate) module: Module,
    pub(crate) console: Console,
    pub(crate) camera: Simulator,
    pub(crate) run: InstanceHandle,
    pub(crate) directory: TempDir,
}

pub(crate) const H264: &[&str] = &["libx264", "-preset", "ultrafast", "-bf", "0"];

impl Site {
    pub(crate) async fn start(encoder: &[&str]) -> Self {
        Self::start_with(encoder, ConsoleOptions::new()).await
    }

    pub(crate) async fn start_with(encoder: &[&str], options: ConsoleOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        make_clip(directory.path(), encoder);
        let camera = Simulator::start(SimulatorOptions::new(directory.path()))
            .await
            .unwrap();
        let quick = ReconnectPolicy::default().with_min_delay(Duration::from_millis(50));
        let recordings = directory.path().join("recordings");
        let runtime = RuntimeOptions::new(&recordings).with_camera_reconnect(quick);
        let module = Module::new(runtime, vec![]);
        let console = Console::new(module.clone(), options.with_recordings(recordings));
        let topology = Topology::from_json(TOPOLOGY).unwrap();
        let instance = Instance::new(
            CAMERA,
            topology.name(),
            [("rtspUrl", camera.url("clip.mp4").as_str())],
        );
        let run = module.start(topology, instance).await.unwrap();
        Self {
            module,
            console,
            camera,
            run,
            directory,
        }
    }

    /// Serves the console below a path, as an integrator does.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().nest("/console/", self.console.router());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }

    pub(crate) async fn stop(self) {
        self.module.shutdown().await;
        self.camera.shutdown().await;
    }
}

/// A console over a module without instances.
pub(crate) fn empty_console(options: ConsoleOptions) -> Router {
    let module = Module::new(RuntimeOptions::new("recordings"), vec![]);
    Console::new(module, options).router()
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    let here: SocketAddr = "127.0.0.1:40000".parse().unwrap();
    Request::builder()
        .method(method)
        .uri(path)
        .extension(ConnectInfo(here))
        .header(header::HOST, "localhost:8080")
        .header(header::CONTENT_TYPE, "application/json")
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.status))
    }
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let answer = router.clone().oneshot(request).await.unwrap();
    Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: to_bytes(answer.into_body(), 8 << 20).await.unwrap().to_vec(),
    }
}

pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    ask(router, request("GET", path).body(Body::empty()).unwrap()).await
}

/// What a browser does with the live pictures of a camera.
pub(crate) struct Player {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

#[derive(Debug)]
pub(crate) enum Received {
    Note(Value),
    Init(Vec<u8>),
    Picture(Vec<u8>),
}

impl Player {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/console/api/cameras/door-1/live");
        let (socket, _) = within("a socket", tokio_tungstenite::connect_async(url))
            .await
            .unwrap();
        Self { socket }
    }

    pub(crate) async fn next(&mut self) -> Option<Received> {
        loop {
            match within("a message", self.socket.next()).await?.ok()? {
                Message::Text(text) => return Some(Received::Note(serde_json::from_str(&text).unwrap())),
                Message::Binary(bytes) => {
                    let kind = bytes.get(4..8).unwrap().to_owned();
                    return Some(match kind.as_slice() {
                        b"ftyp" => Received::Init(bytes.into()),
                        b"moof" => Received::Picture(bytes.into()),
                        other => panic!("not a beginning: {other:?}"),
                    });
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The next note of a type.
    pub(crate) async fn note(&mut self, kind: &str) -> Value {
        loop {
            match self.next().await.expect("an open socket") {
                Received::Note(note) if note["type"] == kind => return note,
                _ => {}
            }
        }
    }

    /// Everything up to so many pictures, as a file.
    pub(crate) async fn record(&mut self, pictures: usize) -> Vec<u8> {
        let (mut file, mut count) = (Vec::new(), 0);
        while count < pictures {
            match self.next().await.expect("an open socket") {
                Received::Note(_) => {}
                Received::Init(bytes) => file.extend(bytes),
                Received::Picture(bytes) => {
                    file.extend(bytes);
                    count += 1;
                }
            }
        }
        file
    }

    pub(crate) async fn send(
        &mut self,
        message: Message,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        self.socket.send(message).await
    }
}
