"""Changes stills so that no two epochs see the same picture: place, scale, light, colour, blur, noise, occlusion."""

import math

import torch
from torch.nn import functional

GREY = 114 / 255


def uniform(low, high, *shape):
    return low + (high - low) * torch.rand(*shape)


def augment(frames, people):
    """Frames [N, 3, H, W] in 0..1 and people [N, M, 5] (left, top, right, bottom in pixels, visible share)."""
    frames, people = move(frames, people)
    frames, people = occlude(frames, people)
    return degrade(recolor(frames)), people


def move(frames, people):
    """Scales by half to one and a half, shifts, mirrors; half of the stills stay as they are but for the mirror."""
    count, _, height, width = frames.shape
    changed = (torch.rand(count) < 0.5).float()
    scale = torch.exp(uniform(math.log(0.55), math.log(1.6), count) * changed)
    stretch = torch.exp(uniform(-0.1, 0.1, count) * changed)
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    # Picture point p (from -1 to 1) of the result shows point a * p + t of the still.
    ax, ay = mirror / (scale * stretch), stretch / scale
    slack = (1.0 - 1.0 / scale).abs() + 0.1
    tx, ty = uniform(-1, 1, count) * slack * changed, uniform(-1, 1, count) * slack * changed
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2], theta[:, 1, 1], theta[:, 1, 2] = ax, tx, ay, ty
    grid = functional.affine_grid(theta, list(frames.shape), align_corners=False)
    # Beyond the still there is the grey of a letterbox; a mirrored edge would show people nobody asks for.
    frames = functional.grid_sample(frames - GREY, grid, padding_mode="zeros", align_corners=False) + GREY
    size = torch.tensor([width, height]).float()
    a, t = torch.stack([ax, ay], 1)[:, None], torch.stack([tx, ty], 1)[:, None]
    corner = lambda p: ((p / size * 2 - 1 - t) / a + 1) / 2 * size
    one, two = corner(people[..., :2]), corner(people[..., 2:4])
    low, high = torch.minimum(one, two), torch.maximum(one, two)
    cut_low, cut_high = low.clamp(min=0), torch.minimum(high, size)
    whole = (high - low).clamp(min=1e-3).prod(-1)
    inside = (cut_high - cut_low).clamp(min=0).prod(-1)
    visible = people[..., 4] * inside / whole
    exists = (people[..., 2] > people[..., 0]) & (inside > 0)
    # A person smaller than this is no longer asked for.
    visible = torch.where((high - low)[..., 1] < 14, torch.zeros_like(visible), visible)
    people = torch.cat([cut_low, cut_high, visible[..., None]], -1) * exists[..., None]
    return frames, people


def occlude(frames, people):
    """Lays up to four flat patches over a third of the stills; who is under one is seen less."""
    count, _, height, width = frames.shape
    people = people.clone()
    for index in (torch.rand(count) < 0.35).nonzero().flatten().tolist():
        for _ in range(int(torch.randint(1, 5, ()))):
            w, h = int(uniform(6, 70, ())), int(uniform(6, 70, ()))
            x, y = int(uniform(0, width - w, ())), int(uniform(0, height - h, ()))
            patch = torch.rand(3, 1, 1) + 0.1 * torch.randn(3, h, w)
            frames[index, :, y : y + h, x : x + w] = patch
            box = people[index, :, :4]
            over = (torch.minimum(box[:, 2], torch.tensor(x + w)) - box[:, 0].clamp(min=x)).clamp(min=0)
            over = over * (torch.minimum(box[:, 3], torch.tensor(y + h)) - box[:, 1].clamp(min=y)).clamp(min=0)
            area = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])).clamp(min=1e-3)
            people[index, :, 4] *= 1.0 - (over / area).clamp(max=1.0)
    return frames, people


def recolor(frames):
    """Brightness, contrast, gamma, saturation and white balance."""
    count = len(frames)
    part = lambda low, high: uniform(low, high, count, 1, 1, 1)
    grey = frames.mean(1, keepdim=True)
    frames = grey + (frames - grey) * part(0.2, 1.6)
    frames = frames * uniform(0.85, 1.15, count, 3, 1, 1)
    mean = frames.mean((1, 2, 3), keepdim=True)
    frames = (frames - mean) * part(0.6, 1.3) + mean * part(0.6, 1.35)
    return frames.clamp(0, 1) ** part(0.75, 1.35)


def degrade(frames):
    """Blur, the blocks of a hard-pressed encoder, and noise."""
    count, _, height, width = frames.shape
    for index, kind in enumerate(torch.randint(0, 10, (count,)).tolist()):
        frame = frames[index : index + 1]
        if kind in (0, 1):
            frames[index] = functional.avg_pool2d(frame, 3, 1, 1, count_include_pad=False)[0]
        elif kind == 2:
            small = functional.interpolate(frame, scale_factor=float(uniform(0.45, 0.8, ())), mode="area")
            frames[index] = functional.interpolate(small, (height, width), mode="bilinear")[0]
        elif kind == 3:
            # What quantization leaves of a block: its mean, and some of its detail.
            mean = functional.interpolate(functional.avg_pool2d(frame, 4), scale_factor=4.0, mode="nearest")
            frames[index] = (mean + (frame - mean) * uniform(0.3, 0.9, ()))[0]
    return (frames + torch.randn_like(frames) * uniform(0.0, 0.04, count, 1, 1, 1)).clamp(0, 1)
