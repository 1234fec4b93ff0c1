"""Images whose labels a person mended: found in corrections.csv, shown more often, held out as before."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.plan import Plan
from reunet.corrections.editing import Edited, Editing
from reunet.datasets.case_arrays import load_case
from reunet.datasets.scan import open_dataset
from reunet.datasets.splits import make_splits
from reunet.errors import DataError
from reunet.planning import PlanRequest, make_plan, take_fingerprint
from reunet.sampling.patches import PatchSampler


def corrected(tmp_path: Path, tiny_dataset: Path, names: list[str]) -> Path:
    data = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    editing = Editing.open(data)
    for name in names:
        labels = editing.load(f"train/{name}").labels
        assert labels is not None
        editing.save(f"train/{name}", Edited(labels=1 - labels))
    return data


def planned(data: Path) -> tuple[Plan, PatchSampler]:
    dataset = open_dataset(data)
    cases = [load_case(case, dataset.labels) for case in dataset.split("train")]
    plan = make_plan(take_fingerprint(dataset, cases, []), PlanRequest(steps=3))
    return plan, PatchSampler(cases, plan)


def test_corrected_images_are_shown_three_times_as_often(tmp_path: Path, tiny_dataset: Path) -> None:
    plan, sampler = planned(corrected(tmp_path, tiny_dataset, ["train_01", "train_04"]))
    assert "2 of 6 images were corrected" in plan.reasons["corrected_sampling"]
    shown = Counter(sampler.cases[window.frames[0]].id for window in sampler.windows)
    assert shown == {f"train_{i:02d}": 3 if i in (1, 4) else 1 for i in range(6)}
    assert sampler.patches_per_epoch == 10


def test_where_all_are_corrected_none_is_shown_more_often(tmp_path: Path, tiny_dataset: Path) -> None:
    plan, _ = planned(corrected(tmp_path, tiny_dataset, [f"train_{i:02d}" for i in range(6)]))
    assert plan.corrected_sampling == 1
    assert planned(tiny_dataset)[0].corrected_sampling == 1


def test_what_was_held_out_stays_so_and_what_is_new_goes_before_what_was_trained_on(tmp_path: Path) -> None:
    from PIL import Image

    def dataset(count: int) -> Path:
        for number in range(count):
            for folder in ("images", "masks"):
                (path := tmp_path / folder / f"{number:02d}.png").parent.mkdir(exist_ok=True)
                Image.fromarray(np.eye(8, k=number % 5, dtype=np.uint8) * (1 + number % 2 * 0)).save(path)
        return tmp_path

    first = make_splits(open_dataset(dataset(8)))
    for seed in range(5):
        more = make_splits(open_dataset(dataset(30)), seed, first)
        assert set(first.val) < set(more.val)
        assert not set(more.val) & set(first.train)
    assert (
        make_splits(open_dataset(tmp_path), 0, more).val == make_splits(open_dataset(tmp_path), 3, more).val
    )


def test_a_damaged_list_of_corrections_is_told(tmp_path: Path, tiny_dataset: Path) -> None:
    data = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    (data / "corrections.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no list of corrections"):
        open_dataset(data)
