#!/usr/bin/env bash
# Receiving and the picture path beside their peers. Receiving: 20 streams without decoding, CPU time per stream-minute
# (rtsp/benches/ingest.rs). The picture path: a 1080p H.264 file to padded 1408x786 BGR24 on one thread, CPU time a frame,
# medians of five rounds in which all take turns, ratios, and how well the pictures agree with a good reference.
# What is not installed is skipped, with a line. The load of the machine is printed, because it decides how much a number is worth.
#
# usage: scripts/bench.sh [ROUNDS]
# BENCH_PARTS: "ingest", "pictures", or both, the default; BENCH_DIR: where clips lie, default target/bench; BENCH_FRAMES: frames
# of each, default 600; BENCH_SECONDS: of each client of a stream, default 20; LVA_BENCH_BIN: a frame-bench that is built already.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
rounds=${1:-5}
dir=${BENCH_DIR:-target/bench}
parts=${BENCH_PARTS:-ingest pictures}
mkdir -p "$dir"
command -v ffmpeg > /dev/null || { echo "bench: the ffmpeg program makes the clips; make packages installs it" >&2; exit 1; }
case " $parts " in *" ingest "*)
    cargo bench --quiet --package lva-rtsp --bench ingest -- --streams 20 --seconds "${BENCH_SECONDS:-20}" --rounds "$rounds" ;;
esac
case " $parts " in *" pictures "*) ;; *) exit 0 ;; esac
bench=${LVA_BENCH_BIN:-}
if [ -z "$bench" ]; then
    cargo build --release --quiet --example frame-bench
    bench=${CARGO_TARGET_DIR:-target}/release/examples/frame-bench
fi
command -v python3 > /dev/null || { echo "bench: python3 measures and counts; it is missing" >&2; exit 1; }

# OpenCV from Python, in a virtual environment of its own.
opencv=-
if [ -x "$dir/venv/bin/python" ] && "$dir/venv/bin/python" -c 'import cv2' 2> /dev/null; then
    opencv=$dir/venv/bin/python
elif python3 -m venv "$dir/venv" 2> /dev/null && "$dir/venv/bin/pip" install --quiet opencv-python-headless > /dev/null 2>&1; then
    opencv=$dir/venv/bin/python
fi
exec python3 scripts/bench.py "$bench" "$dir" "$rounds" "$opencv"
