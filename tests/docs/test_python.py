"""docs/python.md lists the public names; docs, notebooks and examples use no other."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import pytest

import reunet

from .blocks import ROOT, blocks

PAGE = (ROOT / "docs" / "python.md").read_text("utf-8")
ROWS = re.findall(r"^\| (`reunet\..*?) \| (.*) \|$", PAGE, re.M)
NAMES = {name.removeprefix("reunet.") for cell, _ in ROWS for name in re.findall(r"`([\w.]+)`", cell)}
WITHIN = {
    cell.strip("`").removeprefix("reunet."): set(re.findall(r"`(\w+)`", told))
    for cell, told in ROWS
    if cell in ("`reunet.networks`", "`reunet.losses`", "`reunet.metrics`")
}


def sources() -> Iterator[tuple[str, str]]:
    """Every piece of Python that a reader may copy, and where it stands."""
    yield from (
        (block.page, block.body)
        for block in blocks()
        if block.language == "python" and block.mark != "source"
    )
    for file in sorted((ROOT / "examples").glob("*.py")):
        yield file.name, file.read_text("utf-8")
    for file in sorted((ROOT / "examples").glob("*.ipynb")):
        cells = json.loads(file.read_text("utf-8"))["cells"]
        code = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        yield from ((file.name, re.sub(r"^[!%].*", "", text, flags=re.M)) for text in code)


def used(code: str) -> Iterator[str]:
    """The dotted names of reunet in it, such as `networks.build`; of a chain the first two parts."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "reunet":
            home = (node.module or "").partition(".")[2]
            yield from (f"{home}.{one.name}".lstrip(".") for one in node.names)
        elif isinstance(node, ast.Import):
            yield from (one.name[7:] for one in node.names if one.name.startswith("reunet."))
        elif isinstance(node, ast.Attribute) and re.fullmatch(r"reunet(\.\w+)+", name := ast.unparse(node)):
            yield ".".join(name.split(".")[1:3])


def is_public(name: str) -> bool:
    first, _, second = name.partition(".")
    if first in WITHIN and second:
        return second in WITHIN[first]
    return first in NAMES


def test_the_page_lists_every_public_name() -> None:
    assert set(reunet.__all__) - {"__version__"} <= NAMES


@pytest.mark.usefixtures("backend")
def test_the_page_lists_what_the_rooms_show() -> None:
    assert {room: set(dir(getattr(reunet, room))) for room in WITHIN} == WITHIN


def test_docs_notebooks_and_examples_use_public_names_only() -> None:
    found = [(place, name) for place, code in sources() for name in used(code)]
    assert len(found) > 10
    assert not [(place, name) for place, name in found if not is_public(name)]


def test_a_private_name_would_be_found() -> None:
    code = "from reunet.networks.blocks import conv\nreunet.networks.build(1)\nreunet.contracts.plan.Plan"
    names = set(used(code))
    assert {"networks.blocks.conv", "networks.build", "contracts.plan"} <= names
    assert [name for name in sorted(names) if not is_public(name)] == [
        "contracts", "contracts.plan", "networks.blocks.conv",
    ]  # fmt: skip
