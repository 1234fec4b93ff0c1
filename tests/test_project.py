"""The frame: floors of the house, its measures, the public face, and the set-up script."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import grimp
import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import reunet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read_yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text("utf-8"))


MOST_LINES, MOST_PARAMETERS = 50, 8


def test_the_public_face_is_complete() -> None:
    for name in reunet.__all__:
        assert getattr(reunet, name) is not None
        assert name in dir(reunet)
    with pytest.raises(AttributeError, match="trian"):
        reunet.trian  # noqa: B018


def test_no_room_has_the_name_of_a_verb() -> None:
    """Importing such a room would put it in the place of the function: `reunet.NAME()` would call it."""
    rooms = {path.stem for path in Path(reunet.__file__).parent.iterdir()}
    assert not {name for name in rooms & set(reunet.__all__) if callable(getattr(reunet, name))}


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


@pytest.fixture(scope="module")
def measures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_house", ROOT / "scripts" / "measure_house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_functions_are_short_and_take_few_parameters(measures: ModuleType) -> None:
    """Public verbs, on the command line too, have a parameter for each option."""
    found = list(measures.functions(ROOT / "src" / "reunet"))
    long = {one.name for one in found if one.lines > MOST_LINES}
    assert not long, f"more than {MOST_LINES} lines of code: take them apart"
    verbs = {one.name for one in found if one.name.rpartition(":")[2] in reunet.__all__}
    wide = {one.name for one in found if one.parameters > MOST_PARAMETERS} - verbs
    assert not wide, f"more than {MOST_PARAMETERS} parameters: make a record of those that belong together"


def test_modules_import_each_other_in_no_circle() -> None:
    """Imports inside functions count, those for types alone do not."""
    graph = grimp.build_graph("reunet", exclude_type_checking_imports=True, cache_dir=None)
    place = {name: i for i, name in enumerate(sorted(graph.modules))}
    edges = [
        (place[name], place[other])
        for name in place
        for other in graph.find_modules_directly_imported_by(name)
    ]
    table = coo_array((np.ones(len(edges)), np.array(edges).T), (len(place), len(place)))
    _, group = connected_components(table, connection="strong")
    circles = {tuple(name for name, i in place.items() if group[i] == one) for one in group}
    assert not [circle for circle in circles if len(circle) > 1], "take what both need into a room below"


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
