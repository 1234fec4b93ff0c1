from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from reunet.metrics.matching import (
    THRESHOLDS,
    assign,
    average_precision,
    f1,
    match_counts,
    panoptic_quality,
    precision,
    recall,
)
from reunet.metrics.object_overlap import known_overlap, object_overlap

from .object_maps import blobs, disturbed, renumbered


def iou_table(truth: np.ndarray, predicted: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """IoU of all pairs of objects, each from the sets of their pixels."""
    inside = np.ones(truth.shape, bool) if known is None else known
    sets = [
        [set(map(tuple, np.argwhere((m == i) & inside))) for i in np.unique(m[inside]) if i]
        for m in (truth, predicted)
    ]
    return np.array([[len(a & b) / len(a | b) for b in sets[1]] for a in sets[0]]).reshape(*map(len, sets))


def best_assignment(iou: np.ndarray, threshold: float) -> tuple[int, float]:
    """The most pairs and the highest sum of IoU, over all ways to assign one to one."""
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    ways = permutations(range(iou.shape[1]), iou.shape[0])
    scores = (iou[range(len(iou)), list(way)] for way in ways)
    return max(
        ((int((s >= threshold).sum()), float(s[s >= threshold].sum())) for s in scores), default=(0, 0.0)
    )


@pytest.mark.parametrize("seed", range(12))
def test_counts_equal_the_best_of_all_assignments(seed: int) -> None:
    truth = blobs(seed, n=5)
    predicted = disturbed(truth, seed)
    known = np.random.default_rng(seed).random(truth.shape) < 0.9 if seed % 2 else None
    iou = iou_table(truth, predicted, known)
    overlap = object_overlap(truth, predicted, known)
    thresholds = np.r_[0.05, 0.2, 0.4, THRESHOLDS]
    for threshold, counts in zip(thresholds, match_counts(overlap, thresholds), strict=True):
        hits, total = best_assignment(iou, threshold)
        assert counts[:3].tolist() == [hits, iou.shape[1] - hits, iou.shape[0] - hits]
        assert counts[3] == pytest.approx(total)


def test_hand_computed_case() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3]])
    predicted = np.array([[7, 7, 7, 0, 0, 0, 5, 5, 0]])  # IoU 3/4 and 1/3; the third is missed
    counts = match_counts(object_overlap(truth, predicted))
    assert counts[0].tolist() == [1, 1, 2, 0.75]
    assert counts[6].tolist() == [0, 2, 3, 0]  # at 0.80
    assert average_precision(counts)[:6] == pytest.approx(np.full(6, 1 / 4))
    assert precision(counts)[0] == pytest.approx(1 / 2)
    assert recall(counts)[0] == pytest.approx(1 / 3)
    assert f1(counts)[0] == pytest.approx(2 / 5)
    assert panoptic_quality(counts)[0] == pytest.approx(0.75 * 2 / 5)
    assert panoptic_quality(counts)[9] == 0


def test_a_threshold_that_is_met_exactly_counts() -> None:
    for tenths in (5, 6, 7, 8, 9):
        truth, predicted = np.ones((1, 10), int), np.zeros((1, 10), int)
        predicted[0, :tenths] = 4
        counts = match_counts(object_overlap(truth, predicted))
        assert counts[:, 0].sum() == 2 * tenths - 9


def test_two_halves_of_an_object_do_not_both_count() -> None:
    truth = np.array([[1, 1, 0, 2, 2, 3, 3]])
    predicted = np.array([[1, 2, 0, 3, 4, 4, 5]])  # at 0.5: 1-1 1-2 2-3 3-5; 4 takes a third of two
    overlap = object_overlap(truth, predicted)
    assert len(assign(overlap, 0.5)) == 3
    assert match_counts(overlap)[0].tolist() == [3, 2, 0, 1.5]


def test_the_number_of_pairs_goes_before_their_iou() -> None:
    # 1 overlaps 8 best, but then 2, which overlaps nothing else, would be alone.
    truth = np.array([[1] * 6 + [2] * 3 + [0]])
    predicted = np.array([[9] * 2 + [8] * 7 + [0]])
    overlap = object_overlap(truth, predicted)
    pairs = overlap.pairs[assign(overlap, 0.3)]
    ids = {(int(overlap.true_ids[a]), int(overlap.predicted_ids[b])) for a, b in pairs}
    assert ids == {(1, 9), (2, 8)}


