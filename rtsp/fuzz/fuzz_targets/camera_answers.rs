//! What a camera says to the relay, cut into pieces: media passes unchanged, credentials never come back, no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_rtsp::fuzzing::camera_answers(data));
