//! Any bytes as every kind of document, and structural mutations of valid documents, checked as the tests judge them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lva_graph_model::Instance;
use serde_json::Value;

#[path = "../../tests/it/exercise.rs"]
mod exercise;
#[allow(dead_code, reason = "the fuzzer changes bytes by itself")]
#[path = "../../tests/it/mutate.rs"]
mod mutate;

const TOPOLOGY: &str = include_str!("../../../examples/documents/topology.json");
const TEMPLATE: &str = include_str!("../../tests/it/deployment/deployment.street.template.json");

fuzz_target!(|data: &[u8]| {
    let values = [("rtspUrl", "rtsp://cam/1"), ("rtspPassword", "hunter2")];
    let instance = Instance::new("Fuzz-1", "InferencingWithCVExtension", values);
    // Eight bytes and a mark choose a mutation of a valid document; everything else is the document.
    match data {
        [mark @ (0 | 1), rest @ ..] if rest.len() == 8 => {
            let seed = rest.iter().fold(0_u64, |seed, byte| seed << 8 | u64::from(*byte));
            let text = if *mark == 0 { TOPOLOGY } else { TEMPLATE };
            if let Ok(document) = serde_json::from_str::<Value>(text) {
                let mutated = mutate::mutate_structure(&document, &mut mutate::Chance::new(seed));
                exercise::exercise(mutated.to_string().as_bytes(), &instance);
            }
        }
        document => exercise::exercise(document, &instance),
    }
});
