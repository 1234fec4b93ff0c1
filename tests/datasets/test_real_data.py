"""The real datasets open, split and check without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from reunet.contracts.labels import IGNORE
from reunet.contracts.options.records import DataOptions
from reunet.datasets.case_arrays import load_case
from reunet.datasets.scan import open_dataset
from reunet.datasets.splits import make_splits

from .examined import find_problems

COUNTS = {
    "dsb2018_nuclei": {"train": 478, "test": 119},
    "isbi2012_em": {"train": 24, "test": 6},
    "drive": {"train": 20, "test": 20},
    "camvid": {"train": 367, "val": 101, "test": 233},
    "glas": {"train": 85, "test": 80},
}


LARGE = ("dsb2018_nuclei", "camvid")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in COUNTS]
)
def test_no_errors(shared_data: Path, name: str) -> None:
    problems, counts = find_problems(shared_data / name)
    assert [problem for problem in problems if problem.severity == "error"] == []
    assert counts == COUNTS[name]


def test_drive_is_unlabelled_outside_its_field_of_view(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "drive")
    arrays = load_case(dataset.split("test")[0], dataset.labels)
    image, labels = arrays.image, arrays.labels
    assert image.shape == (584, 565, 3)
    assert labels is not None
    assert labels[0, 0] == IGNORE
    assert set(labels[300].tolist()) == {0, 1, IGNORE}


def test_camvid_void_is_unlabelled_and_its_splits_are_kept(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "camvid")
    assert dataset.labels.ignore == 11
    assert len(dataset.labels.classes) == 11
    splits = make_splits(dataset)
    assert (splits.source, len(splits.val)) == ("given", 101)
    assert any("share" in note for note in splits.notes)


def test_isbi_holds_out_the_last_slices(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "isbi2012_em")
    assert make_splits(dataset).val == ("slice_20", "slice_21", "slice_22", "slice_23")
    assert dataset.labels.boundary == 1


def test_glas_patients_stay_together(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "glas", DataOptions(group="patient_id"))
    splits = make_splits(dataset)
    group = {case.id: case.group for case in dataset.split("train")}
    assert not {group[i] for i in splits.train} & {group[i] for i in splits.val}
