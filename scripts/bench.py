"""Runs the peers of the picture path in turns and prints tables. Called by scripts/bench.sh."""

import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

BENCH, DIR, ROUNDS, OPENCV = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
FRAMES = int(os.environ.get("BENCH_FRAMES", "600"))
SIZE, PADDED = "1397:786", "1408x786"
FRAME_BYTES = 1408 * 786 * 3
EVERY = 50


def path(name):
    return os.path.join(DIR, name)


def clip(name, *options):
    """1080p at 30 frames a second, about 4 Mbit/s: moving shapes and noise."""
    name = f"{FRAMES}-{name}"
    if os.path.exists(path(name)):
        return path(name)
    scene = "testsrc2=size=1920x1080:rate=30,noise=alls=4:allf=t,format=yuv420p"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", scene, "-frames:v", str(FRAMES)]
    command += ["-c:v", "libx264", "-profile:v", "main", "-preset", "veryfast", "-b:v", "4M", "-maxrate", "5M"]
    command += ["-bufsize", "8M", "-sc_threshold", "0", *options, path("making-" + name)]
    subprocess.run(command, check=True)
    os.rename(path("making-" + name), path(name))
    return path(name)


def repeated(video, times):
    """The same clip over and over, not encoded again."""
    long = path(f"{times}-times-{os.path.basename(video)}")
    if not os.path.exists(long):
        making = path("making-" + os.path.basename(long))
        loop = ["ffmpeg", "-v", "error", "-y", "-stream_loop", str(times - 1), "-i", video, "-c", "copy", making]
        subprocess.run(loop, check=True)
        os.rename(making, long)
    return long


def measure(command):
    """CPU seconds of a command and its children (user and system)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.decode()[-300:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, done.stdout.decode()


def ours(video, *options):
    return [BENCH, "--video", video, "--size", PADDED, "--scale", "pad", "--format", "bgr24", *options]


def ffmpeg(video, filters, *, flags="bilinear"):
    return ["ffmpeg", "-v", "error", "-threads", "1", "-filter_threads", "1", "-i", video, "-an", "-sws_flags", flags,
            "-vf", filters, "-threads", "1", "-f", "null", "-"]


def ffmpeg_decode(video):
    return ["ffmpeg", "-v", "error", "-threads", "1", "-i", video, "-an", "-f", "null", "-"]


def ffmpeg_keys(video):
    return ["ffmpeg", "-v", "error", "-threads", "1", "-skip_frame", "nokey", "-i", video, "-an", "-fps_mode", "passthrough",
            "-f", "null", "-"]


def gstreamer(video):
    return ["gst-launch-1.0", "-q", "filesrc", f"location={video}", "!", "qtdemux", "!", "h264parse", "!",
            "avdec_h264", "max-threads=1", "!", "videoconvertscale", "add-borders=true", "n-threads=1", "method=bilinear",
            "!", "video/x-raw,format=BGR,width=1408,height=786,pixel-aspect-ratio=1/1", "!", "fakesink", "sync=false"]


def load():
    return "load %.2f %.2f %.2f" % os.getloadavg()


def table(title, runs, frames=FRAMES):
    """Runs all in turns; prints medians of CPU time, and medians of the rounds' ratios to the first."""
    print(f"\n{title}\n{'(' + load() + ' before,'}", end=" ", flush=True)
    cpu, outputs = {name: [] for name in runs}, {}
    for _ in range(ROUNDS):
        for name in list(runs):
            try:
                seconds, output = measure(runs[name])
            except (RuntimeError, OSError) as error:
                print(f"\n  skipped: {name}: {error}")
                del runs[name], cpu[name]
                continue
            cpu[name].append(seconds)
            outputs[name] = output
    print(f"{load()} after; {ROUNDS} rounds, CPU of user and system, process start included)")
    first = next(iter(runs))
    for name in runs:
        ratios = [own / other for own, other in zip(cpu[first], cpu[name])]
        spread = f"{min(cpu[name]) * 1000 / frames:.2f}..{max(cpu[name]) * 1000 / frames:.2f}"
        middle = statistics.median(cpu[name]) * 1000 / frames
        print(f"  {name:<58} {middle:7.2f} ms/frame  ({spread})  ours is {statistics.median(ratios):.2f} of it")
    return outputs


def sparse(video, rate, interval):
    """A rate at which key frames suffice. Starting the process weighs in a short clip, so it is played five times over, too.
    The lower bound is what decoding keyframes alone costs."""
    scale = f"fps={rate},scale={SIZE}:flags=bilinear,format=bgr24,pad=1408:786:5:0"
    for times in (1, 5):
        clip = video if times == 1 else repeated(video, times)
        outputs = table(f"at {rate} frames a second: {interval}, {times * FRAMES} frames", {
            f"this workspace: --fps {rate}": ours(clip, "--fps", rate),
            f"this workspace: --fps {rate}, decoding alone": ours(clip, "--fps", rate, "--decode-only"),
            f"ffmpeg fps={rate}": ffmpeg(clip, scale),
            "ffmpeg -skip_frame nokey, decoding alone": ffmpeg_keys(clip),
        }, times * FRAMES)
        own = json.loads(outputs[f"this workspace: --fps {rate}"])
        print(f"  ours decoded {own['units'] - own['unitsNotDecoded']} of {own['units']} units for {own['frames']} frames")


