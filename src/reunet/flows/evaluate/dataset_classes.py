"""Whether the masks of a dataset mean the same classes as a run, and how their values are to be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reunet.contracts.labels import LabelMap
from reunet.datasets.classes import with_encoding
from reunet.datasets.reading import Reading
from reunet.errors import PlanError


def labels_of_dataset(known: LabelMap, found: LabelMap, readings: Iterable[Reading]) -> LabelMap:
    """The class list by which the masks of `readings` are read so that indices mean the classes of `known`.

    known: the classes of the run. found: those of the dataset; a class without a name of its own (such as
    `foreground`) fits any. Raises PlanError when the classes are others.
    """
    if not _fits(known.names, found.names):
        raise PlanError(
            "the dataset has other classes than the run was trained on",
            where="class list",
            expected=", ".join(known.names),
            received=", ".join(found.names),
            fix="say what the mask values mean with --classes FILE (lines: id,name), in the order of the run",
        )
    return with_encoding(found, readings)


def _fits(known: Sequence[str], found: Sequence[str]) -> bool:
    """Equal names, position by position; a name that nobody chose fits any that it does not contradict."""

    def same(a: str, b: str) -> bool:
        free = (_generic(a) and a not in found) or (_generic(b) and b not in known)
        return free or a.casefold() == b.casefold()

    return len(known) == len(found) and all(map(same, known, found))


def _generic(name: str) -> bool:
    return name in ("background", "foreground") or name.startswith("class_")
