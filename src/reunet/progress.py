"""How long work reports that it is going on, without knowing whether anybody watches."""

import sys
import time
from html import escape
from typing import Any, Protocol


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


def described(info: dict[str, object]) -> str:
    """The values that `advance` was given, in a line."""
    parts = [
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in info.items()
        if value is not None
    ]
    return "  ".join(parts)


def watcher() -> Progress | None:
    """Who watches a verb that nobody was told to watch: the cell of a notebook, where there is one."""
    if "ipykernel" not in sys.modules:
        return None
    display = sys.modules["IPython"].display
    return NotebookProgress(lambda html: display.display(display.HTML(html), display_id=True))


class NotebookProgress:
    """A bar below the cell, and the messages; drawn five times a second at most.

    show: shows HTML, and gives what `update`s it.
    """

    INTERVAL = 0.2
    MOST_MESSAGES = 8

    def __init__(self, show: Any) -> None:
        self._show, self._drawn = show, 0.0
        self._handle: Any = None
        self._total: int | None = None
        self._task, self._done = "", 0
        self._info: dict[str, object] = {}
        self._messages: list[str] = []

    def start(self, task: str, total: int | None) -> None:
        """Begin a task in place of the last one."""
        self._task, self._total, self._done, self._info = task, total, 0, {}
        self._draw(now=True)

    def advance(self, n: int = 1, **info: object) -> None:
        """Move the bar."""
        self._done += n
        self._info |= info
        self._draw(now=self._done == self._total)

    def message(self, text: str) -> None:
        """Show a line below the bar, with the last few."""
        self._messages = [*self._messages, text][-self.MOST_MESSAGES :]
        self._draw(now=True)

    def _draw(self, *, now: bool) -> None:
        if not now and time.monotonic() - self._drawn < self.INTERVAL:
            return
        self._drawn = time.monotonic()
        count = f"{self._done} of {self._total}" if self._total else ""
        bar = f"<progress max='{self._total}' value='{self._done}'></progress> " if self._total else ""
        told = "".join(f"<br>{escape(text)}" for text in self._messages)
        html = f"{bar}{escape(self._task)} {count} {escape(described(self._info))}<small>{told}</small>"
        if self._handle is None:
            self._handle = self._show(html)
        else:
            display = sys.modules["IPython"].display
            self._handle.update(display.HTML(html))
