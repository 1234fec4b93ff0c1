"""Folds: the training cases in K parts, each of which is held out once of a training on all others."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from reunet.datasets.cases import Case, Dataset
from reunet.datasets.splits import Splits, shared_notes, units_of
from reunet.errors import DataError


def fold_splits(dataset: Dataset, count: int, seed: int = 0) -> tuple[Splits, ...]:
    """The splits of `count` trainings: every training case is held out in exactly one of them.

    Whole groups and whole sequences are on one side; the pages of a single stack, or the frames of a single
    sequence, go in pieces of neighbours. Parts are as equal as that allows, first in each class of whole
    images, then in their number. A val/ folder stays unused. The choice depends on `seed` alone.
    Raises DataError where there are fewer cases, groups or sequences than folds.
    """
    train = dataset.split("train")
    ids = tuple(case.id for case in train)
    units = _pieces(train, count) if _is_one_sequence(train) else units_of(train)
    if len(units) < count:
        grouped = any(case.group for case in train)
        what = "groups" if grouped else "sequences" if any(case.sequence for case in train) else "images"
        raise DataError(
            f"{count} folds need as many {what}, and one fold is held out at a time",
            where=dataset.root,
            expected=f"{max(count, 2)} {what} or more in train/",
            received=f"{len(units)} {what}, {len(train)} images",
            fix=_way_out(len(units), grouped),
        )
    held = [{case.id for case in part} for part in _spread(units, count, seed)]
    test = tuple(case.id for case in dataset.split("test"))
    together = ", whole groups and sequences" if any(c.group or c.sequence for c in train) else ""
    notes = shared_notes(dataset.cases)
    if dataset.split("val"):
        notes = ("the images in val/ were not used: folds are made of train/", *notes)
    return tuple(
        Splits(
            train=tuple(one for one in ids if one not in part),
            val=tuple(one for one in ids if one in part),
            test=test,
            source="held out",
            notes=(
                f"fold {k + 1} of {count}: {len(part)} of {len(ids)} cases are held out{together}",
                *notes,
            ),
        )
        for k, part in enumerate(held)
    )


def _way_out(units: int, grouped: bool) -> str:
    first = f"give --folds {units}" if units > 1 else "train without --folds"
    return first + (", or leave --group out" if grouped else ", or label more images")


def _is_one_sequence(train: Sequence[Case]) -> bool:
    return len(units_of(train)) == 1 and train[0].sequence is not None and train[0].group is None


def _pieces(train: Sequence[Case], count: int) -> list[list[Case]]:
    """`count` pieces of neighbours, or as many as there are frames."""
    parts = np.array_split(np.arange(len(train)), min(count, len(train)))
    return [[train[i] for i in part] for part in parts]


def _spread(units: Sequence[Sequence[Case]], count: int, seed: int) -> list[list[Case]]:
    """The units in `count` parts: the largest ones first, each to the part that has least of its kind."""
    order = [units[i] for i in np.random.default_rng(seed).permutation(len(units))]
    order.sort(key=len, reverse=True)
    parts: list[list[Case]] = [[] for _ in range(count)]
    kinds = [Counter[int | None]() for _ in range(count)]
    for unit in order:
        kind = unit[0].category
        k = min(range(count), key=lambda k: (len(parts[k]) > 0, kinds[k][kind], len(parts[k])))
        parts[k] += unit
        kinds[k].update(case.category for case in unit)
    return parts
