"""The way down: every encoder is `encoder(x, scope) -> features`, finest first, one map per level.

That list is all the rest of the network knows of an encoder, so a pretrained one joins by the same door
(see `pretrained.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reunet.networks import pretrained
from reunet.networks.blocks import BLOCKS
from reunet.networks.layers import MAX_POOL
from reunet.networks.passes import over_frames
from reunet.networks.scope import Scope

Encoder = Callable[[Any, Scope], list[Any]]


def plain(x: Any, scope: Scope) -> list[Any]:
    """The contracting path: blocks per level, maximum pooling y = max(x) or a stride between two levels."""
    return _descend(x, scope, lambda x, filters, here: x)


def recurrent(x: Any, scope: Scope) -> list[Any]:
    """The contracting path with memory: a recurrence over frames before the blocks of each level.

    Arbelle and Raviv 2019 (arXiv 1805.11247, figure 1). In residual form the finest level has none: there are
    no features yet that it could add to.
    """
    beside = scope.config.recurrence.gain is not None

    def remember(x: Any, filters: int, here: Scope) -> Any:
        if not here.recurs or (beside and here.level == 0):
            return x
        return over_frames(x, x.shape[-1] if beside else filters, here)

    return _descend(x, scope, remember)


def _descend(x: Any, scope: Scope, before: Callable[[Any, int, Scope], Any]) -> list[Any]:
    config, features = scope.config, []
    for level, filters in enumerate(config.filters):
        here = scope.child(f"enc{level}", level)
        stride = config.strides[level - 1] if level else None
        if stride is not None and config.downsampling == "max_pool":
            x, stride = MAX_POOL[scope.rank](stride, name=here.name("pool"))(x), None
        x = before(x, filters, here)
        x = scope.entry("block", BLOCKS)(x, filters, here.strided(stride))
        for number in range(1, config.repeats[level] if config.repeats else 1):
            x = scope.entry("block", BLOCKS)(x, filters, here.child(f"block{number}"))
        features.append(x)
    return features


ENCODERS: dict[str, Encoder] = {
    "plain": plain,
    "recurrent": recurrent,
    **{name: pretrained.encoder(name) for name in pretrained.APPLICATIONS},
}
