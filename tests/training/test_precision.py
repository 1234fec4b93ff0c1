"""What TensorFlow computes in training steps is what it computes outside of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from reunet.networks.normalisation import SampleNormalization
from reunet.training import precision
from reunet.training.precision import training_precision


@pytest.mark.parametrize("shape", [(3, 6, 5, 4), (2, 3, 4, 5, 2), (1, 7, 1, 3)], ids=str)
def test_images_are_normalised_one_by_one_with_the_same_gradients(
    shape: tuple[int, ...], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend != "tensorflow":
        pytest.skip("the others have no operation for it")
    import tensorflow

    rng = np.random.default_rng(0)
    layer = SampleNormalization()
    layer.build(shape)
    layer.gamma.assign(rng.uniform(0.5, 2, shape[-1]))
    layer.beta.assign(rng.normal(size=shape[-1]))
    values = rng.normal(3, 2, shape).astype(np.float32)
    weighed = rng.normal(size=shape).astype(np.float32)
    asked: list[bool] = []
    each = precision._normalise_each

    def watched(*told: Any) -> Any:
        found = each(*told)
        asked.append(found is not None)
        return found

    monkeypatch.setattr(precision, "LEAST_VALUES", 1)
    monkeypatch.setattr(precision, "_normalise_each", watched)

    def step() -> list[np.ndarray]:
        @tensorflow.function
        def traced(images: tensorflow.Tensor) -> list[tensorflow.Tensor]:
            with tensorflow.GradientTape() as tape:
                tape.watch(images)
                given = layer(images)
                total = keras.ops.sum(given * weighed)
            return [given, *tape.gradient(total, [images, layer.gamma.value, layer.beta.value])]

        return [found.numpy() for found in traced(tensorflow.constant(values))]

    outside = step()
    assert not asked
    with training_precision("float32"):
        inside = step()
    assert asked == [True]
    for one, other in zip(inside, outside, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)
    step()
    assert len(asked) == 1
