//! A directory of recordings with whatever another program has left there: recovered, listed and recorded on.
#![no_main]

#[path = "../../tests/it/planted.rs"]
mod planted;

libfuzzer_sys::fuzz_target!(|data: &[u8]| planted::planted(data));
