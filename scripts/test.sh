#!/usr/bin/env bash
# Every test that a change must pass. `make test` installs what is missing first; this script installs no packages.
#
# Examples are not linked here: clippy compiles them, and the commands that documents promise run them in release mode.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n--- %s\n' "$1"; }

run_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast ${CI:+--profile ci} --lib --bins --tests "$@"
    else
        cargo test --no-fail-fast --lib --bins --tests "$@"
    fi
}

if cargo nextest --version >/dev/null 2>&1; then
    say "tests of the workspace, default features (cargo nextest)"
else
    say "tests of the workspace, default features (cargo test; cargo-nextest is not installed)"
fi
run_tests --workspace

say "examples in the documentation of every crate"
cargo test --doc --workspace --quiet

say "lva-inference with image codecs and ONNX Runtime"
LVA_TEST_PYTHON=$(scripts/onnxruntime-python.sh)
if [ -n "$LVA_TEST_PYTHON" ]; then
    export LVA_TEST_PYTHON
    echo "LVA_TEST_PYTHON=$LVA_TEST_PYTHON"
else
    unset LVA_TEST_PYTHON
fi
run_tests --package lva-inference --features image-codecs,ort

say "all tests passed"
