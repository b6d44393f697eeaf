#!/usr/bin/env python3
"""Runs a detector's file on videos by rten, by ONNX Runtime and on a server of KServe's protocol (MLServer), and prints a table.

    scripts/compare-runtimes.py --model FastestDet.onnx --score 0.5 VIDEO...

The table has the people found, the median time of a frame and the time from the program's start to its first detection. Fails
if a runtime finds 1 % more or fewer people in a video than rten does. ONNX Runtime is left out where `make onnxruntime` did not
run, MLServer where scripts/mlserver-python.sh finds no Python for it.
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_SECONDS = 180
NAME = "detector"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


class MlServer:
    """MLServer with one model, in a directory of its own."""

    def __init__(self, python, model):
        self.directory = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.directory.name)
        http, self.port, metrics = free_ports(3)
        shutil.copy(ROOT / "inference/interop/onnx_runtime.py", root)
        home = root / NAME
        home.mkdir()
        shutil.copy(model, home / "model.onnx")
        settings = {
            "name": NAME,
            "implementation": "onnx_runtime.OnnxModel",
            "parameters": {"uri": str(home / "model.onnx")},
        }
        (home / "model-settings.json").write_text(json.dumps(settings))
        ports = {"host": "127.0.0.1", "http_port": http, "grpc_port": self.port, "metrics_port": metrics}
        (root / "settings.json").write_text(json.dumps({**ports, "parallel_workers": 0}))
        self.log = root / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [python, "-m", "mlserver.cli.main", "start", str(root)],
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(root)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until_ready(f"http://127.0.0.1:{http}/v2/models/{NAME}/ready")

    def wait_until_ready(self, url):
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"compare-runtimes.py: MLServer did not start:\n{self.log.read_text()}")
            time.sleep(0.2)

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()


def detect(program, video, model, score, flags):
    command = [program, "--video", video, "--model", model, "--score", str(score), *flags]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        sys.exit(f"compare-runtimes.py: {' '.join(map(str, command))} failed:\n{ran.stderr}")
    summary = json.loads(ran.stdout.splitlines()[-1])
    summary["people"] = round(summary["people_per_frame"] * summary["frames"])
    return summary


def has_onnx_runtime():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return bool(os.environ.get("ORT_DYLIB_PATH")) or any((target / "onnxruntime").glob("libonnxruntime.so*"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=pathlib.Path)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--score", type=float, default=0.5)
    parser.add_argument("--profile", default="release", help="the profile of cargo that the program is built with")
    args = parser.parse_args()
    build = ["cargo", "build", "--quiet", "--profile", args.profile, "--package", "lva-examples", "--example", "detect-video"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / ("debug" if args.profile == "dev" else args.profile) / "examples/detect-video"

    runtimes = [("rten", args.model, ["--backend", "rten"])]
    if has_onnx_runtime():
        runtimes.append(("ONNX Runtime", args.model, ["--backend", "ort"]))
    else:
        print("compare-runtimes.py: SKIPPED ONNX Runtime: run `make onnxruntime`", file=sys.stderr)
    python = subprocess.run([ROOT / "scripts/mlserver-python.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    server = MlServer(python, args.model) if python else None
    if server:
        runtimes.append(("KServe (MLServer)", f"grpc://127.0.0.1:{server.port}/{NAME}", []))

    differ = False
    print("| video | runtime | frames with people | people | to rten | ms a frame | first detection, ms |")
    print("|---|---|---|---|---|---|---|")
    try:
        for video in args.videos:
            expected = None
            for name, model, flags in runtimes:
                found = detect(program, video, model, args.score, flags)
                people = found["people"]
                expected = people if expected is None else expected
                distance = (people - expected) / max(expected, 1)
                differ |= abs(distance) > 0.01
                cells = [
                    video.name,
                    name,
                    f"{found['frames_with_people']} of {found['frames']}",
                    people,
                    f"{distance:+.2%}",
                    found["ms_per_frame"],
                    found["first_detection_ms"],
                ]
                print("|", " | ".join(map(str, cells)), "|", flush=True)
    finally:
        if server:
            server.end()
    if differ:
        sys.exit("compare-runtimes.py: a runtime finds 1 % more or fewer people than rten")


if __name__ == "__main__":
    main()
