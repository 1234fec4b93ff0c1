"""Every error a user can meet. A message says what, where, expected, received and how to fix it."""

from __future__ import annotations


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
        return _again, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        details = {
            "where": self.where,
            "expected": self.expected,
            "received": self.received,
            "fix": self.fix,
        }
        lines = [f"  {name + ':':<10}{value}" for name, value in details.items() if value is not None]
        return "\n".join([self.what, *lines])


def _again(kind: type[ReunetError], args: tuple[object, ...], fields: dict[str, object]) -> ReunetError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


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
