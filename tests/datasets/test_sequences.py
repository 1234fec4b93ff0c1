"""Sequences: told by sequences.json, by a pattern over the names, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.scan import open_dataset
from reunet.datasets.sequences import SequencePattern, natural_order
from reunet.errors import DataError, UsageError

from .examined import find_problems


@pytest.fixture
def films(make_films: Callable[..., Path], tmp_path: Path) -> Path:
    return make_films(tmp_path / "films", train=(3, 4), test=(2,), size=(12, 16))


def problems(folder: Path, code: str, **options: object) -> list[Problem]:
    found, _ = find_problems(folder, DataOptions(**options))
    return [problem for problem in found if problem.code == code]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{sequence}_{frame}", "car-roundabout_00012", ("car-roundabout", 12)),
        ("{sequence}_{frame}", "walk_3_7", ("walk_3", 7)),
        ("{sequence}_*{frame}", "0001TP_006690", ("0001TP", 6690)),
        ("{sequence}_*{frame}", "0006R0_f00930", ("0006R0", 930)),
        ("{sequence}/{frame}", "clips/a/0001", ("clips/a", 1)),
        ("{sequence}/img*{frame}", "a/img12", ("a", 12)),
        ("*_{frame}", "day1/shot_04", None),
        ("frame{frame}", "frame10", ("all", 10)),
        ("*/frame{frame}", "b/frame10", ("b", 10)),
        ("{sequence}_{slice}", "stack_02", ("stack", 2)),
        ("{sequence}.v1_{frame}", "axv1_2", None),
        ("{sequence}_{frame}", "walk", None),
    ],
)
def test_patterns(pattern: str, name: str, expected: tuple[str, int] | None) -> None:
    assert SequencePattern(pattern).place(name) == expected
    assert SequencePattern(pattern).axis == ("Z" if "slice" in pattern else "T")


@pytest.mark.parametrize(
    "pattern", ["", "walk", "{sequence}", "{frame}{slice}", "{name}_{frame}", "{frame}_{frame}"]
)
def test_patterns_without_one_number_are_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        SequencePattern(pattern)


def test_a_pattern_gives_what_the_list_gives(films: Path) -> None:
    listed = open_dataset(films)
    (films / "sequences.json").unlink()
    named = open_dataset(films, DataOptions(sequence="{sequence}_{frame}"))
    one, other = (
        [(case.id, case.split, case.sequence.name, case.sequence.axis) for case in dataset.cases]
        for dataset in (listed, named)
    )
    assert sorted(one) == sorted(other)
    for name in ("walk0", "walk1"):
        frames = [case.id for case in named.split("train") if case.sequence.name == name]
        assert frames == sorted(frames)


def test_frames_are_ordered_by_number_not_by_letters(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for number in (2, 10, 1):
            Image.fromarray(np.full((8, 8), number % 2, np.uint8)).save(tmp_path / kind / f"a{number}.png")
    dataset = open_dataset(tmp_path, DataOptions(sequence="{sequence}{frame}"))
    assert [case.id for case in dataset.cases] == ["a1", "a2", "a10"]
    assert sorted(["a10", "a2", "b1", "a1"], key=natural_order) == ["a1", "a2", "a10", "b1"]


def test_names_that_do_not_fit_are_all_listed(films: Path) -> None:
    found = problems(films, "no-sequence", sequence="walk0_{frame}")
    assert [problem.severity for problem in found] == ["error"] * 4
    assert "walk1_000" in found[0].received


def test_two_files_of_one_frame(films: Path) -> None:
    for kind in ("images", "masks"):
        image = films / "train" / kind / "walk0_001.png"
        image.rename(image.with_name("walk0_2.png"))
    (problem,) = problems(films, "frame-twice", sequence="{sequence}_{frame}")
    assert problem.received == "walk0_002 and walk0_2"


def test_a_frame_listed_twice_is_an_error(films: Path) -> None:
    entries = json.loads((films / "sequences.json").read_text())
    entries[0]["frames"].append("walk1_002")
    (films / "sequences.json").write_text(json.dumps(entries))
    (problem,) = problems(films, "frame-twice")
    assert (problem.severity, problem.received) == ("error", "train: walk1_002")
    with pytest.raises(DataError, match="listed twice"):
        open_dataset(films)


def test_frames_that_do_not_exist_are_told(films: Path) -> None:
    entries = json.loads((films / "sequences.json").read_text())
    entries[0]["frames"].append("walk0_999")
    (films / "sequences.json").write_text(json.dumps(entries))
    (problem,) = problems(films, "unknown-frame")
    assert (problem.severity, problem.received) == ("warning", "train: walk0_999")


def test_a_sequence_of_one_frame_is_told(make_films: Callable[..., Path], tmp_path: Path) -> None:
    data = make_films(tmp_path / "films", train=(1, 4), test=(2,), size=(12, 16))
    (problem,) = problems(data, "single-frame")
    assert (problem.severity, problem.received) == ("warning", "train: walk0")


def test_frames_of_another_size_are_told(films: Path) -> None:
    for kind in ("images", "masks"):
        pixels = np.indices((12, 15)).sum(0).astype(np.uint8) % 2
        Image.fromarray(pixels).save(films / "train" / kind / "walk1_002.png")
    (problem,) = problems(films, "frame-size")
    assert problem.severity == "error"
    assert (problem.expected, problem.received) == ("12 x 16 as walk1_000", "12 x 15")
    assert "walk1_002.png" in problem.file


def test_sequences_may_have_any_length(films: Path) -> None:
    found, counts = find_problems(films)
    assert [problem for problem in found if problem.severity == "error"] == []
    assert counts == {"train": 7, "test": 2}
