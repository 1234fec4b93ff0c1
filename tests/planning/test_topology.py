"""Depth, strides and kernels against the published behaviour of nnU-Net on known shapes."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reunet.planning.topology import choose_topology

ISOTROPIC = (2, 2, 2)
FLAT = (1, 2, 2)


@pytest.mark.parametrize(
    ("spacing", "patch", "strides", "grown"),
    [
        ((1, 1), (256, 256), [(2, 2)] * 6, (256, 256)),
        ((1, 1), (584, 565), [(2, 2)] * 7, (640, 640)),
        ((1, 1), (360, 480), [(2, 2)] * 6, (384, 512)),
        ((1, 1), (90, 700), [(2, 2)] * 4 + [(1, 2)] * 2, (96, 704)),
        ((1, 1, 1), (96, 160, 160), [ISOTROPIC] * 4 + [FLAT], (96, 160, 160)),
        ((3, 1, 1), (28, 256, 256), [FLAT, ISOTROPIC, ISOTROPIC] + [FLAT] * 3, (28, 256, 256)),
        ((6, 0.8, 0.8), (14, 320, 320), [FLAT, FLAT, ISOTROPIC] + [FLAT] * 3, (14, 320, 320)),
        ((1, 1, 1), (10, 128, 128), [ISOTROPIC] + [FLAT] * 4, (10, 128, 128)),
        ((1, 1, 1), (36, 50, 35), [ISOTROPIC] * 3, (40, 56, 40)),
    ],
)
def test_strides_and_patches_are_the_known_ones(
    spacing: tuple[float, ...],
    patch: tuple[int, ...],
    strides: list[tuple[int, ...]],
    grown: tuple[int, ...],
) -> None:
    found = choose_topology(spacing, patch)
    assert list(found.strides) == strides
    assert found.patch == grown
    assert len(found.kernels) == len(strides) + 1


@pytest.mark.parametrize(
    ("spacing", "patch", "flat"),
    [((1, 1, 1), (96, 160, 160), 0), ((3, 1, 1), (28, 256, 256), 1), ((6, 0.8, 0.8), (14, 320, 320), 2)],
)
def test_kernels_reach_across_slices_once_pixels_are_as_large(
    spacing: tuple[float, ...], patch: tuple[int, ...], flat: int
) -> None:
    kernels = choose_topology(spacing, patch).kernels
    assert list(kernels) == [(1, 3, 3)] * flat + [(3, 3, 3)] * (len(kernels) - flat)


@given(
    spacing=st.tuples(*[st.floats(0.2, 12)] * 3),
    patch=st.tuples(*[st.integers(1, 300)] * 3),
)
def test_any_patch_grows_a_little_and_divides(spacing: tuple[float, ...], patch: tuple[int, ...]) -> None:
    found = choose_topology(spacing, patch)
    for axis, side in enumerate(patch):
        total = prod(stride[axis] for stride in found.strides)
        assert found.patch[axis] % total == 0
        assert side <= found.patch[axis] < side + total
        assert found.patch[axis] // total >= min(side, 4)


@given(st.permutations([0, 1, 2]))
def test_the_order_of_the_axes_does_not_matter(order: list[int]) -> None:
    spacing, patch = (6.0, 1.0, 0.8), (14, 200, 320)
    plain = choose_topology(spacing, patch)
    turned = choose_topology(tuple(spacing[i] for i in order), tuple(patch[i] for i in order))
    assert [tuple(stride[i] for i in order) for stride in plain.strides] == list(turned.strides)
    assert [tuple(kernel[i] for i in order) for kernel in plain.kernels] == list(turned.kernels)
