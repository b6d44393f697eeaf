"""The shapes of `speed.rs` through supervision's PolygonZone and LineZone, and its ByteTrack; times of a frame.

python3 -m venv peers && peers/bin/pip install supervision && peers/bin/python zones/benches/peers.py
"""

import time
import warnings

import numpy as np
import supervision as sv

warnings.filterwarnings("ignore")
W, H = 1280, 720
rng = np.random.default_rng(7)


def jumping(people):
    frames = []
    for _ in range(20):
        x = rng.random(people) * 0.9 * W
        y = rng.random(people) * 0.7 * H
        xyxy = np.stack([x, y, x + 0.05 * W, y + 0.2 * H], axis=1)
        ids = np.arange(people)
        frames.append(sv.Detections(xyxy=xyxy, class_id=np.zeros(people, int), tracker_id=ids, confidence=np.full(people, 0.9)))
    return frames


def octagon():
    x, y, r = (0.1 + 0.8 * rng.random()) * W, (0.1 + 0.8 * rng.random()) * H, (0.05 + 0.15 * rng.random()) * W
    a = np.arange(8) * 2 * np.pi / 8
    return np.stack([x + r * np.cos(a), y + r * np.sin(a)], axis=1).astype(int)


def median(step, frames, seconds=1.5):
    for frame in frames:
        step(frame)
    times, end, n = [], time.perf_counter() + seconds, 0
    while time.perf_counter() < end or n < 20:
        begin = time.perf_counter()
        step(frames[n % len(frames)])
        times.append(time.perf_counter() - begin)
        n += 1
    return 1e6 * float(np.median(times))


print("supervision", sv.__version__)
for elements, people in [(1, 10), (4, 50), (10, 100), (32, 200), (100, 500)]:
    frames = jumping(people)
    anchor = (sv.Position.BOTTOM_CENTER,)
    zones = [sv.PolygonZone(polygon=octagon(), triggering_anchors=anchor) for _ in range(elements)]
    point = lambda: sv.Point(int(rng.random() * W), int(rng.random() * H))
    lines = [sv.LineZone(start=point(), end=point(), triggering_anchors=anchor) for _ in range(elements)]
    of_zones = median(lambda d: [z.trigger(d) for z in zones], frames)
    of_lines = median(lambda d: [l.trigger(d) for l in lines], frames)
    print(f"{elements} x {people}: PolygonZone {of_zones:.0f} us, LineZone {of_lines:.0f} us, both {of_zones + of_lines:.0f} us")

# Later versions have no tracker of their own.
for people in [10, 50, 100, 300] if hasattr(sv, "ByteTrack") else []:
    at = np.stack([rng.random(people) * 0.9 * W, rng.random(people) * 0.7 * H], axis=1)
    way = np.stack([0.006 * (rng.random(people) - 0.5) * W, 0.004 * (rng.random(people) - 0.5) * H], axis=1)
    frames = []
    for _ in range(200):
        at = at + way
        way[:, 0] = np.where((at[:, 0] < 0) | (at[:, 0] > 0.95 * W), -way[:, 0], way[:, 0])
        way[:, 1] = np.where((at[:, 1] < 0) | (at[:, 1] > 0.75 * H), -way[:, 1], way[:, 1])
        jitter = rng.random(at.shape) * 0.002 * W
        xyxy = np.concatenate([at + jitter, at + jitter + [0.03 * W, 0.12 * H]], axis=1)
        frames.append(sv.Detections(xyxy=xyxy, class_id=np.zeros(people, int), confidence=np.full(people, 0.9)))
    frames = frames + frames[::-1]
    tracker = sv.ByteTrack(frame_rate=15)
    print(f"ByteTrack {people}: {median(tracker.update_with_detections, frames):.0f} us")
