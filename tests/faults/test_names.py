"""File and folder names with spaces, other scripts, great length, and differing only in case."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reunet.cli import main

STRANGE = "täst  folder ψ 数据 (1)"
NAMES = (
    "Bild ä (1)",
    "数据-图像",
    "a b  c",
    "x" * 180,
    "semi;colon & co",
    "'quoted'",
    "%20 #1",
    "dot.ted.name",
)


@pytest.fixture(scope="module")
def strange_data(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = make_dataset(tmp_path_factory.mktemp("names") / STRANGE, train=4, test=len(NAMES))
    for kind in ("images", "masks"):
        for file, name in zip(sorted((data / "test" / kind).iterdir()), NAMES, strict=True):
            file.rename(file.with_name(f"{name}.png"))
    return data


@pytest.mark.fault("names with spaces, other scripts, 180 characters", "they go through every verb")
def test_check_plan_and_train_take_strange_names(
    strange_data: Path, tmp_path: Path, make_plan: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / STRANGE / "run ü"
    assert main(["check", str(strange_data)]) == 0, capsys.readouterr().out
    plan = make_plan(tmp_path / STRANGE / "plan ψ.json", strange_data, steps=2)
    assert main(["train", str(strange_data), "-o", str(run), "--plan", str(plan)]) == 0, (
        capsys.readouterr().err
    )
    assert main(["predict", str(run), str(strange_data / "test" / "images")]) == 0
    masks = run.with_name(f"{run.name}-predictions") / "masks"
    assert {path.stem for path in masks.iterdir()} == set(NAMES)


@pytest.mark.slow
def test_a_moved_run_predicts_and_evaluates_strange_names(
    strange_data: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / STRANGE / "moved")
    out = tmp_path / "aus gabe"
    assert main(["predict", str(run), str(strange_data / "test" / "images"), "-o", str(out)]) == 0
    for kind in ("masks", "overlays"):
        assert {path.stem for path in (out / kind).iterdir()} == set(NAMES)
    assert main(["evaluate", str(run), str(strange_data)]) == 0, capsys.readouterr().err
    text = (run / "evaluation" / "test" / "metrics.csv").read_text(encoding="utf-8")
    assert all(name in text for name in NAMES)


@pytest.mark.fault(
    "names that differ only in case", "a warning; an error where outputs would overwrite each other"
)
def test_names_that_differ_only_in_case(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where their masks can be two files they are; where not, it is an error and no silent loss."""
    source = next((tiny_dataset / "test" / "images").iterdir())
    images = tmp_path / "images"
    images.mkdir()
    for name in ("cell.png", "CELL.png"):
        shutil.copy(source, images / name)
    if len(list(images.iterdir())) == 1:
        pytest.skip("this file system does not tell such names apart")
    out = tmp_path / "out"
    if main(["predict", str(tiny_run), str(images), "-o", str(out)]) == 0:
        assert {path.stem for path in (out / "masks").iterdir()} == {"cell", "CELL"}
    else:
        error = capsys.readouterr().err
        assert "cell.png" in error
        assert "CELL.png" in error
        assert not out.exists()


@pytest.mark.fault("a read-only data folder", "it is never written to")
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user who can be refused")
def test_a_read_only_data_folder_is_enough(tiny_run: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_dataset, tmp_path / "data")
    folders = [data, *(path for path in data.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert main(["check", str(data)]) == 0
        assert main(["predict", str(tiny_run), str(data / "test" / "images"), "-o", str(tmp_path / "o")]) == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.mark.fault("a read-only output folder", "an error that says so, before any work")
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user who can be refused")
def test_a_read_only_output_folder_is_a_clear_error(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    images = str(tiny_dataset / "test" / "images")
    assert main(["predict", str(tiny_run), images, "-o", str(closed / "out")]) == 1
    assert "may write" in capsys.readouterr().err
