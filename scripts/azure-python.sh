#!/usr/bin/env bash
# Prints the path of a Python with Microsoft's SDKs for IoT Hub, for the tests in which they are our callers and peers; nothing
# where there is none. See python-env.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/python-env.sh

# azure-iot-hub imports six without naming it as a dependency, and asks for uamqp, which would take minutes to compile where there is no
# build of it for this Python.
python_env azure-python LVA_AZURE_PYTHON 'azure.iot.hub, azure.iot.device' "the tests with Microsoft's SDKs" \
    'azure-iot-hub==2.7.0' 'azure-iot-device==2.14.0' 'six==1.17.0' --only-binary=uamqp
