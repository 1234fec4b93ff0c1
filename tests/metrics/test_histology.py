from __future__ import annotations

import numpy as np
import pytest

from reunet.metrics.histology import aggregated_jaccard, detection_counts, object_dice
from reunet.metrics.matching import f1
from reunet.metrics.object_overlap import object_overlap

from .object_maps import blobs, disturbed, renumbered

Masks = list[np.ndarray]
CASES = [(blobs(seed), disturbed(blobs(seed), seed)) for seed in range(10)]


def masks_of(image: np.ndarray) -> Masks:
    return [image == i for i in np.unique(image) if i]


def reference_aji(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Algorithm 1 of Kumar et al. step by step on masks."""
    c = u = 0
    used = set()
    found = masks_of(predicted)
    for g in masks_of(truth):
        jaccard = [(g & s).sum() / (g | s).sum() for s in found]
        j = int(np.argmax(jaccard))
        if jaccard[j] == 0:
            u += g.sum()
            continue
        c += (g & found[j]).sum()
        u += (g | found[j]).sum()
        used.add(j)
    return (c / (u + sum(s.sum() for k, s in enumerate(found) if k not in used))).item()


def partner(mask: np.ndarray, others: Masks) -> np.ndarray | None:
    """The mask that shares most pixels, of equals the one with the higher IoU."""
    best = max(others, key=lambda o: ((mask & o).sum(), (mask & o).sum() / (mask | o).sum()))
    return best if (mask & best).any() else None


def reference_objects(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Object F1 and Dice, mask by mask."""
    g, s = masks_of(truth), masks_of(predicted)
    hits = sum((m := partner(x, g)) is not None and (x & m).sum() / m.sum() > 0.5 for x in s)
    dice = 0.0
    for mine, others in ((g, s), (s, g)):
        area = sum(x.sum() for x in mine)
        for x in mine:
            m = partner(x, others)
            weight = x.sum() / area / 2
            if m is not None:
                dice += weight * 2 * (x & m).sum() / (x.sum() + m.sum())
    return 2 * hits / (len(g) + len(s)), dice


def scores(truth: np.ndarray, predicted: np.ndarray, known: np.ndarray | None = None) -> tuple[float, float]:
    overlap = object_overlap(truth, predicted, known)
    return float(f1(detection_counts(overlap))), object_dice(overlap)


@pytest.mark.parametrize(("truth", "predicted"), CASES)
def test_aji_follows_the_algorithm(truth: np.ndarray, predicted: np.ndarray) -> None:
    expected = reference_aji(truth, predicted)
    assert aggregated_jaccard(object_overlap(truth, predicted)) == pytest.approx(expected)


def test_aji_by_hand() -> None:
    truth = np.array([[1, 1, 1, 2, 2, 0, 3, 0]])
    predicted = np.array([[4, 4, 4, 4, 0, 5, 0, 0]])
    # 1 takes 4: 3 / 4. 2 takes 4 as well: 1 / 5. 3 has none: 1. 5 is unused: 1.
    assert aggregated_jaccard(object_overlap(truth, predicted)) == pytest.approx(4 / 11)


@pytest.mark.parametrize(("truth", "predicted"), CASES)
def test_objects_of_the_challenge(truth: np.ndarray, predicted: np.ndarray) -> None:
    assert scores(truth, predicted) == pytest.approx(reference_objects(truth, predicted))
    known = np.random.default_rng(0).random(truth.shape) < 0.9
    expected = reference_objects(truth * known, predicted * known)
    assert scores(truth, predicted, known) == pytest.approx(expected)


@pytest.mark.parametrize(("truth", "predicted"), CASES)
def test_symmetry_identity_and_ids(truth: np.ndarray, predicted: np.ndarray) -> None:
    renamed = renumbered(truth, 1), renumbered(predicted, 2)
    assert scores(*renamed) == pytest.approx(scores(truth, predicted))
    overlap = object_overlap(*renamed)
    assert aggregated_jaccard(overlap) == pytest.approx(aggregated_jaccard(object_overlap(truth, predicted)))
    assert scores(predicted, truth)[1:] == pytest.approx(scores(truth, predicted)[1:])
    assert scores(truth, renamed[0]) == (1, 1)
    assert aggregated_jaccard(object_overlap(truth, renamed[0])) == 1


def test_by_hand() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 0, 0, 2]])
    predicted = np.array([[0, 0, 7, 7, 7, 0, 0, 0]])
    # 7 covers half of 1, which is not enough. Dice(1, 7) = 4/7, weights 4/5 and 1/5 against 1.
    f1, dice = scores(truth, predicted)
    assert f1 == 0
    assert dice == pytest.approx((4 / 5 * 4 / 7 + 4 / 7) / 2)


def test_undefined_and_zero() -> None:
    nothing, something = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert np.isnan(scores(nothing, nothing)).all()
    assert np.isnan(aggregated_jaccard(object_overlap(nothing, nothing)))
    for pair in ((nothing, something), (something, nothing)):
        f1, dice = scores(*pair)
        assert f1 == dice == aggregated_jaccard(object_overlap(*pair)) == 0
    apart = scores(np.array([[1, 0, 0, 0]]), np.array([[0, 0, 0, 1]]))
    assert apart == (0, 0)
