"""The loss against NumPy, and what it must refuse."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.contracts.labels import IGNORE
from reunet.contracts.plan import LossSpec
from reunet.errors import TrainingError

pytestmark = pytest.mark.keras


def loss_of(labels: np.ndarray, logits: np.ndarray, spec: LossSpec, **options: object) -> float:
    from reunet.losses import SegmentationLoss

    return float(SegmentationLoss(spec, (1, 2), **options)(labels, logits))


def reference(labels: np.ndarray, logits: np.ndarray, spec: LossSpec) -> float:
    known = labels != IGNORE
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    cross_entropy = -np.log(p[known, labels[known]]).mean()
    dice = []
    for index in (1, 2):
        truth = labels[known] == index
        chance = p[known, index]
        dice.append((2 * chance[truth].sum() + 1) / (chance.sum() + truth.sum() + 1))
    return spec.cross_entropy * cross_entropy + spec.dice * (1 - np.mean(dice))


@pytest.mark.parametrize("spec", [LossSpec(), LossSpec(dice=0), LossSpec(cross_entropy=0, dice=2)])
def test_equals_the_definition(spec: LossSpec) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    labels = rng.integers(0, 3, (2, 5, 7))
    labels[rng.random(labels.shape) < 0.3] = IGNORE
    assert loss_of(labels, logits, spec) == pytest.approx(reference(labels, logits, spec), rel=1e-5)


def test_ignored_pixels_have_no_influence() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 4, 4, 3)).astype("float32")
    labels = rng.integers(0, 3, (1, 4, 4))
    labels[0, 0] = IGNORE
    changed = logits.copy()
    changed[0, 0] = 100 * rng.normal(size=(4, 3))
    assert loss_of(labels, logits, LossSpec()) == pytest.approx(
        loss_of(labels, changed, LossSpec()), rel=1e-6
    )
    everything = np.full((1, 4, 4), IGNORE)
    assert np.isfinite(loss_of(everything, logits, LossSpec()))


def test_coarse_levels_read_every_second_label() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (1, 8, 8))
    logits = rng.normal(size=(1, 4, 4, 3)).astype("float32")
    expected = reference(labels[:, ::2, ::2], logits, LossSpec())
    assert loss_of(labels, logits, LossSpec(), stride=(2, 2)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.fault(
    "targets of a shape that would broadcast", "an error: a loss never learns from the wrong pixels"
)
@pytest.mark.parametrize("shape", [(1, 8, 8, 1), (1, 8, 4), (1, 1, 8)])
def test_shapes_that_would_broadcast_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match="do not belong together"):
        loss_of(np.zeros(shape, "int32"), np.zeros((1, 8, 8, 3), "float32"), LossSpec())
