#!/usr/bin/env bash
# Prints the path of a Python that can import mlserver and onnxruntime, for the tests in which Seldon's MLServer serves models over
# KServe's protocol; nothing where there is none. See python-env.sh. 400 MB.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/python-env.sh

python_env mlserver-python LVA_MLSERVER_PYTHON 'mlserver, onnxruntime' "models served by MLServer" \
    'mlserver==1.7.1' 'onnxruntime==1.32.0'
