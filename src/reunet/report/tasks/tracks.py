"""Sequences of objects: their scores, and the tracks of the worst and of the best one, moving."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reunet.contracts.results import Scored
from reunet.io.render_tracks import Trails, animation
from reunet.report.content import UNDEFINED, Table, cells

SIDE = 400
MOST_FRAMES = 50
"""Of a sequence that is shown, its first ones."""

TERMS = {
    "SEG": "Mean over the true objects of all frames of the IoU with the predicted one that covers more than "
    "half of it, 0 without one (Maska et al. 2014).",
    "TRA": "1 - the cost of turning the predicted tracks into the true ones / that of making these from "
    "nothing (Matula et al. 2015).",
}


def track_tables(metrics: dict[str, Any]) -> list[Table]:
    """A row per sequence, the worst first; no table where there are none."""
    told = ("missed", "false", "splits", "missing_edges", "false_edges", "wrong_edges")
    rows = [
        cells(name, one["seg"], one["tra"], one["frames"], *(one.get(error, UNDEFINED) for error in told))
        for name, one in _worst_first(metrics)
    ]
    note = (
        "Objects that were missed, invented, or share a predicted one; links between frames that are "
        "missing, wrong, or take a division for one track or one track for a division."
    )
    heads = ("missed", "false", "shared", "links missing", "links wrong", "kind wrong")
    return [Table("Tracks", note, ("sequence", "SEG", "TRA", "frames", *heads), rows)] if rows else []


def shown_sequences(metrics: dict[str, Any], images: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The worst and the best sequence, with the ids of the images to be shown. images: of each, in order."""
    names = [name for name, _ in _worst_first(metrics)]
    return {name: images[name][:MOST_FRAMES] for name in dict.fromkeys((*names[:1], *names[-1:]))}


def moving(ids: Sequence[str], images: Mapping[str, Callable[[], Scored]]) -> str:
    """A data URI: the predicted tracks of consecutive images; empty where there is nothing to draw."""
    trails, pictures = Trails(SIDE), []
    for one in (images[name]() for name in ids if name in images):
        found, parents = one.prediction.instances, one.prediction.parents
        if one.image is not None and found is not None and parents is not None and found.ndim == 2:
            pictures.append(trails.paint(one.image, found, parents))
    return "data:image/webp;base64," + b64encode(animation(pictures)).decode("ascii") if pictures else ""


def _worst_first(metrics: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    def key(item: tuple[str, dict[str, Any]]) -> list[float]:
        return [1.0 if item[1][score] is None else item[1][score] for score in ("tra", "seg")]

    return sorted(metrics["tracking"]["sequences"].items(), key=key)
