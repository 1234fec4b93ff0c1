"""One writer of a dataset at a time, among threads and processes."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reunet.errors import StorageError
from reunet.storage import folder_lock

WAIT_S = 20.0
"""So long one writer waits for another one."""

_writing = threading.Lock()


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the lock of a dataset. Raises StorageError where it does not come free, or nobody may write."""
    if not _writing.acquire(timeout=WAIT_S):
        raise StorageError("another save has not ended", where=root, fix="try again")
    with ExitStack() as stack:
        stack.callback(_writing.release)
        end = time.monotonic() + WAIT_S
        while True:
            try:
                stack.enter_context(folder_lock(root))
                break
            except StorageError:
                if time.monotonic() > end or not os.access(root, os.W_OK):
                    raise
                time.sleep(0.05)
        yield
