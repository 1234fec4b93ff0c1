"""Files that are dropped on the page: one image, or a zip of images."""

import secrets
import shutil
from pathlib import Path

from fastapi import Request

from reunet.errors import DataError, ReunetError
from reunet.io.images import image_suffix
from reunet.io.listing import list_files
from reunet.io.video import is_video
from reunet.server.page.entries import Entry
from reunet.server.page.library import Library
from reunet.server.service import Service
from reunet.server.uploads import receive_one, unpack

ZIP = ".zip"

Refused = list[dict[str, str]]
"""Files that are no images: name, and the title of the error."""


async def received(library: Library, service: Service, request: Request) -> tuple[list[Entry], Refused]:
    """The images of the file that a request brings, which stay in the scratch folder.

    Raises DataError for what is no image, and what receiving and unpacking raise.
    """
    folder = service.scratch / secrets.token_hex(8)
    folder.mkdir()
    taken: list[Entry] = []
    try:
        file = await receive_one(request, folder)
        taken, refused = await service.work(_taken, library, file, folder)
        return taken, refused
    finally:
        if not taken:
            await service.work(shutil.rmtree, folder, ignore_errors=True)


def _taken(library: Library, file: Path, folder: Path) -> tuple[list[Entry], Refused]:
    name = file.relative_to(folder).as_posix()
    if file.suffix.lower() != ZIP:
        if not _is_image(file):
            raise DataError(
                "this is not an image file",
                where=name,
                expected="PNG, JPEG, TIFF, NIfTI, a video, or a zip of them",
                received=file.suffix or "no suffix",
            )
        return [library.take(file, name)], []
    inside = file.with_suffix("")
    unpack(file, inside)
    file.unlink()
    found: list[Entry] = []
    refused: Refused = []
    for path in list_files(inside, _is_image)[0]:
        shown = path.relative_to(folder).as_posix()
        try:
            found.append(library.take(path, shown))
        except ReunetError as cause:
            refused.append({"name": shown, "title": cause.what})
    if not found and not refused:
        raise DataError("the zip holds no images", where=name)
    return found, refused


def _is_image(path: Path) -> bool:
    return bool(image_suffix(path)) or is_video(path)
