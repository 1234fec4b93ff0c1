"""Which labels of a dataset were mended: what its corrections.csv tells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from reunet.contracts.findings import relative
from reunet.datasets.cases import Case
from reunet.errors import DataError
from reunet.io.annotations.table import read_table
from reunet.io.listing import CORRECTIONS

COLUMNS = ("image", "label", "kind", "change", "time", "by", "source", "sha256", "copy")


@dataclass(frozen=True)
class Entry:
    """A row: a label that was changed.

    image: relative to the dataset, of a stack with "#" and the page from 0. label: the file that tells it,
    likewise. kind: masks, instances, boxes or category. change: how much. time: ISO 8601. by: who.
    source: page, or the name of the file that it came from. sha256: of the label as it was written.
    copy: where the label that was there before is kept; empty where that was written here itself.
    """

    image: str
    label: str
    kind: str
    change: str
    time: str
    by: str
    source: str
    sha256: str
    copy: str


def read_entries(root: Path) -> list[Entry]:
    """The rows, oldest first; none without the file. Raises DataError."""
    path = root / CORRECTIONS
    if not path.is_file():
        return []
    table = read_table(path)
    places = [table.find([name]) for name in COLUMNS]
    if None in places[:2]:
        received, fix = ", ".join(table.columns), "take it from a copy, or remove it: it is begun anew"
        raise DataError(
            "this is no list of corrections",
            where=path,
            expected=", ".join(COLUMNS),
            received=received,
            fix=fix,
        )
    return [Entry(*("" if place is None else row[place] for place in places)) for _, row in table.rows]


def with_corrected(cases: Sequence[Case], root: Path) -> list[Case]:
    """The cases, those marked of which corrections.csv tells. Raises DataError."""
    told = corrected_images(root)
    return (
        [replace(case, corrected=image_name(case, root) in told) for case in cases] if told else list(cases)
    )


def corrected_images(root: Path) -> frozenset[str]:
    """The images of which some label was changed, as `image_name` calls them. Raises DataError."""
    return frozenset(entry.image for entry in read_entries(root))


def image_name(case: Case, root: Path) -> str:
    """What corrections.csv calls the image of a case."""
    name = PurePosixPath(relative(case.image.absolute(), root.absolute())).as_posix()
    return name if case.page is None else f"{name}#{case.page:04d}"
