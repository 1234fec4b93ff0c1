"""A page in another language says what the English page says: its headings, blocks, pictures and numbers."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from .blocks import BLOCK, ROOT

README = {"README.zh-CN.md": "README.md"}
PAGES = [ROOT / name for name in README] + sorted((ROOT / "docs" / "zh").rglob("*.md"))
EXPECTED = (
    "command_line", "correcting", "data", "equations", "faq", "fine_tuning", "folds", "index", "install",
    "page", "quickstart", "sweep", "twenty_lines",
)  # fmt: skip
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")


def original(page: Path) -> Path:
    if page.name in README:
        return ROOT / README[page.name]
    return ROOT / "docs" / page.relative_to(ROOT / "docs" / "zh")


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text("utf-8"))


def headings(page: Path) -> list[int]:
    """The level of each."""
    return [len(line) for line in re.findall(r"^(#+) ", prose(page), re.M)]


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(m["language"], m["body"]) for m in BLOCK.finditer(page.read_text("utf-8"))]


def pictures(page: Path) -> list[Path]:
    return [(page.parent / name).resolve() for name in PICTURE.findall(page.read_text("utf-8"))]


def rows(page: Path) -> int:
    """Of all tables."""
    return sum(line.startswith("|") for line in prose(page).splitlines())


def numbers(page: Path) -> set[str]:
    """Decimals, and whatever has three digits or more: scores, counts, years."""
    plain = re.sub(r"\]\([^)]*\)|\$[^$]*\$|`[^`]*`|\d+ million", "", prose(page)).replace(",", "")
    return set(re.findall(r"\d+\.\d+|\d{3,}", plain))


def test_the_pages_that_are_to_be_read_in_chinese_are_there() -> None:
    uses = {f"uses/{page.name}" for page in (ROOT / "docs" / "uses").glob("*.md")}
    there = {page.relative_to(ROOT / "docs" / "zh").as_posix() for page in PAGES[1:]}
    assert there >= uses | {f"{name}.md" for name in EXPECTED}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_translation_has_what_the_english_page_has(page: Path) -> None:
    english = original(page)
    assert headings(page) == headings(english)
    assert blocks(page) == blocks(english)
    assert pictures(page) == pictures(english)
    assert numbers(page) == numbers(english)
    bold = re.compile(r"\*\*(\d[\d.]*)\*\*")
    assert Counter(bold.findall(prose(page))) == Counter(bold.findall(prose(english)))
    assert page.name == "command_line.md" or rows(page) == rows(english)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_translation_stay_in_its_language(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        file = (page.parent / target).resolve()
        assert file.exists(), target
        if file.is_relative_to(ROOT / "docs"):
            other = ROOT / "docs" / "zh" / file.relative_to(ROOT / "docs")
            assert not other.exists(), f"{target} is there in this language"


def test_the_chinese_page_of_commands_explains_every_option() -> None:
    english, chinese = ((ROOT / "docs" / part / "command_line.md").read_text("utf-8") for part in (".", "zh"))
    options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", english, re.M))
    told = set(re.findall(r"`(--[\w-]+)`", chinese))
    assert not options - told, "add them to the table at the beginning of docs/zh/command_line.md"
