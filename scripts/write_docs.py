"""Write docs/command_line.md from the program itself, and docs/benchmarks.md from the result lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERBS = ("", "check", "plan", "train", "predict", "evaluate", "demo", "doctor")
INTRODUCTION = """# The command line

Every verb is also a function of the same name with the same arguments: `reunet.train(...)`.
This page is written by `make docs` from `reunet VERB --help`.

Exit codes: 0 done, 1 wrong input or usage, 2 partly done (failures are listed), 3 a bug,
130 interrupted by Ctrl-C, 143 by SIGTERM.
"""


def command_line_page() -> str:
    """The help texts as one Markdown page."""
    parts = [INTRODUCTION]
    for verb in VERBS:
        words = [verb] if verb else []
        text = subprocess.run(
            [sys.executable, "-m", "reunet", *words, "--help"],
            capture_output=True, text=True, check=True, encoding="utf-8",
            env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        ).stdout  # fmt: skip
        title = f"reunet {verb}".strip()
        parts.append(f"## {title}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(parts)


def main() -> None:
    page = ROOT / "docs" / "command_line.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(command_line_page(), encoding="utf-8")
    print(f"wrote {page.relative_to(ROOT)}")
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "page.py")], check=True)


if __name__ == "__main__":
    main()
