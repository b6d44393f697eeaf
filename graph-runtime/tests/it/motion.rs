//! A motion node in a graph: its events, the frames that pass it, and the gate that it opens.

use std::process::Command;
use std::sync::atomic::Ordering;

use lva_inference_schema::body::EventBody;
use lva_inference_schema::{EventName, InferenceValue};
use serde_json::json;

use crate::support::*;

/// Seconds of the clip in which a block crosses the picture from the left.
const MOVES: std::ops::Range<f64> = 3.0..8.0;
const LENGTH: f64 = 12.0;

/// Twelve seconds: a grey background with some grain, and a white block that crosses it.
fn make_clip(directory: &std::path::Path) {
    let scene = "color=gray:size=320x240:rate=15:duration=12,noise=alls=6:allf=t[background];\
                 color=white:size=40x80:rate=15:duration=12[block];\
                 [background][block]overlay=x='if(between(t,3,8),(t-3)*60,-100)':y=80";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", scene])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-bf",
            "0",
            "-g",
            "15",
        ])
        .arg(directory.join("block.mp4"))
        .status()
        .expect("the ffmpeg program makes the clip; `make packages` installs it");
    assert!(made.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn motion_is_said_opens_the_gate_and_alone_reaches_the_extension() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let script = Script::every(1_000_000);
    let server = Server::start(script.clone(), 0).await;
    let motion = json!({
        "@type": "#Microsoft.Media.MediaGraphMotionDetectionProcessor", "name": "motionDetection",
        "sensitivity": "medium", "inputs": [{"nodeName": "rtspSource"}],
    });
    let sink = json!({
        "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "motionSink",
        "hubOutputName": "motion", "inputs": [{"nodeName": "motionDetection"}],
    });
    let mut topology = topology(vec![motion], vec![sink]);
    let processors = &mut topology["properties"]["processors"];
    processors[0]["inputs"] = json!([{"nodeName": "motionDetection"}]);
    processors[2]["inputs"] = json!([{"nodeName": "motionDetection"}, {"nodeName": "rtspSource"}]);
    let (module, events) = module(&directory.path().join("recordings"));
    activate(
        &module,
        topology,
        instance(&simulator.url("block.mp4"), server.port),
    )
    .await;

    let (_, first) = events.wait(EventName::Inference, 0).await;
    assert_eq!(
        first.subject.to_string(),
        "/graphInstances/Sample-Graph-1/processors/motionDetection"
    );
    assert_eq!(first.output.as_deref(), Some("motion"));
    let text = first.envelope("/topic").to_string();
    assert!(
        text.contains(r#"{"type":"motion","motion":{"box":{"l":"#),
        "{text}"
    );
    let (_, recorded) = events.wait(EventName::RecordingAvailable, 0).await;
    assert!(matches!(recorded.body, EventBody::Recording(_)));
    // The block has gone, and the background has been visible for a while.
    let stats = until(&module, |stats| {
        let motion = stats.motions["motionDetection"];
        let answered = stats.extensions["computerVisionExtension"].answered;
        motion.looked >= 165 && motion.events >= 5 && answered > 10
    })
    .await;
    let begin = stats.first_picture_90k.unwrap();
    let stats = deactivate(&module).await;

    for event in events.all() {
        if event.name != EventName::Inference {
            continue;
        }
        let seconds = (event.timestamp_90k - begin) as f64 / 90_000.0 % LENGTH;
        assert!(
            (MOVES.start..MOVES.end + 0.5).contains(&seconds),
            "motion at {seconds} s"
        );
        let EventBody::Analytics(body) = &event.body else {
            panic!("{event:?}");
        };
        for inference in &body.inferences {
            let InferenceValue::Motion(motion) = &inference.value else {
                panic!("{inference:?}");
            };
            // Somewhere in the rows of the block.
            let bounds = motion.bbox.as_ref().unwrap();
            let (top, bottom) = (bounds.t.get(), bounds.t.get() + bounds.h.get());
            assert!(top > 0.25 && bottom < 0.75, "{bounds:?}");
        }
    }
    let motion = stats.motions["motionDetection"];
    let extension = stats.extensions["computerVisionExtension"];
    assert_eq!(stats.decoded, motion.looked, "decoded once, and looked at all");
    for node in ["motionDetection", "computerVisionExtension"] {
        let latency = stats.latencies[node];
        assert!(
            latency.frames > 0 && latency.average <= latency.max,
            "{node}: {latency:?}"
        );
    }
    assert!(motion.moving * 10 <= motion.looked * 6, "{motion:?}");
    assert_eq!(extension.filtered + extension.offered, motion.moving, "{stats:?}");
    let shown = script.frames.load(Ordering::SeqCst);
    assert!(
        (extension.answered..=extension.sent).contains(&shown),
        "{stats:?}"
    );
    assert_accounts(&stats, "computerVisionExtension");
    let clip = stats.newest_clips.first().unwrap();
    let opened = (clip.first_timestamp_90k.saturating_sub(begin)) as f64 / 90_000.0 % LENGTH;
    assert!(
        (MOVES.start - 1.1..MOVES.end).contains(&opened),
        "the clip begins at {opened} s"
    );
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_s_rate_leaves_undecoded_what_only_key_frames_can_serve() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let script = Script::every(1_000_000);
    let server = Server::start(script.clone(), 0).await;
    let (module, _) = module(&directory.path().join("recordings"));
    let mut instance = instance(&simulator.url("block.mp4"), server.port);
    let rate = json!({"name": "frameRate", "value": "1"});
    instance["properties"]["parameters"]
        .as_array_mut()
        .unwrap()
        .push(rate);
    activate(&module, topology(vec![], vec![]), instance).await;
    // A key frame each second, and one picture a second is asked for.
    until(&module, |stats| {
        let offered = stats.extensions["computerVisionExtension"].offered;
        stats.received >= 100 && stats.skipped >= 40 && offered >= 5
    })
    .await;
    let stats = deactivate(&module).await;
    assert!(stats.decoded * 2 < stats.received, "{stats:?}");
    assert_accounts(&stats, "computerVisionExtension");
    server.kill().await;
}
