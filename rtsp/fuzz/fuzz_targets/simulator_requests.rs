//! What a client says to the simulator, RTSP and the heads and Base64 of tunnels: answered or refused, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_rtsp::fuzzing::simulator_requests(data));
