//! Operations on the slot allocator, with its invariants checked after each.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_extension_protocol::fuzzing::slots(data));
