//! Requests from clients, RTSP as well as the HTTP heads and the Base64 of tunnels: answered or rejected, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_rtsp_simulator::fuzzing::requests(data));
