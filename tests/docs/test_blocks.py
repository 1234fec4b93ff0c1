"""Every command and code block of README and docs is run, or stands on a short list with the reason.

See blocks.py for the marks. The first block and the last of README run always, as a reader would run them: in
processes of their own; all pages run under `make test-all`.
"""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import reunet
from reunet.backend import installed_backends
from reunet.cli import main

from .blocks import ROOT, Block, blocks, commands, not_run, shortened, shortened_script

BLOCKS = blocks()
RUNNING = {
    page: [block for block in BLOCKS if block.page == page and block.mark == "runs"]
    for page in dict.fromkeys(block.original for block in BLOCKS if block.mark == "runs")
}
"""By English page: a translation has the same blocks, which test_languages.py sees to."""


def test_a_budget_is_shortened() -> None:
    words = ["reunet", "train", "cells", "--minutes", "10", "-o", "run"]
    assert shortened(words) == ["reunet", "train", "cells", "--steps", "3", "-o", "run"]
    assert shortened_script("train('cells', minutes=0.5)") == "train('cells', steps=3)"


def test_every_block_is_run_or_listed_with_the_reason() -> None:
    listed = not_run()
    loose = {(block.original, block.first) for block in BLOCKS if not block.mark}
    assert not loose - listed.keys(), "mark the block, or name it in tests/docs/not_run.toml with the reason"
    assert not listed.keys() - loose, "not_run.toml names blocks that are run, or that are no more"
    for test in re.findall(r"tests/\S+\.py", " ".join(listed.values())):
        assert (ROOT / test).is_file(), f"not_run.toml names {test}, which is no more"


def test_every_command_names_things_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[str, str] = {}
    for words in (words for block in BLOCKS for words in commands(block.body)):
        if words[1].startswith("-"):
            continue
        if words[1] not in known:
            assert main([words[1], "--help"]) == 0, words
            known[words[1]] = capsys.readouterr().out
        for option in (word.partition("=")[0] for word in words[2:] if re.match("--?[a-z]", word)):
            assert re.search(rf"(^|[\s,]){re.escape(option)}\b", known[words[1]]), f"{option} in {words}"


def test_what_pages_tell_to_install_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("README*.md")]
    told = [
        (page.name, what)
        for page in pages
        for what in re.findall(r"pip install (?:--\S+ \S+ )*[\"']?([^\s\"'`|]+)", page.read_text("utf-8"))
    ]
    for page, what in told:
        assert what.startswith("."), (
            f"{page}: {what!r}: before a release everything is installed from the source tree"
        )
        for extra in re.findall(r"\[(.*)\]", what):
            assert set(extra.split(",")) <= extras.keys(), f"{page}: {what}"
    assert len(told) > 10


@pytest.mark.usefixtures("backend")
def test_python_blocks_name_things_that_exist() -> None:
    scripts = [
        ast.parse(block.body) for block in BLOCKS if block.language == "python" and block.mark != "source"
    ]
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
@pytest.mark.parametrize("block", [RUNNING["README.md"][0], RUNNING["README.md"][-1]], ids=["first", "last"])
def test_the_readme_runs_as_a_reader_runs_it(
    block: Block, tmp_path: Path, tiny_dataset: Path, child_environment: dict[str, str]
) -> None:
    """No variable is set, and every command is a process."""
    shutil.copytree(tiny_dataset, tmp_path / "cells")
    shutil.copytree(tiny_dataset / "test" / "images", tmp_path / "new_images")
    if block.language == "python":
        calls = [[sys.executable, "-c", shortened_script(block.body)]]
    else:
        calls = [[sys.executable, "-m", *shortened(words)] for words in commands(block.body)]
    for call in calls:
        answer = subprocess.run(
            call, cwd=tmp_path, env=child_environment, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, f"{' '.join(call)}\n{answer.stderr}"


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("page", RUNNING)
def test_the_blocks_of_a_page_run(
    page: str, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, in one folder, in this process."""
    text = "".join(block.body for block in RUNNING[page])
    for entry in library.iterdir():
        if re.search(rf"\b{entry.name}\b", text):
            shutil.copytree(entry, tmp_path / entry.name)
    monkeypatch.chdir(tmp_path)
    for block in RUNNING[page]:
        if block.language == "python":
            exec(compile(shortened_script(block.body), page, "exec"), {"__name__": "__main__"})
            continue
        assert commands(block.body), f"{page}: {block.first}: no command of reunet"
        for words in commands(block.body):
            assert main(shortened(words)[1:]) == 0, f"{page}: {' '.join(words)}"
