//! Other people's clients against the simulator.

use std::process::Stdio;

use tokio::process::Command;

use crate::support::{made_clip, simulator, skip};

/// Exit status and all that ffprobe printed; `None` after saying so where there is none.
async fn ffprobe(url: &str) -> Option<(bool, String)> {
    let run = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-rtsp_transport",
            "tcp",
            "-show_streams",
            "-of",
            "compact",
            url,
        ])
        .stdin(Stdio::null())
        .output();
    match tokio::time::timeout(crate::support::PATIENCE, run)
        .await
        .expect("ffprobe ends in time")
    {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            ))
        }
        Err(error) => {
            skip(&format!("ffprobe cannot be run: {error}"));
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_sees_the_stream_and_the_refusals_or_skips() {
    let Some(folder) = made_clip(true, &[]) else {
        return;
    };
    let simulator = simulator(folder.path()).await;
    let with = |user: &str, file: &str| simulator.url(file).replace("rtsp://", &format!("rtsp://{user}@"));

    let Some((good, text)) = ffprobe(&with("testuser:testpassword", "clip.mp4")).await else {
        return;
    };
    assert!(good, "{text}");
    assert!(
        text.contains("codec_name=h264") && text.contains("width=320|height=240"),
        "{text}"
    );
    assert!(
        text.contains("codec_name=aac") && text.contains("sample_rate=48000"),
        "{text}"
    );

    let (good, text) = ffprobe(&with("testuser:wrong", "clip.mp4")).await.unwrap();
    assert!(!good && text.contains("401 Unauthorized"), "{text}");
    let (good, text) = ffprobe(&with("testuser:testpassword", "none.mp4")).await.unwrap();
    assert!(!good && text.contains("404 Not Found"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_decodes_the_same_pictures_as_from_the_file_or_skips() {
    let Some(folder) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(folder.path()).await;
    let url = simulator
        .url("clip.mp4")
        .replace("rtsp://", "rtsp://testuser:testpassword@");
    let pictures = async |input: &str, transport: &[&str]| {
        let run = Command::new("ffmpeg")
            .args(["-v", "error"])
            .args(transport)
            .args([
                "-i",
                input,
                "-frames:v",
                "50",
                "-vsync",
                "passthrough",
                "-f",
                "framehash",
                "-",
            ])
            .stdin(Stdio::null())
            .output();
        let output = tokio::time::timeout(crate::support::PATIENCE, run)
            .await
            .unwrap()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit(',').next().map(|hash| hash.trim().to_owned()))
            .collect::<Vec<_>>()
    };
    let served = pictures(folder.path().join("clip.mp4").to_str().unwrap(), &[]).await;
    assert_eq!(served.len(), 50);
    assert_eq!(pictures(&url, &["-rtsp_transport", "tcp"]).await, served);
    // Datagrams may be lost on a busy machine, so not all have to come.
    let received = pictures(&url, &["-rtsp_transport", "udp"]).await;
    assert!(received.len() == 50 && received[..10] == served[..10]);
}
