"""What is known of an image, and boxes in it, against masks of pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reunet.contracts.boxes import Boxes, no_boxes
from reunet.contracts.labels import IGNORE
from reunet.contracts.truth import HALF, Truth

SIZE = (12, 15)


def whole_boxes(rng: np.random.Generator, count: int) -> Boxes:
    """Boxes along the edges of pixels, inside of the image."""
    sides = [np.sort([rng.choice(n + 1, 2, replace=False) for _ in range(count)], axis=1) for n in SIZE]
    corners = np.stack([sides[0][:, 0], sides[1][:, 0], sides[0][:, 1], sides[1][:, 1]], axis=1)
    return Boxes(corners.astype(np.float32), rng.integers(0, 3, count).astype(np.uint8))


def painted(box: np.ndarray) -> np.ndarray:
    y0, x0, y1, x1 = box.astype(int)
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_areas_and_shares_are_those_of_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, mask = whole_boxes(rng, 20), rng.random(SIZE) < 0.4
    masks = [painted(box) for box in boxes.corners]
    np.testing.assert_array_equal(boxes.areas, [one.sum() for one in masks])
    np.testing.assert_allclose(boxes.share_in(mask), [(one & mask).sum() / one.sum() for one in masks])
    filled = np.zeros(SIZE, bool)
    boxes.fill(filled, value=True)
    np.testing.assert_array_equal(filled, np.any(masks, axis=0))


def test_a_share_of_parts_of_pixels_is_that_of_a_finer_image() -> None:
    rng = np.random.default_rng(7)
    fine, mask = whole_boxes(rng, 20), rng.random(SIZE) < 0.5
    quarter = Boxes(fine.corners / 4, fine.classes)
    finer = mask.repeat(4, axis=0).repeat(4, axis=1)
    expected = [(painted(box) & finer[: SIZE[0], : SIZE[1]]).sum() for box in fine.corners]
    np.testing.assert_allclose(quarter.share_in(mask) * fine.areas, expected, atol=1e-5)


def test_a_box_over_the_edge_counts_what_is_outside_as_false() -> None:
    box = Boxes(
        np.array([[-2, -1, 2, 3], [11, 14, 13, 16], [20, 20, 21, 22]], np.float32), np.zeros(3, np.uint8)
    )
    np.testing.assert_allclose(box.share_in(np.ones(SIZE, bool)), [6 / 16, 1 / 4, 0])
    touched = np.zeros(SIZE, bool)
    Boxes(np.array([[0.5, 2.0, 1.5, 2.1]], np.float32), np.zeros(1, np.uint8)).fill(touched, value=True)
    assert sorted(map(tuple, np.argwhere(touched).tolist())) == [(0, 2), (1, 2)]
    outside = np.zeros(SIZE, bool)
    box.fill(outside, value=True)
    assert outside.sum() == 6 + 1


def test_boxes_without_area_have_no_share() -> None:
    flat = Boxes(np.array([[1, 1, 1, 5]], np.float32), np.zeros(1, np.uint8))
    assert flat.share_in(np.ones(SIZE, bool)).tolist() == [0]
    assert no_boxes().share_in(np.ones(SIZE, bool)).shape == (0,)


def test_some_of_the_boxes_keep_what_belongs_to_them() -> None:
    boxes = Boxes(
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.array([5, 6, 7], np.uint8),
        np.array([0.1, 0.2, 0.3]),
    )
    for which in (np.array([True, False, True]), np.array([0, 2])):
        some = boxes.chosen(which)
        np.testing.assert_array_equal(some.corners, boxes.corners[[0, 2]])
        assert some.classes.tolist() == [5, 7]
        assert some.scores is not None
        assert some.scores.tolist() == [0.1, 0.3]
        assert len(some) == 2
    assert boxes.sureness.tolist() == [0.1, 0.2, 0.3]
    without = Boxes(boxes.corners, boxes.classes)
    assert without.sureness.tolist() == [1, 1, 1]
    assert without.chosen(np.array([1])).scores is None
    assert (len(no_boxes()), no_boxes().sureness.shape) == (0, (0,))


def truths() -> list[Truth]:
    rng = np.random.default_rng(3)
    labels = rng.choice([0, 1, IGNORE], SIZE).astype(np.uint8)
    known = rng.random(SIZE) < 0.7
    boxes = whole_boxes(rng, 12)
    both = Truth(labels, boxes=boxes, known=known)
    return [
        both,
        *(replace(both, **{name: None}) for name in ("known", "labels")),
        Truth(boxes=boxes),
        Truth(labels),
    ]


@pytest.mark.parametrize("number", range(5))
def test_what_is_told_where(number: int) -> None:
    truth = truths()[number]
    everywhere = np.ones(SIZE, bool)
    labelled = everywhere if truth.labels is None else truth.labels != IGNORE
    known = labelled if truth.known is None else truth.known
    for found, expected in ((truth.boxes_told, known), (truth.told, known & labelled)):
        np.testing.assert_array_equal(everywhere if found is None else found, expected)
    assert (truth.boxes_told is None) == (truth.labels is None and truth.known is None)


@pytest.mark.parametrize("number", range(5))
def test_within_a_field_of_view(number: int) -> None:
    """Outside of it nothing is known, nor of boxes of which half or more lies there."""
    truth, seen = truths()[number], np.zeros(SIZE, bool)
    seen[:, :8] = True
    before = None if truth.known is None else truth.known.copy()
    found = truth.within(seen)
    known = seen if truth.boxes_told is None else seen & truth.boxes_told
    kept = []
    for box in truth.boxes.corners if truth.boxes is not None else []:
        outside = painted(box) & ~seen
        if outside.sum() >= HALF * painted(box).sum():
            known = known & ~painted(box)
        else:
            kept.append(box.tolist())
    np.testing.assert_array_equal(found.known, known)
    assert (found.boxes is None) == (truth.boxes is None)
    assert found.boxes is None or found.boxes.corners.tolist() == kept
    if truth.labels is not None:
        np.testing.assert_array_equal(found.labels, np.where(seen, truth.labels, IGNORE))
    assert before is None or np.array_equal(truth.known, before), "what was given is as it was"
    assert seen[:, :8].all()
    assert not seen[:, 8:].any()


def test_a_truth_is_true_where_it_tells_something() -> None:
    assert not Truth()
    assert not Truth(sequence="film", frame=3, spacing=(1.0, 1.0))
    pixel = np.zeros((1, 1), np.int32)
    for told in (
        {"labels": pixel.astype(np.uint8)},
        {"objects": pixel},
        {"boxes": no_boxes()},
        {"category": 0},
    ):
        assert Truth(**told)


def test_a_box_of_which_half_is_outside_is_unknown_and_one_of_less_is_there() -> None:
    boxes = Boxes(np.array([[0, 0, 4, 4], [6, 0, 10, 4]], np.float32), np.array([1, 2], np.uint8))
    seen = np.ones(SIZE, bool)
    seen[0:2, 0:4] = False  # 8 of the first's 16 pixels
    seen[6, 0:4] = seen[7, 0:3] = False  # 7 of the second's
    inside = Truth(boxes=boxes).within(seen)
    assert inside.boxes is not None
    assert inside.boxes_told is not None
    np.testing.assert_array_equal(inside.boxes.corners, boxes.corners[1:])
    assert not inside.boxes_told[0:4, 0:4].any()
    assert inside.boxes_told[8:10, 0:4].all()
