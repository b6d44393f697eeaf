//! Calls of a client's user and messages of a server, with the session's invariants checked after each step.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_extension_protocol::fuzzing::client(data));
