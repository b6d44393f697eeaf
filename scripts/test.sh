#!/usr/bin/env bash
# Every test that a change must pass. `make test` installs what is missing first; this script installs no packages.
#
# Of the examples only three are linked here, which tests run as programs: clippy compiles all of them, and the marked commands
# of documents run some in release mode.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()
heading() { printf '\n--- %s\n' "$1"; }

if cargo nextest --version >/dev/null 2>&1; then
    runner=nextest
    run_tests() { cargo nextest run --no-fail-fast ${CI:+--profile ci} --lib --bins --tests "$@"; }
else
    runner='cargo test, since cargo-nextest is not installed'
    run_tests() { cargo test --no-fail-fast --lib --bins --tests "$@"; }
fi

# Tests run in the directories of their crates, so the path is absolute.
data=${LVA_SHARED_DATA:-../shared/data}
if [ -d "$data" ]; then
    LVA_SHARED_DATA=$(cd "$data" && pwd)
    export LVA_SHARED_DATA
    echo "test data: $LVA_SHARED_DATA"
elif [ -n "${LVA_SHARED_DATA:-}" ]; then
    echo "test.sh: LVA_SHARED_DATA=$LVA_SHARED_DATA is not a directory; correct it, or unset it to skip the tests that need it" >&2
    exit 1
else
    skipped+=("tests on the optional test data: there is no $data (set LVA_SHARED_DATA)")
fi

# use_tool VARIABLE SCRIPT WHAT: what the script prints the path of, for some tests; they are skipped where it prints nothing.
use_tool() {
    local found
    found=$("scripts/$2.sh")
    if [ -n "$found" ]; then
        export "$1=$found"
        echo "$1=$found"
    else
        unset "$1"
        skipped+=("$3: see the line $2 above")
    fi
}

use_tool LVA_GRPC_PYTHON grpc-python "runs against Google's gRPC stack"
use_tool LVA_AZURE_PYTHON azure-python "runs with Microsoft's SDKs for IoT Hub"
use_tool LVA_KAFKA_PYTHON kafka-python "runs against a Kafka broker"
use_tool LVA_AXE axe-core "the look for barriers in the console's page"

heading "programs that tests run"
# With the features of the whole workspace, as the tests are built, so that no dependency is built twice.
cargo build --workspace --example extension-client --example extension-server --example run-topology

heading "tests of the workspace, default features ($runner)"
run_tests --workspace

heading "examples in the documentation of every crate"
cargo test --doc --workspace --quiet

heading "the log to a collector"
# The features of the workspace, again, so that only the crate itself is built anew.
cargo test --workspace --lib --features lva-edge-module/otlp --quiet otlp

heading "lva-inference with image codecs, ONNX Runtime and models on a server"
use_tool LVA_TEST_PYTHON onnxruntime-python "comparison with Python's onnxruntime"
use_tool LVA_MLSERVER_PYTHON mlserver-python "models served by MLServer"
run_tests --package lva-inference --features image-codecs,kserve,ort

heading "all tests passed"
for what in ${skipped[@]+"${skipped[@]}"}; do
    echo "SKIPPED $what"
done
