"""The commands of README.md do what it says.

A fenced block directly after the line `<!-- runs -->` is run, each by itself, in a folder that
holds `cells/` (a dataset with train/ and test/) and `new_images/` (images without masks). In a `console`
block the lines that start with `$ reunet` are commands and must end with exit code 0; a `python` block
is run as a script. Budgets (`--minutes`, `--epochs`, `minutes=`) are replaced by a few steps.
Every other `reunet` command of the page must at least name a verb and options that exist.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import reunet
from reunet.backend import installed_backends
from reunet.cli import main

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^(?P<mark><!-- runs -->\n+)?```(?P<language>\w+)\n(?P<body>.*?)^```", re.M | re.S)
STEPS = 3


def blocks() -> list[tuple[bool, str, str]]:
    """(runs, language, text) of every fenced block of the page."""
    text = README.read_text(encoding="utf-8")
    return [(bool(m["mark"]), m["language"], m["body"]) for m in BLOCK.finditer(text)]


def commands(body: str) -> list[list[str]]:
    """The words of every `$ reunet ...` line, continued lines joined."""
    lines = body.replace("\\\n", " ").splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ reunet")]


def shortened(words: list[str]) -> list[str]:
    """The command with a budget of a few steps."""
    result = list(words)
    for option in ("--minutes", "--epochs", "--steps"):
        if option in result:
            at = result.index(option)
            result[at : at + 2] = ["--steps", str(STEPS)]
    return result


def test_a_budget_is_shortened() -> None:
    words = ["reunet", "train", "cells", "--minutes", "10", "-o", "run"]
    assert shortened(words) == ["reunet", "train", "cells", "--steps", "3", "-o", "run"]


def test_every_command_names_things_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    for _, language, body in blocks():
        if language not in ("console", "sh", "bash"):
            continue
        for words in commands(body):
            if words[1].startswith("-"):
                continue
            assert main([words[1], "--help"]) == 0, words
            known = capsys.readouterr().out
            for option in (word.partition("=")[0] for word in words[2:] if word.startswith("-")):
                assert re.search(rf"(^|[\s,]){re.escape(option)}\b", known), f"{option} in {words}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(tiny_dataset, folder / "cells")
    shutil.copytree(tiny_dataset / "test" / "images", folder / "new_images")
    return folder


RUNNING = [(language, body) for runs, language, body in blocks() if runs]
QUICK = (0, len(RUNNING) - 1)
"""From data to scores on the command line, and a network for a script; the others train once more."""


@pytest.mark.usefixtures("backend")
def test_python_blocks_name_things_that_exist() -> None:
    scripts = [ast.parse(body) for _, language, body in blocks() if language == "python"]
    calls = [node for script in scripts for node in ast.walk(script) if isinstance(node, ast.Call)]
    ours = [
        (call.func.attr, call)
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "reunet"
    ]
    assert {"train", "load", "unet_model"} <= {name for name, _ in ours}
    for name, call in ours:
        given = {word.arg: None for word in call.keywords if word.arg}
        inspect.signature(getattr(reunet, name)).bind(*call.args, **given)


@pytest.mark.skipif(not installed_backends(), reason="no training framework is installed")
@pytest.mark.parametrize(
    "number",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in range(len(RUNNING))],
)
def test_marked_blocks_run(number: int, folder: Path, child_environment: dict[str, str]) -> None:
    """As for a reader, no variable is set."""
    language, body = RUNNING[number]
    if language == "python":
        script = re.sub(r"\b(minutes|epochs)=[\d.]+", f"steps={STEPS}", body)
        calls = [[sys.executable, "-c", script]]
    else:
        calls = [[sys.executable, "-m", *shortened(words)] for words in commands(body)]
    for call in calls:
        answer = subprocess.run(
            call, cwd=folder, env=child_environment, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, f"{' '.join(call)}\n{answer.stderr}"
