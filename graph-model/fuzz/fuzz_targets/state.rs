//! The state file of a module: restored or refused, and what was restored saves and restores again.
#![no_main]

use lva_graph_model::methods::{Registry, RegistryOptions};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(saved) = serde_json::from_slice(data) else { return };
    if let Ok(restored) = Registry::restore(&saved, RegistryOptions::default()) {
        let again = Registry::restore(&restored.registry.save(), RegistryOptions::default());
        assert!(again.is_ok(), "{again:?}");
    }
});
