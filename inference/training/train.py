"""Trains the embedded detector on stills of the sample world. See README.md beside this file."""

import argparse
import copy
import json
import math
import pathlib
import queue
import threading
import time

import numpy as np
import torch
from torch.nn import functional

from augment import augment
from model import STRIDE, PersonGrid

MOST_PEOPLE = 16
# A person that is less visible does not count in the loss.
LEAST_VISIBLE = 0.25


class Stills:
    """The stills in a directory, mapped from disk: frames as bytes, people as left, top, right, bottom, visible."""

    def __init__(self, directory, width, height):
        self.width = width
        self.frames = np.memmap(directory / "frames.rgb", np.uint8, "r").reshape(-1, height, width, 3)
        self.people = np.zeros((len(self.frames), MOST_PEOPLE, 5), np.float32)
        with open(directory / "people.jsonl") as lines:
            for row, line in zip(self.people, lines):
                for slot, person in zip(row, json.loads(line)):
                    left, top, w, h = person["box"]
                    slot[:] = (left * width, top * height, (left + w) * width, (top + h) * height, person["visibleShare"])

    def batch(self, indices):
        frames = torch.from_numpy(np.ascontiguousarray(self.frames[np.sort(indices)]))
        people = torch.from_numpy(self.people[np.sort(indices)])
        return frames.permute(0, 3, 1, 2), people


    def augmented(self, batches, crop, base_scale):
        """Changed batches one after another, prepared in a thread of its own while the network learns."""
        ready = queue.Queue(2)

        def prepare():
            for indices in batches:
                ready.put(augment(*self.batch(indices), crop, base_scale))
            ready.put(None)

        threading.Thread(target=prepare, daemon=True).start()
        while (batch := ready.get()) is not None:
            yield batch


def cell_centers(height, width):
    y, x = torch.meshgrid(torch.arange(height // STRIDE), torch.arange(width // STRIDE), indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1).float() * STRIDE + STRIDE / 2


def assign(people, centers):
    """Which person each cell answers for: index or -1, and whether the cell is asked at all."""
    boxes, visible = people[..., :4], people[..., 4]
    exists = boxes[..., 2] > boxes[..., 0]
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    offset = (centers[None, None] - middle[:, :, None]).abs()
    distance = offset.amax(-1)
    nearest = distance <= distance.amin(-1, keepdim=True) + 1e-3
    reach = ((boxes[..., 2:] - boxes[..., :2]) * 0.3).clamp(max=1.5 * STRIDE)[:, :, None]
    near = ((offset <= reach).all(-1) | nearest) & exists[..., None]
    asked = visible >= LEAST_VISIBLE
    # Of two people over one cell the better seen one wins, then the nearer.
    cost = distance + 40.0 * (1.0 - visible[..., None])
    cost = torch.where(near & asked[..., None], cost, torch.inf)
    best, index = cost.min(1)
    owner = torch.where(best.isfinite(), index, -1)
    muted = (near & ~asked[..., None]).any(1) & (owner < 0)
    return owner, ~muted


def losses(score, sides, people, centers):
    score = score.flatten(1)
    sides = sides.flatten(2).transpose(1, 2) * STRIDE
    owner, asked = assign(people, centers)
    positive = owner >= 0
    target = torch.gather(people[..., :4], 1, owner.clamp(min=0)[..., None].expand(-1, -1, 4))[positive]
    at = centers[None].expand(len(people), -1, -1)[positive]
    mine = sides[positive]
    box = torch.cat([at - mine[:, :2], at + mine[:, 2:]], 1)
    overlap, generalized = iou(box, target)
    # What the score promises: that the box overlaps the person by half. Half the chance at 0.5, all from 0.8 on.
    quality = torch.zeros_like(score)
    quality[positive] = (1.6 * overlap.detach() - 0.3).clamp(0.05, 1.0)
    # Far people own two cells, near ones nine or more: without a counterweight few would learn for the many.
    owned = torch.zeros_like(people[..., 0]).scatter_add_(1, owner.clamp(min=0), positive.float())
    share = torch.gather(owned, 1, owner.clamp(min=0)).clamp(min=1)[positive].rsqrt()
    count = positive.sum().clamp(min=1)
    share = share * (count / share.sum().clamp(min=1e-3))
    chance = torch.sigmoid(score)
    weight = 0.75 * chance.detach() ** 2
    weight[positive] = share
    weight = weight * asked
    found = (functional.binary_cross_entropy_with_logits(score, quality, reduction="none") * weight).sum() / count
    shape = ((1.0 - generalized) * share).sum() / count
    return found, shape


def iou(a, b):
    """Overlap and its generalization (Rezatofighi et al. 2019) of boxes in pairs."""
    area = lambda box: (box[:, 2] - box[:, 0]).clamp(min=0) * (box[:, 3] - box[:, 1]).clamp(min=0)
    inner = torch.cat([torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])], 1)
    outer = torch.cat([torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])], 1)
    shared = area(inner)
    union = area(a) + area(b) - shared + 1e-6
    hull = area(outer) + 1e-6
    return shared / union, shared / union - (hull - union) / hull


