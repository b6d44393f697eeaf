#!/usr/bin/env bash
# Prints the path of a Python that can import onnxruntime, for the tests that compare our backends with it.
# Makes a private virtual environment under target/ on first use. Where that fails it explains why on standard
# error and prints nothing: the comparison is then skipped, and everything else is still tested.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "onnxruntime-python: SKIPPED the comparison with onnxruntime: $1" >&2
    exit 0
}

if [ -n "${LVA_TEST_PYTHON:-}" ]; then
    "$LVA_TEST_PYTHON" -c 'import onnxruntime' ||
        { echo "onnxruntime-python: LVA_TEST_PYTHON=$LVA_TEST_PYTHON cannot import onnxruntime; unset it or install the package there" >&2; exit 1; }
    echo "$LVA_TEST_PYTHON"
    exit 0
fi

home=${CARGO_TARGET_DIR:-target}/python-onnxruntime
log=$home.log
python=$home/bin/python

if ! "$python" -c 'import onnxruntime' 2>/dev/null; then
    command -v python3 >/dev/null || skip "python3 is not installed"
    rm -rf "$home"
    mkdir -p "$(dirname "$home")"
    python3 -m venv "$home" >"$log" 2>&1 ||
        { rm -rf "$home"; skip "python3 cannot make a virtual environment (Debian: apt-get install python3-venv); see $log"; }
    # 1.23 is the oldest ONNX Runtime that the ort backend accepts.
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --retries 2 --timeout 30 \
        'onnxruntime>=1.23,<2' >>"$log" 2>&1 ||
        { rm -rf "$home"; skip "pip could not install onnxruntime; see $log"; }
    "$python" -c 'import onnxruntime' >>"$log" 2>&1 ||
        { rm -rf "$home"; skip "onnxruntime was installed but cannot be imported; see $log"; }
fi

# A test runs in the directory of its crate.
cd "$(dirname "$python")" && echo "$PWD/python"
