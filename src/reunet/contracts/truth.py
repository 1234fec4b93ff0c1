"""What a dataset says about an image: one field per kind of annotation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE

HALF = 0.5
"""An object of which this part or more is unknown is neither missed nor invented."""


@dataclass(frozen=True)
class Truth:
    """Annotations of one image, or of a patch of it; None for a kind that it does not have.

    labels: (*space) uint8 class indices, IGNORE where unlabelled. objects: (*space) int32 ids of single
    objects, 0 outside of all. boxes: of objects. category: index of the class of the whole image.
    known: (*space) bool, where boxes are told; None for wherever `labels` is not IGNORE.
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
    def boxes_told(self) -> NDArray[np.bool_] | None:
        """(*space) bool, where boxes are told; None for everywhere."""
        return self._labelled if self.known is None else self.known

    @property
    def told(self) -> NDArray[np.bool_] | None:
        """(*space) bool, where the pixels of objects are told; None for everywhere."""
        labelled = self._labelled
        return self.boxes_told if labelled is None or self.known is None else self.known & labelled

    @property
    def _labelled(self) -> NDArray[np.bool_] | None:
        return None if self.labels is None else np.asarray(self.labels != IGNORE)

    def within(self, seen: NDArray[np.bool_]) -> Truth:
        """What is known of the pixels `seen` (*space), beside what was unknown before.

        A box that lies outside for half of its area or more is no object to be found: all of its area is
        unknown.
        """
        told, boxes = self.boxes_told, self.boxes
        known = seen if told is None else told & seen
        if boxes is not None:
            cut = boxes.share_in(~seen) >= HALF
            known = known.copy()
            boxes.chosen(cut).fill(known, value=False)
            boxes = boxes.chosen(~cut)
        labels = None if self.labels is None else np.where(seen, self.labels, np.uint8(IGNORE))
        return replace(self, labels=labels, boxes=boxes, known=known)

    def __bool__(self) -> bool:
        return any(part is not None for part in (self.labels, self.objects, self.boxes, self.category))
