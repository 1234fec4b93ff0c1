"""The picture of the house in docs/architecture.md, drawn from the import contracts of pyproject.toml.

A line of rooms per floor; what the contract of the core names is core or wing, the rest is plain.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from reunet.drawing.canvas import Canvas, text_width

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "doors": ("cli", "console"),
    "flows": ("flows",),
    "pages": ("report", "drawing"),
    "engines": ("training", "planning", "exporting", "inference"),
    "networks": ("networks", "losses"),
    "tasks": ("tasks",),
    "arrays": ("sampling", "datasets", "io", "metrics"),
    "contracts": ("contracts",),
    "ground": ("storage", "progress", "machine", "backend", "signals", "slices", "locks", "errors"),
}
"""Floors from the door down; the order of rooms is that of the contract, which a test compares."""

SIGNS = {"core": "top", "wing": "recurrent", "plain": "image"}
WIDTH, HEIGHT, LEFT, GAP, TEXT = 1060.0, 26.0, 96.0, 8.0, 13.0


def contracts() -> dict[str, dict[str, object]]:
    """The contracts of import-linter, by name."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {one["name"]: one for one in tables["contracts"]}


def rooms_below(room: str, modules: list[str]) -> list[str]:
    """Those of `modules` that are this room, or lie in it, without the name of the package."""
    names = [module.removeprefix("reunet.").removesuffix(".**") for module in modules]
    return [name for name in names if name == room or name.startswith(f"{room}.")]


def boxes(room: str, core: list[str], wings: list[str]) -> list[tuple[str, str]]:
    """What is drawn of a room: (words, kind) for itself, its parts in the core, and its wings."""
    inside, outside = rooms_below(room, core), rooms_below(room, wings)
    if room in inside:
        first = [(room, "core")]
    elif room in outside:
        first = [(room, "wing")]
    else:
        first = [(room, "plain"), *((name, "core") for name in inside)]
    return [*first, *((name, "wing") for name in outside if name != room)]


def picture() -> str:
    """The SVG."""
    found = next(one for name, one in contracts().items() if name.startswith("the core"))
    core, wings = found["source_modules"], found["forbidden_modules"]
    assert isinstance(core, list)
    assert isinstance(wings, list)
    canvas, y = Canvas(), 14.0
    for floor, rooms in FLOORS.items():
        canvas.text(LEFT - 14, y + 18, floor, size=TEXT, anchor="end", bold=True)
        x = LEFT
        for room in rooms:
            for words, kind in boxes(room, core, wings):
                width = text_width(words, TEXT) + 18
                if x + width > WIDTH - 10:
                    x, y = LEFT, y + HEIGHT + 5
                canvas.rect(x, y, width, HEIGHT, SIGNS[kind])
                canvas.text(x + width / 2, y + 18, words, size=TEXT, anchor="middle")
                x += width + GAP
        y += HEIGHT + 18
    x = LEFT
    legend = {"core": "the core", "wing": "a wing: the core does not import it", "plain": "other rooms"}
    for kind, words in legend.items():
        canvas.rect(x, y, 22, 16, SIGNS[kind])
        canvas.text(x + 30, y + 13, words, size=TEXT)
        x += 60 + text_width(words, TEXT)
    return canvas.document("house", "The floors of the house: imports go down only", WIDTH, y + 30)
