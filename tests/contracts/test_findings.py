"""The list of what is wrong with a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from reunet.contracts.findings import Findings, relative, some_of, understood
from reunet.contracts.names import file_name
from reunet.contracts.results import CheckResult, Problem
from reunet.errors import DataError, LabelError

ROOT = Path("/data/cells")


def test_files_are_told_below_the_folder_and_pages_from_1() -> None:
    assert relative(ROOT / "images" / "a.png", ROOT) == "images/a.png"
    assert relative(Path("/other/a.png"), ROOT) == str(Path("/other/a.png"))
    assert relative(ROOT / "a.tif", ROOT, 0) == "a.tif, page 1"
    assert relative(ROOT / "a.tif", ROOT, 6) == "a.tif, page 7"


def test_long_lists_are_cut() -> None:
    assert some_of(["a", "b"], 2) == "a, b"
    assert some_of(["a", "b", "c"], 2) == "a, b and 1 more"
    assert some_of([str(i) for i in range(11)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1 more"
    assert some_of([]) == ""


def test_problems_are_kept_with_their_details() -> None:
    problems = Findings(ROOT, 2)
    problems.error("code", ROOT / "a.tif", "what", "expected", "received", "fix")
    problems.warning("code", "sequences.json", "what")
    problems.caught("code", ROOT / "b.tif", LabelError("what", expected=3, fix="do"))
    assert list(problems) == [
        Problem("error", "code", "a.tif, page 3", "what", "expected", "received", "fix"),
        Problem("warning", "code", "sequences.json", "what"),
        Problem("error", "code", "b.tif, page 3", "what", "3", "", "do"),
    ]
    assert CheckResult(tuple(problems), {}).errors == (problems[0], problems[2])


@pytest.mark.parametrize("cause", [KeyError("a"), RecursionError("deep"), ValueError("x" * 500)])
def test_whatever_a_reader_raises_is_told_with_the_file(cause: Exception) -> None:
    with pytest.raises(DataError) as caught, understood("the list is", ROOT / "a.json", "[...]"):
        raise cause
    assert caught.value.what == "the list is not understood"
    assert (caught.value.where, caught.value.expected) == (ROOT / "a.json", "[...]")
    assert type(cause).__name__ in str(caught.value.received)
    assert len(str(caught.value.received)) < 200
    problems = Findings(ROOT)
    with problems.noting("code", ROOT / "a.json", "the list is", "[...]"):
        raise cause
    assert [(one.code, one.file, one.expected) for one in problems] == [("code", "a.json", "[...]")]


def test_an_error_of_ours_is_told_as_it_is() -> None:
    problems = Findings(ROOT)
    with problems.noting("code", "a", "the list is"):
        raise LabelError("exactly this", received=7)
    assert [(one.message, one.received) for one in problems] == [("exactly this", "7")]
    with pytest.raises(LabelError, match="exactly this"), understood("the list is", "a"):
        raise LabelError("exactly this")
    with problems.noting("code", "a", "the list is"):
        pass
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [("cells", "cells"), ("my cells/2", "my_cells_2"), ("../x", "_x"), (".hidden", "hidden"), ("", "_"),
     ("...", "_"), ("Zellen ä", "Zellen_ä"), ("a.b-c", "a.b-c")],
)  # fmt: skip
def test_names_of_things_as_names_of_files(text: str, name: str) -> None:
    assert file_name(text) == name
