#!/usr/bin/env python3
"""Runs the spatial-analysis tutorial from its own deployment manifest, as containers, on this machine.

The published deployment.template.json becomes a manifest by `deployment-manifest`, with its .env; the names of three images are
changed, and nothing else. Its modules run as containers as written: host IPC, shared memory, ports, binds, volumes, environment.
In edgeHub's place there is a mosquitto that hands each module the desired properties of the manifest, `lva-edge operations` is the
console, and events arrive at the broker and a clip on disk. Prints what happened, and how long it took to the first event.

usage: scripts/tutorial-containers.py [--image NAME] [--seconds N]      (after `make image`; needs root and podman)

Skipped, with a line, where podman cannot run containers or the tutorial's files are absent (LVA_SHARED_DATA).
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
NETWORK = "lva-tutorial"
TEMPLATE = "lva-csharp/edge/deployment.spatialAnalysis.template.json"
IMAGES = {
    "mcr.microsoft.com/media/live-video-analytics:2": "-lva",
    "mcr.microsoft.com/lva-utilities/rtspsim-live555:1.2": "-rtspsim",
    "mcr.microsoft.com/azure-cognitive-services/vision/spatial-analysis:1.0": "-spatial-analysis",
}
# The user of the images, who has to own what they write.
USER = 10001


def skip(reason):
    print(f"tutorial-containers: SKIPPED: {reason}")
    sys.exit(0)


def podman(*arguments, check=True, **options):
    ran = subprocess.run(["podman", *arguments], text=True, capture_output=True, **options)
    if check and ran.returncode != 0:
        sys.exit(f"tutorial-containers: podman {' '.join(arguments)} failed:\n{ran.stderr}")
    return ran


def configure(directory):
    """Limits and a runtime that also work inside of containers and small virtual machines."""
    if "CONTAINERS_CONF" not in os.environ and shutil.which("runc"):
        conf = directory / "containers.conf"
        conf.write_text(
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
        )
        os.environ["CONTAINERS_CONF"] = str(conf)


def manifest(samples, directory, image):
    """The manifest of the template with other images."""
    text = (samples / TEMPLATE).read_text()
    for old, suffix in IMAGES.items():
        if text.count(old) != 1:
            sys.exit(f"tutorial-containers: {TEMPLATE} names {old} {text.count(old)} times")
        text = text.replace(old, image + suffix)
    template = directory / "deployment.template.json"
    template.write_text(text)
    variables = (samples / "composed/lva.env").read_text()
    folders = {"VIDEO_OUTPUT_FOLDER_ON_DEVICE": "media", "APPDATA_FOLDER_ON_DEVICE": "appdata"}
    for name, folder in folders.items():
        path = directory / folder
        path.mkdir()
        os.chown(path, USER, USER)
        variables = "\n".join(
            f'{name}="{path}"' if line.startswith(f"{name}=") else line for line in variables.splitlines()
        )
    env = directory / ".env"
    env.write_text(variables + "\n")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = os.environ.get("LVA_DEPLOYMENT_MANIFEST") or target / "release/examples/deployment-manifest"
    if not pathlib.Path(program).exists():
        build = ["cargo", "build", "--release", "--quiet", "--package", "lva-examples", "--example", "deployment-manifest"]
        subprocess.run(build, cwd=ROOT, check=True)
    ran = subprocess.run([program, "--env", env, template], text=True, stdout=subprocess.PIPE)
    if ran.returncode != 0:
        sys.exit("tutorial-containers: the manifest was not made; the reason is above")
    return json.loads(ran.stdout)["modulesContent"]


def create_options(settings):
    """`createOptions`, continued in createOptions01 and so on."""
    parts = [settings[name] for name in sorted(settings) if name.startswith("createOptions")]
    return json.loads("".join(parts) or "{}") if all(isinstance(part, str) for part in parts) else parts[0]


def run_arguments(name, module):
    """What the edge agent does with a module's create options, for podman."""
    options = create_options(module["settings"]).get("HostConfig", {})
    arguments = ["--name", name, "--hostname", name, "--network", NETWORK]
    for bind in options.get("Binds", []):
        source = bind.split(":")[0]
        if pathlib.Path(source).exists():
            arguments += ["--volume", bind]
        else:
            print(f"  {name}: {source} is not on this machine, so nothing is bound there")
    for mount in options.get("Mounts", []):
        arguments += ["--mount", f"type={mount['Type']},src={mount['Source']},dst={mount['Target']}"]
    for port, bindings in options.get("PortBindings", {}).items():
        arguments += ["--publish", f"127.0.0.1:{bindings[0]['HostPort']}:{port}"]
    if options.get("IpcMode"):
        arguments += ["--ipc", options["IpcMode"]]
    if options.get("ShmSize") and options.get("IpcMode") != "host":
        arguments += ["--shm-size", str(options["ShmSize"])]
    if options.get("Runtime"):
        print(f"  {name}: the runtime {options['Runtime']} is left out: there is no GPU")
    for variable, value in module.get("env", {}).items():
        arguments += ["--env", f"{variable}={value['value']}"]
    return arguments


