//! Sidecars, playlists and unfinished clips, as found in a directory of recordings: read or refused, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_recording::fuzzing::files(data));
