//! Files of models: read, and recognised or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lva_inference::{ModelFile, ModelOverrides};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = ModelFile::from_bytes(bytes.to_vec()) {
        if let Ok(recognition) = file.recognise(&ModelOverrides::default()) {
            recognition.to_string();
        }
    }
});
