"""Pages of docs/ whose code runs: `make docs` writes what it prints, what it draws and what it quotes.

In such a page a python block after the line `<!-- cell -->` is a cell: all cells of a page run in order,
in docs/, in one namespace, and what one prints stands in a text block below it. A block after the line
`<!-- source: reunet.networks.cells.gru -->` holds the source of that name. docs/zh/ has the same cells and
is given the same outputs. A page of NOTEBOOKS is also written as a notebook into examples/.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = ("equations.md", "sweep.md", "twenty_lines.md")
NOTEBOOKS = {"equations.md": "equations_to_unet.ipynb"}
CELL = re.compile(
    r"<!-- cell -->\n```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.M | re.S
)
SOURCE = re.compile(r"<!-- source: (?P<name>[\w.]+) -->\n```python[^\n]*\n.*?^```\n", re.M | re.S)


def cells(page: str) -> list[str]:
    """The code of every cell."""
    return [found["code"] for found in CELL.finditer(page)]


def run(page: str, folder: Path = DOCS) -> list[str]:
    """What every cell prints. Pictures are read and written where the cells say, below `folder`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    with contextlib.chdir(folder):
        for code in cells(page):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, "a cell", "exec"), names)
            outputs.append(printed.getvalue())
            pyplot.close("all")
    return outputs


def written(page: str, outputs: list[str]) -> str:
    """The page with these outputs and the present source."""
    left = iter(outputs)

    def cell(found: re.Match[str]) -> str:
        printed = next(left)
        block = f"<!-- cell -->\n```python\n{found['code']}```\n"
        return block + (f"\n```text\n{printed.rstrip()}\n```\n" if printed else "")

    return SOURCE.sub(lambda found: excerpt(found["name"]), CELL.sub(cell, page))


def excerpt(name: str) -> str:
    """The source of a function or class, below the file it stands in."""
    thing, path = find(name)
    place = Path(path).relative_to(ROOT).as_posix()
    return f'<!-- source: {name} -->\n```python title="{place}"\n{inspect.getsource(thing)}```\n'


def find(name: str) -> tuple[Any, str]:
    """A thing by its dotted name, and the file of its module."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            module = importlib.import_module(".".join(parts[:length]))
            thing: Any = module
            for part in parts[length:]:
                thing = getattr(thing, part)
            return thing, str(module.__file__)
    raise SystemExit(f"{name} is not a name of the project")


def translations(name: str) -> Iterator[Path]:
    """The same page in the other languages."""
    if (other := DOCS / "zh" / name).exists():
        yield other


def notebook(page: str, title: str) -> str:
    """The page as a notebook: text and cells in turn, with what the cells print."""
    parts: list[dict[str, Any]] = []

    def add(kind: str, text: str, **more: Any) -> None:
        if text := text.strip():
            cell = {"cell_type": kind, "id": f"{title}-{len(parts)}", "metadata": {}, **more}
            parts.append({**cell, "source": text.splitlines(keepends=True)})

    def add_code(text: str, printed: str | None) -> None:
        lines = (printed or "").splitlines(keepends=True)
        outputs = [{"output_type": "stream", "name": "stdout", "text": lines}] if lines else []
        add("code", text, execution_count=None, outputs=outputs)

    add_code('import os\n\nos.chdir("../docs")  # the pictures lie beside the page of the book', None)
    end = 0
    for found in CELL.finditer(page):
        add("markdown", readable(page[end : found.start()]))
        add_code(found["code"], found["output"])
        end = found.end()
    add("markdown", readable(page[end:]))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": parts, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def readable(text: str) -> str:
    """Text of a page in a notebook: no marks, and links that lead on from examples/."""
    text = re.sub(r"<!--.*?-->\n", "", text)
    text = re.sub(r"\]\((\w+\.md|images/)", r"](../docs/\1", text)
    return re.sub(r"```python title=\"([^\"]*)\"", r"`\1`:\n\n```python", text)


def files(name: str, folder: Path = DOCS) -> dict[Path, str]:
    """The files of a page as they should be: in each language, and as a notebook."""
    text = (DOCS / name).read_text("utf-8")
    outputs = run(text, folder)
    result = {file: written(file.read_text("utf-8"), outputs) for file in (DOCS / name, *translations(name))}
    if name in NOTEBOOKS:
        file = ROOT / "examples" / NOTEBOOKS[name]
        result[file] = notebook(result[DOCS / name], file.stem)
    return result


def main() -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    for name in PAGES:
        for file, text in files(name).items():
            file.write_text(text, encoding="utf-8")
            print(f"wrote {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
