"""Tracks as a graph in the Graph Exchange File Format (geff): a node for each sight of an object, edges to
where it is seen next.

Format: https://live-image-tracking-tools.github.io/geff
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from reunet.backend import import_extra
from reunet.io.annotations.ctc import Track
from reunet.storage import publish_folder

EXTRA = "geff"
"""The extra that brings the package, and its name."""

UNITS = {2: "micrometer", 3: "millimeter"}
"""Of the size of a pixel, by the axes of space."""


def write_geff(
    path: Path, maps: Iterable[np.ndarray], tracks: Sequence[Track], spacing: Sequence[float] | None = None
) -> None:
    """Write the tracks of a sequence atomically as a folder `.geff`. Raises StorageError, BackendError.

    maps: ids (*space) of every frame, in order. spacing: size of a pixel per axis, in `UNITS`.

    Nodes have the frame `t`, the centroid (`z`), `y`, `x` in pixels (means of the array indices), `track`,
    the id in label images, `tracklet`, the number of the way between two divisions, and `lineage`, that of
    the first ancestor.
    """
    nodes, rank = _sights(maps)
    geff, spec = import_extra("geff.core_io", EXTRA), import_extra("geff_spec", EXTRA)
    axes = [spec.Axis(name="t", type="time", unit="frame")]
    scales: Sequence[float | None] = spacing or (None,) * rank
    for name, scale in zip("zyx"[-rank:], scales, strict=True):
        unit = None if scale is None else UNITS[rank]
        axes.append(spec.Axis(name=name, type="space", unit="pixel", scale=scale, scaled_unit=unit))
    told = spec.GeffMetadata(
        directed=True,
        axes=axes,
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "tracklet", "lineage": "lineage"},
    )
    ids = nodes["track"]
    for name, known in zip(("tracklet", "lineage"), _families(tracks), strict=True):
        nodes[name] = np.array([known[one] for one in ids.tolist()], np.int64)
    properties = {name: {"values": values, "missing": None} for name, values in nodes.items()}
    edges = _edges(nodes, tracks)

    def fill(folder: Path) -> None:
        numbers = np.arange(len(ids), dtype=np.uint64)
        store = import_extra("zarr.storage", EXTRA).LocalStore(folder)  # a path must not exist
        geff.write_arrays(store, numbers, properties, edges, {}, told)

    publish_folder(path, fill)


def _sights(maps: Iterable[np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
    """The columns t, places and track of every object of every frame, and the number of axes of space."""
    rows, rank = [], 2
    for frame, ids in enumerate(maps):
        rank, flat = ids.ndim, ids.ravel()
        counts = np.bincount(flat)
        present = np.flatnonzero(counts[1:]) + 1
        places = [
            np.bincount(flat, np.broadcast_to(index, ids.shape).ravel())[present] / counts[present]
            for index in np.ogrid[tuple(map(slice, ids.shape))]
        ]
        rows.append(np.stack([np.full(len(present), frame), *places, present]))
    table = np.concatenate(rows, axis=1) if rows else np.zeros((rank + 2, 0))
    columns = dict(zip(("t", *"zyx"[-rank:], "track"), table, strict=True))
    return columns | {name: columns[name].astype(np.int64) for name in ("t", "track")}, rank


def _families(tracks: Sequence[Track]) -> tuple[dict[int, int], dict[int, int]]:
    """Of each track the first one on its way between two divisions, and its first ancestor."""
    children = np.bincount([one.parent for one in tracks], minlength=1)
    ways: dict[int, int] = {}
    firsts: dict[int, int] = {}
    for one in sorted(tracks, key=lambda one: one.begin):
        ways[one.id] = ways[one.parent] if one.parent and children[one.parent] == 1 else one.id
        firsts[one.id] = firsts[one.parent] if one.parent else one.id
    return ways, firsts


def _edges(nodes: dict[str, np.ndarray], tracks: Sequence[Track]) -> np.ndarray:
    """(edges, 2) uint64, from each sight to the next one of the track, and from a parent's last one to the
    first ones of its children.
    """
    sights: dict[int, list[int]] = {}
    for number, track in enumerate(nodes["track"].tolist()):  # in the order of frames
        sights.setdefault(track, []).append(number)
    found = [pair for its in sights.values() for pair in pairwise(its)]
    found += [(sights[one.parent][-1], sights[one.id][0]) for one in tracks if one.parent]
    return np.array(found, np.uint64).reshape(-1, 2)
