//! The state file of the module: restored or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_edge_module::fuzzing::state(data));