def dump_ffmpeg(video, out, flags):
    filters = f"select='not(mod(n\\,{EVERY}))',scale={SIZE}:flags={flags},format=bgr24,pad=1408:786:5:0"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", video, "-an", "-vf", filters, "-fps_mode", "passthrough",
                    "-f", "rawvideo", out], check=True)


def psnr(a, b):
    """Peak signal to noise over all dumped frames, in the picture's columns; the files hold the same frames."""
    filters = f"[0:v]crop=1397:786:5:0[a];[1:v]crop=1397:786:5:0[b];[a][b]psnr"
    raw = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", PADDED]
    done = subprocess.run(["ffmpeg", "-hide_banner", *raw, "-i", a, *raw, "-i", b, "-lavfi", filters, "-f", "null", "-"],
                          capture_output=True, text=True, check=True)
    line = [line for line in done.stderr.splitlines() if "average:" in line][-1]
    return float(line.split("average:")[1].split()[0].replace("inf", "inf"))


def main():
    print(f"{time.strftime('%Y-%m-%d %H:%M')} UTC, {os.cpu_count()} cores, {load()}")
    whole = clip("plain.mp4", "-bf", "0", "-g", "60")
    b_frames = clip("b.mp4", "-bf", "3", "-g", "60")
    keys = clip("keys.mp4", "-bf", "0", "-g", "15")
    bilinear = f"scale={SIZE}:flags=bilinear,format=bgr24,pad=1408:786:5:0"
    runs = {
        "this workspace: frame-bench": ours(whole),
        "this workspace, decoding alone": ours(whole, "--decode-only"),
        "ffmpeg, decoding alone": ffmpeg_decode(whole),
        "ffmpeg -vf scale=bilinear,format=bgr24,pad": ffmpeg(whole, bilinear),
        "ffmpeg -vf the same, default flags (bicubic)": ffmpeg(whole, bilinear.replace(":flags=bilinear", ""), flags="bicubic"),
    }
    if shutil.which("gst-launch-1.0"):
        runs["GStreamer avdec_h264 ! videoconvertscale add-borders"] = gstreamer(whole)
    else:
        print("  skipped: GStreamer: no gst-launch-1.0")
    here = os.path.dirname(os.path.abspath(__file__))
    if OPENCV != "-":
        runs["OpenCV from Python: resize, copyMakeBorder"] = [OPENCV, os.path.join(here, "bench-opencv.py"), whole, "-"]
    else:
        print("  skipped: OpenCV: no virtual environment with opencv-python-headless")
    outputs = table(f"1080p30 H.264 to padded 1408x786 BGR24, one thread, all {FRAMES} frames", runs)
    split = json.loads(outputs["this workspace: frame-bench"])
    parts = {part: split[part]["cpuMs"] for part in ("read", "decode", "render", "encode")}
    print(f"  ours, its parts in CPU ms/frame: {parts}")

    table("the same at 2 frames a second: no B-frames, a key frame each 2 s", {
        "this workspace: --fps 2": ours(whole, "--fps", "2"),
        "ffmpeg fps=2": ffmpeg(whole, "fps=2," + bilinear),
    })
    table("at 2 frames a second: three B-frames (-bf 3)", {
        "this workspace: --fps 2": ours(b_frames, "--fps", "2"),
        "ffmpeg fps=2": ffmpeg(b_frames, "fps=2," + bilinear),
    })
    sparse(keys, "2", "a key frame each half second")
    sparse(whole, "0.5", "a key frame each 2 s")

    print("\nPSNR against ffmpeg with flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp, and with bilinear and the"
          "\nsame exact chroma and rounding; every 50th frame")
    dump_ffmpeg(whole, path("lanczos.bgr"), "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp")
    dump_ffmpeg(whole, path("exact.bgr"), "bilinear+accurate_rnd+full_chroma_int+full_chroma_inp")
    dump_ffmpeg(whole, path("bilinear.bgr"), "bilinear")
    subprocess.run(ours(whole, "--dump", path("ours.bgr"), "--dump-every", str(EVERY)), check=True, stdout=subprocess.DEVNULL)
    judged = [("this workspace", "ours.bgr"), ("ffmpeg bilinear", "bilinear.bgr")]
    if OPENCV != "-":
        subprocess.run([OPENCV, os.path.join(here, "bench-opencv.py"), whole, path("opencv.bgr")], check=True, stdout=subprocess.DEVNULL)
        judged.append(("OpenCV", "opencv.bgr"))
    for name, file in judged:
        assert os.path.getsize(path(file)) == -(-FRAMES // EVERY) * FRAME_BYTES, file
        print(f"  {name:<20} {psnr(path(file), path('lanczos.bgr')):6.2f} dB  {psnr(path(file), path('exact.bgr')):6.2f} dB")
    print(f"\n{load()} at the end")


main()
