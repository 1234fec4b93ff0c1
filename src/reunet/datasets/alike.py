"""Names of classes that are written differently and probably mean one class: Cat and cat, 1 and 01."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from reunet.contracts.findings import Findings, some_of

_BLANKS = re.compile(r"(?<![0-9])[\s_]+|[\s_]+(?![0-9])")
"""Spaces that do not part two numbers."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


def tell_alike(names: Sequence[str], images: Mapping[str, Sequence[str]], problems: Findings) -> None:
    """Add a warning for classes whose names differ only in capitals, spaces or the form of a number.

    images: by the name of a class, those that show it.
    """
    groups: dict[str | Decimal, list[str]] = defaultdict(list)
    for name in names:
        groups[_plain(name)].append(name)
    for some in groups.values():
        if len(some) > 1:
            message = f"{len(some)} classes have names that only capitals, spaces or zeros tell apart"
            told = some_of([_shown(name, images.get(name, ())) for name in some])
            problems.warning(
                "class-alike", problems.root.resolve().name, message, "one name of a class", told
            )


def _plain(name: str) -> str | Decimal:
    """What a name is whatever its capitals and spaces; a number where it is one."""
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    return Decimal(text) if _NUMBER.fullmatch(text) else _BLANKS.sub("", text)


def _shown(name: str, images: Sequence[str]) -> str:
    example = f", such as {images[0]}" if images else ""
    return f"'{name}' ({len(images)} image(s){example})"
