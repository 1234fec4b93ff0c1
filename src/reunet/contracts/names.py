"""Names that a user chooses from, and those that files get; nothing is imported for them."""

import re
from typing import Literal

EngineName = Literal["auto", "openvino", "onnx", "keras"]
"""What computes a prediction."""

PrecisionName = Literal["auto", "f32", "bf16", "int8"]
"""In which numbers it is computed."""


DeviceName = Literal["auto", "cpu", "gpu"]
"""Where a training framework computes."""


def file_name(text: str) -> str:
    """What somebody called a thing, as the name of a file or folder."""
    return re.sub(r"[^\w.-]+", "_", text).lstrip(".") or "_"
