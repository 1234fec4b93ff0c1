"""Boxes must go where their pixels go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.augmentation import Augmentation
from reunet.contracts.boxes import Boxes
from reunet.sampling.boxes import boxes_in_patch, resized, shown
from reunet.sampling.warp import coordinate_map, resample

SIZE = (120, 140)


def some_boxes(rng: np.random.Generator, n: int = 8, room: int = 25) -> Boxes:
    middle = rng.uniform([room, room], np.array(SIZE) - room, (n, 2))
    half = rng.uniform(5, 20, (n, 2))
    corners = np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
    return Boxes(corners, rng.integers(0, 3, n).astype(np.uint8))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def ellipse(box: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    inside = ((y - middle[0]) / half[0]) ** 2 + ((x - middle[1]) / half[1]) ** 2
    return np.clip(8 * (1 - inside) + 0.5, 0, 1).astype(np.float32)  # an edge that can be interpolated


def seen_box(image: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((image > 0.5).any(axis=axis)) for axis in (1, 0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.float64)


def test_a_plain_crop_moves_boxes_by_whole_pixels() -> None:
    boxes = Boxes(np.float32([[30, 40, 50, 70]]), np.uint8([2]), np.float32([0.5]))
    coordinates = coordinate_map((64, 64), (50, 60), None, np.random.default_rng(0))
    start = coordinates[0, 0]
    found = boxes_in_patch(boxes, coordinates)
    np.testing.assert_allclose(found.corners[0], [30 - start[0], 40 - start[1], 50 - start[0], 70 - start[1]])
    assert found.classes.tolist() == [2]
    assert found.scores is not None
    assert found.scores.tolist() == [0.5]


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_the_eight_symmetries_are_exact(turn: int, mirror: bool) -> None:
    """Of whole pixels: the box around the moved pixels of a rectangle."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    coordinates = np.rot90(np.stack([y, x], axis=-1), turn).astype(np.float32)
    coordinates = np.ascontiguousarray(coordinates[:, ::-1] if mirror else coordinates)
    corners = np.float32([[10, 20, 31, 90], [0, 0, 1, 1], [100, 3, 120, 140]])
    found = boxes_in_patch(Boxes(corners, np.zeros(3, np.uint8)), coordinates)
    for before, after in zip(corners.astype(int), found.corners, strict=True):
        image = np.zeros(SIZE, np.float32)
        image[before[0] : before[2], before[1] : before[3]] = 1
        np.testing.assert_allclose(after, seen_box(resample(image, coordinates)), atol=2e-3)


def overlaps(seed: int, elastic: float) -> list[float]:
    """IoU of each box found in a turned patch with the box around the ellipse that is seen there."""
    rng = np.random.default_rng(seed)
    augmentation = Augmentation(geometry_probability=1, elastic=elastic, shear=0.2)
    coordinates = coordinate_map((240, 240), (60, 70), augmentation, rng)
    boxes = some_boxes(rng)
    result = []
    for box, corners in zip(boxes.corners, boxes_in_patch(boxes, coordinates).corners, strict=True):
        seen = seen_box(resample(ellipse(box.astype(np.float64)), coordinates) * shown(coordinates, SIZE))
        if seen.min() > 0 and seen.max() < 240:  # wholly in the patch
            result.append(iou(corners.astype(np.float64), seen))
    return result


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999))
def test_boxes_follow_the_ellipses_in_them(seed: int) -> None:
    """Up to the rounding to whole pixels of what is seen."""
    assert all(overlap > 0.7 for overlap in overlaps(seed, elastic=0.0))


def test_boxes_follow_ellipses_that_are_bent() -> None:
    """One linear map cannot follow every bend of an object, but it does most."""
    found = [overlap for seed in range(30) for overlap in overlaps(seed, elastic=4.0)]
    assert len(found) > 50
    assert np.median(found) > 0.87
    assert np.quantile(found, 0.05) > 0.7


def test_boxes_that_reach_out_are_kept_whole_and_others_dropped() -> None:
    corners = np.float32([[-10, 5, 12, 25], [200, 200, 220, 220], [-30, 0, 0, 10], [50, 60, 90, 70]])
    y, x = np.mgrid[:64, :64]
    found = boxes_in_patch(
        Boxes(corners, np.arange(4, dtype=np.uint8)), np.stack([y, x], -1).astype(np.float32)
    )
    np.testing.assert_allclose(found.corners, corners[[0, 3]], atol=1e-3)
    assert found.classes.tolist() == [0, 3]


def test_no_boxes() -> None:
    empty = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8))
    augmentation = Augmentation(geometry_probability=1, elastic=3.0)
    coordinates = coordinate_map((64, 64), (50, 60), augmentation, np.random.default_rng(0))
    assert boxes_in_patch(empty, coordinates).corners.shape == (0, 4)


def test_shown_is_where_nothing_is_mirrored() -> None:
    coordinates = coordinate_map((64, 64), (20, 70), None, np.random.default_rng(0))
    inside = shown(coordinates, SIZE)
    assert inside.sum() == 52 * 64  # rows -12 .. 51
    assert not inside[:12].any()


def test_resized() -> None:
    boxes = Boxes(np.float32([[-4, 2, 8, 10], [30, 30, 40, 40]]), np.uint8([0, 1]))
    np.testing.assert_array_equal(resized(boxes, (0.5, 2)).corners[0], [-2, 4, 4, 20])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 9999))
def test_a_field_that_folds_the_image_gives_no_absurd_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    augmentation = Augmentation(geometry_probability=1, elastic=40.0)
    boxes = some_boxes(rng)
    corners = boxes_in_patch(boxes, coordinate_map((128, 128), (60, 70), augmentation, rng)).corners
    assert np.isfinite(corners).all()
    assert (corners[:, 2:] > corners[:, :2]).all()
    assert (corners[:, 2:] - corners[:, :2]).max(initial=0) < 400
