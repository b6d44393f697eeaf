//! Any string as an operation. Also used by the fuzz target.

use lva_spatial_analysis::{Operation, OperationError};

/// As it is, and as the configuration of every kind of operation: an operation or an error that says something, no panic.
pub(crate) fn judge(text: &str) {
    let _ = Operation::all_from_twin(text);
    let mut documents = vec![text.to_owned()];
    for id in [
        "spatialanalysis",
        "personcount",
        "persondistance",
        "personcrossingline",
    ] {
        documents.push(serde_json::json!({"operationId": id, "SPACEANALYTICS_CONFIG": text}).to_string());
    }
    for document in documents {
        match Operation::from_json(&document) {
            Ok(operation) => assert!(!operation.outlines().is_empty()),
            Err(OperationError::Invalid { findings }) => assert!(!findings.is_empty()),
            Err(_) => {}
        }
    }
}

#[cfg(not(fuzzing))]
#[test]
fn the_corpus_of_operations_is_read_or_refused() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/operation")).unwrap();
    let count = seeds
        .map(|seed| judge(&std::fs::read_to_string(seed.unwrap().path()).unwrap()))
        .count();
    assert!(count > 0);
}
