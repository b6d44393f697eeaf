//! The demonstration from end to end: real sockets, the embedded detector, the committed clip.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lva_examples::demo::{Printer, Witness};
use lva_examples::picture::draw_moments;
use lva_examples::tutorial::{Camera, Extension, Tutorial, first_session};
use lva_inference::{ModelSpec, PLAZA_PERSON_ONNX, RtenDetector, RtenOptions};
use lva_spatial_analysis::{AnalysisOptions, Detectors, Operation, SpatialExtension};
use serde_json::Value;

/// Time for a slow machine until people enter, cross and are recorded.
const PATIENCE: Duration = Duration::from_secs(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_walk_through_the_demo_s_clip_are_reported_and_recorded() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    let video = here.join("media/plaza.mp4");
    let config = Operation::from_file(here.join("media/plaza.json")).unwrap();
    let outlines = config.outlines();
    assert_eq!(outlines.len(), 3, "two zones and a line: {outlines:?}");
    let model = RtenDetector::from_bytes(
        PLAZA_PERSON_ONNX,
        ModelSpec::plaza_person(),
        RtenOptions::default(),
    );
    let detectors = Detectors::shared(model.unwrap());
    let options = AnalysisOptions::default().with_camera_aspect(16.0 / 9.0);
    let tutorial = Tutorial {
        camera: Camera::simulated(&video).await.unwrap(),
        extension: Extension::serve(SpatialExtension::with_options(config, detectors, options))
            .await
            .unwrap(),
        operations: here.join("documents/operations.json"),
        recordings: directory.path().join("clips"),
        frame_rate: Some("8".to_owned()),
    };
    let log = directory.path().join("events.jsonl");
    let printer = Printer::new("/topic".to_owned(), true, Some(&log)).unwrap();
    let witness = Witness::default();
    let wait = async |_: &str, extension: &mut Extension| {
        let everything = async {
            first_session(&witness, PATIENCE).await?;
            witness
                .until(|kinds| {
                    [
                        "personZoneEvent Enter",
                        "personLineEvent CrossRight",
                        "RecordingStarted",
                    ]
                    .iter()
                    .all(|kind| kinds.contains_key(*kind))
                })
                .await;
            Ok(())
        };
        tokio::select! {
            done = tokio::time::timeout(PATIENCE, everything) => done?,
            why = extension.ended() => Err(why),
        }
    };
    let sinks: Vec<Box<dyn lva_graph_runtime::MessageSink>> =
        vec![Box::new(printer), Box::new(witness.clone())];
    let (stats, outcome) = tutorial.play(sinks, |_| {}, wait).await.unwrap();
    outcome.unwrap_or_else(|error| panic!("{error:#}; heard {:?}", witness.kinds()));
    let stats = stats.unwrap();

    let text = std::fs::read_to_string(&log).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: BTreeSet<_> = events
        .iter()
        .filter_map(|event| {
            event["applicationProperties"]["eventType"]
                .as_str()?
                .rsplit('.')
                .next()
        })
        .collect();
    for kind in [
        "MediaSessionEstablished",
        "Inference",
        "RecordingStarted",
        "RecordingAvailable",
        "RecordingStopped",
    ] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    for inferences in events
        .iter()
        .filter_map(|event| event["body"]["inferences"].as_array())
    {
        let ids: BTreeSet<_> = inferences
            .iter()
            .map(|one| &one["inferenceId"])
            .map(Value::to_string)
            .collect();
        let related = inferences
            .iter()
            .filter_map(|one| one["relatedInferences"].as_array())
            .flatten();
        for id in related {
            assert!(ids.contains(&id.to_string()), "{id} relates to nothing");
        }
    }

    // The clip holds the camera's own packets, from a key frame at or before the event.
    let clip = stats.newest_clips.first().expect("a clip was recorded");
    let (served, recorded) = (packets(&video), packets(&clip.path));
    assert_eq!(recorded.len() as u64, clip.video_packets);
    let start = served
        .iter()
        .position(|packet| *packet == recorded[0])
        .expect("the clip begins with a packet of the served file");
    assert_eq!(start % 60, 0, "a key frame every two seconds");
    let own = served.iter().cycle().skip(start);
    assert!(
        recorded.iter().eq(own.take(recorded.len())),
        "every packet in order"
    );
    let picture = directory.path().join("moments.png");
    let drawn = draw_moments(clip, &witness.moments(), &outlines, &picture).unwrap();
    assert!(drawn >= 1 && picture.is_file(), "{drawn} moments");
}

/// Size and hash of every video packet of a file.
fn packets(path: &PathBuf) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-c", "copy", "-f", "framehash", "-"])
        .output()
        .expect("the ffmpeg program lists packets; `make packages` installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplitn(3, ',').take(2).collect::<Vec<_>>().join(","))
        .collect()
}
