"""What griffe is told of our docstrings, for the Python page of the book.

A parameter stands in a docstring as `name: what it is.`, anywhere in a paragraph; what begins with
Raises comes last. This turns both into the sections of NumPy's style, which mkdocstrings draws as lists.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

HEADER = re.compile(r"^Parameters\n-+\n", re.M)


class HouseStyle(griffe.Extension):
    """Rewrites the docstrings of functions and classes."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """A function, method or property."""
        if func.docstring is not None:
            names = [one.name for one in func.parameters if one.name not in ("self", "cls")]
            func.docstring.value = sections(func.docstring.value, names)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """A class; its docstring describes the constructor, or the fields of a record."""
        if cls.docstring is not None:
            init = cls.members.get("__init__")
            names = [one.name for one in init.parameters] if isinstance(init, griffe.Function) else []
            fields = [name for name, one in cls.members.items() if one.is_attribute]
            cls.docstring.value = sections(cls.docstring.value, names or fields)


def sections(text: str, names: list[str]) -> str:
    """The text with a section of parameters, where it describes some."""
    text = HEADER.sub("", text)
    if not names:
        return text
    name = "|".join(map(re.escape, names))
    begins = re.compile(rf"(?:(?<=\n)|(?<=\. )|^)(?P<names>`?(?:{name})`?(?:, `?(?:{name})`?)*): ")
    kept, listed = [], []
    for paragraph in re.split(r"\n\n+|\n(?=Raises )", text):
        found = list(begins.finditer(paragraph))
        if not found:
            kept.append(paragraph)
            continue
        kept.append(paragraph[: found[0].start()].strip())
        ends = [one.start() for one in found[1:]] + [len(paragraph)]
        for one, end in zip(found, ends, strict=True):
            said = " ".join(paragraph[one.end() : end].split())
            said = said[:1].upper() + said[1:]
            listed.append(f"{one['names'].replace('`', '')}\n{textwrap.indent(said, '    ')}")
    prose = "\n\n".join(part for part in kept if part)
    return f"{prose}\n\nParameters\n----------\n" + "\n".join(listed) + "\n" if listed else prose
