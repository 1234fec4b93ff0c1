"""The notebooks of examples/: small, made of public names, and they run."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import reunet

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
EXPECTED = {
    "equations_to_unet",
    "first_model",
    "recurrence_and_time",
    "run_to_onnx",
    "your_own_block_and_loss",
}
LARGEST = 400_000
"""Bytes of a notebook with its outputs."""


def code(notebook: Path) -> list[str]:
    cells: list[dict[str, Any]] = json.loads(notebook.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebooks_are_there() -> None:
    assert {notebook.stem for notebook in NOTEBOOKS} == EXPECTED


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_is_small_and_shows_no_error(notebook: Path) -> None:
    assert notebook.stat().st_size < LARGEST
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"]
    texts = json.dumps([{**output, "data": {"image/png": ""}} for output in outputs])
    here = f"/{ROOT.parts[1]}/" if ROOT.anchor == "/" else str(ROOT)
    assert not re.search(rf"/home/|/root/|/tmp/|{re.escape(here)}", texts), "a path of the machine it ran on"


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_calls_what_is_there(notebook: Path) -> None:
    """The short form of running it."""
    nodes = [node for text in code(notebook) for node in ast.walk(ast.parse(text))]
    ours = [
        node
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "reunet"
    ]
    assert ours
    for call in ours:
        assert isinstance(call.func, ast.Attribute)
        given = {word.arg: None for word in call.keywords if word.arg}
        inspect.signature(getattr(reunet, call.func.attr)).bind(*call.args, **given)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path, child_environment: dict[str, str]) -> None:
    """In a kernel of its own, with its minutes cut to a few steps."""
    pytest.importorskip("nbclient")
    shutil.copytree(ROOT / "docs" / "images" / "equations", tmp_path / "docs" / "images" / "equations")
    copy = tmp_path / "examples" / notebook.name
    copy.parent.mkdir()
    copy.write_text(notebook.read_text("utf-8").replace("minutes=MINUTES", "steps=3"), encoding="utf-8")
    call = [sys.executable, "-c", "from nbclient.cli import main; main()", "--timeout=900", str(copy)]
    answer = subprocess.run(
        call, cwd=copy.parent, env=child_environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
