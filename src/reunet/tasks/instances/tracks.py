"""Sequences whose objects have identities: linked predictions, lineages, and how good they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import LabelError
from reunet.metrics.object_overlap import ObjectOverlap, object_overlap
from reunet.metrics.overlap import mean_defined
from reunet.metrics.tracking import seg, tracking_errors
from reunet.tasks.instances.linking import Linker, Linking

Companion = TypeVar("Companion")


def linked(
    found: Iterable[tuple[Companion, Prediction]], spacing: tuple[float, ...] | None = None
) -> Iterator[tuple[Companion, Prediction]]:
    """Predictions of consecutive frames, each with what belongs to it: the ids become those of tracks.

    Comes one frame behind what is read. spacing: size of a pixel along each axis, None where all are equal.
    """
    waiting: deque[tuple[Companion, Prediction]] = deque()

    def maps() -> Iterator[np.ndarray]:
        for companion, result in found:
            if result.instances is None:
                raise LabelError("a prediction without objects cannot be linked")
            waiting.append((companion, result))
            yield result.instances

    linker = Linker(Linking(spacing=spacing))
    for ids in linker.link(maps()):
        companion, result = waiting.popleft()
        scores = _renamed(result.instance_scores, result.instances, ids)
        yield companion, replace(result, instances=ids, instance_scores=scores, parents=linker.parents())


def _renamed(scores: np.ndarray | None, old: np.ndarray | None, new: np.ndarray) -> np.ndarray | None:
    """Scores by old id as scores by new id, nan for ids that are not in the frame."""
    if scores is None or old is None:
        return None
    renamed = np.full(int(new.max(initial=0)) + 1, np.nan, np.float32)
    renamed[new[new > 0]] = scores[old[new > 0]]
    return renamed


class Lineage:
    """The table of tracks, gathered from the ids of one frame after the other."""

    def __init__(self) -> None:
        self._rows: dict[int, list[int]] = {}

    def add(self, frame: int, ids: np.ndarray, parents: np.ndarray) -> None:
        """ids: that occur in the frame, without 0. parents: by id; ids beyond its end have none."""
        for i in ids.tolist():
            row = self._rows.setdefault(i, [i, frame, frame, int(parents[i]) if i < len(parents) else 0])
            row[2] = frame

    def table(self) -> NDArray[np.int32]:
        """(tracks, 4) rows id, begin, end, parent as in the Cell Tracking Challenge, frames inclusive; a
        parent that was never seen is none.
        """
        rows = sorted(self._rows.values())
        kept = [(*row[:3], row[3] if row[3] in self._rows else 0) for row in rows]
        return np.array(kept, np.int32).reshape(-1, 4)


@dataclass
class _Sequence:
    frames: dict[int, ObjectOverlap] = field(default_factory=dict)
    images: dict[int, str] = field(default_factory=dict)
    truth: Lineage = field(default_factory=Lineage)
    result: Lineage = field(default_factory=Lineage)
    has_tracks: bool = True


class TrackScores:
    """SEG and TRA of sequences; a frame that was not scored has no objects in truth and result."""

    def __init__(self) -> None:
        self._sequences: dict[str, _Sequence] = {}

    @property
    def images(self) -> dict[str, list[str]]:
        """The ids of the images of each sequence, in order."""
        return {name: [one.images[t] for t in sorted(one.images)] for name, one in self._sequences.items()}

    def add(self, image: str, truth: Truth, prediction: Prediction, overlap: ObjectOverlap) -> None:
        """Add one frame. image: its id. overlap: of its objects."""
        if truth.sequence is None:
            return
        one = self._sequences.setdefault(truth.sequence, _Sequence())
        one.frames[truth.frame], one.images[truth.frame] = overlap, image
        if truth.parents is None or prediction.parents is None:
            one.has_tracks = False
            return
        one.truth.add(truth.frame, overlap.true_ids, truth.parents)
        one.result.add(truth.frame, overlap.predicted_ids, prediction.parents)

    def merge(self, other: TrackScores) -> None:
        """Add the sequences of another one."""
        self._sequences |= other._sequences

    def metrics(self) -> dict[str, Any]:
        """SEG and TRA as means over the sequences, and of each; nan where there are none.

        Raises LabelError where a true lineage disagrees with the objects of its frames.
        """
        each = {name: _scores(name, one) for name, one in self._sequences.items()}
        means = {
            score: float(mean_defined([scores[score] for scores in each.values()]))
            for score in ("seg", "tra")
        }
        return {**means, "sequences": each}


def _scores(name: str, sequence: _Sequence) -> Mapping[str, float | int]:
    nothing = np.zeros(1, np.int32)
    empty = object_overlap(nothing, nothing)
    overlaps = [sequence.frames.get(t, empty) for t in range(max(sequence.frames) + 1)]
    scores: dict[str, float | int] = {"frames": len(sequence.frames), "seg": seg(overlaps)}
    if not sequence.has_tracks:
        return {**scores, "tra": float("nan")}
    try:
        errors = tracking_errors(overlaps, sequence.truth.table(), sequence.result.table())
    except ValueError as cause:
        raise LabelError(
            "the lineage disagrees with the objects of the frames",
            where=f"sequence {name}",
            received=str(cause),
            fix="correct the file of its tracks; `reunet check` lists what is wrong",
        ) from cause
    counts = ("missed", "false", "splits", "missing_edges", "false_edges", "wrong_edges")
    return {**scores, "tra": errors.tra, **{count: getattr(errors, count) for count in counts}}
