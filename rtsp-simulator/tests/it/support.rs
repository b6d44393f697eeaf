//! A generated clip and a simulator that serves it.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lva_rtsp_simulator::{Credentials, Simulator, SimulatorOptions};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn testuser() -> Credentials {
    Credentials::new("testuser", "testpassword")
}

/// Prints why a test is skipped.
pub(crate) fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// A directory with `clip.mp4`: 2 s of 320×240 H.264 at 30 frames/s with a keyframe each half second, and AAC if
/// wanted; `None`, with a note, where ffmpeg cannot make it.
pub(crate) fn made_clip(audio: bool, encoder: &[&str]) -> Option<TempDir> {
    let directory = tempfile::tempdir().unwrap();
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
    let made = command.arg(directory.path().join("clip.mp4")).output();
    match made {
        Ok(output) if output.status.success() => Some(directory),
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

pub(crate) async fn simulator(directory: &Path) -> Simulator {
    Simulator::start(SimulatorOptions::new(directory).with_credentials(Some(testuser())))
        .await
        .unwrap()
}
