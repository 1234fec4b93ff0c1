"""Ctrl-C and SIGTERM become a wish that the loop grants at the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopWish:
    """`signal_number` is set once the user or the system wants the training to end."""

    signal_number: int | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handler: the first signal is remembered, a second Ctrl-C interrupts at once."""
        if self.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number


@contextmanager
def handled(receive: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Inside, SIGNALS are given to `receive`; in a thread other than the main one they are not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
