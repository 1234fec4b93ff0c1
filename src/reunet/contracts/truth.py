"""What a dataset says about an image: one field per kind of annotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE


@dataclass(frozen=True)
class Truth:
    """Annotations of one image, or of a patch of it; None for a kind that it does not have.

    labels: (*space) uint8 class indices, IGNORE where unlabelled. objects: (*space) int32 ids of single
    objects, 0 outside of all. boxes: of objects. category: index of the class of the whole image.
    known: (*space) bool, where objects and boxes are told; None for wherever `labels` is not IGNORE.
    sequence, frame: name of the sequence in time that the image is a frame of, and its number from 0.
    parents: (max id + 1,) the id that each of `objects` came from, 0 for none, where ids are identities from
    frame to frame; else None.
    classes: indices of the classes that this image is annotated with; what is background in `labels` may be
    one of the others. None for all. spacing: size of a voxel in mm per axis; None of images.
    """

    labels: NDArray[np.uint8] | None = None
    objects: NDArray[np.int32] | None = None
    boxes: Boxes | None = None
    category: int | None = None
    known: NDArray[np.bool_] | None = None
    sequence: str | None = None
    frame: int = 0
    parents: NDArray[np.int32] | None = None
    classes: tuple[int, ...] | None = None
    spacing: tuple[float, ...] | None = None

    @property
    def told(self) -> NDArray[np.bool_] | None:
        """(*space) bool, where objects and boxes are told; None for everywhere."""
        if self.known is not None or self.labels is None:
            return self.known
        told: NDArray[np.bool_] = self.labels != IGNORE
        return told

    def __bool__(self) -> bool:
        return any(part is not None for part in (self.labels, self.objects, self.boxes, self.category))
