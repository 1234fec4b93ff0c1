"""An array too large for memory, kept in a folder while it is being made: written and read part by part."""

import zlib
from collections import OrderedDict
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from reunet.slices import Slices, overlap, size_of, touched, within

HELD = 2**25
"""Bytes of chunks that wait in memory for the rest of their values."""


class ChunkStore:
    """Zeros until written. Chunks are compressed files; those last used are in memory, until `flush`.

    Parameters
    ----------
    folder: is made where it does not exist, and is the caller's to remove. shape, dtype, chunk: of the array.

    Raises OSError where the disk is full.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype, chunk: tuple[int, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.shape, self.dtype = folder, shape, np.dtype(dtype)
        self.chunk = tuple(min(side, length) for side, length in zip(chunk, shape, strict=True))
        self._held: OrderedDict[tuple[int, ...], np.ndarray] = OrderedDict()
        self._changed: set[tuple[int, ...]] = set()
        self._most = max(HELD // (prod(self.chunk) * self.dtype.itemsize), 1)

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        return self.__dict__

    def write(self, part: Slices, values: np.ndarray) -> None:
        """Set a part to `values` (*part)."""
        for place, inside, here in self._touched(part):
            self._get(place)[inside] = values[here]
            self._changed.add(place)

    def read(self, part: Slices) -> np.ndarray:
        """The values of a part."""
        result = np.empty(size_of(part), self.dtype)
        for place, inside, here in self._touched(part):
            result[here] = self._get(place)[inside]
        return result

    def _touched(self, part: Slices) -> Iterator[tuple[tuple[int, ...], Slices, Slices]]:
        """Each chunk that a part touches: its place, and what they share as pixels of each."""
        for place, chunk in touched(part, self.chunk):
            both = overlap(part, chunk)
            yield place, within(both, chunk), within(both, part)

    def _get(self, place: tuple[int, ...]) -> np.ndarray:
        if place in self._held:
            self._held.move_to_end(place)
            return self._held[place]
        file = self._file(place)
        if file.is_file():
            values = np.frombuffer(bytearray(zlib.decompress(file.read_bytes())), self.dtype).reshape(
                self.chunk
            )
        else:
            values = np.zeros(self.chunk, self.dtype)
        self._held[place] = values
        while len(self._held) > self._most:
            self._keep(*self._held.popitem(last=False))
        return values

    def flush(self) -> None:
        """Put all that was written into the files, where another process finds it."""
        while self._held:
            self._keep(*self._held.popitem())

    def _keep(self, place: tuple[int, ...], values: np.ndarray) -> None:
        if place in self._changed:
            self._changed.remove(place)
            self._file(place).write_bytes(zlib.compress(values.tobytes(), 1))

    def _file(self, place: tuple[int, ...]) -> Path:
        return self.folder / ".".join(map(str, place))
