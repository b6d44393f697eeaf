//! Bytes from a camera to the session layer, cut into pieces: the password stays here, no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_rtsp::fuzzing::camera_answers(data));
