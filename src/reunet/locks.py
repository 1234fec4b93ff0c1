"""Who works where: the lock of a folder, and temporaries, which anybody clears away after their owner.

The system frees a lock however the process ends. So what is not locked was left by one that was killed.
"""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from reunet.errors import StorageError

_LOCKED_BYTE = 1 << 30
"""Windows locks bytes rather than files, against reading too: one far behind the text of a lock file."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF}
"""What file systems that cannot lock answer, such as some of clusters (of folders: NFS)."""

_TEMPORARY = re.compile(r"\.tmp-([0-9a-f]{8})[0-9a-f]{8}(?:\.old-(.*)|\..*)?", re.DOTALL)

LOCK = ".lock"

OLD_S = 7 * 86400.0
"""Where a lock tells nothing, as on another machine, what was not touched for so long has been left."""

_held: dict[str, int] = {}
"""The open lock of each folder that this process works in."""

_swept: set[str] = set()


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock` while working in it; the system frees it however the process ends.

    Its content, the number of the process, is for people only. On a file system that cannot lock, nothing
    is held. Raises StorageError when another process holds it, OSError.
    """
    lock, whole = folder / LOCK, os.path.abspath(folder)
    folder.mkdir(parents=True, exist_ok=True)
    handle = _open_locked(lock)
    _held[whole] = handle
    try:
        yield
    finally:
        del _held[whole]
        if sys.platform != "win32" and _is_file_of(handle, lock):  # else it is the lock of another process
            lock.unlink(missing_ok=True)
        os.close(handle)
        if sys.platform == "win32":  # which removes no open file, so none that another process holds
            with suppress(OSError):
                lock.unlink(missing_ok=True)


def check_held(path: Path) -> None:
    """Raise StorageError where `path` lies in a folder that was removed while this process works in it."""
    whole = os.path.abspath(path)
    for folder, handle in list(_held.items()):
        if whole.startswith(folder + os.sep) and not _is_file_of(handle, Path(folder) / LOCK):
            raise StorageError(
                "this folder was removed or replaced while a command was working in it",
                where=folder,
                fix="start the command again, and leave the folder where it is until it ends",
            )


@contextmanager
def temporary(beside: Path, *, is_folder: bool) -> Iterator[Path]:
    """Yield a new, empty file or folder beside a path; it is removed in any case, unless it was renamed.

    It ends like the path, as image writers choose the format by that. Raises OSError, and StorageError as
    `check_held` does.
    """
    check_held(beside)
    beside.parent.mkdir(parents=True, exist_ok=True)
    sweep(beside.parent)
    made, handle = _new_temporary(beside, is_folder=is_folder)
    try:
        yield made
    finally:
        _remove(made)
        if handle is not None:
            os.close(handle)


def is_own(name: str) -> bool:
    """Whether a file or folder of that name is a lock or a temporary."""
    return name == LOCK or _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left in a folder; once in each process."""
    whole = os.path.abspath(folder)
    if whole in _swept:
        return
    _swept.add(whole)
    with suppress(OSError):
        for name in os.listdir(whole):
            left = Path(whole, name)
            if (found := _TEMPORARY.fullmatch(name)) is None or not _is_left(left, found[1]):
                continue
            if found[2] and not os.path.lexists(left.with_name(found[2])):
                left.rename(left.with_name(found[2]))  # killed before the new one was in its place
            else:
                _remove(left)


def temporary_name(beside: Path, *, old: bool = False) -> Path:
    """A name that is not taken, in the folder of a path. old: for what is replaced at that path."""
    ending = "".join(beside.suffixes[-2:])[-40:]  # dots in a long name must not make this one too long
    ending = f".old-{beside.name}" if old else ending
    return beside.with_name(f".tmp-{_machine()}{secrets.token_hex(4)}{ending}")


def _new_temporary(beside: Path, *, is_folder: bool) -> tuple[Path, int | None]:
    """A new file or folder, and its open lock; None on Windows, which renames nothing that is open."""
    while True:
        path = temporary_name(beside)
        if is_folder:
            path.mkdir()
        else:  # with the rights that the umask leaves
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        if sys.platform == "win32":
            return path, None
        with suppress(FileNotFoundError):  # else another process has swept it since
            handle = os.open(path, os.O_RDONLY)
            if _lock(handle) is not False and _is_file_of(handle, path):
                return path, handle
            os.close(handle)


def _is_left(path: Path, machine: str) -> bool:
    """Whether nobody works with a temporary any more."""
    if machine == _machine() and sys.platform != "win32":
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            locked = _lock(handle)
        finally:
            os.close(handle)
        if locked is not None:
            return locked
    return time.time() - path.lstat().st_mtime > OLD_S


@cache
def _machine() -> str:
    """Tells temporaries of machines that share a disk apart."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _open_locked(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if _lock(handle) is False:
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


def _lock(handle: int) -> bool | None:
    """Lock what is open until it is closed; False when another process has it locked, None where none can."""
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
        return None
    return True


def _is_file_of(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
