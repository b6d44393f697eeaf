//! What a caller does and a server says, with the session's promises checked after each step.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_extension_protocol::fuzzing::client(data));
