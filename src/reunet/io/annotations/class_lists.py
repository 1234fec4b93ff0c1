"""Lists of the classes of one dataset that lie in several files, held against each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reunet.contracts.findings import Findings, some_of
from reunet.contracts.labels import BACKGROUND_NAMES
from reunet.errors import DataError, LabelError
from reunet.storage import read_json

_MOST_SHOWN = 20
_FIX = "correct one of the two, or remove it: the numbers of the labels stand for one list"


@dataclass(frozen=True)
class ClassList:
    """The classes that a file lists, by index. file: what it is called in messages."""

    path: Path
    file: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {some_of(self.names, _MOST_SHOWN)}"


def described_classes(path: Path) -> ClassList | None:
    """The classes of a dataset.json; None without any, and where it says something else, which its reader
    tells.
    """
    try:
        data = read_json(path, DataError) if path.is_file() else {}
    except DataError:
        return None
    entries = data.get("classes") if isinstance(data, dict) else None
    told = [one.get("name") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    names = tuple(name for name in told if isinstance(name, str))
    return ClassList(path, path.name, names) if names else None


def check_alike(lists: Sequence[ClassList]) -> None:
    """Raise LabelError where a list of classes by number differs from the first one in names or order."""
    for other in lists[1:]:
        if other.names != lists[0].names:
            raise _differ(lists[0], other)


def check_described(listed: ClassList, described: ClassList) -> None:
    """Raise LabelError where the classes of a dataset.json lack one that is listed, or have them in another
    order. Background, and classes that are not listed, may stand among them.
    """
    own = list(dict.fromkeys(name for name in listed.names if name.lower() not in BACKGROUND_NAMES))
    if [name for name in described.names if name in own] != own:
        raise _differ(listed, described)


def tell_doubled(listed: ClassList, problems: Findings) -> None:
    """Add a warning for each class whose name another one has already."""
    for number, name in enumerate(listed.names):
        if name in listed.names[:number]:
            message = f"class {number} {name}: its name is used before, and both are one class"
            expected, fix = "a name of its own", "give each class its own name, if they are not meant as one"
            problems.warning("doubled-id", listed.path, message, expected, "", fix)


def _differ(one: ClassList, other: ClassList) -> LabelError:
    kind = "another order" if sorted(one.names) == sorted(other.names) else "other classes"
    what = f"{other.file} lists the classes otherwise than {one.file}: {kind}"
    return LabelError(what, expected=str(one), received=str(other), fix=_FIX)
