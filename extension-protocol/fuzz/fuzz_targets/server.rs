//! What a client says, with the stream's promises checked after each message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_extension_protocol::fuzzing::server(data));
