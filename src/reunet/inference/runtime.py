"""What the predictor needs of an engine, and nothing more."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Runtime(Protocol):
    """An engine with the network loaded.

    name: of the engine, such as `openvino`. precision: it computes in, such as `f32` or `bf16`.
    """

    name: str
    precision: str

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Tiles (B, *tile, C) float32, normalised, to {head: (B, *output, K) float32 probabilities}."""

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """The size of the output for tiles of `size`; smaller where convolutions are not padded."""
