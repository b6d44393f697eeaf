//! The corpora of the fuzz targets.

use std::path::Path;

use lva_graph_model::Instance;
use lva_graph_model::methods::{Registry, RegistryOptions};

use crate::exercise::exercise;

/// The files of a target, at least one.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let files = std::fs::read_dir(folder).unwrap();
    let seeds: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    seeds
}

#[test]
fn the_corpus_of_documents_is_judged() {
    let values = [("rtspUrl", "rtsp://cam/1"), ("rtspPassword", "hunter2")];
    let instance = Instance::new("Fuzz-1", "InferencingWithCVExtension", values);
    seeds("documents")
        .iter()
        .for_each(|bytes| exercise(bytes, &instance));
}

#[test]
fn the_corpus_of_states_is_restored_or_refused() {
    for bytes in seeds("state") {
        let Ok(saved) = serde_json::from_slice(&bytes) else {
            continue;
        };
        if let Ok(restored) = Registry::restore(&saved, RegistryOptions::default()) {
            Registry::restore(&restored.registry.save(), RegistryOptions::default()).unwrap();
        }
    }
}
