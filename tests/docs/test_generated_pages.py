"""Pages written by `make docs` are current."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def write_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts" / "write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_page_is_current(write_docs: ModuleType) -> None:
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    assert page == write_docs.command_line_page(), "run `make docs`"
    chinese = (ROOT / "docs" / "zh" / "command_line.md").read_text(encoding="utf-8")
    assert chinese == write_docs.translated(chinese, page), "run `make docs`"


def test_the_page_of_faults_is_current(write_docs: ModuleType) -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert page == write_docs.reliability_page(), "run `make docs`"
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(set(rows)) == len(rows), "a row that is there twice"


@pytest.mark.usefixtures("backend")
def test_the_models_page_and_its_drawings_are_current(write_docs: ModuleType) -> None:
    pages = write_docs.models_pages()
    for name, text in pages.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, f"{name}: run `make docs`"
    drawn = {f"images/models/{file.name}" for file in (ROOT / "docs" / "images" / "models").iterdir()}
    assert drawn == pages.keys() - {"models.md"}, "a drawing of a network that is no more"


def test_the_picture_of_the_house_is_current(write_docs: ModuleType) -> None:
    drawn = (ROOT / "docs" / "images" / "house.svg").read_text(encoding="utf-8")
    assert drawn == write_docs.house_picture(), "run `make docs`"
