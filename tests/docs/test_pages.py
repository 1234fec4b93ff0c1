"""The pages whose code runs: what they print, draw and quote is what the code does now."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "images" / "equations"
GIVEN = ("nuclei.png", "nuclei_mask.png")


@pytest.fixture(scope="module")
def run_pages() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import run_pages

    return run_pages


QUICK, LONG = "equations.md", ("sweep.md", "twenty_lines.md")


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", [QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_a_page_is_what_its_cells_make(run_pages: ModuleType, tmp_path: Path, name: str) -> None:
    drawn = tmp_path / "images" / "equations"
    drawn.mkdir(parents=True)
    for given in GIVEN:
        shutil.copy(FIGURES / given, drawn)
    for file, text in run_pages.files(name, tmp_path).items():
        assert file.read_text("utf-8") == text, f"{file.name}: run `make docs`"
    for picture in drawn.iterdir():
        made, kept = pixels(picture), pixels(FIGURES / picture.name)
        assert made.shape == kept.shape, picture.name
        assert np.abs(made - kept).mean() < 6, f"{picture.name}: run `make docs`"


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("L"), float)


def test_pages_compare_and_show_what_is_there(run_pages: ModuleType) -> None:
    assert {QUICK, *LONG} == set(run_pages.PAGES)
    text = "".join((ROOT / "docs" / name).read_text("utf-8") for name in run_pages.PAGES)
    outputs = [found["output"] or "" for found in run_pages.CELL.finditer(text)]
    assert sum("True" in output for output in outputs) > 12
    assert not [output for output in outputs if "False" in output]
    shown = set(re.findall(r"\(images/equations/([\w.]+)\)", text))
    assert shown | set(GIVEN) == {file.name for file in FIGURES.iterdir()}


def test_every_language_has_the_same_cells(run_pages: ModuleType) -> None:
    for name in run_pages.PAGES:
        english = (ROOT / "docs" / name).read_text("utf-8")
        for file in run_pages.translations(name):
            other = file.read_text("utf-8")
            assert run_pages.cells(other) == run_pages.cells(english), file
            assert run_pages.SOURCE.findall(other) == run_pages.SOURCE.findall(english), file
