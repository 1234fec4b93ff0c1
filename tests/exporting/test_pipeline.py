"""A prediction as one graph: each part against the NumPy code that predicts."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.plan import Intensity
from reunet.errors import PlanError
from reunet.inference.tiling import Tiling, predict_tiled
from reunet.sampling.intensity import normalise
from reunet.sampling.resize import resize

pytestmark = pytest.mark.keras_slow

EXAMPLES = 5 if os.environ.get("KERAS_BACKEND") == "jax" else 30
"""JAX compiles each operation anew for each size."""


def numpy_of(tensor: object) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(tensor))


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    tile=st.tuples(st.integers(9, 24), st.integers(9, 24)),
    edge=st.integers(0, 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.7]),
    halo=st.integers(0, 3),
    stride=st.sampled_from([1, 2, 4]),
    batch=st.integers(1, 2),
)
def test_tiles_are_cut_and_blended_as_predict_does(
    size: tuple[int, int],
    tile: tuple[int, int],
    edge: int,
    overlap: float,
    halo: int,
    stride: int,
    batch: int,
) -> None:
    """With a network whose output depends on the place in the tile, so that every weight counts."""
    from reunet.exporting.pipeline import blended, cut_tiles, cuts_of

    images = np.random.default_rng(0).normal(size=(batch, *size, 2)).astype(np.float32)
    factor = 1 + 0.1 * np.arange(tile[0] * tile[1], dtype=np.float32).reshape(*tile, 1)

    def network(tiles: np.ndarray) -> np.ndarray:
        inner = slice(edge, -edge or None)
        return (tiles * factor)[:, inner, inner]

    tiling = Tiling(tile, overlap, (edge, edge), (halo, halo), (stride, stride))
    try:
        tiling.cut(size)
    except PlanError:
        return  # the halo leaves nothing of these tiles
    cuts = cuts_of(tiling, size)
    tiles = numpy_of(cut_tiles(images, cuts))
    found = numpy_of(blended(network(tiles), cuts, batch))
    for image, one in zip(images, found, strict=True):
        expected = predict_tiled(lambda x: {"": network(x)}, image, tiling)[""]
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    to=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_matrices_resample_as_opencv_does(size: tuple[int, int], to: tuple[int, int]) -> None:
    from reunet.exporting.pipeline import along, area, cubic, linear

    image = np.random.default_rng(1).normal(size=(*size, 3)).astype(np.float32)
    ways = {linear: cv2.INTER_LINEAR, cubic: cv2.INTER_CUBIC}
    if to[0] < size[0] and to[1] < size[1]:
        ways[area] = cv2.INTER_AREA
    for matrix, way in ways.items():
        found = image[None]
        for axis in (1, 2):
            found = numpy_of(along(matrix(size[axis - 1], to[axis - 1]), found, axis))
        np.testing.assert_allclose(found[0], resize(image, to, way), atol=1e-4)


@pytest.mark.keras
@pytest.mark.parametrize("limit", [None, (-1.0, 1.5)])
@pytest.mark.parametrize("kind", ["image", "constant", "faint on a large offset"])
def test_normalisation(kind: str, limit: tuple[float, float] | None) -> None:
    from keras import ops

    from reunet.exporting.pipeline import normalised

    images = np.random.default_rng(2).integers(0, 256, (2, 20, 30, 3)).astype(np.float32)
    if kind == "constant":
        images[..., 1] = 77
    if kind == "faint on a large offset":
        images = 30000 + images / 16
    for intensity in (
        Intensity(method="image_zscore", limit=limit),
        Intensity(method="fixed", offset=(1.0, 2.0, 3.0), scale=(4.0, 5.0, 6.0), limit=limit),
    ):
        found = numpy_of(normalised(ops.convert_to_tensor(images), intensity, (1, 2)))
        expected = np.stack([normalise(image, intensity) for image in images])
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-3)
