#!/usr/bin/env bash
# Prints the path of a Python that can import onnxruntime, for the tests that compare our backends with it; nothing where there is
# none. See python-env.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/python-env.sh

# 1.23 is the oldest ONNX Runtime that the ort backend accepts.
python_env onnxruntime-python LVA_TEST_PYTHON 'onnxruntime' "the comparison with onnxruntime" 'onnxruntime>=1.23,<2'
