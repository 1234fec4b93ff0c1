"""Lines of code by room, and the longest functions: `python scripts/measure_house.py [FOLDER]`.

A line counts when it holds code as `ruff format` lays it out: blank lines, comments and docstrings do not
count, every line of a statement or text of several lines does. A function's lines are those of its signature
and body, with the functions inside it.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HOUSE = Path(__file__).resolve().parents[1] / "src" / "reunet"
SHOWN = 10
SILENT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


class Function(NamedTuple):
    """A function or method; `name` with the module below the house, as `flows.plan:plan`."""

    name: str
    lines: int
    parameters: int


def code_lines(text: str) -> set[int]:
    """Numbers of the lines of a file that hold code."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            found.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return found


def functions(house: Path) -> Iterator[Function]:
    """All functions and methods of a package."""
    for path in sorted(house.rglob("*.py")):
        text = path.read_text("utf-8")
        lines = code_lines(text)
        module = ".".join(path.relative_to(house).with_suffix("").parts)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = lines & set(range(node.lineno, (node.end_lineno or 0) + 1))
                told = node.args
                names = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
                yield Function(f"{module}:{node.name}", len(own), sum(name is not None for name in names))


def rooms(house: Path) -> Counter[str]:
    """Lines of code of each folder and file right in the package."""
    counted: Counter[str] = Counter()
    for path in house.rglob("*.py"):
        counted[path.relative_to(house).parts[0]] += len(code_lines(path.read_text("utf-8")))
    return counted


def main(house: Path) -> None:
    found = rooms(house)
    for room, lines in sorted(found.items()):
        print(f"{lines:6}  {room}")
    print(f"{found.total():6}  all\n")
    for function in sorted(functions(house), key=lambda one: -one.lines)[:SHOWN]:
        print(f"{function.lines:6}  {function.name}, {function.parameters} parameters")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HOUSE)
