"""What happens to the deepest features: every bottleneck is `bottleneck(x, filters, scope) -> x`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reunet.networks.scope import Scope

Bottleneck = Callable[[Any, int, Scope], Any]


def identity(x: Any, filters: int, scope: Scope) -> Any:
    """Nothing: the deepest block of the encoder is the bottleneck of the plain U-Net."""
    return x


BOTTLENECKS: dict[str, Bottleneck] = {"identity": identity}
