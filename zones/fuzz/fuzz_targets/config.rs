//! Any text as a configuration and as a case: a scene or findings, an answer or a reason, and no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lva_zones::{ConfigOptions, Operation, read_config, replay_case};

fuzz_target!(|text: &str| {
    let answer: serde_json::Value = serde_json::from_str(&replay_case(text)).expect("an answer is JSON");
    assert!(answer.get("error").is_some() != answer.get("events").is_some());
    for operation in [Operation::Any, Operation::PersonCount, Operation::PersonDistance, Operation::PersonCrossingLine] {
        let options = ConfigOptions { operation, ..ConfigOptions::default() };
        match read_config(text.into(), options) {
            Ok(configured) => assert!(!configured.scene.is_empty()),
            Err(error) => assert!(!error.findings.is_empty()),
        }
    }
});
