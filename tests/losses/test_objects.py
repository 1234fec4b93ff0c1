"""Losses of detection and classification against NumPy, their gradients, and what they must refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reunet.contracts.labels import IGNORE
from reunet.errors import TrainingError

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)


def value(loss: Any, target: np.ndarray, predicted: np.ndarray) -> float:
    return float(loss(target, predicted))


def descended(loss: Any, target: np.ndarray, start: np.ndarray, steps: int = 60) -> tuple[list[float], Any]:
    """Train an input as such: the losses on the way and where it ended, by the backend's own gradients."""
    import keras

    class Maps(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.maps = self.add_weight(shape=start.shape[1:], initializer=lambda *_, **__: start[0])

        def call(self, inputs: Any) -> Any:
            return inputs * 0 + self.maps

    inputs = keras.Input(start.shape[1:])
    model = keras.Model(inputs, Maps()(inputs))
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss=loss)
    history = model.fit(np.zeros_like(start), target, epochs=steps, batch_size=len(start), verbose=0)
    return history.history["loss"], keras.ops.convert_to_numpy(model(np.zeros_like(start)))


def centre_reference(target: np.ndarray, logits: np.ndarray) -> float:
    target, z = target.astype(np.float64), logits.astype(np.float64)
    p = 1 / (1 + np.exp(-z))
    total = 0.0
    for y, q in zip(target.ravel(), p.ravel(), strict=True):
        if np.isnan(y):
            continue
        total -= (1 - q) ** 2 * np.log(q) if y == 1 else (1 - y) ** 4 * q**2 * np.log(1 - q)
    return float(total / max((target == 1).sum(), 1))


def centre_maps() -> tuple[np.ndarray, np.ndarray]:
    target = RNG.random((2, 6, 5, 3)).astype("float32") * 0.99
    target[:, 2, 3] = 1
    target[0, 0] = np.nan
    return target, RNG.normal(0, 2, target.shape).astype("float32")


def test_centre_loss_equals_the_definition() -> None:
    from reunet.losses import CentreLoss

    target, logits = centre_maps()
    assert value(CentreLoss(), target, logits) == pytest.approx(centre_reference(target, logits), rel=1e-4)
    nothing = np.zeros_like(target)
    assert value(CentreLoss(), nothing, logits) == pytest.approx(centre_reference(nothing, logits), rel=1e-4)


def test_centre_loss_is_finite_and_right_for_extreme_logits() -> None:
    from reunet.losses import CentreLoss

    target = np.zeros((1, 1, 2, 1), "float32")
    target[0, 0, 0] = 1
    wrong = np.array([-200.0, 200.0], "float32").reshape(target.shape)
    assert value(CentreLoss(), target, wrong) == pytest.approx(400, rel=1e-5)
    assert value(CentreLoss(), target, -wrong) == pytest.approx(0, abs=1e-6)


def smooth_reference(target: np.ndarray, predicted: np.ndarray, beta: float) -> float:
    known = ~np.isnan(target)
    d = np.abs(predicted[known] - target[known])
    return float(np.where(d < beta, 0.5 * d**2 / beta, d - 0.5 * beta).mean())


@pytest.mark.parametrize("beta", [0.2, 1.0])
@pytest.mark.parametrize("space", [(5, 7), (3, 4, 5)])
def test_smooth_l1_equals_the_definition(beta: float, space: tuple[int, ...]) -> None:
    from reunet.losses import SmoothL1Loss

    target = RNG.normal(size=(2, *space, 2)).astype("float32")
    target[RNG.random(target.shape) < 0.4] = np.nan
    predicted = RNG.normal(size=target.shape).astype("float32")
    expected = smooth_reference(target, predicted, beta)
    assert value(SmoothL1Loss(beta), target, predicted) == pytest.approx(expected, rel=1e-5)
    assert value(SmoothL1Loss(beta), np.full_like(target, np.nan), predicted) == 0


def test_weighted_smooth_l1_equals_the_definition() -> None:
    from reunet.losses import SmoothL1Loss

    target = RNG.normal(size=(2, 4, 5, 3)).astype("float32")
    weight = (RNG.random((2, 4, 5, 1)) * (RNG.random((2, 4, 5, 1)) < 0.5)).astype("float32")
    predicted = RNG.normal(size=target.shape).astype("float32")
    target[0, 0, 0] = np.nan
    d = np.nan_to_num(np.abs(predicted - target))
    each = np.where(d < 0.2, 0.5 * d**2 / 0.2, d - 0.1)
    known = weight * ~np.isnan(target)
    expected = (known * each).sum() / known.sum()
    loss = SmoothL1Loss(0.2, weighted=True)
    assert value(loss, np.concatenate([target, weight], -1), predicted) == pytest.approx(expected, rel=1e-5)
    # A patch with the rim of one object must not count it as a whole one.
    rim = np.zeros_like(weight)
    rim[0, 1, 1] = 0.01
    whole = value(loss, np.concatenate([target, 100 * rim], -1), predicted)
    assert value(loss, np.concatenate([target, rim], -1), predicted) == pytest.approx(0.01 * whole, rel=1e-4)


