"""Masks, numbers of objects and boxes of one image, held against each other: each shows what others do."""

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings, some_of
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.truth import HALF
from reunet.datasets.cases import Case


def tell_apart(
    case: Case, ids: np.ndarray | None, encoded: np.ndarray | None, labels: LabelMap, problems: Findings
) -> None:
    """Add a warning for objects of which a mask shows nothing, and for boxes that hold nothing of either.

    ids: (*space) of objects, 0 outside. encoded: (*space) class indices of a mask. Only known pixels count.
    """
    whole = ids if encoded is None else encoded
    if whole is None:
        return
    shown = None if encoded is None or case.files.mask is None else np.isin(encoded, labels.foreground)
    known = np.ones(whole.shape, np.bool_) if encoded is None else np.asarray(encoded != IGNORE)
    if shown is not None and ids is not None and shown.any():
        seen, told = (np.unique(ids[place]) for place in (shown, known))
        _tell(case, "object", np.setdiff1d(told, [0, *seen]).tolist(), "mask", problems)
    boxes = None if case.objects is None or case.objects.shaped else case.objects.boxes
    if boxes is None or known.ndim != 2:
        return
    inside, word = (shown, "mask") if ids is None else (ids > 0, "instances")
    if inside is not None and inside.any():
        empty = _empty(boxes, inside, known, None if ids is not None else encoded)
        _tell(case, "box", (np.flatnonzero(empty) + 1).tolist(), word, problems)


def _empty(
    boxes: Boxes, inside: NDArray[np.bool_], known: NDArray[np.bool_], encoded: np.ndarray | None
) -> NDArray[np.bool_]:
    """(n,) bool: boxes without a pixel that is `inside`, most of which is known. encoded: classes that no
    pixel shows may be told by boxes alone.
    """
    empty = (boxes.share_in(inside) <= 0) & (boxes.share_in(known) > HALF)
    return empty if encoded is None else empty & np.isin(boxes.classes, np.unique(encoded))


def _tell(case: Case, what: str, numbers: list[int], other: str, problems: Findings) -> None:
    if numbers:
        file = case.files.mask if other == "mask" else case.files.instances
        message = f"{len(numbers)} {what}(s) lie where the {other} shows nothing"
        received = f"{what} {some_of([str(number) for number in numbers])}"
        fix = "see which of the two is right, and correct the other"
        problems.warning("objects-apart", file or case.image, message, "something of each", received, fix)
