//! Clients of other projects against the simulator.

use std::process::Stdio;

use lva_rtsp_simulator::{AuthScheme, Simulator, SimulatorOptions, SimulatorTls};
use tokio::process::Command;

use crate::support::{made_clip, simulator, skip, testuser};

/// Exit status and all that a program printed; `None`, with a note, where it is missing.
async fn run(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(crate::support::PATIENCE, run).await {
        Ok(Ok(output)) => {
            let text = [output.stdout, output.stderr].concat();
            Some((
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            ))
        }
        Ok(Err(error)) => {
            skip(&format!("{program} cannot be run: {error}"));
            None
        }
        Err(_) => Some((false, format!("{program} {arguments:?} does not end"))),
    }
}

async fn ffprobe(url: &str, transport: &[&str]) -> Option<(bool, String)> {
    let arguments = [
        &["-v", "error"],
        transport,
        &["-show_streams", "-of", "compact", url],
    ]
    .concat();
    run("ffprobe", &arguments).await
}

fn with(user: &str, url: &str) -> String {
    url.replacen("://", &format!("://{user}@"), 1)
}

/// A plain simulator and one behind TLS.
async fn both(directory: &std::path::Path) -> [Simulator; 2] {
    let options = SimulatorOptions::new(directory).with_credentials(Some(testuser()));
    let tls = SimulatorTls::self_signed(&["127.0.0.1"]).unwrap();
    [
        Simulator::start(options.clone()).await.unwrap(),
        Simulator::start(options.with_tls(Some(tls))).await.unwrap(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_sees_the_stream_on_every_way_and_the_refusals_or_skips() {
    let Some(directory) = made_clip(true, &[]) else {
        return;
    };
    let [plain, tls] = both(directory.path()).await;
    let ways: [(&Simulator, &[&str]); 4] = [
        (&plain, &["-rtsp_transport", "tcp"]),
        (&plain, &["-rtsp_transport", "udp"]),
        (&plain, &["-rtsp_transport", "http"]),
        (&tls, &["-rtsp_transport", "tcp"]),
    ];
    for (simulator, way) in ways {
        let url = with("testuser:testpassword", &simulator.url("clip.mp4"));
        let Some((good, text)) = ffprobe(&url, way).await else {
            return;
        };
        assert!(good, "{way:?} {text}");
        for what in [
            "codec_name=h264",
            "width=320|height=240",
            "codec_name=aac",
            "sample_rate=48000",
        ] {
            assert!(text.contains(what), "{way:?} {url}: no {what} in {text}");
        }
    }
    for way in ["tcp", "http"] {
        let way = &["-rtsp_transport", way];
        let wrong = with("testuser:wrong", &plain.url("clip.mp4"));
        let (good, text) = ffprobe(&wrong, way).await.unwrap();
        assert!(!good && text.contains("401 Unauthorized"), "{text}");
        let missing = with("testuser:testpassword", &plain.url("none.mp4"));
        let (good, text) = ffprobe(&missing, way).await.unwrap();
        assert!(!good && text.contains("404 Not Found"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_reads_h265_and_basic_credentials_or_skips() {
    let x265 = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=error:bframes=0",
    ];
    let Some(directory) = made_clip(false, &x265) else {
        return;
    };
    let options = SimulatorOptions::new(directory.path())
        .with_credentials(Some(testuser()))
        .with_auth_scheme(AuthScheme::Basic);
    let simulator = Simulator::start(options).await.unwrap();
    let url = with("testuser:testpassword", &simulator.url("clip.mp4"));
    if let Some((good, text)) = ffprobe(&url, &["-rtsp_transport", "tcp"]).await {
        assert!(
            good && text.contains("codec_name=hevc") && text.contains("width=320"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffplay_shows_it_on_every_way_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let [plain, tls] = both(directory.path()).await;
    for (simulator, way) in [(&plain, "tcp"), (&plain, "udp"), (&plain, "http"), (&tls, "tcp")] {
        let before = simulator.counters();
        let url = with("testuser:testpassword", &simulator.url("clip.mp4"));
        let arguments = [
            "-v",
            "error",
            "-nodisp",
            "-autoexit",
            "-t",
            "1",
            "-rtsp_transport",
            way,
            &url,
        ];
        let Some((good, text)) = run("ffplay", &arguments).await else {
            return;
        };
        if !good && simulator.counters().plays == before.plays {
            return skip(&format!("ffplay cannot begin here: {text}"));
        }
        assert!(simulator.counters().units > before.units + 10, "{way}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtspsrc_of_gstreamer_plays_on_every_way_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let [plain, tls] = both(directory.path()).await;
    for (simulator, way) in [(&plain, "tcp"), (&plain, "udp"), (&plain, "http"), (&tls, "tcp")] {
        // A tunnel is asked for by a scheme of GStreamer's own.
        let url = match way {
            "http" => simulator.url("clip.mp4").replace("rtsp://", "rtsph://"),
            _ => simulator.url("clip.mp4"),
        };
        let location = format!("location={url}");
        let protocols = format!("protocols={}", if way == "http" { "tcp+http" } else { way });
        let arguments = [
            "-v",
            "rtspsrc",
            &location,
            &protocols,
            "user-id=testuser",
            "user-pw=testpassword",
            "tls-validation-flags=0",
            "!",
            "rtph264depay",
            "!",
            "h264parse",
            "!",
            "fakesink",
            "num-buffers=30",
            "silent=false",
        ];
        let Some((good, text)) = run("gst-launch-1.0", &arguments).await else {
            return;
        };
        if text.contains("no element") || text.contains("TLS support is not available") {
            return skip(&text);
        }
        let pictures = text.matches("last-message = chain").count();
        // Now and then its end interrupts its own PAUSE, which it then reports as a closed connection.
        let ended = good || text.contains("gst_rtspsrc_pause ()");
        assert!(
            pictures >= 30 && ended,
            "{way} {}: {text}",
            simulator.url("clip.mp4")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_decodes_the_same_pictures_as_from_the_file_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
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
    let served = pictures(directory.path().join("clip.mp4").to_str().unwrap(), &[]).await;
    assert_eq!(served.len(), 50);
    for way in ["tcp", "http"] {
        assert_eq!(pictures(&url, &["-rtsp_transport", way]).await, served, "{way}");
    }
    // Datagrams may be lost on a busy machine, so not all have to come.
    let received = pictures(&url, &["-rtsp_transport", "udp"]).await;
    assert!(received.len() == 50 && received[..10] == served[..10]);
}
