#!/usr/bin/env bash
# Makes a corpus of small real streams with the `ffmpeg` program: the fuzzer does not invent a sequence parameter set.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/units
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
source=testsrc2=size=64x48:rate=10
ffmpeg -v error -f lavfi -i "$source" -frames:v 6 -c:v libx264 -bf 2 -g 4 -pix_fmt yuv420p "$work/0.h264"
ffmpeg -v error -f lavfi -i "$source" -frames:v 9 -c:v libx264 -bf 0 -g 3 -pix_fmt yuv420p "$work/0-keys.h264"
ffmpeg -v error -f lavfi -i "$source" -frames:v 6 -c:v libx265 -x265-params log-level=none -pix_fmt yuv420p "$work/1.hevc"
ffmpeg -v error -f lavfi -i "$source" -frames:v 3 -c:v mjpeg -pix_fmt yuvj422p "$work/2-%d.jpg"
python3 - "$work" <<'PYTHON'
import pathlib, re, sys
work, corpus = pathlib.Path(sys.argv[1]), pathlib.Path("corpus/units")
for way in (0, 0x80):
    for number, name in ((0, "0.h264"), (0, "0-keys.h264"), (1, "1.hevc")):
        nals = [nal for nal in re.split(b"\0\0\0\1|\0\0\1", (work / name).read_bytes()) if nal]
        out = bytes([way + number, 0])
        for nal in nals:  # each a unit of its own, with its length
            unit = len(nal).to_bytes(4, "big") + nal
            out += len(unit).to_bytes(2, "big") + unit
        (corpus / f"{name}-{way}").write_bytes(out)
    out = bytes([way + 2, 0])
    for picture in sorted(work.glob("2-*.jpg")):
        jpeg = picture.read_bytes()
        out += len(jpeg).to_bytes(2, "big") + jpeg
    (corpus / f"mjpeg-{way}").write_bytes(out)
PYTHON
ls corpus/units
