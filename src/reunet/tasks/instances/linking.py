"""Identities across frames: the objects of each frame are linked to those before, so that they are tracks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reunet.errors import DataError, UsageError
from reunet.tasks.instances.correspondence import (
    Alive,
    Sightings,
    assign,
    find_candidates,
    find_divisions,
    go_on,
    in_view,
    measure,
    nobody,
)

MERGED = 0.75  # an object of this share of both daughters, a frame later, is their parent seen whole again


@dataclass(frozen=True)
class Linking:
    """How far identities reach.

    reach: how far an object may be from where it is expected, in its own diameters per frame.
    gap: frames for which an object may be missed, 0 for none.
    spacing: size of a pixel along each axis, in any unit; None where all sides are equal.
    """

    reach: float = 1.0
    gap: int = 2
    spacing: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.reach > 0 or self.gap < 0 or (self.spacing and not min(self.spacing) > 0):
            raise UsageError(
                "impossible settings for linking",
                expected="reach and spacing above 0, gap of at least 0",
                received=self,
            )


@dataclass(frozen=True)
class _Division:
    parent: int  # row in the table of tracks
    daughters: tuple[int, int]  # objects of the frame that shows them first
    size: int  # of both, pixels


class Linker:
    """Relabels maps frame by frame and keeps the table of tracks.

    >>> linker = Linker(Linking(gap=1))
    >>> for tracked in linker.link(maps): ...
    >>> linker.lineage()
    """

    def __init__(self, settings: Linking | None = None) -> None:
        self.settings = settings or Linking()
        self._table: list[list[int]] = []  # begin, end, row of the parent or -1
        self._numbers: dict[int, int] = {}  # row in the table -> id, of the tracks that were given out
        self._divisions: list[_Division] = []  # of the last frame, not yet confirmed

    def link(self, frames: Iterable[np.ndarray]) -> Iterator[NDArray[np.int32]]:
        """Yield for each instance map the same objects under the ids of their tracks: 1, 2, ...

        frames: (H, W) or (D, H, W) integers, 0 = background, all of one shape; their ids mean nothing
        across frames. Yields (*space) int32, one frame behind what was read: a division is believed
        unless the next frame shows the parent whole again. Nothing older is kept but the pixels of
        objects that are missed. To be called once.
        Raises DataError for maps that are not integers, negative, or of another shape than the first.
        """
        shape: tuple[int, ...] | None = None
        held: tuple[Sightings, np.ndarray] | None = None
        for t, frame in enumerate(map(np.asarray, frames)):
            _check(frame, t, shape)
            if shape is None:
                shape, spacing, alive = frame.shape, self._spacing(frame.ndim), nobody(frame.ndim)
            objects = measure(frame, spacing)
            found = find_candidates(alive, objects, t, frame.shape, spacing, self.settings.reach)
            match = assign(found.rows, found.columns, found.cost, (len(alive.track), len(objects.count)))
            # In place, so that the frame held back is corrected too.
            self._revert_divisions(alive, objects, match)
            if held is not None:
                yield self._draw(*held, shape)
            track, source = self._continue(alive, objects, match, t)
            missed = (match < 0) & (t - alive.seen <= self.settings.gap)
            # What another object covers has not left, even at the border: the two are seen as one.
            lost = missed & (in_view(alive, t, shape, spacing) | (found.covered > 0.5))
            alive = go_on(alive, objects, track, source, lost, t)
            held = objects, alive.track[: len(track)]
        if held is not None and shape is not None:
            yield self._draw(*held, shape)

    def lineage(self) -> NDArray[np.int32]:
        """(tracks, 4) rows id, begin, end, parent of the frames yielded, as in the Cell Tracking Challenge.

        Frames count from 0, begin and end are inclusive, parent is 0 where there is none. A track has no
        gaps: after one the object has a new id, whose parent has no other child. Two children are the
        daughters of a division.
        """
        rows = [
            (number, *self._table[row][:2], self._numbers.get(self._table[row][2], 0))
            for row, number in self._numbers.items()
        ]
        return np.array(rows, np.int32).reshape(-1, 4)

    def parents(self) -> NDArray[np.int32]:
        """(tracks so far + 1,) by id: the parents of the lineage, 0 for none."""
        table = self.lineage()
        return np.concatenate([np.zeros(1, np.int32), table[np.argsort(table[:, 0]), 3]])

    def _spacing(self, axes: int) -> np.ndarray:
        spacing = self.settings.spacing or (1.0,) * axes
        if len(spacing) != axes:
            raise UsageError(
                "the spacing does not fit the maps", expected=f"{axes} numbers", received=spacing
            )
        return np.array(spacing, np.float64)

    def _continue(
        self, alive: Alive, objects: Sightings, match: np.ndarray, t: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(m,) track of each object, (m,) row of `alive` whose motion it continues or -1."""
        m = len(objects.count)
        track, source = np.full(m, -1), np.full(m, -1)
        source[match[match >= 0]] = np.flatnonzero(match >= 0)
        self._divisions = []
        for row, other in find_divisions(alive, objects, match, t):
            pair, parent = (int(match[row]), other), int(alive.track[row])
            for daughter in pair:
                track[daughter], source[daughter] = self._new_track(t, parent), -1
            self._divisions.append(_Division(parent, pair, int(objects.count[list(pair)].sum())))
        for i in np.flatnonzero(track < 0).tolist():
            row = int(source[i])
            if row < 0:
                track[i] = self._new_track(t, -1)
            elif alive.seen[row] < t - 1:
                track[i] = self._new_track(t, int(alive.track[row]))
            else:
                track[i] = alive.track[row]
                self._table[track[i]][1] = t
        return track, source

    def _new_track(self, t: int, parent: int) -> int:
        self._table.append([t, t, parent])
        return len(self._table) - 1

    def _revert_divisions(self, alive: Alive, objects: Sightings, match: np.ndarray) -> None:
        """Take back the divisions of the frame before whose daughters are one object again in this one."""
        for division in self._divisions:
            for kept, lost in (division.daughters, division.daughters[::-1]):
                if match[lost] < 0 <= match[kept] and objects.count[match[kept]] >= MERGED * division.size:
                    parent, (begin, end, _) = self._table[division.parent], self._table[alive.track[kept]]
                    self._table[alive.track[lost]][2] = -1
                    if parent[1] == begin - 1:  # else a gap lies between, and the id stays a new one
                        parent[1] = end
                        alive.track[kept] = division.parent

    def _draw(self, objects: Sightings, track: np.ndarray, shape: tuple[int, ...]) -> NDArray[np.int32]:
        for row in track.tolist():
            self._numbers.setdefault(row, len(self._numbers) + 1)
        ids = np.array([self._numbers[row] for row in track.tolist()], np.int32)
        drawn = np.zeros(shape, np.int32)
        drawn.ravel()[objects.flat] = ids[objects.owner]
        return drawn


def _check(frame: np.ndarray, t: int, shape: tuple[int, ...] | None) -> None:
    if frame.ndim not in (2, 3) or frame.dtype.kind not in "iu" or frame.shape != (shape or frame.shape):
        raise DataError(
            "cannot link this instance map",
            where=f"frame {t}",
            expected=f"integers of shape {shape or '(H, W) or (D, H, W)'}",
            received=f"{frame.dtype} of shape {frame.shape}",
        )
    if frame.size and frame.min() < 0:
        raise DataError("an instance map with negative ids", where=f"frame {t}", received=frame.min())
