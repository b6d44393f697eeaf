#!/usr/bin/env bash
# Prints the path of a Python that can import grpc and grpc_tools, for the tests in which Google's gRPC stack is our peer.
# Makes a private virtual environment under target/ on first use. Where that fails it explains why on standard
# error and prints nothing: those tests are then skipped, and everything else is still tested.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "grpc-python: SKIPPED the tests against Google's gRPC stack: $1" >&2
    exit 0
}

if [ -n "${LVA_GRPC_PYTHON:-}" ]; then
    "$LVA_GRPC_PYTHON" -c 'import grpc, grpc_tools' ||
        { echo "grpc-python: LVA_GRPC_PYTHON=$LVA_GRPC_PYTHON cannot import grpc and grpc_tools; unset it or install grpcio-tools there" >&2; exit 1; }
    echo "$LVA_GRPC_PYTHON"
    exit 0
fi

home=${CARGO_TARGET_DIR:-target}/python-grpc
log=$home.log
python=$home/bin/python

if ! "$python" -c 'import grpc, grpc_tools' 2>/dev/null; then
    command -v python3 >/dev/null || skip "python3 is not installed"
    rm -rf "$home"
    mkdir -p "$(dirname "$home")"
    python3 -m venv "$home" >"$log" 2>&1 ||
        { rm -rf "$home"; skip "python3 cannot make a virtual environment (Debian: apt-get install python3-venv); see $log"; }
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --retries 2 --timeout 30 \
        'grpcio>=1.60,<2' 'grpcio-tools>=1.60,<2' >>"$log" 2>&1 ||
        { rm -rf "$home"; skip "pip could not install grpcio and grpcio-tools; see $log"; }
    "$python" -c 'import grpc, grpc_tools' >>"$log" 2>&1 ||
        { rm -rf "$home"; skip "grpcio was installed but cannot be imported; see $log"; }
fi

# A test runs in the directory of its crate.
cd "$(dirname "$python")" && echo "$PWD/python"
