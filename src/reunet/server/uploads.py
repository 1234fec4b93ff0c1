"""What clients send, as files in a folder of their own: names that lead nowhere else, nothing but files.

A request brings one file as its body, or files as multipart/form-data; a zip archive stands for the files in
it.
"""

import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from reunet.server.problems import RefusedError

MOST_PARTS = 256
"""Files of one request; more of them come as a zip archive."""

MOST_FIELDS = 16

MOST_ENTRIES = 10_000
"""Files of an archive."""

MOST_UNPACKED, MOST_RATIO = 10**10, 100
"""Bytes that an archive may hold, and how many times its own size; images are not packed much tighter."""

LONGEST = 200
"""Bytes of a file's name."""

PIECE = 2**20


@asynccontextmanager
async def folder_in(scratch: Path) -> AsyncIterator[Path]:
    """A new folder for what one request brings, removed in the end."""
    folder = scratch / secrets.token_hex(8)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def receive_one(request: Request, folder: Path) -> Path:
    """The one file that a request brings, in `folder`. Raises RefusedError."""
    files = await receive_files(request, folder, most=1)
    return files[0]


async def receive_files(request: Request, folder: Path, most: int = MOST_PARTS) -> list[Path]:
    """The files that a request brings, in `folder`; archives as they are. Raises RefusedError."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "multipart/form-data":
        files = await _parts(request, folder, most)
    else:
        files = [await _body(request, folder)]
    if not files:
        raise RefusedError(
            422,
            "the request brings no file",
            expected="an image as the body, or a form with a field that holds a file",
            fix="curl --data-binary @image.png URL, or curl -F image=@image.png URL",
        )
    return files


async def _body(request: Request, folder: Path) -> Path:
    path = _place(folder, request.query_params.get("name") or "image")
    size = 0
    with open(path, "wb") as file:
        async for piece in request.stream():
            file.write(piece)
            size += len(piece)
    if not size:
        raise RefusedError(
            422,
            "the request brings no file",
            expected="an image as the body",
            received="an empty body",
            fix="curl --data-binary @image.png URL",
        )
    return path


async def _parts(request: Request, folder: Path, most: int) -> list[Path]:
    try:
        form = await request.form(max_files=most, max_fields=MOST_FIELDS)
    except HTTPException as cause:
        many = "Too many" in str(cause.detail)
        raise RefusedError(
            413 if many else 400,
            "the form has too many parts" if many else "the form cannot be read",
            expected=f"at most {most} file(s) and {MOST_FIELDS} other fields"
            if many
            else "multipart/form-data",
            received=None if many else str(cause.detail),
            fix="send more files as one zip archive to /v1/jobs" if many else None,
        ) from cause
    files = []
    try:
        for part in (one for _, one in form.multi_items() if isinstance(one, UploadFile)):
            path = _place(folder, part.filename or "image")
            with open(path, "wb") as file:
                while piece := await part.read(PIECE):
                    file.write(piece)
            files.append(path)
    finally:
        await form.close()
    return files


def _place(folder: Path, name: str) -> Path:
    """Where a file of that name goes. Raises RefusedError for a name that leads elsewhere, or is taken."""
    path = folder / safe_name(name)
    if path.exists():
        raise RefusedError(422, "two files have one name", received=name[:100], fix="rename one of them")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise RefusedError(
            422, "a file and a folder have one name", received=name[:100], fix="rename one of them"
        ) from None
    return path


def safe_name(name: str) -> PurePosixPath:
    """A relative path that a client gave, below any folder. Raises RefusedError."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part not in (".", "")]
    wrong = (
        not parts
        or path.is_absolute()
        or PureWindowsPath(name).drive
        or ".." in parts
        or any(len(part.encode("utf-8", "replace")) > LONGEST for part in parts)
        or any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name)
    )
    if wrong:
        raise RefusedError(
            422,
            "a file has a name that cannot be used",
            expected="a relative path without .., such as images/cell 1.png",
            received=ascii(name[:100]),
            fix="rename it",
        )
    return PurePosixPath(*parts)


def unpack(archive: Path, folder: Path) -> None:
    """The files of a zip archive in `folder`. RefusedError: it is damaged, or would do harm."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            _check_sizes(entries, archive.stat().st_size)
            for entry in entries:
                _check_kind(entry)
                path = _place(folder, entry.filename)
                with opened.open(entry) as packed, open(path, "wb") as file:
                    _copy(packed, file, entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as cause:
        raise RefusedError(
            422,
            "the zip archive cannot be unpacked",
            where=archive.name,
            received=str(cause)[:200] or type(cause).__name__,
            fix="pack it again, without a password",
        ) from cause


def _check_sizes(entries: list[zipfile.ZipInfo], packed: int) -> None:
    size, most = sum(entry.file_size for entry in entries), min(MOST_UNPACKED, MOST_RATIO * packed)
    if len(entries) > MOST_ENTRIES or size > most:
        raise RefusedError(
            413,
            "the zip archive is too large",
            expected=f"at most {MOST_ENTRIES:,} files and {most:,} bytes, unpacked",
            received=f"{len(entries):,} files, {size:,} bytes",
            fix="pack fewer files at a time",
        )


def _check_kind(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise RefusedError(
            422,
            "the zip archive holds something that is no file",
            where=ascii(entry.filename[:100]),
            received="a link" if kind == stat.S_IFLNK else "a device",
            fix="pack the files that links lead to",
        )


def _copy(packed: IO[bytes], file: IO[bytes], entry: zipfile.ZipInfo) -> None:
    """Write what is packed; no more than it says it is, whatever it holds."""
    left = entry.file_size
    while piece := packed.read(min(PIECE, left + 1)):
        left -= len(piece)
        if left < 0:
            raise zipfile.BadZipFile(f"{entry.filename[:100]!a} is larger than it says")
        file.write(piece)
