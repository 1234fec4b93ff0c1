"""Run lengths and polygons, against hand-made examples and slow references."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from reunet.errors import LabelError
from reunet.io.annotations.crossings import ring_groups
from reunet.io.annotations.outlines import object_crops
from reunet.io.annotations.polygons import fill_rings, mask_rings
from reunet.io.annotations.rle import check_runs, compress_runs, decompress_runs, mask_runs, run_pixels

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))


def compressed(runs: list[int]) -> str:
    """The format as `maskApi.c` of the COCO API has it: from the fourth run on differences to the run two
    before, in groups of 5 bits, the lowest first; bit 32 says that more follow, characters start at "0".
    """
    text = ""
    for i, run in enumerate(runs):
        rest, more = run - runs[i - 2] if i > 2 else run, True
        while more:
            group, rest = rest & 31, rest >> 5
            more = rest != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
    return text


def paint_runs(runs: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[run_pixels(runs, size[0])] = True
    return mask


def paint_rings(rings: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    where, inside = fill_rings(rings, size)
    mask[where] = inside
    return mask


def is_inside(x: float, y: float, rings: list[np.ndarray]) -> bool:
    """Even-odd by a ray to the right, edge by edge."""
    crossings = 0
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                crossings += 1
    return crossings % 2 == 1


def coco_pixels(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What COCO's tools fill: points are rounded to fifths of a pixel, the outline is followed step by step,
    and each step to the side toggles all pixels, down the columns, from where it is.
    """
    toggles = np.zeros(size[0] * size[1] + 1, int)
    walk: list[tuple[int, int]] = []
    corners = [(int(5 * x + 0.5), int(5 * y + 0.5)) for x, y in ring.tolist()]
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        (x0, y0), (x1, y1) = start, end
        wide, high = abs(x1 - x0), abs(y1 - y0)
        turned = x0 > x1 if wide >= high else y0 > y1
        if turned:
            (x0, y0), (x1, y1) = end, start
        for i in range(max(wide, high) + 1):
            t = max(wide, high) - i if turned else i
            slope = (y1 - y0) / (wide or 1) if wide >= high else (x1 - x0) / high
            u, v = (
                (x0 + t, int(y0 + slope * t + 0.5)) if wide >= high else (int(x0 + slope * t + 0.5), y0 + t)
            )
            walk.append((u, v))
    for (u0, v0), (u1, v1) in pairwise(walk):
        column = ((u1 if u1 < u0 else u1 - 1) + 0.5) / 5 - 0.5
        if u0 != u1 and column == int(column) and 0 <= column < size[1]:
            row = np.ceil(np.clip((min(v0, v1) + 0.5) / 5 - 0.5, 0, size[0]))
            toggles[int(column) * size[0] + int(row)] += 1
    return (np.cumsum(toggles[:-1]) % 2 == 1).reshape(size[::-1]).T


def ring_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


def test_runs_go_down_the_columns_and_start_outside() -> None:
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert mask_runs(mask, (0, 0), (2, 3)).tolist() == [2, 3, 1]
    assert mask_runs(~mask, (0, 0), (2, 3)).tolist() == [0, 2, 3, 1]
    assert mask_runs(np.zeros((2, 3), bool), (0, 0), (2, 3)).tolist() == [6]


def test_compressed_runs_by_hand() -> None:
    # 6 -> one group "6"; 40 = 8 + 32 * 1 -> 48 + 8 + 32, 48 + 1; 4 as it is the third; then 5 - 40 = -35,
    # whose groups are 29 (more) and 30 - 32, that is -2: 48 + 29 + 32, 48 + 30.
    text = "6" + chr(88) + chr(49) + "4" + chr(109) + chr(78)
    assert compress_runs([6, 40, 4, 5], (5, 11)) == text
    assert decompress_runs(text, (5, 11)).tolist() == [6, 40, 4, 5]
    assert decompress_runs("", (5, 11)).tolist() == []


