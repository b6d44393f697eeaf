//! Any string as an operation, and as the configuration of every kind of operation: an operation or an error, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lva_spatial_analysis::{Operation, OperationError};

fuzz_target!(|text: &str| {
    let _ = Operation::all_from_twin(text);
    let mut documents = vec![text.to_owned()];
    for id in ["spatialanalysis", "personcount", "persondistance", "personcrossingline"] {
        documents.push(serde_json::json!({"operationId": id, "SPACEANALYTICS_CONFIG": text}).to_string());
    }
    for document in documents {
        match Operation::from_json(&document) {
            Ok(operation) => assert!(!operation.outlines().is_empty()),
            Err(OperationError::Invalid { findings }) => assert!(!findings.is_empty()),
            Err(_) => {}
        }
    }
});
