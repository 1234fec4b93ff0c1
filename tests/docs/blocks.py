"""The fenced blocks of README and docs, in all languages, and how they are run.

The line before a block says what holds it:

- `<!-- runs -->`: tests/docs/test_blocks.py runs it, after the blocks before it on its page and in one
  folder with them, with the budget cut to a few steps.
- `<!-- cell -->` and `<!-- source: ... -->`: tests/docs/test_pages.py runs it or compares it with the code.
- nothing: not_run.toml names the block, by its page and first line, with the reason. A translation shares
  the entry.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>runs|cell|source)(?:: [^>]*)? -->\n+)?"
    r"^```(?P<language>[\w-]*)[^\n`]*\n(?P<body>.*?)^```",
    re.M | re.S,
)
EXECUTABLE = ("console", "sh", "bash", "powershell", "python", "javascript")
STEPS = 3


@dataclass(frozen=True)
class Block:
    """page: relative to the repository. mark: `runs`, `cell`, `source` or empty."""

    page: str
    mark: str
    language: str
    body: str

    @property
    def original(self) -> str:
        """The English page."""
        return self.page.replace("docs/zh/", "docs/").replace("README.zh-CN.md", "README.md")

    @property
    def first(self) -> str:
        return self.body.splitlines()[0] if self.body.strip() else ""


def pages() -> list[Path]:
    """README in all languages and every page of docs/."""
    return [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks() -> list[Block]:
    """Every block of every page that one could execute."""
    found = []
    for page in pages():
        name = page.relative_to(ROOT).as_posix()
        for m in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if m["language"] in EXECUTABLE:
                found.append(Block(name, m["mark"] or "", m["language"], m["body"]))
    return found


def not_run() -> dict[tuple[str, str], str]:
    """Reasons by English page and first line."""
    entries = tomllib.loads(Path(__file__).with_name("not_run.toml").read_text(encoding="utf-8"))
    return {(page, line): reason for reason, some in entries.items() for page, line in some}


def commands(body: str) -> list[list[str]]:
    """The words of every `reunet ...` line, with or without a prompt, continued lines joined."""
    lines = body.replace("\\\n", " ").splitlines()
    called = [re.search(r"(?:^|\| )(?:\$ )?(reunet .*)", line) for line in lines]
    return [shlex.split(match[1], comments=True) for match in called if match]


def shortened(words: list[str]) -> list[str]:
    """The command with a budget of a few steps; the demo takes minutes only."""
    result = list(words)
    for option in ("--minutes", "--epochs", "--steps"):
        if option in result:
            at = result.index(option)
            cut = ["--minutes", "0.02"] if words[1] == "demo" else ["--steps", str(STEPS)]
            result[at : at + 2] = cut
    return result


def shortened_script(body: str) -> str:
    """The same of a script; the epochs of Keras' own `fit` stay."""
    return re.sub(r"\bminutes=[\d.]+", f"steps={STEPS}", body)
