//! Packets of a described stream to units: whole units, pictures with a slice, no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_rtsp::fuzzing::unit_assembly(data));
