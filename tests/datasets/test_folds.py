"""Folds: each case is held out once, groups stay on one side."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from reunet.contracts.labels import LabelMap
from reunet.datasets.cases import Case, CaseFiles, Dataset, FrameSequence
from reunet.datasets.folds import fold_splits
from reunet.errors import DataError

CLASSES = [
    {"id": 0, "name": "no", "color": [0, 0, 0], "foreground": False},
    {"id": 1, "name": "yes", "color": [9, 9, 9], "foreground": True},
]
LABELS = LabelMap.parse({"classes": CLASSES}, where="test")


def dataset(*cases: Case) -> Dataset:
    return Dataset("some", Path("some"), LABELS, tuple(cases), frozenset())


def case(name: str, group: str | None = None, category: int | None = None, split: str = "train") -> Case:
    return Case(name, split, CaseFiles(Path(f"{name}.png")), group=group, category=category)


def test_every_case_is_held_out_once_and_groups_stay_together() -> None:
    sizes = {"a": 7, "b": 1, "c": 3, "d": 2, "e": 4, "f": 1}
    cases = [case(f"{group}_{i}", group) for group, size in sizes.items() for i in range(size)]
    folds = fold_splits(dataset(*cases, case("t", split="test")), 3, seed=4)
    assert sorted(one for fold in folds for one in fold.val) == sorted(one.id for one in cases)
    for fold in folds:
        assert set(fold.train) | set(fold.val) == {one.id for one in cases}
        assert not {one[0] for one in fold.train} & {one[0] for one in fold.val}
        assert fold.test == ("t",)
    assert sorted(len(fold.val) for fold in folds) == [5, 6, 7]
    assert folds == fold_splits(dataset(*cases, case("t", split="test")), 3, seed=4)
    assert folds != fold_splits(dataset(*cases), 3, seed=5)


def test_classes_of_images_are_spread_over_the_folds() -> None:
    cases = [case(f"{i:02d}", category=int(i >= 9)) for i in range(12)]
    for fold in fold_splits(dataset(*cases), 3):
        assert Counter(int(one) >= 9 for one in fold.val) == {False: 3, True: 1}


def test_one_sequence_is_cut_into_pieces_of_neighbours() -> None:
    film = FrameSequence("film", "Z")
    cases = [replace(case(f"{i}"), sequence=film) for i in range(7)]
    assert [fold.val for fold in fold_splits(dataset(*cases), 2)] == [("0", "1", "2", "3"), ("4", "5", "6")]


@pytest.mark.parametrize(
    ("cases", "told"),
    [
        ([case("a")], "train without --folds, or label more images"),
        ([case(name) for name in "abc"], "give --folds 3, or label more images"),
        ([case(name, "one") for name in "abcdefg"], "train without --folds, or leave --group out"),
        (
            [case(name, "ab"[name < "c"]) for name in "abcdef"],
            "--folds 2, or leave --group out",
        ),
    ],
)
def test_what_cannot_be_folded_says_what_would(cases: list[Case], told: str) -> None:
    with pytest.raises(DataError, match="folds need as many") as error:
        fold_splits(dataset(*cases), 5)
    assert told in str(error.value)
