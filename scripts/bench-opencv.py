"""Decodes a file with OpenCV on one thread, scales and pads each frame. Arguments: video, and a file for a dump or '-'."""

import os
import sys

os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"
import cv2  # noqa: E402

cv2.setNumThreads(1)
video = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
dump = None if sys.argv[2] == "-" else open(sys.argv[2], "wb")
frames = 0
while True:
    there, picture = video.read()
    if not there:
        break
    scaled = cv2.resize(picture, (1397, 786), interpolation=cv2.INTER_LINEAR)
    framed = cv2.copyMakeBorder(scaled, 0, 0, 5, 6, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    if dump and frames % 50 == 0:
        dump.write(framed.tobytes())
    frames += 1
print(frames)
