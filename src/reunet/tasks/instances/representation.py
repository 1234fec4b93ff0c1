"""What a representation of instances provides: what is learnt, by which heads, and how it is read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import IGNORE
from reunet.contracts.network import HeadSpec

Instances = NDArray[np.int32]
"""Instance map (*space): 0 background, objects 1..n."""

Maps = Mapping[str, np.ndarray]
"""By name of the head: what its activation gives, (*space, channels) float32."""

Thresholds = Mapping[str, float]


@dataclass(frozen=True)
class Representation:
    """One way to express objects as maps.

    targets: of a patch, from its instance map and where it is known (bool, None: everywhere); per head
    (*space) uint8 classes with IGNORE, or (*space, channels) float32 with nan where nothing is to be learnt.
    heads: of the network. losses: the name of each head's loss: `segmentation` (cross-entropy and Dice of
    classes) or `l1` (mean absolute difference where the target is not nan).
    decode: maps of a whole image to objects 1..n. grid: per threshold the values that `fit` tries, its
    combinations are searched; the first of each is the default.
    """

    targets: Callable[[np.ndarray, np.ndarray | None], dict[str, np.ndarray]]
    heads: Callable[[int], tuple[HeadSpec, ...]]
    losses: Mapping[str, str]
    decode: Callable[[Maps, Thresholds], Instances]
    grid: Mapping[str, tuple[float, ...]]

    @property
    def defaults(self) -> dict[str, float]:
        """The thresholds before any is fitted."""
        return {name: values[0] for name, values in self.grid.items()}


def hide_unknown(targets: dict[str, np.ndarray], known: np.ndarray | None) -> dict[str, np.ndarray]:
    """Mark in place what is not known: IGNORE in classes, nan in everything else."""
    if known is not None:
        for target in targets.values():
            target[~known] = IGNORE if target.dtype == np.uint8 else np.nan
    return targets
