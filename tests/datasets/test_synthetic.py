"""The synthetic set: exact truth, hard enough, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reunet.datasets.case_arrays import load_case
from reunet.datasets.scan import open_dataset
from reunet.datasets.synthetic import make_microscopy, make_scene
from reunet.errors import UsageError
from reunet.io.images import read_image

from .examined import find_problems


def test_is_a_clean_dataset(tmp_path: Path) -> None:
    make_microscopy(tmp_path, train=3, test=2, size=(96, 120), seed=5)
    problems, counts = find_problems(tmp_path)
    assert problems == []
    assert counts == {"train": 3, "test": 2}
    dataset = open_dataset(tmp_path)
    for case in dataset.cases:
        arrays = load_case(case, dataset.labels)
        image, labels = arrays.image, arrays.labels
        assert image.shape == (96, 120, 1)
        instances = read_image(tmp_path / case.split / "instances" / f"{case.id}.png")[..., 0]
        np.testing.assert_array_equal(labels, instances > 0)


def test_image_depends_on_seed_split_and_number_alone(tmp_path: Path) -> None:
    make_microscopy(tmp_path / "a", train=1, test=1, size=(64, 64))
    make_microscopy(tmp_path / "b", train=2, test=1, size=(64, 64))
    make_microscopy(tmp_path / "c", train=1, test=1, size=(64, 64), seed=1)
    first = (tmp_path / "a/train/images/cells_000.png").read_bytes()
    assert first == (tmp_path / "b/train/images/cells_000.png").read_bytes()
    assert first != (tmp_path / "c/train/images/cells_000.png").read_bytes()
    assert first != (tmp_path / "a/test/images/cells_000.png").read_bytes()


def test_cells_are_whole_touch_and_defeat_a_threshold() -> None:
    best, touching = [], 0
    for seed in range(6):
        scene = make_scene(np.random.default_rng(seed), (256, 256))
        truth = scene.mask.astype(bool)
        scores = []
        for threshold in range(5, 250, 5):
            found = scene.image > threshold
            scores.append(
                2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))
            )
        best.append(max(scores))
        a, b = scene.instances[:, 1:], scene.instances[:, :-1]
        touching += np.count_nonzero((a != b) & (a > 0) & (b > 0)) > 5
        assert scene.instances.max() > 10
        assert 0.05 < truth.mean() < 0.5
    assert np.mean(best) < 0.88
    assert touching >= 4


def test_impossible_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="32 x 32"):
        make_microscopy(tmp_path, train=1, test=1, size=(16, 200))
