from __future__ import annotations

import numpy as np
import pytest

from reunet.metrics.overlap import accuracy, balanced_accuracy, confusion


@pytest.mark.parametrize("seed", range(5))
def test_scores_image_by_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 3], 50, p=[0.8, 0.15, 0.05]).astype(np.uint8)  # class 2 does not occur
    predicted = np.where(rng.random(50) < 0.6, truth, rng.integers(0, 4, 50)).astype(np.uint8)
    counts = confusion(truth, predicted, 4)
    assert accuracy(counts) == pytest.approx(sum(t == p for t, p in zip(truth, predicted, strict=True)) / 50)
    per_class = [np.mean(predicted[truth == c] == c) for c in sorted(set(truth.tolist()))]
    assert balanced_accuracy(counts) == pytest.approx(sum(per_class) / len(per_class))
    order = rng.permutation(4)
    renamed = confusion(order[truth].astype(np.uint8), order[predicted].astype(np.uint8), 4)
    assert balanced_accuracy(renamed) == pytest.approx(balanced_accuracy(counts))
    stacked = np.stack([counts, np.diag([5, 1, 0, 2])])
    assert balanced_accuracy(stacked) == pytest.approx([float(balanced_accuracy(counts)), 1])
    assert accuracy(stacked) == pytest.approx([float(accuracy(counts)), 1])


def test_always_the_common_class() -> None:
    counts = np.array([[90, 0], [10, 0]])
    assert accuracy(counts) == pytest.approx(0.9)
    assert balanced_accuracy(counts) == 0.5


def test_no_images() -> None:
    assert np.isnan(accuracy(np.zeros((3, 3), int)))
    assert np.isnan(balanced_accuracy(np.zeros((3, 3), int)))