@pytest.mark.parametrize("seed", range(6))
def test_symmetry_identity_and_ids(seed: int) -> None:
    truth = blobs(seed, (9, 12, 11) if seed % 2 else (30, 31), n=7)
    predicted = disturbed(truth, seed)
    counts = match_counts(object_overlap(truth, predicted))
    np.testing.assert_allclose(match_counts(object_overlap(predicted, truth))[:, [0, 2, 1, 3]], counts)
    other = match_counts(object_overlap(renumbered(truth, seed), renumbered(predicted, seed + 1)))
    np.testing.assert_allclose(other, counts)
    assert (np.diff(counts[:, 0]) <= 0).all()
    same = match_counts(object_overlap(truth, renumbered(truth, seed)))
    for score in (average_precision, precision, recall, f1, panoptic_quality):
        assert (score(same) == 1).all()


def test_nothing_is_undefined_and_one_side_empty_is_zero() -> None:
    nothing, something = np.zeros((4, 5), int), np.eye(4, 5, dtype=int)
    for score in (average_precision, f1, panoptic_quality, precision, recall):
        assert np.isnan(score(match_counts(object_overlap(nothing, nothing)))).all()
    for pair in ((something, nothing), (nothing, something)):
        counts = match_counts(object_overlap(*pair))
        assert (average_precision(counts) == 0).all()
        assert (panoptic_quality(counts) == 0).all()
    assert np.isnan(precision(match_counts(object_overlap(something, nothing)))).all()


def test_pixels_that_are_not_known_do_not_exist() -> None:
    truth, predicted = blobs(1), disturbed(blobs(1), 2)
    known = np.random.default_rng(3).random(truth.shape) < 0.6
    expected = match_counts(object_overlap(truth[known], predicted[known]))
    np.testing.assert_array_equal(match_counts(object_overlap(truth, predicted, known)), expected)
    hidden = match_counts(object_overlap(truth, predicted, np.zeros_like(known)))
    assert not hidden.any()


def test_the_table_does_not_depend_on_how_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, predicted = blobs(4).astype(np.uint16), disturbed(blobs(4), 4).astype(np.int64)
    whole = object_overlap(truth, predicted)
    monkeypatch.setattr("reunet.metrics.object_overlap.CHUNK", 37)
    for a, b in zip(vars(whole).values(), vars(object_overlap(truth, predicted)).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.true_areas.tolist() == [(truth == i).sum() for i in whole.true_ids]
    assert whole.predicted_areas.tolist() == [(predicted == i).sum() for i in whole.predicted_ids]


def test_bad_input() -> None:
    image = np.zeros((3, 3), int)
    with pytest.raises(ValueError, match="shapes"):
        object_overlap(image, image[:2])
    with pytest.raises(ValueError, match="shapes"):
        object_overlap(image, image, image[0] > 0)
    with pytest.raises(ValueError, match="prediction has ids -1"):
        object_overlap(image, image - 1)
    with pytest.raises(ValueError, match="threshold"):
        assign(object_overlap(image, image), 0)


@pytest.mark.parametrize("rows", [25, pytest.param(250, marks=pytest.mark.slow)])
def test_ten_or_a_hundred_thousand_objects(rows: int) -> None:
    tiles = np.arange(1, rows * 400 + 1).reshape(rows, 400).repeat(6, axis=0).repeat(6, axis=1)
    predicted = np.roll(tiles, (1, 1), axis=(0, 1))  # shares pixels with four: an IoU of 25 / 47 with one
    halves = tiles * 2 + np.indices(tiles.shape)[1] // 3 % 2
    predicted[:, 1200:] = 200_000 + halves[:, 1200:]  # an IoU of exactly 0.5, twice
    counts = match_counts(object_overlap(tiles, predicted))
    assert counts[0, 0] == rows * 400
    assert not counts[3:, 0].any()  # objects that are cut where the two kinds meet reach 0.60


@pytest.mark.parametrize(("seen", "is_kept"), [(3, True), (2, True), (1, False)])
def test_a_mostly_unknown_object_stays_where_it_finds_a_true_one(seen: int, is_kept: bool) -> None:
    """Of a true object of four pixels it has `seen` where things are known: from an IoU of one half on."""
    truth, found, known = (np.zeros((2, 20), int) for _ in range(3))
    truth[0, 4:8], truth[1, :3] = 5, 9
    known[:, :8] = known[1] = 1
    found[0, 8 - seen : 20], found[1, :3], found[1, 10:12] = 70, 80, 20
    kept = known_overlap(truth, found, known.astype(bool)).predicted_ids.tolist()
    assert kept == ([20, 70, 80] if is_kept else [20, 80])
