"""The page that compares ten tasks in three libraries counts what the scripts hold; reunet's script runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .blocks import ROOT

FOLDER = ROOT / "examples" / "side_by_side"
ABSENT = "not there"


def counted(file: Path) -> list[str]:
    """Lines of code of each task, or that it is not there."""
    text = file.read_text("utf-8")
    lines = text.splitlines()
    found = []
    for task in ast.parse(text).body:
        if not isinstance(task, ast.FunctionDef) or not task.name.startswith("task_"):
            continue
        if f'return "{ABSENT}' in ast.get_source_segment(text, task).replace("'", '"'):
            found.append(ABSENT)
        else:
            found.append(str(sum(bool(line.strip()) for line in lines[task.lineno : task.end_lineno])))
    return found


def test_the_page_counts_the_lines_of_the_scripts() -> None:
    page = (ROOT / "docs" / "side_by_side.md").read_text("utf-8")
    rows = re.findall(r"^\| \d+\. [^|]+\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.M)
    told = [list(column) for column in zip(*rows, strict=True)]
    scripts = ("reunet_tasks.py", "smp_tasks.py", "keras_hub_tasks.py")
    assert told == [counted(FOLDER / script) for script in scripts]
    assert all(len(column) == 10 for column in told)


@pytest.mark.slow
def test_ours_runs(tmp_path: Path, child_environment: dict[str, str], backend: str) -> None:
    answer = subprocess.run(
        [sys.executable, str(FOLDER / "reunet_tasks.py")], cwd=tmp_path, env=child_environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert len(re.findall(r"^task_\d+", answer.stdout, re.M)) == 10
