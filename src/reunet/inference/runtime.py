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
        """Tiles (B, h, w, C) float32, normalised, to {head: (B, h', w', K) float32 probabilities}."""

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (h', w') for tiles of `size` (h, w); smaller where convolutions are not padded."""
