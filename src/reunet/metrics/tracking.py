"""Scores of the Cell Tracking Challenge: SEG, and TRA from the matching of acyclic oriented graphs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reunet.metrics.object_overlap import ObjectOverlap

Vertex = tuple[int, int]
"""Frame and id of an object."""

Edges = dict[tuple[Vertex, Vertex], bool]
"""True where the edge joins a parent and a child, False within a track."""


def seg(overlaps: Sequence[ObjectOverlap]) -> float:
    """SEG of Maska et al. 2014 (Bioinformatics 30:1609): the mean IoU over the true objects of all frames.

    A true object counts with the predicted one that covers more than half of it, and with 0 without one.
    overlaps: of each frame, truth first. nan without a true object.
    """
    objects = sum(len(overlap.true_ids) for overlap in overlaps)
    total = sum(float(overlap.iou[_covering(overlap)].sum()) for overlap in overlaps)
    return total / objects if objects else float("nan")


@dataclass(frozen=True)
class TrackingErrors:
    """The operations that turn the graph of the result into that of the truth (Matula et al. 2015).

    splits: true objects that share a predicted one with another, each beyond the first; missed and false
    objects; false, missing and wrong edges (wrong: within a track instead of parent to child, or reversed).
    objects, edges: how many the truth has. Errors of several sequences may be added.
    """

    splits: int
    missed: int
    false: int
    false_edges: int
    missing_edges: int
    wrong_edges: int
    objects: int
    edges: int

    @property
    def aogm(self) -> float:
        """The weighted sum of the operations."""
        objects = 5.0 * self.splits + 10.0 * self.missed + 1.0 * self.false
        return objects + 1.0 * self.false_edges + 1.5 * self.missing_edges + 1.0 * self.wrong_edges

    @property
    def tra(self) -> float:
        """TRA: 1 - AOGM / (AOGM of an empty result), at least 0; nan without a true object."""
        empty = 10.0 * self.objects + 1.5 * self.edges
        return 1 - min(self.aogm, empty) / empty if self.objects else float("nan")


def tracking_errors(
    overlaps: Sequence[ObjectOverlap], truth_tracks: np.ndarray, result_tracks: np.ndarray
) -> TrackingErrors:
    """Compare tracks as Matula et al. 2015 (PLoS ONE 10:e0144959) do.

    A true object is found by the predicted one that covers more than half of it. Edges join the objects of
    one id in consecutive frames, and the last object of a parent with the first one of each of its children;
    edges of the result count only between objects that found exactly one.

    Parameters
    ----------
    overlaps: of each frame, the truth first; ids are those of the tracks.
    truth_tracks, result_tracks: (n, 4) integers id, first frame, last frame, parent (0 for none), frames
        counted from 0.

    Raises ValueError when a table disagrees with the objects of the frames.
    """
    frames_of_truth = [overlap.true_ids for overlap in overlaps]
    edges = _edges(frames_of_truth, truth_tracks, "truth")
    result_edges = _edges([overlap.predicted_ids for overlap in overlaps], result_tracks, "result")

    found: dict[Vertex, list[Vertex]] = {
        (frame, int(i)): [] for frame, overlap in enumerate(overlaps) for i in overlap.predicted_ids
    }
    for frame, overlap in enumerate(overlaps):
        for true, predicted in overlap.pairs[_covering(overlap)]:
            found[frame, int(overlap.predicted_ids[predicted])].append((frame, int(overlap.true_ids[true])))
    unique = {predicted: true[0] for predicted, true in found.items() if len(true) == 1}
    kept = {
        (unique[a], unique[b]): parent
        for (a, b), parent in result_edges.items()
        if a in unique and b in unique
    }
    objects = sum(len(ids) for ids in frames_of_truth)
    hits = sum(map(len, found.values()))
    return TrackingErrors(
        splits=sum(max(len(true) - 1, 0) for true in found.values()),
        missed=objects - hits,
        false=sum(not true for true in found.values()),
        false_edges=len(kept.keys() - edges.keys()),
        missing_edges=len(edges.keys() - kept.keys()),
        wrong_edges=sum(kept[edge] != edges[edge] for edge in kept.keys() & edges.keys()),
        objects=objects,
        edges=len(edges),
    )


def _covering(overlap: ObjectOverlap) -> NDArray[np.bool_]:
    """The pairs whose predicted object covers more than half of the true one: at most one per true object."""
    return 2 * overlap.shared > overlap.pair_areas[0]


def _edges(frames: Sequence[np.ndarray], tracks: np.ndarray, name: str) -> Edges:
    """All edges of the graph. frames: the ids that occur in each."""
    seen: dict[int, list[int]] = {}
    for frame, ids in enumerate(frames):
        for i in ids.tolist():
            seen.setdefault(i, []).append(frame)
    table = np.asarray(tracks, np.int64).reshape(-1, 4).tolist()
    announced = {i: (first, last) for i, first, last, _ in table}
    found = {i: (at[0], at[-1]) for i, at in seen.items()}
    if found != announced or len(table) != len(announced):
        wrong = sorted({i for i, _ in found.items() ^ announced.items()}) or "some twice"
        raise ValueError(
            f"first and last frames of the tracks {wrong} of the {name} disagree with its frames"
        )

    edges: Edges = {((a, i), (b, i)): False for i, at in seen.items() for a, b in pairwise(at) if b == a + 1}
    for i, first, _, parent in table:
        if parent:
            if parent not in announced or announced[parent][1] >= first:
                raise ValueError(f"track {i} of the {name} begins before its parent {parent} has ended")
            edges[(announced[parent][1], parent), (first, i)] = True
    return edges
