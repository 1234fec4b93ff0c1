"""EfficientNet-Lite0: a small network for photographs, and its published weights.

Tan and Le, ICML 2019 (arXiv 1905.11946), in the form for processors without fast sigmoids: no
squeeze-and-excitation, ReLU6 for swish, stem and head of fixed width (TensorFlow's tpu repository, 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import keras
import numpy as np
from keras import layers

STEM = 32
STAGES = (
    # blocks, side of the kernel, stride, how many times wider inside, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

PARTS = {"expand": "0", "depthwise": "1", "project": "2"}
"""The convolutions of a block, each followed by the normalisation that the published file numbers so."""


def efficientnet_lite0(
    weights: str | None = None, input_shape: Any = None, input_tensor: Any = None
) -> keras.Model:
    """The network without its head: (B, H, W, 3) float32, (pixel - 127) / 128, to (B, H/32, W/32, 320).

    Parameters as of the networks of `keras.applications`; weights must be None.
    """
    image = keras.Input(input_shape) if input_tensor is None else input_tensor
    x = _norm(_conv(image, STEM, 3, 2, "stem_conv"), "stem_norm", active=True)
    number = 0
    for count, side, stride, wider, filters in STAGES:
        for repeat in range(count):
            x = _block(x, side, 1 if repeat else stride, wider, filters, f"block{number}")
            number += 1
    return keras.Model(image, x)


def _block(x: Any, side: int, stride: int, wider: int, filters: int, name: str) -> Any:
    """An inverted residual: wide inside, narrow between blocks (Sandler et al. 2018, arXiv 1801.04381)."""
    y = x
    if wider > 1:
        y = _conv(y, x.shape[-1] * wider, 1, 1, f"{name}_expand_conv")
        y = _norm(y, f"{name}_expand_norm", active=True)
    deep = layers.DepthwiseConv2D(
        side, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )
    y = _norm(deep(y), f"{name}_depthwise_norm", active=True)
    y = _norm(_conv(y, filters, 1, 1, f"{name}_project_conv"), f"{name}_project_norm", active=False)
    return layers.Add(name=f"{name}_add")([x, y]) if y.shape == x.shape else y


def _conv(x: Any, filters: int, side: int, stride: int, name: str) -> Any:
    return layers.Conv2D(filters, side, strides=stride, padding="same", use_bias=False, name=name)(x)


def _norm(x: Any, name: str, *, active: bool) -> Any:
    x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
    return layers.ReLU(max_value=6.0, name=name.replace("norm", "act"))(x) if active else x


def lite0_layers(state: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Weights of the layers by name, from the published file: its names, its order of axes (out, in, y, x).

    Raises KeyError for a name that the file does not have.
    """
    found = {"stem_conv": [_kernel(state["_conv_stem.weight"])], "stem_norm": _moments(state, "_bn0")}
    blocks = sum(count for count, *_ in STAGES)
    for block, (part, number) in product(range(blocks), PARTS.items()):
        if block == 0 and part == "expand":
            continue  # the first block is as wide inside as outside
        kernel = _kernel(state[f"_blocks.{block}._{part}_conv.weight"])
        found[f"block{block}_{part}_conv"] = [np.swapaxes(kernel, 2, 3) if part == "depthwise" else kernel]
        found[f"block{block}_{part}_norm"] = _moments(state, f"_blocks.{block}._bn{number}")
    return found


def _kernel(values: np.ndarray) -> np.ndarray:
    return values.transpose(2, 3, 1, 0)


def _moments(state: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
