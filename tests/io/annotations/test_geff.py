"""Tracks as a graph: volumes, gaps and frames without objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reunet.io.annotations.ctc import Track
from reunet.io.annotations.geff import write_geff

geff = pytest.importorskip("geff")


def test_the_graph_of_a_volume_has_millimetres_and_joins_a_gap(tmp_path: Path) -> None:
    from geff.validate.data import ValidationConfig

    maps = np.zeros((5, 4, 6, 8), np.int32)
    maps[0, 1:3, 2, 3:5] = 1
    maps[1, 1, 2, 3] = 1
    maps[3, 2, 2, 3], maps[4, 3, 2, 3], maps[4, 0, 0, 0] = 2, 2, 3  # missed in frame 2
    tracks = [Track(1, 0, 1, 0), Track(2, 3, 4, 1), Track(3, 4, 4, 0)]
    write_geff(tmp_path / "a.geff", maps, tracks, (2.0, 0.5, 0.5))
    whole = ValidationConfig(tracklet=True, lineage=True, graph=True)
    graph, told = geff.read(tmp_path / "a.geff", data_validation=whole)
    assert [(axis.name, axis.scale, axis.scaled_unit) for axis in told.axes] == [
        ("t", None, None), ("z", 2.0, "millimeter"), ("y", 0.5, "millimeter"), ("x", 0.5, "millimeter")
    ]  # fmt: skip
    names = ("t", "z", "y", "x", "track", "tracklet", "lineage")
    rows = sorted(tuple(node[name] for name in names) for _, node in graph.nodes(data=True))
    assert rows == [
        (0, 1.5, 2, 3.5, 1, 1, 1), (1, 1, 2, 3, 1, 1, 1),
        (3, 2, 2, 3, 2, 1, 1), (4, 0, 0, 0, 3, 3, 3), (4, 3, 2, 3, 2, 1, 1),
    ]  # fmt: skip
    frames = sorted((graph.nodes[a]["t"], graph.nodes[b]["t"]) for a, b in graph.edges)
    assert frames == [(0, 1), (1, 3), (3, 4)]


def test_a_movie_without_objects_is_an_empty_graph(tmp_path: Path) -> None:
    write_geff(tmp_path / "a.geff", np.zeros((3, 6, 8), np.int32), [])
    graph, _ = geff.read(tmp_path / "a.geff")
    assert len(graph) == 0
