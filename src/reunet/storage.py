"""Files that are either whole or absent: atomic writes, folder publication, hashes."""

import csv
import ctypes
import errno
import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

from reunet import locks
from reunet.errors import BackendError, ReunetError, StorageError

_FIXES = {
    errno.ENOSPC: "free some space on this disk, then run the command again",
    errno.EDQUOT: "free some of your disk quota, then run the command again",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.ENOENT: "see that nobody removes the folder while it is written to",
    errno.EROFS: "this file system is read-only: choose another folder",
    errno.ENAMETOOLONG: "use a shorter file name or output folder",
    errno.EFBIG: "allow larger files (`ulimit -f`), or choose a folder on another file system",
}
"""What helps where the system refuses to write."""


WINDOWS_LENGTH = 248
"""Characters of a path from which Windows refuses folders in it, files a little later, unless told not to."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a character, as JSON writes those that are not in the first 65,536."""


DAMAGED_ARRAY = (OSError, ValueError, EOFError, SyntaxError, TokenError, BadZipFile)
"""What NumPy raises at a damaged file: it parses headers as Python, and a file may begin like an archive."""


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make what the system refuses inside a StorageError about `path`.

    NumPy, Pillow, OpenVINO and a process that exports do not tell that the disk is full: it is looked at.
    """
    try:
        yield
    except (OSError, RuntimeError, BackendError) as cause:
        number = getattr(cause, "errno", None) or (errno.ENOSPC if _is_full(path, cause) else 0)
        if not number and not isinstance(cause, OSError) and "iostream" not in str(cause):
            raise
        reason = os.strerror(number) if number in _FIXES else getattr(cause, "strerror", None) or cause
        raise StorageError(f"could not write a file: {reason}", where=path, fix=_fix(number, path)) from cause


def _fix(number: int, path: Path) -> str:
    """What helps; of a long path on Windows, which knows it by many numbers, what allows it."""
    if sys.platform == "win32" and len(os.path.abspath(path)) >= WINDOWS_LENGTH:
        return "choose a shorter folder, or allow long paths in Windows (LongPathsEnabled in its registry)"
    return _FIXES.get(number, "see that the disk has room and that you may write there")


def _is_full(path: Path, cause: Exception) -> bool:
    """Whether the disk that a path would be on has no room left, or the error says so."""
    if os.strerror(errno.ENOSPC) in str(cause):
        return True
    whole = path.absolute()
    there = next((folder for folder in (whole, *whole.parents) if os.path.exists(folder)), Path.cwd())
    return shutil.disk_usage(there).free < 1 << 16


_passing: set[Path] = set()
"""Folders of which nothing need survive a power cut."""


def never_sync(folder: Path) -> None:
    """Let what is written below a folder be lost in a power cut: whoever sends it waits for no disk."""
    _passing.add(folder.absolute())


def _is_passing(path: Path) -> bool:
    return bool(_passing) and not _passing.isdisjoint((path.absolute(), *path.absolute().parents))


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut (a no-op where folders cannot be opened)."""
    if _is_passing(folder):
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except (OSError, AttributeError):  # Windows cannot open a folder
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _temporary(path: Path, *, is_folder: bool, where: Path | None = None) -> Iterator[Path]:
    """As of `locks`; the reason of an error is looked for while what was written is still there."""
    told = where or path
    with _writing(told), locks.temporary(path, is_folder=is_folder) as temporary, _writing(told):
        yield temporary


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and replaces `path` in one step.

    On any failure the temporary file is removed and `path` is as it was. Raises StorageError when the
    system refuses.
    """
    with _temporary(path, is_folder=False) as temporary:
        yield temporary
        publish_file(temporary, path)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, for what is not finished; it is removed in any case.

    Raises StorageError when the system refuses something meanwhile, such as to write onto a full disk.
    """
    with _temporary(parent / "scratch", is_folder=True, where=parent) as folder:
        yield folder


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder while working in it, see `locks`. Raises StorageError, also where another
    process holds it.
    """
    with ExitStack() as stack:
        with _writing(folder / locks.LOCK):
            stack.enter_context(locks.folder_lock(folder))
        yield


def take_room(file: Path) -> None:
    """Give a file all of its bytes on the disk. One that is mapped and has holes gets them when they are
    written to, and a disk that is full by then kills the process. Raises OSError.
    """
    with open(file, "rb+") as opened:
        size = os.fstat(opened.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(opened.fileno(), 0, size)
            return
        block = bytes(1 << 20)
        for start in range(opened.seek(4096), size, len(block)):  # behind the header
            opened.write(block[: size - start])


def publish_file(file: Path, path: Path) -> None:
    """Move a finished file, on the same disk, to `path` in one step. Raises OSError."""
    _sync_file(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, path)
    sync_folder(path.parent)


def remove_old(paths: Iterable[Path]) -> None:
    """Remove results of an earlier time, files and folders, as far as they are there. Raises StorageError.

    A name may be too long to exist: `os.path` says that it does not, where `Path` raises.
    """
    for path in paths:
        try:
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                path.unlink()
        except OSError as cause:
            raise StorageError(
                "could not remove an old result", where=path, received=cause.strerror
            ) from cause


def _sync_file(path: Path) -> None:
    if _is_passing(path):
        return
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def csv_text(heading: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as CSV; a cell is empty where the value is None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return text.getvalue()


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON; NaN and infinity are refused (undefined is null)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_text(path: Path, error: type[ReunetError], what: str, most_bytes: int | None = None) -> str:
    """Text in UTF-8, with or without a byte order mark. Raises `error`, which says `what` it would be.

    most_bytes: a larger file is refused before it is read.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # such as a pipe, which would be waited for
            raise error(f"could not read {what}", where=path, received="something that is not a file")
        if most_bytes is not None and (size := path.stat().st_size) > most_bytes:
            raise error(
                f"could not read {what}", where=path, expected=f"at most {most_bytes} bytes", received=size
            )
        return path.read_text(encoding="utf-8-sig")
    except OSError as cause:
        raise error(f"could not read {what}", where=path, received=cause.strerror) from cause
    except UnicodeDecodeError as cause:
        fix = "save it as UTF-8"
        raise error(
            f"could not read {what}", where=path, expected="UTF-8", received=cause, fix=fix
        ) from cause


