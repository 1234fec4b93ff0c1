"""How large the numbers of files may be: far beyond what anybody trains, and small enough to compute with."""

from typing import Annotated

from pydantic import AfterValidator, Field

Side = Annotated[int, Field(ge=1, le=2**16)]
"""Of a patch or a tile, in pixels."""

Length = Annotated[int, Field(ge=0, le=2**40)]
"""Of an image as it lies on disk, in pixels."""

Few = Annotated[int, Field(ge=1, le=64)]
"""Of parts of a network: repetitions, layers, strides, sides of kernels."""

Width = Annotated[int, Field(ge=1, le=4096)]
"""Channels of an image or of a layer."""

Real = Annotated[float, Field(ge=-3.5e38, le=3.5e38)]
"""What float32 can compute with."""


def _positive(value: float) -> float:
    if value < 1e-38:
        raise ValueError("must be positive, 1e-38 at least")
    return value


Positive = Annotated[Real, AfterValidator(_positive)]
"""What float32 can divide by."""

Weight = Annotated[float, Field(ge=0, le=1e9)]
"""Of a part of a sum."""

Share = Annotated[float, Field(ge=0, le=1)]

MOST_LEVELS = 16

MOST_PIXELS = 2**28
"""Of a patch or a tile, and with its frames where there are several."""
