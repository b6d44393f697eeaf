"""Changes stills so that no two epochs see the same picture: place, scale, light, colour, blur, noise, occlusion."""

import math

import torch
from torch.nn import functional

GREY = 114 / 255


def uniform(low, high, *shape):
    return low + (high - low) * torch.rand(*shape)


def augment(frames, people, crop, base_scale):
    """Frames [N, 3, H, W] as bytes and people [N, M, 5] (left, top, right, bottom in pixels, visible share).

    Three batches of five are changed gently, so that the network also sees what a good camera shows.
    """
    frames, people = move(frames, people, crop, base_scale)
    frames, people = occlude(frames, people)
    strength = 0.35 if torch.rand(()) < 0.6 else 1.0
    return degrade(recolor(frames, strength), strength), people


def move(frames, people, crop, base_scale):
    """Cuts a piece of `crop` (width, height) out of each still (bytes), scaled and mirrored by chance.

    Four pieces of five are placed around a person, so that little time goes into empty ground; a piece as large as
    the still is the whole still. Two of five have exactly the base scale.
    """
    count, _, height, width = frames.shape
    size, piece = torch.tensor([width, height]).float(), torch.tensor(crop).float()
    changed = (torch.rand(count) < 0.6).float()
    scale = base_scale * torch.exp(uniform(math.log(0.55), math.log(1.5), count) * changed)
    stretch = torch.exp(uniform(-0.1, 0.1, count) * changed)
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    # Piece point p (from -1 to 1) shows still point a * p + t.
    a = torch.stack([mirror / (scale * stretch), stretch / scale], 1) * (piece / size)
    slack = (1.0 - a.abs()).abs() + 0.1 * changed[:, None]
    t = uniform(-1, 1, count, 2) * slack
    exists = people[..., 2] > people[..., 0]
    chosen = torch.multinomial(exists.float() + 1e-6, 1)[:, 0]
    box = people[torch.arange(count), chosen]
    around = ((box[:, :2] + box[:, 2:4]) / size - 1.0) + uniform(-0.8, 0.8, count, 2) * a.abs()
    near = (torch.rand(count) < 0.8) & exists.any(1) & bool((piece < size).any())
    # A crop around a person still stays inside the still where it fits.
    around = torch.minimum(torch.maximum(around, -slack), slack)
    t = torch.where(near[:, None], around, t)
    pieces = torch.empty(count, 3, crop[1], crop[0])
    first = (((t - a.abs() + 1) / 2 * size).floor() - 2).clamp(min=0)
    last = torch.minimum(((t + a.abs() + 1) / 2 * size).ceil() + 2, size)
    for index in range(count):
        # Only what the piece shows is turned into numbers, with its own range of -1 to 1.
        (x0, y0), (x1, y1) = first[index].int().tolist(), last[index].int().tolist()
        shown = frames[index : index + 1, :, y0:y1, x0:x1].float().div_(255.0).sub_(GREY)
        window = last[index] - first[index]
        own_a, own_t = a[index] * size / window, ((t[index] + 1) * size - 2 * first[index]) / window - 1
        theta = torch.zeros(1, 2, 3)
        theta[0, 0, 0], theta[0, 1, 1], theta[0, :, 2] = own_a[0], own_a[1], own_t
        grid = functional.affine_grid(theta, [1, 3, crop[1], crop[0]], align_corners=False)
        # Beyond the still there is the grey of a letterbox; a mirrored edge would show unlabelled people.
        pieces[index] = functional.grid_sample(shown, grid, padding_mode="zeros", align_corners=False)[0] + GREY
    frames = pieces
    corner = lambda p: ((p / size * 2 - 1 - t[:, None]) / a[:, None] + 1) / 2 * piece
    one, two = corner(people[..., :2]), corner(people[..., 2:4])
    low, high = torch.minimum(one, two), torch.maximum(one, two)
    cut_low, cut_high = low.clamp(min=0), torch.minimum(high, piece)
    whole = (high - low).clamp(min=1e-3).prod(-1)
    inside = (cut_high - cut_low).clamp(min=0).prod(-1)
    visible = people[..., 4] * inside / whole
    exists = exists & (inside > 0)
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


def recolor(frames, strength):
    """Brightness, contrast, saturation, white balance, and gamma for half of the stills."""
    count = len(frames)
    part = lambda low, high: 1.0 + strength * (uniform(low, high, count, 1, 1, 1) - 1.0)
    saturation, contrast = part(0.2, 1.6), part(0.6, 1.3)
    tint = 1.0 + strength * uniform(-0.15, 0.15, count, 3, 1, 1)
    frames = torch.lerp(frames.mean(1, keepdim=True), frames, saturation * contrast * tint)
    mean = frames.mean((1, 2, 3), keepdim=True)
    frames = frames.add_(mean * (part(0.6, 1.35) - contrast)).clamp_(0, 1)
    bent = torch.rand(count) < 0.5
    frames[bent] = frames[bent] ** part(0.75, 1.35)[bent]
    return frames


def degrade(frames, strength):
    """Blur, the blocks of a hard-pressed encoder, and noise."""
    count, _, height, width = frames.shape
    for index, kind in enumerate(torch.randint(0, 10, (count,)).tolist()):
        frame = frames[index : index + 1]
        if index % 2:
            # The slight softness of a picture that was scaled down.
            soft = functional.avg_pool2d(frame, 3, 1, 1, count_include_pad=False)
            frame.lerp_(soft, float(uniform(0.0, 0.6, ())))
        if kind in (0, 1):
            frames[index] = functional.avg_pool2d(frame, 3, 1, 1, count_include_pad=False)[0]
        elif kind == 2:
            small = functional.interpolate(frame, scale_factor=float(uniform(0.45, 0.8, ())), mode="area")
            frames[index] = functional.interpolate(small, (height, width), mode="bilinear")[0]
        elif kind == 3:
            # What quantization leaves of a block: its mean, and some of its detail.
            mean = functional.interpolate(functional.avg_pool2d(frame, 4), scale_factor=4.0, mode="nearest")
            frames[index] = (mean + (frame - mean) * uniform(0.3, 0.9, ()))[0]
    # One roll of noise for all, shifted for each.
    noise = torch.randn(3, height, width)
    for index in range(count):
        shift = (int(torch.randint(height, ())), int(torch.randint(width, ())))
        frames[index].add_(torch.roll(noise, shift, (1, 2)), alpha=float(uniform(0.0, 0.04 * strength, ())))
    return frames.clamp_(0, 1)
