"""Names that a user chooses from; nothing is imported for them."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["auto", "openvino", "onnx", "keras"]
"""What computes a prediction."""

PrecisionName = Literal["auto", "f32", "bf16", "int8"]
"""In which numbers it is computed."""
