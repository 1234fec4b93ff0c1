"""The Keras runtime: the same network in batches of any size, with the weights of the moment."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from reunet.backend import use_any_backend
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import Inference, InputSpec, Intensity, Plan, Schedule
from reunet.errors import BackendError, UsageError
from reunet.inference.keras_runtime import KerasRuntime
from reunet.inference.load import load
from reunet.inference.predictor import Predictor

pytestmark = pytest.mark.keras


def small_plan(tile: tuple[int, int] = (32, 32), **fields: object) -> Plan:
    network = {"in_channels": 1, "filters": (4, 8), "strides": ((2, 2),), "heads": (HeadSpec(channels=2),)}
    return Plan(
        dataset="noise",
        labels=LabelMap(classes=default_classes([0, 1])),
        input=InputSpec(channels=1, intensity=Intensity(method="image_zscore")),
        network=NetworkConfig(**{**network, **fields}),
        patch=tile,
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=tile),
    )


def small_runtime(plan: Plan) -> KerasRuntime:
    from reunet.networks import build_network, probability_model

    return KerasRuntime(probability_model(build_network(plan.network), plan.network))


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_batch_gives_what_single_tiles_give(count: int) -> None:
    runtime = small_runtime(small_plan())
    tiles = np.random.default_rng(0).normal(size=(count, 32, 32, 1)).astype(np.float32)
    together = runtime(tiles)["semantic"]
    assert together.shape == (count, 32, 32, 2)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together.sum(-1), 1, atol=1e-5)
    for tile, result in zip(tiles, together, strict=True):
        np.testing.assert_allclose(runtime(tile[None])["semantic"][0], result, atol=1e-5)


def test_current_weights_are_used() -> None:
    runtime = small_runtime(small_plan())
    tiles = np.ones((1, 32, 32, 1), np.float32)
    before = runtime(tiles)["semantic"]
    bias = runtime._model.get_layer("semantic_logits").bias
    bias.assign(np.array([0.0, 5.0]))
    assert (runtime(tiles)["semantic"][..., 1] > before[..., 1]).all()


def test_a_valid_network_is_tiled_with_its_margin() -> None:
    """The reference runs the unpadded network once, on the mirrored image.

    With this image size all tiles begin at even pixels, so that tiles and image are pooled alike.
    """
    plan = small_plan((36, 36), padding="valid", normalisation="none", filters=(4, 8))
    runtime = small_runtime(plan)
    out = runtime(np.zeros((1, 36, 36, 1), np.float32))["semantic"].shape[1:3]
    margin = (36 - out[0]) // 2
    assert margin > 0
    image = np.random.default_rng(0).integers(0, 256, (48, 32), np.uint8)
    tiled = Predictor(plan, runtime)(image).probabilities
    normalised = ((image - image.mean()) / image.std()).astype(np.float32)[None, ..., None]
    padded = np.pad(normalised, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    whole = runtime(padded)["semantic"][0]
    assert tiled.shape == whole.shape == (48, 32, 2)
    np.testing.assert_allclose(tiled, whole, atol=1e-4)


def test_keras_is_not_for_bf16(make_bright_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="f32"):
        load(make_bright_run(tmp_path / "run"), engine="keras", precision="bf16")


def test_the_backend_is_the_preferred_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    found = {"keras": True, "jax": True}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    use_any_backend("torch")
    assert os.environ["KERAS_BACKEND"] == "jax"
    monkeypatch.delenv("KERAS_BACKEND")
    found.clear()
    with pytest.raises(BackendError, match="pip install"):
        use_any_backend("torch")


def test_a_loaded_keras_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", ModuleType("keras"))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    use_any_backend("jax")
    assert "KERAS_BACKEND" not in os.environ
