"""Files that are either whole or absent: atomic writes, folder publication, hashes, locks."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reunet.errors import StorageError


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


def _storage_error(path: Path, cause: OSError) -> StorageError:
    fixes = {
        errno.ENOSPC: "free some space on this disk, then run the command again",
        errno.EDQUOT: "free some of your disk quota, then run the command again",
        errno.EACCES: "choose a folder you may write to",
        errno.EPERM: "choose a folder you may write to",
        errno.EROFS: "this file system is read-only: choose another folder",
        errno.ENAMETOOLONG: "use a shorter file name or output folder",
    }
    return StorageError(
        f"could not write a file: {cause.strerror}", where=path, fix=fixes.get(cause.errno or 0)
    )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and replaces `path` in one step.

    The temporary name keeps the suffixes, since image writers choose the format by it. On any failure
    the temporary file is removed and `path` is as it was. Raises StorageError when the system refuses.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".tmp-", suffix="".join(path.suffixes[-2:]), dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as cause:
        raise _storage_error(path, cause) from cause
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON; NaN and infinity are refused (undefined is null)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def publish_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Create folder `path` in one step: `fill` writes into a temporary folder, which is then renamed.

    Every file is synced before the rename. An existing `path` is replaced. Raises StorageError.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=path.parent))
        fill(temporary)
        for file in temporary.rglob("*"):
            if file.is_file():
                with open(file, "rb+") as handle:
                    os.fsync(handle.fileno())
        sync_folder(temporary)
        os.chmod(temporary, 0o755)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
        temporary = None
        sync_folder(path.parent)
    except OSError as cause:
        raise _storage_error(path, cause) from cause
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_running(pid: int) -> bool:
    """Whether a process of this machine has that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock` while working in it; a lock whose process is gone is taken over.

    Raises StorageError when another live process holds it.
    """
    lock = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                break
            except FileExistsError:
                owner = lock.read_text(errors="replace").strip()
                if owner.isdigit() and is_running(int(owner)):
                    raise StorageError(
                        "another process is working in this folder",
                        where=folder,
                        received=f"process {owner}",
                        fix=f"wait for it to end, choose another folder, or remove {lock}",
                    ) from None
                lock.unlink(missing_ok=True)
        with os.fdopen(handle, "w") as file:
            file.write(str(os.getpid()))
    except OSError as cause:
        raise _storage_error(lock, cause) from cause
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
