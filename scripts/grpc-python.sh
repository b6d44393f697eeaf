#!/usr/bin/env bash
# Prints the path of a Python that can import grpc and grpc_tools, for the tests in which Google's gRPC stack is our peer; nothing
# where there is none. See python-env.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/python-env.sh

python_env grpc-python LVA_GRPC_PYTHON 'grpc, grpc_tools' "the tests against Google's gRPC stack" \
    'grpcio>=1.60,<2' 'grpcio-tools>=1.60,<2'
