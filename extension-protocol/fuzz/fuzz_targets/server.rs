//! Messages of a client, with the stream's invariants checked after each one.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_extension_protocol::fuzzing::server(data));
