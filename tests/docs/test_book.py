"""The book builds without a warning, asks no other host for anything, and is spelled right."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from .blocks import ROOT, pages

pytest.importorskip("mkdocs", reason="the extra docs is not installed")

OWN = [*pages(), *(ROOT / name for name in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"))]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory, child_environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    quiet = {**child_environment, "NO_MKDOCS_2_WARNING": "1"}
    answer = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return folder


def test_the_book_builds_and_fetches_nothing(book: Path) -> None:
    """What a browser fetches by itself: scripts, styles, fonts, pictures. Links to click are others."""
    fetched = re.compile(
        r"<(?:script|img|iframe|source|video)[^>]*\bsrc=[\"']?(https?:)?//[^\"'> ]+"
        r"|<link(?![^>]*rel=[\"']?(?:canonical|license|alternate))[^>]*\bhref=[\"']?(https?:)?//[^\"'> ]+"
        r"|@import[^;]*//[^;]+|url\([\"']?(https?:)?//[^)]+"
    )
    files = [file for file in book.rglob("*") if file.suffix in (".html", ".css")]
    assert len([file for file in files if file.suffix == ".html"]) > 30
    for file in files:
        found = fetched.search(file.read_text(encoding="utf-8"))
        assert not found, f"{file.relative_to(book)} fetches {found[0]}"


def test_no_link_of_the_book_leads_nowhere(book: Path) -> None:
    """mkdocs checks those that it sees; this one those of every page as a browser gets it."""
    for file in book.rglob("*.html"):
        if file.name == "404.html":  # its links count from the root of a server
            continue
        for target in re.findall(r'(?:href|src)="([^"#?]+)', file.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|//", target):
                assert (file.parent / unquote(target)).exists(), f"{file.relative_to(book)}: {target}"


def test_links_between_the_files_of_the_repository_lead_somewhere() -> None:
    """As a reader of the repository follows them, headings included."""
    link = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
    for page in OWN:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for match in link.finditer(re.sub(r"`[^`\n]*`", "", text)):
            target, _, heading = match["target"].partition("#")
            if ":" in target:
                continue
            file = page.parent / target if target else page
            assert file.exists(), f"{page.relative_to(ROOT)}: {match[0]}"
            if heading and file.suffix == ".md":
                assert heading in headings(file), f"{page.relative_to(ROOT)}: {match[0]}"


def headings(page: Path) -> set[str]:
    """The anchors of a page as GitHub and mkdocs make them, of headings in letters of ASCII."""
    slug: Callable[[str], str] = lambda text: re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")  # noqa: E731
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {slug(text) for text in found} | set(
        re.findall(r'id="([\w-]+)"', page.read_text(encoding="utf-8"))
    )


def test_the_pages_are_spelled_right() -> None:
    """In British English, by a list of mistakes that people make."""
    typos = shutil.which("typos", path=str(Path(sys.executable).parent))
    assert typos is not None
    command = [typos, "--format", "brief", *map(str, OWN)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_figures_of_the_pages_of_use_are_measured() -> None:
    """Each bold figure is the rounding of one that stands in docs/benchmarks.md."""
    measured = [
        float(n) for n in re.findall(r"\d+\.\d+", (ROOT / "docs" / "benchmarks.md").read_text("utf-8"))
    ]
    told = [
        (page.name, text)
        for page in (ROOT / "docs").rglob("uses/*.md")
        for text in re.findall(r"\*\*(\d+\.\d+)\*\*", page.read_text("utf-8"))
    ]
    assert len(told) > 15
    for page, text in told:
        digits = len(text.partition(".")[2])
        near = 0.5001 * 10**-digits
        assert any(abs(value - float(text)) <= near for value in measured), (
            f"{page}: {text} is not in the benchmarks"
        )
