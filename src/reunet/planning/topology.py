"""Depth, strides and kernels of a network, from the patch and the shape of its pixels."""

from dataclasses import dataclass
from math import ceil, prod

from reunet.contracts.network import Shape
from reunet.planning.decision import Decision

MAX_POOLINGS = 4
MIN_SIDE = 8
"""Pixels per axis that the deepest map of a patch of images keeps."""

PRETRAINED_POOLINGS, PRETRAINED_SIDE = 5, 2
"""The same of encoders that were trained on photographs, which halve them five times."""

SMALLEST_MAP = 4
"""The same of volumes."""

SIMILAR = 2.0
"""Axes whose spacings differ by less than this factor are treated alike."""


@dataclass(frozen=True)
class Topology:
    """strides: one per downsampling. kernels: sides of the convolutions per level, one more than strides.

    patch: the patch grown to the next size that all strides divide.
    """

    strides: tuple[Shape, ...]
    kernels: tuple[Shape, ...]
    patch: Shape


def choose_strides(
    patch: Shape, spacing: tuple[float, ...] | None, *, pretrained: bool
) -> Decision[Topology]:
    """Poolings for patches of images, or of volumes with voxels of `spacing`, as in a plan.

    pretrained: whether the encoder has been trained on photographs.
    """
    if len(patch) == 3 and spacing is not None:
        topology = choose_topology(spacing, patch)
        why = (
            f"{len(topology.strides)} poolings: the deepest map of a patch keeps about {SMALLEST_MAP} voxels "
            "a side; an axis of thick slices is left alone until the pixels of a slice are as large"
        )
        return Decision(topology, {"network.strides": why})
    most, side = (PRETRAINED_POOLINGS, PRETRAINED_SIDE) if pretrained else (MAX_POOLINGS, MIN_SIDE)
    poolings = 0
    while poolings < most and min(patch) // 2 ** (poolings + 1) >= side:
        poolings += 1
    why = f"{poolings} poolings: the deepest map of a patch keeps at least {side} pixels a side"
    return Decision(Topology(((2, 2),) * poolings, (), patch), {"network.strides": why})


def choose_topology(spacing: tuple[float, ...], patch: Shape) -> Topology:
    """The rules of nnU-Net (Isensee et al. 2021, supplementary note 2) for any number of axes.

    An axis is halved while both halves keep SMALLEST_MAP pixels and its spacing is below twice the finest
    among such axes; the last axis left alone needs half as much again. Halving doubles its spacing, so
    that thick slices are joined once the pixels within a slice have become as large. Convolutions reach
    across an axis (3 instead of 1) from the level on where its spacing is below twice the finest of all;
    at the deepest level across every axis.
    """
    sizes, steps = list(patch), list(spacing)
    strides: list[Shape] = []
    kernels: list[Shape] = []
    kernel = (1,) * len(patch)
    while axes := _axes_to_halve(sizes, steps):
        finest = min(steps)
        kernel = tuple(
            3 if side == 3 or step < SIMILAR * finest else 1 for side, step in zip(kernel, steps, strict=True)
        )
        kernels.append(kernel)
        strides.append(tuple(2 if axis in axes else 1 for axis in range(len(patch))))
        for axis in axes:
            sizes[axis], steps[axis] = ceil(sizes[axis] / 2), steps[axis] * 2
    kernels.append((3,) * len(patch))
    total = [prod(stride[axis] for stride in strides) for axis in range(len(patch))]
    grown = tuple(ceil(side / factor) * factor for side, factor in zip(patch, total, strict=True))
    return Topology(tuple(strides), tuple(kernels), grown)


def _axes_to_halve(sizes: list[int], steps: list[float]) -> list[int]:
    large = [axis for axis, side in enumerate(sizes) if side >= 2 * SMALLEST_MAP]
    finest = min((steps[axis] for axis in large), default=0.0)
    axes = [axis for axis in large if steps[axis] < SIMILAR * finest]
    if len(axes) == 1 and len(sizes) > 1 and sizes[axes[0]] < 3 * SMALLEST_MAP:
        return []
    return axes
