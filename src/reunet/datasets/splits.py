"""Which cases are trained on and which are held out for every decision that is not learned by gradient."""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, product
from typing import ClassVar, Literal

import numpy as np

from reunet.contracts.base import Contract
from reunet.datasets.cases import SPLITS, Case, Dataset
from reunet.errors import DataError

HELD_OUT = 0.15
"""Share of the training cases that is held out when the dataset has no val split."""


class Splits(Contract):
    """Ids of the cases per split. source: val was `given` as a folder, or `held out` of train.

    notes: what a reader of the scores should know; the report repeats them.
    """

    most_bytes: ClassVar[int] = 2**30
    schema_version: int = 1
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    source: Literal["given", "held out"]
    notes: tuple[str, ...] = ()


def make_splits(dataset: Dataset, seed: int = 0, before: Splits | None = None) -> Splits:
    """The dataset's own splits; without val, 15 % of train (at least 2 cases) is held out.

    Whole groups and whole sequences are held out; of a single stack or sequence, its last 15 % in one
    piece, since neighbouring slices show the same objects. The choice depends on `seed` alone, and on
    `before`: what was held out then comes first, then what is new, and last what was trained on.
    Raises DataError when there is no case to train on, or none that can be held out.
    """
    train, val = dataset.split("train"), dataset.split("val")
    test = tuple(case.id for case in dataset.split("test"))
    notes = shared_notes(dataset.cases)
    if not train:
        raise DataError("the dataset has no training case", where=dataset.root, expected="images in train/")
    ids = tuple(case.id for case in train)
    if val:
        of_val = tuple(case.id for case in val)
        return Splits(train=ids, val=of_val, test=test, source="given", notes=notes)
    held, note = _hold_out(train, seed, dataset, before)
    kept, of_val = tuple(one for one in ids if one not in held), tuple(one for one in ids if one in held)
    notes = (f"{len(held)} of {len(ids)} training cases were held out for validation{note}", *notes)
    return Splits(train=kept, val=of_val, test=test, source="held out", notes=notes)


def split_cases(dataset: Dataset, splits: Splits, name: str) -> tuple[Case, ...]:
    """The cases of `name` (train, val or test) by the ids in `splits`, in the dataset's order.

    Raises DataError when the dataset lacks one of them.
    """
    wanted = {"train": splits.train, "val": splits.val, "test": splits.test}[name]
    folder = "train" if name == "val" and splits.source == "held out" else name
    known = {case.id: case for case in dataset.split(folder)}
    missing = [case for case in wanted if case not in known]
    if missing:
        raise DataError(
            f"{len(missing)} case(s) of the {name} split are not in the dataset",
            where=dataset.root,
            received=", ".join(missing[:5]),
            fix="use the dataset the run was started with",
        )
    return tuple(known[case] for case in wanted)


def shared_notes(cases: Sequence[Case]) -> tuple[str, ...]:
    """One sentence for each pair of splits that share groups or sequences."""
    units: dict[tuple[str, str], set[str]] = defaultdict(set)
    for case in cases:
        for kind, unit in _links(case):
            units[case.split, kind].add(unit)
    notes = []
    for (first, second), kind in product(combinations(SPLITS, 2), ("group", "sequence")):
        shared = sorted(units[first, kind] & units[second, kind])
        if shared:
            shown = ", ".join(shared[:5]) + (" ..." if len(shared) > 5 else "")
            what = f"{first} and {second} share {len(shared)} {kind}(s) ({shown})"
            notes.append(f"{what}: scores may be too good")
    return tuple(notes)


def _hold_out(
    train: Sequence[Case], seed: int, dataset: Dataset, before: Splits | None
) -> tuple[set[str], str]:
    """Ids to hold out, and how the note about it ends."""
    if len(train) < 2:
        raise DataError(
            "one training case is too few: none can be held out for validation",
            where=dataset.root,
            expected="at least 2 images in train/, or images in val/",
            received=f"{len(train)} image",
        )
    target = min(max(2, round(HELD_OUT * len(train))), len(train) - 1)
    units = units_of(train)
    if len(units) == 1:
        if train[0].sequence is None or train[0].group is not None:
            raise DataError(
                "all training cases are one group: none can be held out for validation",
                where=dataset.root,
                received=f"group {train[0].group}",
                fix="leave out --group, or give a val/ folder",
            )
        count = min(max(2, math.ceil(HELD_OUT * len(train))), len(train) - 1)
        last = f": the last ones of {train[0].sequence.name}, in one piece"
        return {case.id for case in train[-count:]}, last
    held: list[list[Case]] = []
    order = [units[i] for i in np.random.default_rng(seed).permutation(len(units))]
    if before is not None and before.source == "held out":
        known = {case: rank for rank, ids in ((0, before.val), (2, before.train)) for case in ids}
        order.sort(key=lambda unit: max(known.get(case.id, 1) for case in unit))
    for unit in order:
        if sum(map(len, held)) + len(unit) <= target and len(held) < len(units) - 1:
            held.append(unit)
    rest = sorted((unit for unit in order if unit not in held), key=len)
    while sum(map(len, held)) < min(2, target) and len(rest) > 1:
        held.append(rest.pop(0))
    together = any(case.group or case.sequence for case in train)
    return {case.id for unit in held for case in unit}, ", whole groups and sequences" if together else ""


def _links(case: Case) -> list[tuple[str, str]]:
    """What ties a case to others: ("group", its name) and ("sequence", its name)."""
    told = ("group", case.group), ("sequence", None if case.sequence is None else case.sequence.name)
    return [(kind, name) for kind, name in told if name is not None]


def units_of(train: Sequence[Case]) -> list[list[Case]]:
    """Cases that must stay together: those linked by a group or a sequence. In a stable order."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def find(key: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for case in train:
        for link in _links(case):
            parent[find(("case", case.id))] = find(link)
    units: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in train:
        units[find(("case", case.id))].append(case)
    return sorted(units.values(), key=lambda unit: min(case.id for case in unit))
