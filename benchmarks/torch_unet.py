"""The network of standard_run.py in plain PyTorch, as the peers run it; needs torch and nothing else."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

FILTERS = (16, 32, 64, 128, 256)
CLASSES = 2


class UNet(nn.Module):
    """Double convolutions, maximum pooling, 2x2 transposed convolutions, a 1x1 head.

    kind: of normalisation, `batch` or `instance`. (B, 3, H, W) to logits (B, 2, H, W).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.down = nn.ModuleList(block(a, b, kind) for a, b in pairwise((3, *FILTERS)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * f, f, 2, stride=2) for f in FILTERS[-2::-1])
        self.join = nn.ModuleList(block(2 * f, f, kind) for f in FILTERS[-2::-1])
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(FILTERS[0], CLASSES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for i, down in enumerate(self.down):
            x = down(self.pool(x) if i else x)
            skips.append(x)
        skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([skips.pop(), up(x)], 1))
        return self.head(x)


def block(channels: int, filters: int, kind: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, filters):
        convolution = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
        layers += [convolution, normalised(kind, filters), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def normalised(kind: str, filters: int) -> nn.Module:
    return nn.BatchNorm2d(filters) if kind == "batch" else nn.InstanceNorm2d(filters, affine=True)
