"""What was made once is kept, as far as there is room."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Values by key, at most so many bytes of them; those that were not asked for longest go first.

    size: of a value, in bytes.
    """

    def __init__(self, most_bytes: int, size: Callable[[T], int]) -> None:
        self._most, self._size, self._bytes = most_bytes, size, 0
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._locks: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made once, also when several threads ask at the same time."""
        with self._lock:
            own = self._locks.setdefault(key, Lock())
        with own:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    return self._values[key]
            value = make()
            with self._lock:
                self._put(key, value)
            return value

    def forget(self, *about: Hashable) -> None:
        """Forget the values of keys that begin so."""
        with self._lock:
            for key in [one for one in self._values if isinstance(one, tuple) and one[: len(about)] == about]:
                self._bytes -= self._size(self._values.pop(key))
                self._locks.pop(key, None)

    def _put(self, key: Hashable, value: T) -> None:
        self._values[key] = value
        self._bytes += self._size(value)
        while self._bytes > self._most and len(self._values) > 1:
            old, gone = self._values.popitem(last=False)
            self._bytes -= self._size(gone)
            self._locks.pop(old, None)
