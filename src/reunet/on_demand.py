"""Names of a room that are loaded when they are first asked for (PEP 562)."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from reunet.errors import unknown


def on_demand(
    room: str, homes: Mapping[str, str], shown: Sequence[str], before: Callable[[], object] = bool
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of the package `room`.

    homes: module of each name, of the room where it begins with a dot. shown: the names that `dir` lists and
    an unknown one is compared with. before: called before a module is loaded.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise unknown(room, name, shown)
        before()
        return getattr(import_module(homes[name], room), name)

    return find, lambda: sorted(shown)
