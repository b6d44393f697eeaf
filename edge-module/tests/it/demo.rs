//! `lva-edge module --demo`, from the first line to the clip.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::ended::run;
use crate::process::Process;
use crate::support::{Client, named};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_prints_zone_events_answers_calls_and_leaves_a_clip() {
    let directory = tempfile::tempdir().unwrap();
    let free = ["--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let mut demo = Process::start(directory.path(), &[&["module", "--demo"], &free[..]].concat());
    let address = |line: &str| {
        let (_, rest) = line.split_once("curl http://").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    };
    // The three lines to try.
    let http = address(&demo.line("/methods/GraphInstanceList"));
    assert_eq!(address(&demo.line("/readyz")), http);
    let metrics = address(&demo.line("/metrics"));
    let event = demo.line("(personZoneEvent)");
    assert!(event.contains("computerVisionExtension"), "{event}");
    demo.line("RecordingStarted");
    let mut client = Client::of(http);
    let (status, instance) = client.method("GraphInstanceGet", &named("Sample-Graph-1")).await;
    assert_eq!(
        (status, &instance["properties"]["state"]),
        (200, &json!("Active"))
    );
    assert_eq!(client.get("/readyz").await.0, 200);
    let (_, text) = Client::of(metrics).get("/metrics").await;
    assert!(
        text.contains("lva_active_graph_instances{") && !text.contains("testpassword"),
        "{text}"
    );
    let (code, lines) = demo.terminate();
    assert_eq!(code, Some(0), "{lines}");
    assert!(
        lines.contains("RecordingStopped") && lines.contains("Clips are in"),
        "{lines}"
    );

    let own = directory.path().join("lva-edge-demo");
    let clips = files(&own.join("recordings"));
    assert!(
        clips
            .iter()
            .any(|clip| clip.extension().is_some_and(|e| e == "mp4")),
        "{clips:?}"
    );
    let beside: Vec<_> = std::fs::read_dir(directory.path()).unwrap().flatten().collect();
    assert_eq!(beside.len(), 1, "everything is below lva-edge-demo: {beside:?}");
}

#[test]
fn the_demo_does_not_touch_a_site_s_state() {
    let directory = tempfile::tempdir().unwrap();
    for own in [["--data", "site"], ["--config", "site.toml"]] {
        let (code, _, error) = run(directory.path(), &[&["module", "--demo"], &own[..]].concat());
        assert!(
            code == Some(2) && error.contains("cannot be used with"),
            "{error}"
        );
    }
}

#[test]
fn the_demo_s_zones_are_those_of_the_clip() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &str| -> Value { serde_json::from_slice(&std::fs::read(here.join(path)).unwrap()).unwrap() };
    let (scene, truth) = (read("demo/scene.json"), read("../examples/media/plaza.json"));
    for list in ["zones", "lines"] {
        let (own, all) = (scene[list].as_array().unwrap(), truth[list].as_array().unwrap());
        assert_eq!(own.len(), all.len());
        for (own, truth) in own.iter().zip(all) {
            for (member, value) in own.as_object().unwrap() {
                assert_eq!(value, &truth[member], "{member}");
            }
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .collect()
}