@given(st.lists(st.integers(0, 50_000_000), max_size=8) | st.lists(st.integers(0, 40), max_size=60))
def test_compressed_runs_are_those_of_the_format_and_come_back(runs: list[int]) -> None:
    size = (1, max(sum(runs), 1))
    assert compress_runs(runs, size) == compressed(runs)
    assert decompress_runs(compressed(runs), size).tolist() == runs


@given(st.text(max_size=12))
def test_any_text_gives_runs_or_an_error(text: str) -> None:
    try:
        check_runs(decompress_runs(text, (3, 4)), (3, 4))
    except LabelError:
        return
    assert decompress_runs(text, (3, 4)).sum() == 12


@pytest.mark.parametrize("seed", range(10))
def test_runs_are_those_of_the_coco_tools(seed: int) -> None:
    from faster_coco_eval.core import mask as coco

    rng = np.random.default_rng(seed)
    mask = np.kron(rng.random((13, 9)) < 0.4, np.ones((3 + seed, 7), bool)) ^ (
        rng.random((39 + 13 * seed, 63)) < 0.02
    )
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = runs["counts"] if isinstance(runs["counts"], str) else runs["counts"].decode()
    assert compress_runs(mask_runs(mask, (0, 0), mask.shape), mask.shape) == text
    np.testing.assert_array_equal(paint_runs(decompress_runs(text, mask.shape), mask.shape), mask)


