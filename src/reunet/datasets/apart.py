"""Masks, numbers of objects and boxes of one image, held against each other: each shows what others do."""

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings, some_of
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.truth import HALF
from reunet.datasets.cases import Case


def tell_apart(
    case: Case, ids: np.ndarray | None, encoded: np.ndarray | None, labels: LabelMap, problems: Findings
) -> None:
    """Add a warning for objects of which a mask shows nothing, and for boxes that hold nothing of either.

    ids: (*space) of objects, 0 outside. encoded: (*space) class indices of a mask. Only known pixels count,
    and of classes only those that the image is annotated with.
    """
    whole = ids if encoded is None else encoded
    if whole is None:
        return
    is_whole = case.classes is None or set(labels.foreground) <= set(case.classes)
    has_mask = encoded is not None and case.files.mask is not None and is_whole
    shown = np.isin(whole, labels.foreground) if has_mask else None
    known = np.ones(whole.shape, np.bool_) if encoded is None else np.asarray(encoded != IGNORE)
    if shown is not None and ids is not None:
        seen, told = (np.unique(ids[place]) for place in (shown, known))
        lost = np.setdiff1d(told, [0, *seen]).tolist()
        _tell(case, [f"object {number}" for number in lost], "mask", problems)
    boxes = None if case.objects is None else case.objects.boxes
    inside = shown if ids is None else ids > 0
    if boxes is None or inside is None or known.ndim != 2:
        return
    empty = (boxes.share_in(inside) <= 0) & (boxes.share_in(known) > HALF)
    if ids is None and len(labels.foreground) > 1:  # a class that no pixel shows may be told by boxes alone
        empty &= np.isin(boxes.classes, np.unique(whole))
    _tell(case, _named(boxes.chosen(empty)), "mask" if ids is None else "instances", problems)


def _named(boxes: Boxes) -> list[str]:
    """Each by its place, for people."""
    return [f"box x {x0:g}-{x1:g} y {y0:g}-{y1:g}" for y0, x0, y1, x1 in boxes.corners.tolist()]


def _tell(case: Case, lost: list[str], other: str, problems: Findings) -> None:
    """Add a warning about objects or boxes of which the other file shows nothing, if there are any."""
    if lost:
        file = case.files.mask if other == "mask" else case.files.instances
        what, its = ("object(s)", "id") if lost[0].startswith("object") else ("box(es)", "place")
        where = "the mask" if other == "mask" else "instances/"
        message = f"{len(lost)} {what} lie where {where} shows nothing"
        fix = f"see by the {its} which of the two is right, and correct the other"
        problems.warning(
            "objects-apart", file or case.image, message, "something of each", some_of(lost), fix
        )
