"""Files that are either whole or absent: atomic writes, folder publication, hashes, locks."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reunet.errors import ReunetError, StorageError

_LOCKED_BYTE = 1 << 30
"""Windows locks bytes rather than files, against reading too: one far behind the text of a lock file."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
"""What file systems that cannot lock answer, such as some of clusters."""

_FIXES = {
    errno.ENOSPC: "free some space on this disk, then run the command again",
    errno.EDQUOT: "free some of your disk quota, then run the command again",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "this file system is read-only: choose another folder",
    errno.ENAMETOOLONG: "use a shorter file name or output folder",
    errno.EFBIG: "allow larger files (`ulimit -f`), or choose a folder on another file system",
}
"""What helps where the system refuses to write."""


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a character, as JSON writes those that are not in the first 65,536."""


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make what the system refuses inside a StorageError about `path`."""
    try:
        yield
    except OSError as cause:
        raise StorageError(
            f"could not write a file: {cause.strerror or cause}",
            where=path,
            fix=_FIXES.get(cause.errno or 0, "see that the disk has room and that you may write there"),
        ) from cause


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut (a no-op where folders cannot be opened)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except (OSError, AttributeError):  # Windows cannot open a folder
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary_beside(path: Path) -> Path:
    """A new name in the folder of `path`; it ends like `path`, as image writers choose the format by that."""
    ending = "".join(path.suffixes[-2:])[-40:]  # dots in a long name must not make this one too long
    return path.with_name(f".tmp-{secrets.token_hex(8)}{ending}")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and replaces `path` in one step.

    On any failure the temporary file is removed and `path` is as it was. Raises StorageError when the
    system refuses.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary_beside(path)
        # With the rights that the umask leaves.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            publish_file(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, for what is not finished; it is removed in any case.

    Raises StorageError when the system refuses something meanwhile, such as to write onto a full disk.
    """
    with _writing(parent), _new_folder(parent / "scratch") as folder:
        yield folder


@contextmanager
def _new_folder(beside: Path) -> Iterator[Path]:
    """Yield a new folder, which is removed in any case, unless it was renamed. Raises OSError."""
    folder = _temporary_beside(beside)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)


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


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file that has a heading, by its columns."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON; NaN and infinity are refused (undefined is null)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_text(path: Path, error: type[ReunetError], what: str) -> str:
    """Text in UTF-8, with or without a byte order mark. Raises `error`, which says `what` it would be."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as cause:
        raise error(f"could not read {what}", where=path, received=cause.strerror) from cause
    except UnicodeDecodeError as cause:
        fix = "save it as UTF-8"
        raise error(
            f"could not read {what}", where=path, expected="UTF-8", received=cause, fix=fix
        ) from cause


def read_json(path: Path, error: type[ReunetError]) -> Any:
    """Parsed JSON in UTF-8, with or without a byte order mark. Raises `error` when there is none, also for
    half characters, which no file name and no other file could hold.
    """
    text = read_text(path, error, "a JSON file")
    try:
        data = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as cause:
        raise error("could not read a JSON file", where=path, received=str(cause)) from cause
    return data


def refuse_foreign(folder: Path, mark: Path, what: str) -> None:
    """Raise StorageError for a file, or a folder with something in it but no `mark`, which a `what` has."""
    if folder.is_file():
        raise StorageError("this is a file, not a folder", where=folder, fix="choose another name with -o")
    if folder.is_dir() and not mark.is_file():
        found = sorted(entry.name for entry in folder.iterdir() if entry.name != ".lock")
        if found:
            raise StorageError(
                f"this folder holds something else than a {what}",
                where=folder,
                received=", ".join(found[:5]),
                fix="choose an empty or new folder with -o",
            )


def refuse_existing(
    folder: Path, names: Iterable[str | Path], *, overwrite: bool, ways: str = "use --overwrite"
) -> None:
    """Raise StorageError where results of these names are in `folder` already, unless to overwrite them."""
    existing = [] if overwrite else [folder / name for name in names if os.path.exists(folder / name)]
    if existing:
        raise StorageError(
            f"{len(existing)} result(s) exist already",
            where=folder,
            received=", ".join(str(path.relative_to(folder)) for path in existing[:5]),
            fix=f"{ways}, or another output with -o",
        )


def publish_folder(path: Path, fill: Callable[[Path], object], *, replace: bool = True) -> None:
    """Create folder `path` in one step: `fill` writes into a temporary folder, which is then renamed.

    Every file is synced before the rename. An existing folder is moved aside before and removed after it;
    with `replace=False` it stays as it is. Raises StorageError, also for a folder that was to stay.
    """
    with _writing(path), _new_folder(path) as temporary:
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
    old = _temporary_beside(path)
    os.rename(path, old)
    try:
        os.rename(new, path)
    except OSError:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock` while working in it; the system frees it however the process ends.

    Its content, the number of the process, is for people only. On a file system that cannot lock, nothing
    is held. Raises StorageError when another process holds it.
    """
    lock = folder / ".lock"
    with _writing(lock):
        folder.mkdir(parents=True, exist_ok=True)
        handle = _open_locked(lock)
    try:
        yield
    finally:
        if sys.platform != "win32":  # while it is held, so that it is not the lock of another process
            lock.unlink(missing_ok=True)
        os.close(handle)
        if sys.platform == "win32":  # which removes no open file, so none that another process holds
            with suppress(OSError):
                lock.unlink(missing_ok=True)


def _open_locked(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if not _lock(handle):
                owner = os.read(handle, 20).decode(errors="replace").strip()
                raise StorageError(
                    "another process is working in this folder",
                    where=lock.parent,
                    received=f"process {owner}" if owner else None,
                    fix="wait for it to end, or choose another folder",
                )
            if _is_file_of(handle, lock):  # else its last owner removed it since it was opened
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file until it is closed; False when another process has it locked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        if cause.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        if cause.errno not in _NO_LOCKS:
            raise
    return True


def _is_file_of(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
