//! The example of a pipeline without a graph, against the simulator.

use std::path::Path;

use lva_recording::Sidecar;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};

#[path = "../../examples/pipeline.rs"]
#[allow(dead_code, reason = "the test calls what `main` calls")]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_records_a_clip_when_a_person_enters_the_square() {
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/media");
    let simulator = Simulator::start(SimulatorOptions::new(media)).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    example::run(&simulator.url("plaza.mp4"), directory.path(), 1)
        .await
        .unwrap();
    simulator.shutdown().await;
    let mut clips = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let clip = clips
        .find(|path| path.extension().is_some_and(|extension| extension == "mp4"))
        .unwrap();
    let sidecar = Sidecar::read(&clip).unwrap();
    assert_eq!((sidecar.width, sidecar.height), (1280, 720));
    assert!(
        sidecar.seconds() >= 4.0,
        "2 s before the person entered, 3 s after: {sidecar:?}"
    );
}
