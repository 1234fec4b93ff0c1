"""How encoder features join the decoder: every skip is `skip(skips, up, filters, scope) -> x`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from reunet.networks.scope import Scope

Skip = Callable[[list[Any], Any, int, Scope], Any]


def concat(skips: list[Any], up: Any, filters: int, scope: Scope) -> Any:
    """The paper's copy: encoder features and the upsampled ones, side by side along the channels."""
    return layers.Concatenate(name=scope.name("concat"))([*skips, up])


SKIPS: dict[str, Skip] = {"concat": concat}
