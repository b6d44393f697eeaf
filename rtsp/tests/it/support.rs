//! Clips, cameras and patience.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lva_rtsp::{
    AccessUnit, Camera, CameraError, CameraEvent, CameraOptions, CameraUrl, Credentials, ReconnectPolicy,
    Simulator, SimulatorOptions, StreamInfo, Timeouts,
};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn testuser() -> Credentials {
    Credentials::new("testuser", "testpassword")
}

/// Says why a test does nothing.
pub(crate) fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// A file of the data that is shared beside the project, or `None` after saying so.
pub(crate) fn shared_clip(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LVA_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let file = root.join("video").join(name);
    if file.exists() {
        return Some(file);
    }
    skip(&format!(
        "no {}; LVA_SHARED_DATA names the folder of shared data",
        file.display()
    ));
    None
}

/// A folder with `clip.mp4`: 2 s of 320×240 H.264 at 30 frames/s with a key frame each half second, and AAC if
/// wanted; `None` after saying so where ffmpeg cannot make it.
pub(crate) fn made_clip(audio: bool, encoder: &[&str]) -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=30:duration=2",
    ]);
    if audio {
        command.args([
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000:duration=2",
            "-c:a",
            "aac",
        ]);
    }
    command
        .args([
            "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "15", "-bf", "0", "-b:v", "2M",
        ])
        .args(encoder);
    let made = command.arg(folder.path().join("clip.mp4")).output();
    match made {
        Ok(output) if output.status.success() => Some(folder),
        Ok(output) => {
            skip(&format!("ffmpeg: {}", String::from_utf8_lossy(&output.stderr)));
            None
        }
        Err(error) => {
            skip(&format!("ffmpeg cannot be run: {error}"));
            None
        }
    }
}

pub(crate) async fn simulator(folder: &Path) -> Simulator {
    Simulator::start(SimulatorOptions::new(folder).with_credentials(Some(testuser())))
        .await
        .unwrap()
}

/// A camera that comes back within 50 to 200 ms.
pub(crate) fn quick(url: &str) -> CameraOptions {
    let reconnect = ReconnectPolicy::default()
        .with_floor(Duration::from_millis(50))
        .with_cap(Duration::from_millis(200));
    CameraOptions::new(CameraUrl::parse(url).unwrap())
        .with_credentials(Some(testuser()))
        .with_reconnect(reconnect)
}

pub(crate) fn timeouts(stall_ms: u64, attempt_ms: u64, give_up_ms: Option<u64>) -> Timeouts {
    Timeouts::default()
        .with_stall(Duration::from_millis(stall_ms))
        .with_attempt(Duration::from_millis(attempt_ms))
        .with_give_up(give_up_ms.map(Duration::from_millis))
}

pub(crate) async fn next(camera: &mut Camera) -> CameraEvent {
    let event = tokio::time::timeout(PATIENCE, camera.next()).await;
    event
        .expect("the camera says something in time")
        .expect("the camera goes on")
}

/// What comes until a session is established.
pub(crate) async fn established(camera: &mut Camera) -> (Vec<StreamInfo>, String) {
    loop {
        if let CameraEvent::Established { streams, sdp } = next(camera).await {
            return (streams, sdp);
        }
    }
}

/// The next `count` units of a stream.
pub(crate) async fn units(camera: &mut Camera, stream: usize, count: usize) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    while units.len() < count {
        match next(camera).await {
            CameraEvent::Unit(unit) if unit.stream == stream => units.push(unit),
            CameraEvent::Lost { error } => panic!("lost: {error}"),
            _ => {}
        }
    }
    units
}

/// Why the next attempt or session failed.
pub(crate) async fn lost(camera: &mut Camera) -> CameraError {
    loop {
        if let CameraEvent::Lost { error } = next(camera).await {
            return error;
        }
    }
}

/// Open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count())
}

/// Waits, within reason, until something holds that other tasks bring about.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let patience = std::time::Instant::now();
    while !holds() {
        assert!(patience.elapsed() < PATIENCE, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
