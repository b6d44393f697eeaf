//! The programs for extensions as users run them: `extension-client` with `extension-server`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lva_examples::evaluation::Score;
use lva_examples::{EncoderOptions, VideoWriter};
use lva_extension_protocol::FrameEncoding;
use lva_extension_protocol::http::{HttpClient, HttpClientOptions, HttpCredentials};
use lva_inference::{BoundingBox, Detection};
use lva_sample_world::{ClipTruth, World, WorldOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// An example program, which cargo builds next to the tests.
pub(crate) fn program(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        path.is_file(),
        "{} does not exist: cargo build --examples",
        path.display()
    );
    Command::new(path)
}

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("media").join(name)
}

struct Server {
    child: Child,
    /// Its addresses, in the order of its output.
    urls: Vec<String>,
}

impl Server {
    fn start(flags: &[&str], listening: usize) -> Self {
        let mut child = program("extension-server")
            .args(["--every-frame", "--camera-size", "1280x720"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, urls) = mpsc::channel();
        // Read to the end, so that the program does not block on a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, url)) = line.split_once(" listening: ") {
                    let _ = sender.send(url.to_owned());
                }
            }
        });
        let urls = (0..listening)
            .map(|_| urls.recv_timeout(PATIENCE).unwrap())
            .collect();
        Self { child, urls }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(url: &str, video: &Path, flags: &[&str]) -> Output {
    let mut command = program("extension-client");
    command
        .args(["--url", url, "--video", video.to_str().unwrap()])
        .args(flags);
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of a successful run, in the order of their frames.
fn results(output: &Output, frames: usize) -> Vec<Value> {
    let log = stderr(output);
    assert!(output.status.success(), "{log}");
    assert!(
        log.contains(&format!("sent {frames}, answered {frames}, dropped 0, ")),
        "{log}"
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), frames);
    for two in lines.windows(2) {
        assert!(two[0]["timestamp"].as_u64() < two[1]["timestamp"].as_u64());
        assert!(two[0]["sequence"].as_u64() < two[1]["sequence"].as_u64());
    }
    assert!(
        lines
            .iter()
            .all(|line| line["round_trip_ms"].as_f64().unwrap() > 0.0)
    );
    lines
}

fn detections(line: &Value) -> Vec<Detection> {
    let entities = line["inferences"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["type"] == "entity");
    entities
        .map(|found| {
            let entity = &found["entity"];
            let side = |name: &str| entity["box"][name].as_f64().unwrap() as f32;
            let (left, top) = (side("l"), side("t"));
            Detection {
                bbox: BoundingBox::from_edges(left, top, left + side("w"), top + side("h")),
                class: 0,
                score: entity["tag"]["confidence"].as_f64().unwrap_or(1.0) as f32,
            }
        })
        .collect()
}

#[test]
fn boxes_of_a_padded_frame_lie_on_the_people_of_the_clip() {
    let server = Server::start(
        &["--port", "0", "--config", media("plaza.json").to_str().unwrap()],
        1,
    );
    let truth: ClipTruth = serde_json::from_slice(&std::fs::read(media("plaza.json")).unwrap()).unwrap();
    // Bars of a tenth of the height above and below: unmapped boxes would miss people by far.
    let flags = ["--scale", "pad:1408x1000", "--fps", "10", "--frames", "60"];
    let lines = results(&client(&server.urls[0], &media("plaza.mp4"), &flags), 60);
    let begin = lines[0]["timestamp"].as_u64().unwrap();
    let mut score = Score::default();
    for line in lines.iter().skip(10) {
        let frame = (line["timestamp"].as_u64().unwrap() - begin + 1500) / 3000;
        score.add(&detections(line), &truth.frames[frame as usize].people);
    }
    assert!(score.people > 50, "{score:?}");
    assert!(score.recall() > 0.8 && score.precision() > 0.7, "{score:?}");
}

