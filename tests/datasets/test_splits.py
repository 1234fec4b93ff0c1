"""What is held out: how much, what stays together, and that it depends on the seed alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.labels import LabelMap, default_classes
from reunet.datasets.cases import Case, CaseFiles, Dataset, FrameSequence
from reunet.datasets.splits import Splits, make_splits, split_cases
from reunet.errors import DataError

LABELS = LabelMap(classes=default_classes([0, 1]))


def case(
    name: str, split: str = "train", group: str | None = None, sequence: FrameSequence | None = None
) -> Case:
    files = CaseFiles(Path(split, name), Path("m"))
    return Case(name, split, files, group=group, sequence=sequence)


def dataset(*cases: Case, given_splits: frozenset[str] | None = None) -> Dataset:
    return Dataset("d", Path("d"), LABELS, cases, given_splits or frozenset(one.split for one in cases))


@given(count=st.integers(2, 200), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_single_images(count: int, seed: int) -> None:
    cases = [case(f"{i:03d}") for i in range(count)]
    splits = make_splits(dataset(*cases), seed)
    assert sorted(splits.train + splits.val) == [one.id for one in cases]
    assert len(splits.val) == min(max(2, round(0.15 * count)), count - 1)
    assert make_splits(dataset(*cases), seed) == splits


def test_the_seed_chooses() -> None:
    whole = dataset(*(case(f"{i:03d}") for i in range(40)))
    assert len({make_splits(whole, seed).val for seed in range(8)}) > 4


@given(
    groups=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=3, max_size=60),
    seed=st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_groups_and_sequences_never_straddle(groups: list[tuple[int, int]], seed: int) -> None:
    cases = [
        case(f"{i:03d}", group=f"g{g}", sequence=FrameSequence(f"s{s}", "T"))
        for i, (g, s) in enumerate(groups)
    ]
    try:
        splits = make_splits(dataset(*cases), seed)
    except DataError:  # everything hangs together
        return
    held = {one.id for one in cases} & set(splits.val)
    assert held
    assert splits.train
    for kind in ("group", "sequence"):
        sides = [{getattr(one, kind) for one in cases if (one.id in held) is side} for side in (True, False)]
        assert not sides[0] & sides[1]


def test_single_stack_gives_its_end_in_one_piece() -> None:
    cases = [case(f"{i:02d}", sequence=FrameSequence("stack", "Z")) for i in range(24)]
    splits = make_splits(dataset(*cases))
    assert splits.val == ("20", "21", "22", "23")


def test_whole_sequences_are_held_out_of_several() -> None:
    cases = [case(f"{name}{i:02d}", sequence=FrameSequence(name, "T")) for name in "abc" for i in range(20)]
    splits = make_splits(dataset(*cases))
    assert len({name[0] for name in splits.val}) == 1
    assert len(splits.val) == 20


def test_given_splits_are_kept_and_ids_may_repeat() -> None:
    """001 in train is not 001 in test: looking cases up by id alone would train on the test set."""
    whole = dataset(case("001"), case("002"), case("001", "val"), case("001", "test"))
    splits = make_splits(whole)
    assert splits.source == "given"
    for name in ("train", "val", "test"):
        assert {one.split for one in split_cases(whole, splits, name)} == {name}
    with pytest.raises(DataError, match="009"):
        split_cases(whole, splits.model_copy(update={"test": ("009",)}), "test")


def test_shared_groups_of_given_splits_are_noted() -> None:
    whole = dataset(case("a", group="p1"), case("b", group="p2"), case("c", "test", group="p1"), case("d"))
    assert any("train and test share 1 group(s) (p1)" in note for note in make_splits(whole).notes)


def test_too_few_cases() -> None:
    with pytest.raises(DataError, match="no training case"):
        make_splits(dataset(case("a", "test")))
    with pytest.raises(DataError, match="one training case"):
        make_splits(dataset(case("a")))
    with pytest.raises(DataError, match="one group"):
        make_splits(dataset(*(case(str(i), group="p") for i in range(5))))


def test_file_round_trip(tmp_path: Path) -> None:
    splits = make_splits(dataset(case("ä"), case("b"), case("c")))
    splits.write(tmp_path / "splits.json")
    assert Splits.read(tmp_path / "splits.json") == splits
