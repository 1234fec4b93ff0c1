"""The frame: floors of the house, the public face, and the set-up script."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import reunet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read_yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text("utf-8"))


def test_the_public_face_is_complete() -> None:
    for name in reunet.__all__:
        assert getattr(reunet, name) is not None
        assert name in dir(reunet)
    with pytest.raises(AttributeError, match="trian"):
        reunet.trian  # noqa: B018


def test_every_room_stands_on_a_floor() -> None:
    """`make lint` sees that imports only go down, of the rooms that are named there."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    floors = {name.strip().removeprefix("reunet.") for line in layers for name in line.split("|")}
    package = ROOT / "src" / "reunet"
    rooms = {
        path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == floors


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_set_up_says_what_is_missing(tmp_path: Path) -> None:
    """Without a suitable Python the script stops, says which one it wants, and leaves nothing behind."""
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    answer = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "environment.sh")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "VENV": str(tmp_path / "env")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 1
    assert "3.11, 3.12 or 3.13" in answer.stderr
    assert not (tmp_path / "env").exists()


def test_every_target_of_the_makefile_is_explained() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)
    assert declared is not None
    assert set(declared[1].split()) == TARGETS
    assert set(re.findall(r'@echo "make ([a-z-]+)', MAKEFILE)) == TARGETS - {"help"}


def test_pages_name_targets_that_exist() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "RELEASE.md"):
        text = (ROOT / page).read_text("utf-8")
        named = re.findall(r"(?:^\$ |`)make (?:[A-Z]+=\S+ )*([a-z][a-z-]*)", text, re.M)
        assert named, page
        assert set(named) <= TARGETS, page


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_runs_targets_that_exist(file: Path) -> None:
    workflow = read_yaml(file)
    assert True in workflow, "YAML reads the key `on` as true"
    for name, job in workflow["jobs"].items():
        assert {"runs-on", "timeout-minutes", "steps"} <= job.keys(), name
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert commands
        for command in commands:
            assert command.removeprefix("make ") in TARGETS, command
        for action in (step["uses"] for step in job["steps"] if "uses" in step):
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", action)
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])


def test_the_workflow_covers_the_pythons_that_are_declared() -> None:
    matrix = read_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    named = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if "Python :: 3." in line]
    assert matrix["python"] == named
    assert [system.partition("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]


def test_hooks_run_targets_that_exist() -> None:
    for repository in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["entry"].removeprefix("make ") in TARGETS
            assert hook["language"] == "system"


def test_the_constraints_are_within_the_ranges_of_the_project() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    versions = dict(line.split("==") for line in lines if not line.startswith("#"))
    extras = PROJECT["project"]["optional-dependencies"].values()
    for text in [*PROJECT["project"]["dependencies"], *(line for lines in extras for line in lines)]:
        requirement = Requirement(text)
        if (name := canonicalize_name(requirement.name)) != "reunet":
            assert name in versions, f"{name}: run `make constraints`"
            assert requirement.specifier.contains(versions[name]), f"{text}: constrained to {versions[name]}"
    assert "reunet" not in versions
    assert all(re.fullmatch(r"[\w.]+", version) for version in versions.values()), "a build, or a place"


def test_the_citation_is_of_this_version_and_names_no_person() -> None:
    citation = read_yaml(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == reunet.__version__
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"] == PROJECT["project"]["authors"]