def read_json(path: Path, error: type[ReunetError], most_bytes: int | None = None) -> Any:
    """Parsed JSON in UTF-8, with or without a byte order mark. Raises `error` when there is none, also for
    half characters, which no file name and no other file could hold.
    """
    text = read_text(path, error, "a JSON file", most_bytes)
    try:
        data = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as cause:
        raise error("could not read a JSON file", where=path, received=str(cause)) from cause
    return data


def read_csv(path: Path, error: type[ReunetError]) -> list[dict[str, str]]:
    """The rows of a CSV file that has a heading, by its columns. Raises `error` when it is none."""
    text = read_text(path, error, "a table", most_bytes=2**28)
    try:
        return list(csv.DictReader(io.StringIO(text)))
    except csv.Error as cause:
        raise error("could not read a table", where=path, received=str(cause)) from cause


def refuse_foreign(folder: Path, mark: Path, what: str) -> None:
    """Raise StorageError for a file, or a folder with something in it but no `mark`, which a `what` has.

    What killed processes left in it is removed.
    """
    _refuse_file(folder)
    if folder.is_dir() and not mark.is_file():
        locks.sweep(folder)
        found = sorted(name for name in os.listdir(folder) if not locks.is_own(name))
        if found:
            raise StorageError(
                f"this folder holds something else than a {what}",
                where=folder,
                received=", ".join(found[:5]),
                fix="choose an empty or new folder with -o",
            )


def refuse_existing(
    folder: Path, places: Iterable[Path], *, overwrite: bool, ways: str = "use --overwrite"
) -> None:
    """Raise StorageError where there is something at one of the places already, unless to overwrite it, and
    where `folder` cannot be one.

    places: whole paths, which are told relative to `folder`.
    """
    _refuse_file(folder)
    existing = [] if overwrite else [place for place in places if os.path.exists(place)]
    if existing:
        raise StorageError(
            f"{len(existing)} result(s) exist already",
            where=folder,
            received=", ".join(os.path.relpath(path, folder) for path in existing[:5]),
            fix=f"{ways}, or another output with -o",
        )


def _refuse_file(folder: Path) -> None:
    """Raise StorageError where a file has the name of a folder, or of one above it."""
    for place in (folder, *folder.parents):
        if place.is_file():
            raise StorageError("this is a file, not a folder", where=place, fix="choose another name with -o")


MARKED = 1024
"""Bytes at the start of a file that we write, which tell what it is."""


def refuse_other(path: Path | None, mark: str, option: str) -> None:
    """Raise StorageError for a folder, or a file that is not one of ours, where one is to be written anew.

    mark: what such a file holds among its first `MARKED` bytes. option: the one that gave the path, if any.
    """
    if path is None:
        return
    _refuse_file(path.parent)
    if not path.exists():
        return
    if not path.is_file():
        raise StorageError("this is a folder, not a file", where=path, fix=f"name a file with {option}")
    with open(path, "rb") as file:
        if mark.encode() not in file.read(MARKED):
            raise StorageError(
                "something else has this name",
                where=path,
                expected="no file, or one that the same command wrote",
                fix=f"choose another name with {option}",
            )


def publish_folder(path: Path, fill: Callable[[Path], object], *, replace: bool = True) -> None:
    """Create folder `path` in one step: `fill` writes into a temporary folder, which is then renamed.

    Every file is synced before the rename. An existing folder is moved aside before and removed after it;
    with `replace=False` it stays as it is. Raises StorageError, also for a folder that was to stay.
    """
    with _temporary(path, is_folder=True) as temporary:
        fill(temporary)
        for entry in temporary.rglob("*"):
            if entry.is_dir():
                sync_folder(entry)
            else:
                _sync_file(entry)
        sync_folder(temporary)
        if replace and path.is_dir():
            _exchange(temporary, path)
        else:
            os.rename(temporary, path)
        sync_folder(path.parent)


def _exchange(new: Path, path: Path) -> None:
    """Put a folder in the place of another one, which is then where it was, or gone."""
    if _swap(new, path):
        return
    old = locks.temporary_name(path, old=True)  # comes back if the process is killed here
    os.rename(path, old)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _swap(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where system and disk can."""
    c: Any = None if sys.platform == "win32" else ctypes.CDLL(None)
    names, exchange = (os.fsencode(one), os.fsencode(other)), 2
    if hasattr(c, "renamex_np"):  # macOS
        return bool(c.renamex_np(*names, exchange) == 0)
    here = -100  # AT_FDCWD
    return hasattr(c, "renameat2") and bool(c.renameat2(here, names[0], here, names[1], exchange) == 0)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
