"""How long work reports that it is going on, without knowing whether anybody watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of one verb; a verb may start several tasks, one after the other.

    Implementations must be cheap: `advance` is called once per training step or per image.
    """

    def start(self, task: str, total: int | None) -> None:
        """A new task begins, such as "training"; `total` units of work, None when not known.

        A task that is still open ends by this.
        """

    def advance(self, n: int = 1, **info: object) -> None:
        """`n` more units are done; `info` holds values worth showing, such as `val_score=0.91`.

        An info value stays on display until the same name is given again.
        """

    def message(self, text: str) -> None:
        """One line that the user should read, and that stays on the screen."""


class NullProgress:
    """Nobody watches."""

    def start(self, task: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, n: int = 1, **info: object) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""