def find(grid, threshold, overlap=0.5):
    """Boxes and scores of one image, best first, after non-maximum suppression."""
    height, width = grid.shape[1] * STRIDE, grid.shape[2] * STRIDE
    flat = grid.flatten(1)
    centers = cell_centers(height, width)
    keep = flat[0] >= threshold
    score, order = flat[0][keep].sort(descending=True)
    sides, at = flat[1:, keep].T[order] * STRIDE, centers[keep][order]
    limit = torch.tensor([width, height, width, height]).float()
    boxes = torch.minimum(torch.cat([at - sides[:, :2], at + sides[:, 2:]], 1).clamp(min=0), limit)
    kept = []
    for index in range(len(boxes)):
        if all(iou(boxes[index : index + 1], boxes[k : k + 1])[0] <= overlap for k in kept):
            kept.append(index)
    return boxes[kept], score[kept]


@torch.no_grad()
def evaluate(network, stills, indices, size, threshold=0.5):
    """Precision and recall at IoU 0.5 for people more than half visible; the others count neither way."""
    hit = missed = false = 0
    for start in range(0, len(indices), 16):
        frames, people = stills.batch(indices[start : start + 16])
        frames = functional.interpolate(frames.float() / 255.0, size, mode="bilinear", antialias=True)
        for grid, truth in zip(network(frames.contiguous(memory_format=torch.channels_last)), people):
            boxes, _ = find(grid, threshold)
            boxes = boxes * (stills.width / size[1])
            truth = truth[truth[:, 2] > truth[:, 0]]
            free = [True] * len(truth)
            for box in boxes:
                overlaps = iou(box.expand(len(truth), 4), truth[:, :4])[0] if len(truth) else torch.zeros(0)
                candidates = [i for i in range(len(truth)) if free[i] and overlaps[i] >= 0.5]
                best = max(candidates, key=lambda i: (truth[i, 4] > 0.5, overlaps[i]), default=None)
                if best is None:
                    false += 1
                else:
                    free[best] = False
                    hit += int(truth[best, 4] > 0.5)
            missed += sum(1 for i in range(len(truth)) if free[i] and truth[i, 4] > 0.5)
    return {"precision": hit / max(1, hit + false), "recall": hit / max(1, hit + missed)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--stills", type=pathlib.Path, required=True, help="directory written by the example training-frames")
    parser.add_argument("--size", default="512x288", help="size of the stills, which is the size of the input")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory for weights and log")
    parser.add_argument("--scale", type=float, default=1.25, help="size of the network's input over that of a still")
    parser.add_argument("--crop", help="learn from pieces of this size; default: whole stills")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="threads of the network; one more prepares stills")
    parser.add_argument("--held-back", type=int, default=600, help="stills at the end that are only evaluated on")
    parser.add_argument("--judge-every", type=int, default=4, help="epochs from one evaluation to the next")
    parser.add_argument("--resume", type=pathlib.Path, help="weights to start from")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    chance = np.random.default_rng(args.seed)
    width, height = map(int, args.size.split("x"))
    crop = tuple(map(int, (args.crop or args.size).split("x")))
    # The network takes multiples of 32; what a still lacks in height is cut or stretched by less than a tenth.
    judged = (round(height * args.scale / 32) * 32, round(width * args.scale / 32) * 32)
    stills = Stills(args.stills, width, height)
    args.out.mkdir(parents=True, exist_ok=True)
    log = open(args.out / "log.jsonl", "a")

    def note(**figures):
        line = json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()})
        print(line, flush=True)
        log.write(line + "\n")
        log.flush()

    network = PersonGrid()
    if args.resume:
        absent = network.load_state_dict(torch.load(args.resume), strict=False)
        note(resumed=str(args.resume), new=len(absent.missing_keys), unknown=absent.unexpected_keys)
    network = network.to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval()
    training, held_back = np.arange(len(stills.frames) - args.held_back), np.arange(len(stills.frames) - args.held_back, len(stills.frames))
    steps = args.epochs * (len(training) // args.batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=args.rate, weight_decay=0.01)
    warm = min(300, steps // 10 + 1)
    rate = lambda step: min(1.0, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    centers = cell_centers(crop[1], crop[0])
    note(stills=len(training), crop=crop, scale=args.scale, rate=args.rate, steps=steps, parameters=sum(p.numel() for p in network.parameters()), seed=args.seed)
    step, began = 0, time.time()
    for epoch in range(args.epochs):
        network.train()
        order = chance.permutation(training)
        sums = np.zeros(2)
        starts = range(0, len(order) - args.batch + 1, args.batch)
        for frames, people in stills.augmented((order[start : start + args.batch] for start in starts), crop, args.scale):
            with torch.autocast("cpu", torch.bfloat16):
                score, sides = network.raw(frames.contiguous(memory_format=torch.channels_last))
            found, shape = losses(score.float(), sides.float(), people, centers)
            optimizer.zero_grad()
            (found + 2.0 * shape).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            step += 1
            sums += (found.item(), shape.item())
            keep = min(0.998, step / (step + 60))
            with torch.no_grad():
                for mean, now in zip(average.state_dict().values(), network.state_dict().values()):
                    if mean.dtype.is_floating_point:
                        mean.lerp_(now, 1.0 - keep)
                    else:
                        mean.copy_(now)
            if step % 100 == 0:
                note(step=step, found=sums[0] / 100, shape=sums[1] / 100, seconds=time.time() - began)
                sums[:] = 0
        torch.save(average.state_dict(), args.out / "weights.pt")
        if (epoch + 1) % args.judge_every == 0:
            note(epoch=epoch + 1, **evaluate(average, stills, held_back, judged), seconds=time.time() - began)


if __name__ == "__main__":
    main()
