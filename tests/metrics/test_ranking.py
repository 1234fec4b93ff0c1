from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.metrics.ranking import RankingHistogram, best_threshold, dice_by_threshold


def auc_by_pairs(scores: np.ndarray, positives: np.ndarray) -> float:
    p, n = scores[positives][:, None], scores[~positives][None, :]
    return float(np.mean((p > n) + 0.5 * (p == n)))


def average_precision_by_thresholds(scores: np.ndarray, positives: np.ndarray) -> float:
    total, recall_before = 0.0, 0.0
    for cut in np.unique(scores)[::-1]:
        chosen = scores >= cut
        recall = positives[chosen].sum() / positives.sum()
        total += (recall - recall_before) * positives[chosen].mean()
        recall_before = recall
    return total


def histogram(scores: np.ndarray, positives: np.ndarray) -> RankingHistogram:
    ranking = RankingHistogram()
    ranking.add(scores, positives)
    return ranking


@pytest.mark.parametrize("spread", [0.3, 3.0, 12.0])
@pytest.mark.parametrize("seed", range(3))
def test_against_pairs_and_thresholds(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    positives = rng.random(8000) < 0.2
    logits = rng.normal(0, spread, 8000) + spread * positives
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    ranking = histogram(scores, positives)
    assert ranking.auc() == pytest.approx(auc_by_pairs(scores, positives), abs=1e-4)
    assert ranking.average_precision() == pytest.approx(
        average_precision_by_thresholds(scores, positives), abs=5e-4
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1e-9, 0.1, 0.5, 0.9, 1.0]), st.booleans()), min_size=1))
def test_ties_and_the_ends_of_the_range(pixels: list[tuple[float, bool]]) -> None:
    scores = np.array([p for p, _ in pixels], np.float32)
    positives = np.array([q for _, q in pixels])
    ranking = histogram(scores, positives)
    if positives.any() and not positives.all():
        assert ranking.auc() == pytest.approx(auc_by_pairs(scores, positives))
    else:
        assert np.isnan(ranking.auc())
    if positives.any():
        assert ranking.average_precision() == pytest.approx(
            average_precision_by_thresholds(scores, positives)
        )
    else:
        assert np.isnan(ranking.average_precision())


def test_confident_scores_are_still_told_apart() -> None:
    """Trained networks put negatives at 1e-7 and 1e-5: even bins of the probability would tie them."""
    scores = np.array([1e-7, 1e-5, 1 - 1e-6, 1 - 1e-4], np.float32)
    assert histogram(scores, np.array([False, True, True, False])).auc() == pytest.approx(0.75)
    assert histogram(scores[:2], np.array([False, True])).auc() == 1


def test_merging_equals_adding_to_one() -> None:
    rng = np.random.default_rng(1)
    scores, positives = rng.random(400).astype(np.float32), rng.random(400) < 0.5
    a, b = histogram(scores[:100], positives[:100]), histogram(scores[100:], positives[100:])
    a.merge(b)
    assert a.auc() == histogram(scores, positives).auc()


def test_rounding_past_one_is_harmless() -> None:
    assert histogram(np.array([1.0000001, 0.2], np.float32), np.array([True, False])).auc() == 1


def test_empty_is_undefined() -> None:
    assert np.isnan(RankingHistogram().auc())
    assert np.isnan(RankingHistogram().average_precision())


def test_dice_by_threshold_against_direct_thresholding() -> None:
    rng = np.random.default_rng(2)
    cuts = np.arange(1, 100) / 100
    # scores that lie exactly on thresholds must count as reached, in float32 as in decode
    scores = rng.choice(cuts, 500).astype(np.float32)
    positives = rng.random(500) < scores
    for cut, value in zip(cuts, dice_by_threshold(scores, positives, cuts), strict=True):
        chosen = scores >= np.float32(cut)
        assert value == pytest.approx(2 * (chosen & positives).sum() / (chosen.sum() + positives.sum()))


def test_dice_by_threshold_is_undefined_without_any_foreground() -> None:
    curve = dice_by_threshold(np.array([0.3], np.float32), np.array([False]), np.array([0.2, 0.4]))
    assert curve[0] == 0
    assert np.isnan(curve[1])


def test_best_threshold_prefers_the_middle_of_equals() -> None:
    cuts = np.array([0.1, 0.4, 0.5, 0.9])
    assert best_threshold(np.array([[1.0, 1.0, 0.2, 1.0]]), cuts) == 0.4
    assert best_threshold(np.array([[0.5, np.nan, np.nan, 0.7]]), cuts) == 0.9
    assert best_threshold(np.full((2, 4), np.nan), cuts) is None
