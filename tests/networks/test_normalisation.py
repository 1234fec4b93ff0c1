"""Normalisations where numbers are nearly equal, so that differences of squares would be wrong."""

from __future__ import annotations

import numpy as np
from keras import ops

from reunet.networks.normalisation import PositionNormalization


def test_positions_whose_channels_are_nearly_equal_are_normalised() -> None:
    rng = np.random.default_rng(0)
    values = (1000 + 0.05 * rng.normal(size=(2, 4, 5, 8))).astype(np.float32)
    layer = PositionNormalization(epsilon=1e-5)
    found = ops.convert_to_numpy(layer(values))
    exact = values.astype(np.float64)
    exact -= exact.mean(axis=-1, keepdims=True)
    exact /= np.sqrt(np.square(exact).mean(axis=-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found, exact, atol=0.01)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(np.full((1, 2, 2, 8), 7, np.float32))), 0)
