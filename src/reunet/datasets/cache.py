"""Arrays and facts on disk, found by what they were made from: fast to open, never stale.

Everything lies there with a checksum, which is compared when a process first finds it: what a disk or another
program has changed counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from reunet.errors import StorageError
from reunet.storage import DAMAGED_ARRAY, atomic_path, publish_folder

FORMAT = "5"
"""Raised whenever reading, encoding or storing changes, so that older entries are no longer found."""

LIMIT = 20 * 2**30
"""Bytes the cache of decoded cases may grow to; what was not used for longest goes first."""

MARK_EVERY_S = 3600.0
"""Entries in use are marked as used this often, so that `prune` spares them however long a training is."""

SPARE_S = 7 * 86400.0
"""Entries used within this time are never removed: a training, also of another process, reads them anew."""

_FACTS = "facts.json"
"""The checksums of all arrays and what else is known; in a line before, the checksum of key and content."""

_DAMAGED = (*DAMAGED_ARRAY, KeyError, TypeError)
"""What reading a damaged entry raises."""

_marked: dict[Path, float] = {}
"""When entries were last marked as used, by their folder."""

_intact: dict[Path, tuple[int, ...]] = {}
"""Arrays whose checksum was compared, and what the file system said of them then."""

_one_header = Lock()
"""Held while an .npy header is read: NumPy parses it as Python, and CPython 3.11 fails at that in threads."""


@dataclass(frozen=True)
class Stored:
    """Where an array lies in a file."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def find(cls, path: Path, checksum: str) -> Stored:
        """An .npy file with that checksum. Raises one of `_DAMAGED` where it is damaged."""
        with _one_header:
            array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        stored, facts = cls(path, array.dtype, array.shape, array.offset), path.stat()
        told = facts.st_mtime_ns, facts.st_size, facts.st_ino
        if _intact.get(path) != told:
            if checksum_of(stored.array()) != checksum:
                raise ValueError("the file was changed")
            _intact[path] = told
        return stored

    def array(self) -> np.ndarray:
        """The array, mapped read-only."""
        _mark_used(self.path.parent)
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


Array = np.ndarray | Stored
Content = tuple[Mapping[str, Array], dict[str, Any]]
"""Arrays by name, and what else is known, as JSON holds it."""


def mapped(source: Array) -> np.ndarray:
    """An array read-only, from its file where it is stored."""
    if isinstance(source, Stored):
        return source.array()
    view = source.view()
    view.flags.writeable = False
    return view


def checksum_of(array: np.ndarray) -> str:
    """Of values, dtype and shape."""
    told = zlib.crc32(f"{array.dtype.str} {array.shape}".encode())
    return f"{zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, told):08x}"


def key_of(*parts: object) -> str:
    """The name of what is made from `parts`."""
    return hashlib.sha256("\n".join((FORMAT, *map(str, parts))).encode()).hexdigest()


def find(key: str) -> Content | None:
    """What lies under `key`; None when that is nothing, or damaged."""
    folder = _folder(key)
    try:
        checksum, text = (folder / _FACTS).read_bytes().split(b"\n", 1)
        if int(checksum, 16) != zlib.crc32(key.encode() + text):
            return None
        told = json.loads(text)
        arrays = {name: Stored.find(folder / f"{name}.npy", seal) for name, seal in told["arrays"].items()}
        facts: dict[str, Any] = told["facts"]
    except _DAMAGED:
        return None
    _mark_used(folder)
    return arrays, facts


def publish(key: str, arrays: Mapping[str, np.ndarray], facts: dict[str, Any]) -> Content:
    """What lies under `key` now: what another process has put there meanwhile, since that process reads it,
    else what is given. A cache that cannot be written is done without: then it is what is given.
    """
    folder = _folder(key)
    is_there = os.path.isdir(folder)
    if is_there and (found := find(key)) is not None:
        return found
    seals = {name: checksum_of(array) for name, array in arrays.items()}
    told = json.dumps({"arrays": seals, "facts": facts}).encode()
    writes: dict[str, Callable[[Path], object]] = {
        f"{name}.npy": partial(np.save, arr=np.ascontiguousarray(array)) for name, array in arrays.items()
    }
    writes[_FACTS] = lambda to: to.write_bytes(b"%08x\n" % zlib.crc32(key.encode() + told) + told)

    def fill(temporary: Path) -> None:
        for name, write in writes.items():
            write(temporary / name)

    with suppress(StorageError):
        if not is_there:
            publish_folder(folder, fill, replace=False)
        else:  # a damaged one: other processes may use what lies beside it
            for name, write in writes.items():
                with atomic_path(folder / name) as temporary:
                    write(temporary)
    return find(key) or (arrays, facts)


def kept_beside(
    origin: Array | None, names: Iterable[str], part: str, make: Callable[[], dict[str, np.ndarray]]
) -> Mapping[str, Array]:
    """Arrays of these names that follow from `origin` and `part`, from files beside it or from `make`."""
    if not isinstance(origin, Stored):
        return make()
    mark = key_of(origin.path.parent.name, part)[:16]
    with suppress(*_DAMAGED):
        return {name: _beside(origin.path, f"{name}-{mark}") for name in names}
    made = {name: np.ascontiguousarray(array) for name, array in make().items()}
    with suppress(StorageError, *_DAMAGED):
        for name, array in made.items():
            file = origin.path.with_name(f"{name}-{mark}-{checksum_of(array)}.npy")
            with atomic_path(file) as temporary:
                np.save(temporary, array)
        return {name: _beside(origin.path, f"{name}-{mark}") for name in made}
    return made


def _beside(origin: Path, name: str) -> Stored:
    """The array of that name beside another; its checksum ends the name of its file. Raises as `Stored.find`
    does where there is none.
    """
    for file in origin.parent.glob(f"{name}-*.npy"):
        with suppress(*_DAMAGED):
            return Stored.find(file, file.stem.rpartition("-")[2])
    raise FileNotFoundError(name)


def cache_folder() -> Path:
    """Where decoded cases lie: the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("reunet", appauthor=False)) / "cases"


@dataclass(frozen=True)
class CachedCase:
    """What lies in the cache of a case: its folder, bytes, and when it was last used (seconds since 1970)."""

    folder: Path
    size: int
    used: float


def cached_cases() -> Iterator[CachedCase]:
    """All that lies in the cache."""
    for folder in cache_folder().glob("??/*"):
        with suppress(OSError):
            size = sum(file.stat().st_size for file in folder.iterdir())
            yield CachedCase(folder, size, folder.stat().st_mtime)


def prune(limit_bytes: int = LIMIT, *, spare_seconds: float = SPARE_S) -> int:
    """Remove the entries not used for longest until the cache is at most `limit_bytes`; bytes removed.

    Entries used in the last `spare_seconds` stay, even when they are more than that.
    """
    found = sorted(cached_cases(), key=lambda case: case.used)
    total, removed = sum(case.size for case in found), 0
    for case in found:
        if total - removed <= limit_bytes or time.time() - case.used < spare_seconds:
            break
        shutil.rmtree(case.folder, ignore_errors=True)
        removed += 0 if case.folder.exists() else case.size
    return removed


def _folder(key: str) -> Path:
    return cache_folder() / key[:2] / key


def _mark_used(folder: Path) -> None:
    now = time.monotonic()
    if now - _marked.get(folder, -MARK_EVERY_S) >= MARK_EVERY_S:
        _marked[folder] = now
        with suppress(OSError):  # a cache that others filled may be read-only
            os.utime(folder)
