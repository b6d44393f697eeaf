//! A device's datagrams and responses, with the crate's invariants checked after each. An ordinary test runs the same on
//! seeded noise.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_onvif::fuzzing::device(data));
