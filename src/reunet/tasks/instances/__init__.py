"""Instance segmentation: each object gets a number of its own, in images and volumes, and across frames."""

from __future__ import annotations

from reunet.tasks.instances import boundary, flows, offsets
from reunet.tasks.instances.fit import fit
from reunet.tasks.instances.representation import Representation

REPRESENTATIONS = {
    name: Representation(kind.targets, kind.heads, kind.LOSSES, kind.decode, kind.GRID)
    for name, kind in (("boundary", boundary), ("offsets", offsets), ("flows", flows))
}

__all__ = ["REPRESENTATIONS", "Representation", "fit"]
