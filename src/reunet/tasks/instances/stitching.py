"""Objects found section by section, put together: the parts of one object get one id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reunet.errors import TooLargeError
from reunet.slices import Slices, grown, within
from reunet.tasks.instances.properties import bounding_boxes

SHARED = 0.5
"""Two objects are one when they share this part of the smaller one's pixels at a face between sections."""

MOST_IDS = np.iinfo(np.int32).max


class Stitcher:
    """Gives the objects of overlapping windows ids of their own, and finds which of them are the same.

    Each section is decoded in a window that reaches beyond it, so at the face between two sections both see
    the same pixels, one layer on each side. Objects that cover each other there are joined.
    An object smaller than the reach of the windows looks the same in both, and as in the whole image.

    >>> core = stitcher.add(ids, window, section)     # of every section, in any order
    >>> final = stitcher.table()[core]              # afterwards

    size: of the image. classes: indices of those that an object can have; it has that of most of its pixels.
    """

    def __init__(self, size: tuple[int, ...], classes: Sequence[int]) -> None:
        self._size, self._classes = size, np.array(classes, np.uint8)
        self._count = 0  # of ids that were given
        self._same: list[np.ndarray] = []  # (2, n) ids that are one object
        self._faces: dict[tuple[object, ...], np.ndarray] = {}
        self._sums: list[
            np.ndarray
        ] = []  # per section: id, area, sums of coordinates, corners, pixels by class

    def add(
        self, ids: NDArray[np.int32], window: Slices, section: Slices, labels: NDArray[np.uint8] | None = None
    ) -> NDArray[np.int32]:
        """The section's part of an instance map (*window) int32, under ids that are unique in the image.

        labels: (*window) class indices where objects are of several classes. section: lies within window,
        with a pixel or more around it where the image goes on; sections are those of a grid. Raises
        TooLargeError beyond 2 ** 31 objects.
        """
        before = self._begin(int(ids.max(initial=0)))
        unique = np.where(ids > 0, ids + np.int32(before), 0).astype(np.int32)
        for axis in range(len(section)):
            self._join_faces(unique, window, section, axis)
        core = unique[within(section, window)]
        self._measure(core, section, before, None if labels is None else labels[within(section, window)])
        return core

    def absorb(self, other: Stitcher) -> int:
        """Take over what another one found in other sections of the same grid.

        Returns what is to be added to its ids to have those of this one. Raises TooLargeError as `add` does.
        """
        before = self._begin(other._count)
        self._same += [pairs + before for pairs in other._same]
        for key, face in other._faces.items():
            self._meet(key, np.where(face > 0, face + np.int32(before), 0))
        for rows in other._sums:
            moved = rows.copy()
            moved[:, 0] += before
            self._sums.append(moved)
        return before

    def _begin(self, count: int) -> int:
        """Room for `count` more ids; the number of those before."""
        before = self._count
        if before + count > MOST_IDS:
            raise TooLargeError("the image has more objects than ids", expected=f"at most {MOST_IDS:,}")
        self._count += count
        return before

    def _join_faces(self, ids: np.ndarray, window: Slices, section: Slices, axis: int) -> None:
        # One pixel around the face belongs to it: objects may meet at the corner of four sections.
        around = [*grown(section, 1, self._size)]
        for at in (section[axis].start, section[axis].stop):
            if not 0 < at < self._size[axis]:
                continue
            around[axis] = slice(at - 1, at + 1)
            face = ids[within(tuple(around), window)]
            others = tuple((part.start, part.stop) for i, part in enumerate(section) if i != axis)
            self._meet((axis, at, others), face.copy())

    def _meet(self, key: tuple[object, ...], face: np.ndarray) -> None:
        """One side of a face between sections; the other side has been here, or is yet to come."""
        if key in self._faces:
            self._join(self._faces.pop(key), face)
        else:
            self._faces[key] = face

    def _join(self, one: np.ndarray, other: np.ndarray) -> None:
        both = (one > 0) & (other > 0)
        pairs, shared = np.unique(np.stack([one[both], other[both]]), axis=1, return_counts=True)
        found, pixels = np.unique(np.stack([one, other]), return_counts=True)
        smaller = pixels[np.searchsorted(found, pairs)].min(axis=0)
        self._same.append(pairs[:, shared >= SHARED * smaller])

    def _measure(self, core: np.ndarray, section: Slices, before: int, labels: np.ndarray | None) -> None:
        local = np.where(core > 0, core - before, 0)
        areas = np.bincount(local.ravel())
        present = np.flatnonzero(areas[1:]) + 1 if len(areas) > 1 else np.zeros(0, np.intp)
        if not len(present):
            return
        columns = [present + before, areas[present]]
        inside = np.nonzero(local)
        for places, part in zip(inside, section, strict=True):
            sums = np.bincount(local[inside], places, len(areas))[present]
            columns.append(sums + areas[present] * part.start)
        corners = bounding_boxes(local)[present] + [part.start for part in section]
        columns += [*corners.reshape(len(present), -1).T]
        for index in self._classes:
            of_class = local[labels == index] if labels is not None else local[:0]
            columns.append(np.bincount(of_class.ravel(), minlength=len(areas))[present])
        self._sums.append(np.stack(columns, axis=1).astype(np.float64))

    def table(self) -> NDArray[np.int32]:
        """The final id of each id that was given, (ids + 1,) int32: 1 .. n without gaps, 0 for the background
        and for what no section has a pixel of.
        """
        if not self._count:
            return np.zeros(1, np.int32)
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        one, other = np.concatenate([np.zeros((2, 0), np.int32), *self._same], axis=1)
        shape = (self._count + 1, self._count + 1)
        graph = csr_array((np.ones(len(one), np.bool_), (one, other)), shape=shape)
        _, parts = connected_components(graph, directed=False)  # numbered in the order of their first ids
        used = np.zeros(len(parts), np.bool_)
        for rows in self._sums:
            used[parts[rows[:, 0].astype(np.intp)]] = True
        return np.where(used[parts], np.cumsum(used, dtype=np.int32)[parts], 0).astype(np.int32)

    def objects(self) -> Mapping[str, np.ndarray]:
        """id, class index, area, centroid and box of each object, as `object_table` names them."""
        rank, final = len(self._size), self.table()
        rows = np.concatenate([np.zeros((0, 2 + 3 * rank + len(self._classes))), *self._sums])
        ids = final[rows[:, 0].astype(np.intp)] - 1
        count = int(final.max(initial=0))
        sums = np.zeros((1 + rank, count))
        for values, column in zip(sums, rows.T[1:], strict=False):
            values += np.bincount(ids, column, count)
        low, high = np.full((rank, count), np.inf), np.zeros((rank, count))
        for axis in range(rank):
            np.minimum.at(low[axis], ids, rows[:, 2 + rank + axis])
            np.maximum.at(high[axis], ids, rows[:, 2 + 2 * rank + axis])
        names = "zyx"[-rank:]
        votes = np.stack([np.bincount(ids, column, count) for column in rows.T[2 + 3 * rank :]])
        table = {"id": np.arange(1, count + 1), "class": self._classes[votes.argmax(axis=0)]}
        table["area"] = sums[0].astype(np.int64)
        table |= {f"centroid_{name}": sums[1 + i] / sums[0] for i, name in enumerate(names)}
        return table | {
            f"box_{name}{side}": corners[i].astype(np.int64)
            for side, corners in enumerate((low, high))
            for i, name in enumerate(names)
        }
