//! Runs of published topologies, each until every node has results. `make test-topologies` runs all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lva_examples::demo::Witness;
use lva_examples::simulate::Simulation;
use lva_examples::topology_run::{
    Expected, INSTANCE, Listener, Outcome, activate, deactivate, instance_of, recorded,
};
use lva_graph_model::Topology;
use lva_graph_runtime::{HubMessage, Module, RuntimeOptions};
use lva_inference::{ModelSpec, PLAZA_PERSON_ONNX, RtenDetector, RtenOptions};
use lva_media_types::MediaTime;
use lva_spatial_analysis::{Detectors, Operation};

/// Time for a slow machine until every node has results.
const PATIENCE: Duration = Duration::from_secs(200);
/// Least media from the camera, so that the recordings contain audio and video.
const MEDIA_90K: u64 = 3 * MediaTime::TICKS_PER_SECOND;

/// The file, if the shared data is available.
fn published(file: &str) -> Option<PathBuf> {
    let data = std::env::var_os("LVA_SHARED_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = data.join("topologies").join(file);
    if !path.is_file() {
        eprintln!("SKIPPED {file}: {} does not exist", path.display());
        return None;
    }
    Some(path)
}

async fn runs_completely(path: &Path) {
    let file = path.display();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = RtenDetector::from_bytes(
        PLAZA_PERSON_ONNX,
        ModelSpec::plaza_person(),
        RtenOptions::default(),
    );
    let scene = Operation::from_file(here.join("media/plaza.json")).unwrap();
    let detectors = Detectors::shared(model.unwrap());
    let simulation = Simulation::start(&here.join("media/plaza.mp4"), scene, detectors)
        .await
        .unwrap();
    let topology = Topology::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let topology = simulation.bind(&topology).unwrap();
    let (instance, graph) = instance_of(&topology, &BTreeMap::new()).unwrap();
    let expected = Expected::of(&graph).with_audio(true);
    let directory = tempfile::tempdir().unwrap();
    let (witness, listener) = (Witness::default(), Listener::default());
    let module = Module::new(
        RuntimeOptions::new(directory.path()),
        vec![Box::new(witness.clone()), Box::new(listener.clone())],
    );
    activate(&module, &topology, &instance).await.unwrap();

    let everything = async {
        let mut look = tokio::time::interval(Duration::from_millis(100));
        loop {
            look.tick().await;
            let stats = module.stats(INSTANCE).unwrap();
            let times = stats.last_picture_90k.zip(stats.first_picture_90k);
            let enough = times.is_some_and(|(last, first)| last.saturating_sub(first) >= MEDIA_90K);
            if enough && expected.has_started(&stats, &listener.heard()) {
                break;
            }
        }
    };
    let messages = async {
        witness
            .until(|kinds| kinds.contains_key("MediaSessionEstablished"))
            .await;
        // Repeated until a gate has opened: before the camera's first picture there is nothing to record.
        let mut again = tokio::time::interval(Duration::from_secs(2));
        loop {
            again.tick().await;
            for input in expected.inputs() {
                module.deliver(input, &HubMessage::new()).unwrap();
            }
        }
    };
    let both = async {
        tokio::select! {
            () = everything => {}
            () = messages => {}
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, both).await.is_ok();
    deactivate(&module, &topology).await.unwrap();
    module.shutdown().await;
    let stats = module.stats(INSTANCE).unwrap();
    let outcome = Outcome {
        heard: listener.heard(),
        recordings: recorded(&stats),
        stats,
    };
    let missing = expected.missing(&outcome);
    assert!(missing.is_empty(), "{file}: {missing:?}, {outcome:?}");
    assert!(in_time, "{file}: {:?}", witness.last_fault());
    simulation.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_stream_is_recorded_around_people_in_the_sub_stream() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    runs_completely(&here.join("documents/record-main-stream.json")).await;
}

macro_rules! topologies {
    ($($test:ident: $file:literal,)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            if let Some(path) = published($file) {
                runs_completely(&path).await;
            }
        })+
    };
}

topologies! {
    a_continuous_asset_with_audio_runs_or_skips: "lva-2.0/audio-video.json",
    motion_that_records_assets_and_files_runs_or_skips: "lva-1.0/evr-motion-assets-files.json",
    a_hub_message_that_records_runs_or_skips: "lva-2.0/evr-hubMessage-assets.json",
    spatial_analysis_runs_or_skips: "lva-2.0/lva-spatial-analysis.json",
    motion_before_a_grpc_extension_runs_or_skips: "lva-1.0/motion-with-grpcExtension.json",
    extensions_in_line_run_or_skips: "ava/ai-composition.json",
    line_crossing_runs_or_skips: "ava/line-crossing.json",
    tracking_into_a_video_runs_or_skips: "ava/cvr-with-httpExtension-and-objectTracking.json",
}
