"""Which images belong together, told by their names or by a table of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from reunet.contracts.findings import Findings
from reunet.datasets.cases import Case, CaseFiles
from reunet.datasets.tables import with_groups
from reunet.errors import UsageError


def case(name: str) -> Case:
    return Case(name, "train", CaseFiles(Path(f"{name}.png")))


def test_groups_by_name_or_by_a_file_of_ones_own(tmp_path: Path) -> None:
    cases = [case("p1_left"), case("p1_right"), case("p2_left")]
    problems = Findings(tmp_path)
    assert [one.group for one in with_groups(cases, "{group}_*", (), problems)] == ["p1", "p1", "p2"]
    table = tmp_path / "who.csv"
    table.write_text("file,group\np1_left.png,x\np1_right.png,y\np2_left.png,x\n", encoding="utf-8")
    assert [one.group for one in with_groups(cases, str(table), (), problems)] == ["x", "y", "x"]
    assert not problems
    with_groups([case("other")], "{group}_*", (), problems)
    assert [one.code for one in problems] == ["no-group"]
    with pytest.raises(UsageError, match="which part of a name"):
        with_groups(cases, "{group}_{frame}", (), problems)