def operations(samples, directory):
    """The tutorial's operations in two files: up to the watched graph, and what cleans up."""
    source = json.loads((samples / "composed/operations.spatial-analysis.json").read_text())
    steps = source["operations"]
    cut = max(i for i, step in enumerate(steps) if step["opName"] == "WaitForInput")
    for name, part in (("begin", steps[:cut]), ("end", steps[cut + 1 :])):
        (directory / f"{name}.json").write_text(json.dumps({**source, "operations": part}))
    shutil.copy(samples / "composed/spatialAnalysistopology.json", directory)


def console(directory, name):
    podman("cp", str(directory / f"{name}.json"), f"lvaEdge:/tmp/{name}.json")
    ran = podman("exec", "lvaEdge", "/usr/bin/lva-edge", "operations", f"/tmp/{name}.json", "--url", "http://127.0.0.1:8580", "--yes", check=False)
    (directory / f"{name}.log").write_text(ran.stdout + ran.stderr)
    if ran.returncode != 0:
        sys.exit(f"tutorial-containers: the operations failed:\n{ran.stdout[-3000:]}{ran.stderr[-1000:]}")


class Broker:
    """mosquitto on the network of the containers, in edgeHub's place."""

    def __init__(self, directory, address):
        self.address, self.log = address, directory / "events.jsonl"
        conf = directory / "mosquitto.conf"
        conf.write_text(f"listener 1883 {address}\nallow_anonymous true\n")
        self.process = subprocess.Popen(["mosquitto", "-c", conf], stderr=subprocess.DEVNULL)
        self.output = open(self.log, "wb")
        time.sleep(1)
        topics = ["-t", "lva/lvaEdge/outputs/#", "-t", "lva/spatialAnalysis/outputs/#"]
        self.subscriber = subprocess.Popen(["mosquitto_sub", "-h", address, *topics, "-F", "%U %t %p"], stdout=self.output)

    def give_twin(self, module, content):
        desired = json.dumps(content.get(module, {}).get("properties.desired", {}))
        topic = f"lva/{module}/twin/desired"
        subprocess.run(["mosquitto_pub", "-h", self.address, "-r", "-t", topic, "-s"], input=desired, text=True, check=True)

    def inference_events(self):
        """Time and topic of the events of zones."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line.split(" ")[:2] for line in lines if "/outputs/inferenceOutput" in line and "personZone" in line]

    def end(self):
        for process in (self.subscriber, self.process):
            process.terminate()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    version = next(line.split('"')[1] for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version = "))
    parser.add_argument("--image", default=f"localhost/lva-edge:{version}", help="as `make image` names it; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=45, help="how long the graph runs; default: %(default)s")
    args = parser.parse_args()
    samples = pathlib.Path(os.environ.get("LVA_SHARED_DATA", ROOT / "../shared/data")) / "samples"
    if not (samples / TEMPLATE).exists():
        skip(f"there is no {samples / TEMPLATE}")
    for program in ("podman", "mosquitto", "mosquitto_sub", "ffmpeg"):
        if not shutil.which(program):
            skip(f"{program} is missing: apt-get install podman runc iptables netavark aardvark-dns mosquitto mosquitto-clients ffmpeg")
    if os.geteuid() != 0:
        skip("it needs root, as the edge agent does")
    with tempfile.TemporaryDirectory(prefix="lva-tutorial-") as directory:
        directory = pathlib.Path(directory)
        directory.chmod(0o755)
        configure(directory)
        podman("network", "rm", "--force", NETWORK, check=False)
        made = podman("network", "create", NETWORK, check=False)
        if made.returncode != 0 or podman("run", "--rm", "--no-healthcheck", "--network", NETWORK, args.image, "--version", check=False).returncode != 0:
            skip(f"podman cannot run {args.image} on a network: {made.stderr or 'run `make image` first; podman run says why'}")
        run(args, samples, directory)


def run(args, samples, directory):
    content = manifest(samples, directory, args.image)
    modules = content["$edgeAgent"]["properties.desired"]["modules"]
    gateway = json.loads(podman("network", "inspect", NETWORK).stdout)[0]["subnets"][0]["gateway"]
    size = int(podman("image", "inspect", args.image, "--format", "{{.Size}}").stdout) / 1e6
    print(f"image {args.image}: {size:.1f} MB; modules: {', '.join(modules)}; the broker is {gateway}")
    # A container holds the network's bridge until the broker listens there.
    podman("run", "--detach", "--no-healthcheck", "--name", "lva-tutorial-hold", "--network", NETWORK, args.image, "simulator", "/tmp")
    broker = Broker(directory, gateway)
    started = time.time()
    try:
        for name, module in modules.items():
            broker.give_twin(name, content)
            arguments = run_arguments(name, module)
            arguments += ["--add-host", f"edgeHub:{gateway}", "--env", "LVA_BROKER=mqtt://edgeHub:1883"]
            podman("run", "--detach", "--no-healthcheck", *arguments, module["settings"]["image"])
        volume = json.loads(podman("volume", "inspect", "lvaspatialanalysislocal").stdout)[0]["Mountpoint"]
        clip = ["ffmpeg", "-v", "error", "-y", "-i", ROOT / "examples/media/plaza.mp4", "-c", "copy", f"{volume}/bulldozer.mkv"]
        subprocess.run(clip, check=True)
        operations(samples, directory)
        podman("cp", str(directory / "spatialAnalysistopology.json"), "lvaEdge:/tmp/spatialAnalysistopology.json")
        console(directory, "begin")
        active = time.time()
        print(f"containers and graph: {active - started:.1f} s")
        while time.time() < active + args.seconds:
            time.sleep(0.5)
        console(directory, "end")
        report(broker, directory, active)
    finally:
        for name in [*modules, "lva-tutorial-hold"]:
            logs = podman("logs", name, check=False)
            (directory / f"{name}.log").write_text(logs.stdout + logs.stderr)
            podman("rm", "--force", "--time", "30", name, check=False)
        podman("volume", "rm", "--force", "lvaspatialanalysislocal", check=False)
        podman("network", "rm", "--force", NETWORK, check=False)
        broker.end()
        kept = os.environ.get("LVA_TUTORIAL_LOGS")
        if kept:
            shutil.copytree(directory, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".env", "appdata"))


def report(broker, directory, active):
    events = broker.inference_events()
    clips = [path for path in directory.glob("media/**/*.mp4")]
    if not events or not clips:
        sys.exit(f"tutorial-containers: {len(events)} events and {len(clips)} clips; set LVA_TUTORIAL_LOGS=DIR for the logs")
    print(f"events: {len(events)} of zones at the broker, the first {float(events[0][0]) - active:.1f} s after the graph ran")
    for clip in clips:
        probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", clip]
        seconds = float(subprocess.run(probe, text=True, capture_output=True, check=True).stdout)
        decoded = subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-f", "null", "-"], capture_output=True, text=True)
        if decoded.returncode != 0 or decoded.stderr:
            sys.exit(f"tutorial-containers: {clip} does not decode: {decoded.stderr}")
        print(f"clip: {seconds:.1f} s, {clip.stat().st_size / 1e6:.1f} MB, decodes without a message")
    print("tutorial-containers: passed")


main()