def classification_reference(
    labels: np.ndarray, logits: np.ndarray, weights: tuple[float, ...], smoothing: float
) -> float:
    known, classes = labels != IGNORE, logits.shape[1]
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    smooth = np.eye(classes)[labels[known]] * (1 - smoothing) + smoothing / classes
    each = -(smooth * log_p[known]).sum(1)
    return float((each * np.array(weights)[labels[known]]).mean())


@pytest.mark.parametrize(("weights", "smoothing"), [((), 0.0), ((), 0.1), ((0.5, 2.0, 1.0), 0.2)])
def test_classification_equals_the_definition(weights: tuple[float, ...], smoothing: float) -> None:
    from reunet.losses import ClassificationLoss

    labels = np.array([0, 2, 1, IGNORE, 2])
    logits = RNG.normal(size=(5, 3)).astype("float32")
    expected = classification_reference(labels, logits, weights or (1.0, 1.0, 1.0), smoothing)
    assert value(ClassificationLoss(weights, smoothing), labels, logits) == pytest.approx(expected, rel=1e-5)
    assert value(ClassificationLoss(), np.full(5, IGNORE), logits) == 0


def test_balanced_weights_make_classes_equal() -> None:
    from reunet.planning.balance import balanced_weights

    weights = balanced_weights((60, 30, 0, 10))
    assert weights[2] == 0
    assert 60 * weights[0] == pytest.approx(30 * weights[1]) == pytest.approx(10 * weights[3])
    assert 60 * weights[0] + 30 * weights[1] + 10 * weights[3] == pytest.approx(100)


def test_training_reaches_the_targets_whatever_is_not_known() -> None:
    """Values alone would miss a nan in a gradient."""
    from reunet.losses import CentreLoss, SmoothL1Loss

    centre = np.zeros((1, 4, 4, 1), "float32")
    centre[0, 1, 1], centre[0, 3] = 1, np.nan
    losses, logits = descended(CentreLoss(), centre, np.full_like(centre, 1.0))
    assert losses[-1] < 0.1 * losses[0]
    assert logits[0, 1, 1, 0] > 1 > -1 > logits[0, :3, 2:].max()
    assert np.allclose(logits[0, 3], 1.0)

    numbers = np.full((1, 4, 4, 2), 3.0, "float32")
    numbers[0, 0] = np.nan
    _, found = descended(SmoothL1Loss(), numbers, np.zeros_like(numbers))
    assert np.allclose(found[0, 1:], 3.0, atol=0.3)
    assert np.allclose(found[0, 0], 0.0)

    box = np.full((1, 4, 4, 5), 0.7, "float32")
    box[0, 0, :, 4] = 0
    _, found = descended(SmoothL1Loss(0.2, weighted=True), box, np.full((1, 4, 4, 4), -1.0, "float32"))
    assert np.allclose(found[0, 1:], 0.7, atol=0.3)
    assert np.allclose(found[0, 0], -1.0)


def test_shapes_that_would_broadcast_are_refused() -> None:
    from reunet.losses import CentreLoss, ClassificationLoss, SmoothL1Loss

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, "float32")

    wrong = [
        (CentreLoss(), zeros(1, 8, 8, 1), zeros(1, 8, 8, 3)),
        (CentreLoss(), zeros(1, 8, 8), zeros(1, 8, 8, 1)),
        (SmoothL1Loss(), zeros(1, 8, 1, 2), zeros(1, 8, 8, 2)),
        (SmoothL1Loss(), zeros(1, 8, 8, 5), zeros(1, 8, 8, 4)),
        (SmoothL1Loss(weighted=True), zeros(1, 8, 8, 4), zeros(1, 8, 8, 4)),
        (SmoothL1Loss(weighted=True), zeros(1, 8, 1, 5), zeros(1, 8, 8, 4)),
        (ClassificationLoss(), zeros(4, 1), zeros(4, 3)),
        (ClassificationLoss((1.0, 1.0)), zeros(4), zeros(4, 3)),
    ]
    for loss, target, predicted in wrong:
        with pytest.raises(TrainingError, match="do not belong together"):
            loss(target, predicted)
