//! `lva-edge.toml` and the settings of operations: read or refused, and what was read is the same when it is written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_edge_module::fuzzing::configuration(data));