def test_polygons_cover_what_the_coco_tools_say() -> None:
    from faster_coco_eval.core import mask as coco

    rng, ours, theirs, different = np.random.default_rng(0), 0, 0, 0
    for _ in range(40):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        ring = 50 + rng.uniform(20, 45, (12, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        mask = paint_rings([ring], (100, 100))
        reference = coco.decode(coco.frPyObjects([ring.ravel().tolist()], 100, 100))[..., 0] > 0
        ours, theirs, different = (
            ours + mask.sum(),
            theirs + reference.sum(),
            different + (mask ^ reference).sum(),
        )
    assert abs(ours - theirs) < 0.005 * theirs  # neither grown nor shrunk
    assert different < 0.02 * theirs  # its corners are rounded to fifths of a pixel


@given(MASKS, st.integers(0, 3), st.integers(0, 3))
def test_runs_of_a_crop_are_those_of_the_image(mask: np.ndarray, top: int, left: int) -> None:
    size = (mask.shape[0] + top + 2, mask.shape[1] + left)
    image = np.zeros(size, bool)
    image[top : top + mask.shape[0], left:] = mask
    runs = mask_runs(mask, (top, left), size)
    check_runs(runs, size)
    np.testing.assert_array_equal(paint_runs(runs, size), image)


@pytest.mark.parametrize("seed", range(20))
def test_pixels_of_simple_outlines_are_those_with_their_centre_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = (14, 17)
    rings = []
    for radius in (12, 5, 2):  # each within the one before
        angles = 2 * np.pi * (np.arange(7) + rng.uniform(0, 0.9, 7)) / 7
        rings.append(
            8 + rng.uniform(0.7, 1, (7, 1)) * radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        )
    if seed % 2:  # centres right on edges and corners
        rings = [np.round(ring * 2) / 2 for ring in rings]
    if any(entangled for _, entangled in ring_groups(rings)):
        rings = rings[:1]
    expected = [[is_inside(x + 0.5, y + 0.5, rings) for x in range(size[1])] for y in range(size[0])]
    np.testing.assert_array_equal(paint_rings(rings, size), expected)


STAR = np.array([[10, 0], [16, 19], [0, 7], [20, 7], [4, 19]], float)


@pytest.mark.parametrize("seed", range(20))
def test_pixels_of_entangled_outlines_are_those_of_the_coco_tools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rings = [rng.uniform(-4, 40, (rng.integers(4, 9), 2)) if seed else STAR for _ in range(1 + seed % 3)]
    if seed % 2:
        rings = [np.floor(ring) for ring in rings]
    for group, entangled in ring_groups(rings):
        some = [rings[i] for i in group]
        expected = np.logical_or.reduce([coco_pixels(ring, (33, 37)) for ring in some])
        if entangled:
            np.testing.assert_array_equal(paint_rings(some, (33, 37)), expected)


def test_which_outlines_are_entangled() -> None:
    square = np.array([[0, 0], [8, 0], [8, 8], [0, 8]], float)
    spike = np.array([[0, 0], [8, 0], [8, 8], [8, 3], [0, 8]], float)
    eight = np.array([[0, 0], [4, 4], [8, 0], [8, 8], [4, 4], [0, 8]], float)
    closed = np.concatenate([square, square[:1]])
    for ring, entangled in ((square, False), (closed, False), (STAR, True), (spike, True), (eight, True)):
        assert ring_groups([ring]) == [([0], entangled)]
    apart, over, hole = square + 20, square + 3, square / 2 + 2
    assert ring_groups([square, apart, hole]) == [([0], False), ([1], False), ([2], False)]
    assert ring_groups([square, apart, over]) == [([0, 2], True), ([1], False)]
    assert ring_groups([square, square]) == [([0, 1], True)]
    assert paint_rings([square, over], (20, 20)).sum() == 64 + 64 - 25
    assert paint_rings([square, over], (20, 20))[3:8, 3:8].all()  # not a hole


def test_a_comb_of_thousands_of_points_is_no_work() -> None:
    y = np.arange(20_000, dtype=float)
    comb = np.concatenate([np.stack([np.where(y % 2, 3.0, 90.0), y / 20], axis=1), [[0, 1000], [0, 0]]])
    assert ring_groups([comb]) == [([0], False)]


def test_a_rectangle_is_its_pixels_and_a_ring_within_is_a_hole() -> None:
    square = np.array([[2, 1], [7, 1], [7, 5], [2, 5]], float)
    hole = np.array([[3, 2], [5, 2], [5, 4], [3, 4]], float)
    expected = np.zeros((8, 9), bool)
    expected[1:5, 2:7] = True
    np.testing.assert_array_equal(paint_rings([square], (8, 9)), expected)
    expected[2:4, 3:5] = False
    np.testing.assert_array_equal(paint_rings([square, hole], (8, 9)), expected)


def test_a_polygon_outside_of_the_image_has_no_pixels() -> None:
    ring = np.array([[20, 20], [30, 20], [30, 30]], float)
    for shift in (0, -100):
        assert not paint_rings([ring + shift], (8, 9)).any()


@given(MASKS)
def test_rings_enclose_exactly_the_pixels(mask: np.ndarray) -> None:
    parts = mask_rings(mask)
    rings = [ring for part in parts for ring in part]
    area = sum(ring_area(part[0]) - sum(map(ring_area, part[1:])) for part in parts)
    assert area == mask.sum()
    if rings:
        np.testing.assert_array_equal(paint_rings([ring.astype(float) for ring in rings], mask.shape), mask)
    assert all(len(np.unique(ring, axis=0)) == len(ring) for ring in rings)  # none meets itself
    for ring in rings:  # only corners: no point lies on the line of its neighbours
        before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
        assert (before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]).all()


def test_objects_one_after_the_other_whatever_their_ids() -> None:
    ids = np.zeros((4, 5), np.int32)
    ids[0, 0], ids[1:3, 2:4], ids[3, 4] = 7, 2**31 - 1, 3
    found = {number: (corner, mask.shape) for number, corner, mask in object_crops(ids)}
    assert found == {3: ((3, 4), (1, 1)), 7: ((0, 0), (1, 1)), 2**31 - 1: ((1, 2), (2, 2))}
    full = np.full((2, 2), 2**31 - 1, np.int32)
    assert [number for number, _, _ in object_crops(full)] == [2**31 - 1]
    assert not list(object_crops(np.zeros((3, 3), np.int32)))
