"""Every error a user can meet. A message says what, where, expected, received and how to fix it."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path


class ReunetError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback.

    Parameters
    ----------
    what: the problem in one sentence.
    where: the file, field or option it was found in.
    expected, received: what would have been right, and what was there instead.
    fix: what the user can do about it.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        received: object = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.fix = what, where, fix
        self.expected, self.received = expected, received
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        """It may go from one process to another."""
        return type(self).__new__, (type(self), *self.args), self.__dict__

    def __str__(self) -> str:
        details = {
            "where": self.where,
            "expected": self.expected,
            "received": self.received,
            "fix": self.fix,
        }
        lines = [f"  {name + ':':<10}{value}" for name, value in details.items() if value is not None]
        return "\n".join([self.what, *lines])


class UsageError(ReunetError):
    """An option or argument that makes no sense, or contradicts another."""


class DataError(ReunetError):
    """A dataset, image or folder that cannot be used as it is."""


class ImageReadError(DataError):
    """One file that cannot be read: missing, truncated, of an unknown format, not an image."""


class TooLargeError(DataError):
    """An image whose header announces more pixels than the limit; nothing was decoded."""


class LabelError(DataError):
    """A mask that contradicts its image or its class list."""


class MeaningError(LabelError):
    """A value of a mask stands for something else than in the class list."""


class SizeError(LabelError):
    """A mask of another size than its image."""


class PlanError(ReunetError):
    """A plan that is invalid, or an input that does not fit the plan of a run."""


class ModelFileError(ReunetError):
    """A run folder or weights file that is incomplete, damaged or of another version."""


class StorageError(ReunetError):
    """A file that could not be written, an output that exists, a folder in use by another run."""


class CheckpointError(StorageError):
    """No checkpoint to resume from, or none that is intact."""


class TrainingError(ReunetError):
    """Training that cannot go on, such as a loss that is not finite."""


class BackendError(ReunetError):
    """A framework or optional package that is missing, or loaded on another backend."""


class ClusterError(ReunetError):
    """A cluster that cannot be reached, does not fit, or lost its workers."""


class InterruptedRunError(ReunetError):
    """Training stopped by Ctrl-C or SIGTERM after its state was saved."""

    def __init__(
        self, what: str, *, signal_number: int, where: object = None, fix: str | None = None
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.exit_code = 128 + signal_number


def installing(extra: str) -> str:
    """How to add the packages of an extra, until there is a release: from the source tree."""
    return f'in the source tree of reunet: pip install ".[{extra}]"'


def shortened(value: object, most: int = 80) -> str:
    """A value as an error tells it, whatever it is."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists in lists
        text = f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= most else f"{text[:most]} ..."


def counted(told: Iterable[tuple[str, str]], most: int = 5) -> list[str]:
    """What is told of files or fields, each text once: `a.png: TEXT`, or `2 of them: a.png, b.png: TEXT`.

    told: places and texts, which may be whole errors; where texts differ in their place alone they are one.
    most: so many places are named.
    """
    places: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for place, text in told:
        lines = (line for line in text.splitlines() if not line.startswith("  where:"))
        key = "\n".join(lines).replace(place, "it")
        places.setdefault(key, []).append(place)
        texts.setdefault(key, text)
    found = []
    for key, names in places.items():
        if len(names) == 1:
            found.append(f"{names[0]}: {texts[key]}")
            continue
        such = ", such as" if len(names) > most else ":"
        found.append(f"{len(names)} of them{such} {', '.join(names[:most])}: {key}")
    return found


def closest(name: str, known: Iterable[str], most: int = 1, aliases: Mapping[str, str] = {}) -> str | None:
    """What may have been meant by a wrong name, as `did you mean 'unet'?`; None where nothing is like it.

    most: so many names, at most. aliases: what else some of them are called.
    """
    meant = {one.lower(): one for one in known} | dict(aliases)
    close = difflib.get_close_matches(name.lower(), meant, n=most, cutoff=0.5)
    names = dict.fromkeys(repr(meant[one]) for one in close)
    return f"did you mean {' or '.join(names)}?" if names else None


def unknown(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error of a module that has no such attribute, with the closest of its names."""
    hint = closest(name, known)
    return AttributeError(f"module {module!r} has no attribute {name!r}" + (f"; {hint}" if hint else ""))


def beside(missing: Path) -> str | None:
    """What may have been meant by a file or folder that is not there: names like it, or others beside it."""
    if not missing.parent.is_dir():
        return f"{missing.parent} does not exist either"
    names = sorted(entry.name for entry in missing.parent.iterdir() if entry != missing)
    return closest(missing.name, names, most=5) or (f"beside it: {', '.join(names[:5])}" if names else None)


def known_name(
    name: str,
    known: Iterable[str],
    *,
    where: str,
    error: type[ReunetError] = PlanError,
    aliases: Mapping[str, str] = {},
) -> str:
    """`name`, which is one of `known`. Raises `error` with the closest one otherwise.

    aliases: as in `closest`.
    """
    known = tuple(known)
    if name not in known:
        raise error(
            f"unknown name {name!r}",
            where=where,
            expected=", ".join(known),
            received=name,
            fix=closest(str(name), known, aliases=aliases),
        )
    return name