#[test]
fn files_in_messages_over_a_socket_with_a_password_and_http_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("extension.sock");
    let server = Server::start(
        &[
            "--unix",
            path.to_str().unwrap(),
            "--auth",
            "camera:se:cret",
            "--http-port",
            "0",
        ],
        2,
    );
    let url = format!("unix://{}", path.display());
    let video = media("plaza.mp4");
    let embedded = [
        "--mode",
        "embedded",
        "--scale",
        "preserveAspectRatio:640x640",
        "--frames",
        "4",
    ];
    for format in ["jpeg", "png", "bmp", "rgb565le"] {
        let flags = [&embedded[..], &["--format", format, "--auth", "camera:se:cret"]].concat();
        results(&client(&url, &video, &flags), 4);
    }
    for wrong in [&["--auth", "camera:guess"][..], &[]] {
        let flags = [&embedded[..], wrong].concat();
        let refused = client(&url, &video, &flags);
        let log = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{log}");
        assert!(log.contains("Unauthenticated") && !log.contains("guess"), "{log}");
        assert!(refused.stdout.is_empty());
    }
    assert!(
        server.urls[1].starts_with("http://127.0.0.1:"),
        "{:?}",
        server.urls
    );
    let found = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let options = HttpClientOptions::new(server.urls[1].parse().unwrap(), FrameEncoding::Png)
            .with_answer_timeout(PATIENCE)
            .with_credentials(HttpCredentials::password("camera", "se:cret"));
        let client = HttpClient::new(options).unwrap();
        let mut world = World::new(7, WorldOptions::default()).unwrap();
        let mut rgb = vec![0; world.frame_bytes()];
        let mut last = 0;
        for frame in [700, 701, 702] {
            world.render(frame, &mut rgb).unwrap();
            let picture = image::RgbImage::from_raw(1280, 720, rgb.clone()).unwrap();
            let mut file = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut file, image::ImageFormat::Png).unwrap();
            last = client
                .ask(file.into_inner())
                .await
                .unwrap()
                .content
                .inferences()
                .len();
        }
        last
    });
    assert!(found > 0, "people are followed over several pictures");
}

#[test]
fn the_tutorials_manifest_configures_a_server_and_its_zone_gives_events() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("documents/spatial-analysis.deployment.json");
    let server = Server::start(&["--port", "0", "--config", manifest.to_str().unwrap()], 1);
    let lines = results(
        &client(
            &server.urls[0],
            &media("plaza.mp4"),
            &["--fps", "5", "--frames", "110"],
        ),
        110,
    );
    let events: Vec<(&str, &str)> = lines
        .iter()
        .flat_map(|line| line["inferences"].as_array().unwrap())
        .filter(|found| found["type"] == "event")
        .map(|found| {
            let properties = &found["event"]["properties"];
            assert_eq!(found["event"]["name"], "personZoneEvent");
            (
                properties["zone"].as_str().unwrap(),
                properties["status"].as_str().unwrap(),
            )
        })
        .collect();
    for status in ["Enter", "Exit"] {
        assert!(events.contains(&("square", status)), "{events:?}");
    }
}

#[test]
fn a_short_file_restarts_until_there_are_enough_frames() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clip.mp4");
    let size = WorldOptions {
        width: 320,
        height: 180,
        fps: 30,
        seconds: 0.5,
    };
    let mut world = World::new(7, size).unwrap();
    let options = EncoderOptions {
        width: 320,
        height: 180,
        fps: 30,
        keyframe_interval: 8,
        quality: 20,
    };
    let mut writer = VideoWriter::create(&path, options).unwrap();
    let mut rgb = vec![0; world.frame_bytes()];
    for index in 0..world.frame_count() {
        world.render(index, &mut rgb).unwrap();
        writer.write(&rgb).unwrap();
    }
    writer.finish().unwrap();
    let server = Server::start(&["--port", "0", "--trusted-peers"], 1);
    results(&client(&server.urls[0], &path, &["--frames", "40"]), 40);
    results(&client(&server.urls[0], &path, &["--scale", "none"]), 15);
    let configured = client(&server.urls[0], &path, &["--configuration", "{\"zones\": 5}"]);
    assert_eq!(configured.status.code(), Some(1), "{}", stderr(&configured));
    assert!(
        stderr(&configured).contains("InvalidArgument"),
        "{}",
        stderr(&configured)
    );
}

#[test]
fn a_log_that_goes_to_no_terminal_has_no_colours() {
    let mut child = program("extension-server")
        .args(["--port", "0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let read = BufReader::new(child.stderr.take().unwrap()).read_line(&mut line);
    let _ = child.kill();
    let _ = child.wait();
    assert!(
        read.unwrap() > 0 && line.contains("INFO") && !line.contains('\u{1b}'),
        "{line:?}"
    );
}

#[test]
fn failures_are_reported_and_set_the_exit_status() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("tcp://{}", listener.local_addr().unwrap())
    };
    let unreachable = client(&gone, &media("plaza.mp4"), &[]);
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(
        stderr(&unreachable).contains("cannot be reached"),
        "{}",
        stderr(&unreachable)
    );
    let no_video = client(&gone, &media("plaza.json"), &[]);
    assert!(no_video.status.code() == Some(1) && stderr(&no_video).contains("plaza.json"));
    let usage = client(&gone, &media("plaza.mp4"), &["--format", "gif"]);
    assert!(
        usage.status.code() == Some(2) && stderr(&usage).contains("bgr24"),
        "{}",
        stderr(&usage)
    );
}

#[test]
fn sigterm_ends_the_server_cleanly_and_removes_its_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("analysis.sock");
    let mut server = Server::start(&["--unix", socket.to_str().unwrap()], 1);
    assert!(socket.exists());
    let pid = Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(!socket.exists());
}
