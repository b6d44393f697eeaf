//! Bytes of a client to the module's HTTP server: answered or disconnected, never a panic. The fuzzer's hook takes a panic in any
//! thread for a finding.
#![no_main]

use std::sync::LazyLock;

use lva_edge_module::{Config, EdgeModule};
use tokio::runtime::Runtime;

#[path = "../../tests/it/requests.rs"]
mod requests;

/// A module without a hub and without instances.
struct Served {
    runtime: Runtime,
    module: EdgeModule,
    _directory: tempfile::TempDir,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = Config::default();
    config.module.data = directory.path().join("data");
    config.module.recordings = directory.path().join("recordings");
    config.http.listen = "127.0.0.1:0".into();
    config.metrics.listen = String::new();
    let runtime = Runtime::new().expect("a runtime");
    let module = runtime.block_on(EdgeModule::builder(config).start()).expect("a module");
    Served {
        runtime,
        module,
        _directory: directory,
    }
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let address = SERVED.module.http_address().expect("a server");
    SERVED.runtime.block_on(requests::send(address, data));
});
