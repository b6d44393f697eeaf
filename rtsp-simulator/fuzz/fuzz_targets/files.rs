//! MP4 and Matroska files: played or refused, in bounded time and memory. Panics of the readers are caught, as when serving.
#![no_main]

use std::sync::Once;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The fuzzer's own hook would take a panic that is caught for a finding.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let _ = std::panic::catch_unwind(|| lva_rtsp_simulator::fuzzing::files(data));
});
