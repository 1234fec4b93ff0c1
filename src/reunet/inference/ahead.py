"""Work done ahead by a thread: while one stage computes, the one before it prepares what comes next."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

DEPTH = 2
"""Items that are made ahead: one waits to be taken, the next one is made."""


def ahead(items: Generator[T, None, None]) -> Iterator[T]:
    """The same items, made by a thread of its own.

    What `items` raises is raised here. When the caller stops early, so does the thread.
    """
    end = object()
    thread = ThreadPoolExecutor(1)
    try:
        coming: deque[Future[Any]] = deque(thread.submit(next, items, end) for _ in range(DEPTH))
        while (item := coming.popleft().result()) is not end:
            coming.append(thread.submit(next, items, end))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
        items.close()
