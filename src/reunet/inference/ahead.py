"""Work done ahead by a thread: while one stage computes, the one before it prepares what comes next."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 0.1
"""Seconds after which a thread that waits to hand something on looks whether anybody still wants it."""


def ahead(items: Generator[T, None, None], depth: int = 1) -> Iterator[T]:
    """The same items, made by a thread of its own that is at most `depth` finished items ahead.

    What `items` raises is raised here. When the caller stops early, so does the thread.
    """
    ready: Queue[tuple[bool, Any]] = Queue(depth)
    stopped = Event()

    def hand_on(is_item: bool, value: Any) -> bool:
        while not stopped.is_set():
            with suppress(Full):
                ready.put((is_item, value), timeout=PATIENCE)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not hand_on(True, item):
                    return
            hand_on(False, None)
        except BaseException as cause:  # whatever it is, the caller has to hear of it
            hand_on(False, cause)
        finally:
            items.close()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = ready.get()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        stopped.set()
        with suppress(Empty):
            ready.get_nowait()
        thread.join()
