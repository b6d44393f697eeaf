"""The network: a small convolutional detector of one class on a grid of 8-pixel cells.

Input  `image`: float32 [N, 3, H, W], RGB, 0..1, H and W multiples of 32.
Output `grid`:  float32 [N, 5, H/8, W/8]: score, then the distances from the cell's centre to the left,
top, right and bottom edge of the person's box, in cells.
"""

import torch
from torch import nn

STRIDE = 8


def conv(inputs, outputs, size=3, stride=1, groups=1, activate=True):
    layers = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if activate else nn.Sequential(*layers)


class Residual(nn.Module):
    """Depthwise, then pointwise, added to what came in."""

    def __init__(self, channels, size):
        super().__init__()
        self.depthwise = conv(channels, channels, size, groups=channels)
        self.pointwise = conv(channels, channels, 1, activate=False)

    def forward(self, x):
        return torch.relu(x + self.pointwise(self.depthwise(x)))


class PersonGrid(nn.Module):
    def __init__(self, widths=(16, 32, 64, 96, 128), neck=64):
        super().__init__()
        a, b, c, d, e = widths
        self.stem = nn.Sequential(conv(3, a, 3, 2), conv(a, b, 3, 2), Residual(b, 3))
        self.eighth = nn.Sequential(conv(b, c, 3, 2), *[Residual(c, 3) for _ in range(4)])
        self.sixteenth = nn.Sequential(conv(c, c, 3, 2, groups=c), conv(c, d, 1), *[Residual(d, 5) for _ in range(4)])
        self.thirtysecond = nn.Sequential(conv(d, d, 3, 2, groups=d), conv(d, e, 1), *[Residual(e, 5) for _ in range(3)])
        self.lateral = nn.ModuleList([conv(c, neck, 1), conv(d, neck, 1), conv(e, neck, 1)])
        self.merge = Residual(neck, 5)
        self.head = nn.Sequential(*[Residual(neck, 3) for _ in range(3)])
        self.score = nn.Conv2d(neck, 1, 1)
        self.sides = nn.Conv2d(neck, 4, 1)
        for block in self.modules():
            if isinstance(block, Residual):
                # Each block begins as nothing but its input, so that one more can be laid on trained weights.
                nn.init.zeros_(block.pointwise[1].weight)
        nn.init.constant_(self.score.bias, -4.6)
        nn.init.zeros_(self.sides.weight)
        with torch.no_grad():
            # A person of some 20 by 60 pixels, before anything is learnt.
            self.sides.bias.copy_(torch.tensor([0.2, 1.3, 0.2, 1.3]))

    def raw(self, image):
        """Score before the sigmoid, and distances in cells."""
        eighth = self.eighth(self.stem(image))
        sixteenth = self.sixteenth(eighth)
        thirtysecond = self.thirtysecond(sixteenth)
        up = nn.functional.interpolate
        x = self.lateral[1](sixteenth) + up(self.lateral[2](thirtysecond), scale_factor=2.0, mode="nearest")
        x = self.lateral[0](eighth) + up(self.merge(x), scale_factor=2.0, mode="nearest")
        x = self.head(x)
        return self.score(x), torch.exp(self.sides(x).clamp(-4.0, 4.2))

    def forward(self, image):
        score, sides = self.raw(image)
        return torch.cat([torch.sigmoid(score), sides], 1)
