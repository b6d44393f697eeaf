//! Bytes from a camera to the loopback proxy, cut into pieces: media passes unchanged, no credentials leak, no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_rtsp::fuzzing::camera_answers(data));
