//! Whatever a server sends: responses within their limits; and challenges, which are answered.
#![no_main]

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    RUNTIME.with(|runtime| runtime.block_on(lva_client_transport::fuzzing::responses(data)));
});
