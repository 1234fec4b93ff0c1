"""Tables as CSV files: read as programs of all kinds write them, and written."""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import DataError, ReunetError
from reunet.storage import csv_text, write_text

_MOST_BYTES = 256 << 20
_DELIMITERS = ",;\t|"
_OLD = "cp1252"
"""What Windows writes in Western Europe where it does not write UTF-8; Latin-1 is a part of it."""

Row = tuple[int, list[str]]
"""The line of a row, from 1, and its cells, without blanks around them."""


@dataclass(frozen=True)
class Table:
    """A table with a heading.

    columns: as they are named. rows: line and cells of each, as many as there are columns.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def find(self, names: Iterable[str]) -> int | None:
        """The column of the first of these names that is there, in whatever capitals."""
        known = [_plain(column) for column in self.columns]
        return next((known.index(name) for name in map(_plain, names) if name in known), None)


def _plain(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


def read_table(path: Path, problems: Findings | None = None, error: type[ReunetError] = DataError) -> Table:
    """The table in a CSV file, the first row of which is its heading; see `read_rows`. Raises `error`."""
    rows = read_rows(path, problems, error)
    columns = rows[0][1] if rows else []
    wide = [(line, [*cells, *[""] * (len(columns) - len(cells))]) for line, cells in rows[1:]]
    return Table(tuple(columns), tuple(wide))


def read_rows(
    path: Path, problems: Findings | None = None, error: type[ReunetError] = DataError, *, comment: str = "\0"
) -> Sequence[Row]:
    """The rows of a CSV file that hold anything and do not start with `comment`: cells between commas,
    semicolons, tabs or bars, perhaps in quotes, in UTF-8 or UTF-16.

    Other text is read as Windows-1252, which includes Latin-1; that is a warning. Raises `error`.
    """
    text = _text(path, problems, error)
    try:
        delimiter, told = _delimiter(text, comment)
        text = text.replace(told, "", 1)
        reader = csv.reader(
            io.StringIO(text, newline=None), delimiter=delimiter, skipinitialspace=True, strict=True
        )
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (csv.Error, ValueError) as cause:
        raise error("could not read a table", where=path, received=str(cause)) from cause
    return [(line, row) for line, row in rows if any(row) and not row[0].startswith(comment)]


def _delimiter(text: str, comment: str = "\0") -> tuple[str, str]:
    """What stands between the cells of a table, and the line that says so, if there is one. Raises
    csv.Error.
    """
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith(comment)), "")
    if first[:4].lower() == "sep=" and len(first.strip()) == 5:  # Excel says so
        return first[4], first
    return max(_DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), []))), ""


def rewrite_table(path: Path, change: Callable[[Table], Iterable[Sequence[object]]]) -> None:
    """Replace the rows below the heading of a table by those that `change` makes of it; the heading and what
    stands between the cells stay as they are. Raises DataError, StorageError.
    """
    table = read_table(path)
    delimiter, told = _delimiter(_text(path, None, DataError))
    text = io.StringIO()
    if told:
        text.write(f"{told}\n")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(change(table))
    write_text(path, text.getvalue())


def _text(path: Path, problems: Findings | None, error: type[ReunetError]) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as cause:
        raise error("could not read a table", where=path, received=cause.strerror) from cause
    if len(data) > _MOST_BYTES:
        raise error("the table is too large", where=path, expected=f"at most {_MOST_BYTES:,} bytes")
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if is_wide else ("utf-8-sig", _OLD):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        if encoding == _OLD and problems is not None:
            message, fix = "the text is not UTF-8 and is read as Windows-1252", "save the table as UTF-8"
            problems.warning("table-encoding", path, message, "UTF-8", "", fix)
        return text
    raise error("could not read a table", where=path, expected="text in UTF-8", fix="save the table as UTF-8")


def write_table(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns of equal length atomically; nan is an empty field, floats have 6 digits. StorageError."""
    rows = zip(*(map(_field, np.asarray(one).tolist()) for one in columns.values()), strict=True)
    write_text(path, csv_text(columns, rows))


def _field(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"
