"""Checkpoints by name: found in their package, told of, and never in the way of a path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reunet.contracts import zoo
from reunet.contracts.pack import run_at, write_pack
from reunet.errors import ModelFileError


@pytest.fixture
def installed(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a checkpoint `nuclei`, and an empty folder to work in."""
    package = tmp_path / "site" / zoo.PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    write_pack(tiny_run, package / "nuclei.reunet")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(zoo.metadata, "version", lambda name: "1.2.3")
    return package


def test_a_name_stands_for_a_packed_run(installed: Path, tiny_run: Path) -> None:
    run = run_at(Path("nuclei"))
    assert run.weights_file.read_bytes() == (tiny_run / "weights/best.weights.h5").read_bytes()
    told = zoo.told_from_zoo(Path("nuclei"))
    assert told is not None
    assert told.endswith("reunet-zoo 1.2.3")
    assert zoo.PACKAGE not in sys.modules, "the package holds no code that would have to run"


def test_a_path_wins_and_other_names_stay_paths(installed: Path) -> None:
    assert zoo.from_zoo(Path("cells")) == Path("cells")
    assert zoo.from_zoo(Path("sub/nuclei")) == Path("sub/nuclei")
    Path("nuclei").mkdir()
    assert run_at(Path("nuclei")).path == Path("nuclei")
    assert zoo.told_from_zoo(Path("nuclei")) is None


def test_without_the_package_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelFileError, match="not installed") as caught:
        run_at(Path("nuclei"))
    assert "make zoo" in str(caught.value.fix)
    assert "reunet train" in str(caught.value.fix)
