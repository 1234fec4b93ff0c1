"""Named networks as data: a preset is a set of `NetworkConfig` fields, not a class."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from reunet.contracts.network import NetworkConfig
from reunet.errors import PlanError

PRESETS: dict[str, dict[str, Any]] = {
    # Ronneberger et al. 2015 with padded convolutions; with padding="valid" it is the paper's own.
    "unet": {"filters": (64, 128, 256, 512, 1024), "normalisation": "none"},
}


def choose(name: str, entries: Iterable[str], *, where: str) -> str:
    """Return `name` if it is one of `entries`; otherwise raise PlanError with the closest one."""
    known = sorted(entries)
    if name in known:
        return name
    guess = difflib.get_close_matches(name, known, n=1)
    raise PlanError(
        f"unknown name {name!r}",
        where=where,
        expected=", ".join(known),
        received=name,
        fix=f"did you mean {guess[0]!r}?" if guess else None,
    )


def configure(preset: str, **fields: Any) -> NetworkConfig:
    """The configuration of a preset with some fields set. Raises PlanError for unknown names or values."""
    settings = {"preset": choose(preset, PRESETS, where="preset"), **PRESETS[preset], **fields}
    rank = settings.get("spatial_dims", 2)
    settings.setdefault("strides", ((2,) * rank,) * (len(settings["filters"]) - 1))
    return NetworkConfig.parse(settings, where=f"network {preset}")
