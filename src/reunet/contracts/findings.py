"""The list of what is wrong with a dataset, as it grows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reunet.contracts.results import Problem
from reunet.errors import DataError, ReunetError

_LONGEST = 600  # characters of a message, as what a file holds may be of any length


@contextmanager
def understood(what: str, where: object, form: str | None = None) -> Iterator[None]:
    """Tell where what others wrote is not understood, whatever its reader raised: a file of annotations or
    settings may hold anything. Raises DataError.

    what: such as "the class list is". form: what would have been.
    """
    try:
        yield
    except ReunetError:
        raise
    except Exception as cause:
        received = f"{type(cause).__name__}: {str(cause)[:100]}"
        message, fix = f"{what} not understood", "write it as docs/data.md shows"
        raise DataError(message, where=where, expected=form, received=received, fix=fix) from cause


def relative(path: Path, root: Path, page: int | None = None) -> str:
    """Path below the dataset's folder, for messages; people count pages from 1."""
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return name if page is None else f"{name}, page {page + 1}"


def some_of(texts: Sequence[str], most: int = 10) -> str:
    """The first of a list, and how many more there are."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


class Findings(list[Problem]):
    """Problems of files below `root` (of one `page` of them), which are told relative to it.

    `details` are expected, received and fix of a `Problem`, in this order.
    """

    def __init__(self, root: Path, page: int | None = None) -> None:
        super().__init__()
        self.root, self._page = root, page

    def error(self, code: str, file: Path | str, message: str, *details: str) -> None:
        """Add what keeps the dataset from being used."""
        self.append(Problem("error", code, self.name(file), *map(_short, (message, *details))))

    def warning(self, code: str, file: Path | str, message: str, *details: str) -> None:
        """Add what the user should know."""
        self.append(Problem("warning", code, self.name(file), *map(_short, (message, *details))))

    def caught(self, code: str, file: Path | str, cause: ReunetError) -> None:
        """Add an error that reading the file raised."""
        details = (cause.expected, cause.received, cause.fix)
        self.error(code, file, cause.what, *("" if one is None else str(one) for one in details))

    @contextmanager
    def noting(self, code: str, file: Path | str, what: str, form: str | None = None) -> Iterator[None]:
        """Add an error for whatever is raised, as `understood` tells it."""
        try:
            with understood(what, file, form):
                yield
        except ReunetError as cause:
            self.caught(code, file, cause)

    def name(self, file: Path | str) -> str:
        """How a file is told."""
        return file if isinstance(file, str) else relative(file, self.root, self._page)
