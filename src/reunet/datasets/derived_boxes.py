"""Boxes where a dataset has only masks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from reunet.contracts.boxes import Boxes


def boxes_from_masks(labels: np.ndarray, classes: Sequence[int], minimum_area: int = 16) -> Boxes:
    """A box around each connected component (8 neighbours) of the classes in `labels` (H, W) uint8.

    These are derived, not drawn: touching objects share a box, an object behind a pole has two, and
    components of fewer than `minimum_area` pixels are taken to be specks. Scores on them are to be read so.
    """
    corners, found = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.uint8)]
    for index in classes:
        _, _, facts, _ = cv2.connectedComponentsWithStats((labels == index).astype(np.uint8), connectivity=8)
        x, y, width, height, area = facts[1:].T  # the first one is the background
        boxes = np.stack([y, x, y + height, x + width], axis=1)[area >= minimum_area]
        corners.append(boxes.astype(np.float32))
        found.append(np.full(len(boxes), index, np.uint8))
    return Boxes(np.concatenate(corners), np.concatenate(found))
