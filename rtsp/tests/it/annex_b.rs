//! The smallest example: a camera's stream as a file.

use std::process::Command;

use lva_rtsp::Camera;

use crate::support::{made_clip, quick, simulator};

#[path = "../../examples/minimal.rs"]
#[allow(dead_code, reason = "the test calls what `main` calls")]
mod example;

/// Ends the example once so many bytes were written.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() >= self.limit {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_saves_a_stream_that_ffmpeg_decodes_without_an_error_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    let mut saved = Limited {
        bytes: Vec::new(),
        limit: 100_000,
    };
    let ended = example::save(&mut camera, &mut saved).await.unwrap_err();
    assert!(ended.is::<std::io::Error>(), "{ended}");
    let path = directory.path().join("saved.h264");
    std::fs::write(&path, &saved.bytes).unwrap();
    let decoded = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(&path)
        .args(["-f", "null", "-"])
        .output();
    let decoded = decoded.unwrap();
    let log = String::from_utf8_lossy(&decoded.stderr);
    assert!(decoded.status.success() && !log.contains("rror"), "{log}");
}
