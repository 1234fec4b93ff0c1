"""The objects of an instance map, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def object_crops(ids: np.ndarray) -> Iterator[tuple[int, tuple[int, int], np.ndarray]]:
    """For each object of `ids` (H, W), by id: id, first row and column, and (h, w) bool mask."""
    from scipy.ndimage import find_objects

    names: np.ndarray | None = None
    if ids.max(initial=0) > ids.size:  # `find_objects` makes a list of this length
        names, dense = np.unique(ids, return_inverse=True)
        ids = dense.reshape(ids.shape) + (0 if names[0] == 0 else 1)
        names = names if names[0] == 0 else np.append(0, names)
    for number, where in enumerate(find_objects(ids.astype(np.int32, copy=False)), 1):
        if where is not None:
            rows, columns = where
            name = number if names is None else int(names[number])
            yield name, (rows.start, columns.start), ids[where] == number
