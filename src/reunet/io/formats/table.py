"""The table of formats: what each is called, how it is told, and which module reads it."""

import functools
import hashlib
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from reunet.errors import ImageReadError, ReunetError
from reunet.io.formats import dicom_folder
from reunet.io.formats.stored import Room, StoredImage
from reunet.io.header import explained
from reunet.storage import sha256_file

HEAD = 256
"""Bytes of a file that tell its format."""


@dataclass(frozen=True)
class Format:
    """A format by its name for people.

    suffixes: of files that are taken for images of it when a folder is searched, in small letters.
    room: module in this package (see `stored.Room`). sign: how such a file begins, a pattern of bytes; files
    are told by it, and by their suffix too where other formats begin so (`named`).
    many: a file may hold several images, each of which is named by a path below that of the file.
    folder: tells whether a folder is one image of this format (or several, if `many`).
    """

    name: str
    suffixes: tuple[str, ...]
    room: str
    sign: bytes = b""
    named: bool = False
    many: bool = False
    folder: Callable[[Path], bool] | None = None

    def fits(self, path: Path, head: bytes) -> bool:
        """Whether a file that begins with `head` is one."""
        has_suffix = path.name.lower().endswith(self.suffixes)
        signed = bool(self.sign) and re.match(self.sign, head, re.DOTALL) is not None
        return signed and (has_suffix or not self.named)

    @property
    def reader(self) -> Room:
        """Its module, which is loaded now. A package that it lacks is told when a file is opened."""
        return cast(Room, import_module(f"reunet.io.formats.{self.room}"))


def _is_zarr(folder: Path) -> bool:
    """Whether a folder is named like a Zarr folder, or lies in one: an image of a plate."""
    return any(one.suffix.lower() == ".zarr" for one in (folder, *folder.parents))


FORMATS: tuple[Format, ...] = (
    Format("Zeiss CZI", (".czi",), "czi", sign=rb"ZISRAWFILE", many=True),
    Format("Leica LIF", (".lif",), "lif", sign=rb"\x70\0\0\0.{4}\x2a", many=True),
    Format("Nikon ND2", (".nd2",), "nd2", sign=rb"\xda\xce\xbe\x0a", many=True),
    Format("Olympus OIB", (".oib",), "oib", sign=rb"\xd0\xcf\x11\xe0", named=True),
    Format("OME-Zarr", (".ome.zarr", ".zarr"), "ome_zarr", many=True, folder=_is_zarr),
    Format("DICOM", dicom_folder.SUFFIXES, "dicom", sign=rb".{128}DICM", folder=dicom_folder.is_series),
)

SUFFIXES = frozenset(suffix for one in FORMATS for suffix in one.suffixes)
"""Of files that are taken for images of these formats."""

_MANY = tuple(suffix for one in FORMATS if one.many for suffix in one.suffixes)


def without_suffix(name: str) -> str:
    """The name of a file or folder that may hold several images without its suffix; any other as it is."""
    return name[: len(name) - max((len(end) for end in _MANY if name.lower().endswith(end)), default=0)]


def format_of(path: Path, head: bytes | None = None) -> Format | None:
    """The format of a file or folder, told by its content; None for others. Raises OSError.

    head: the first bytes of the file where they have been read.
    """
    if head is None and path.is_dir():
        return next((one for one in FORMATS if one.folder is not None and one.folder(path)), None)
    if head is None:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    return next((one for one in FORMATS if one.fits(path, head)), None)


def is_dicom(path: Path) -> bool:
    """Whether a file or folder is a DICOM image."""
    found = format_of(path)
    return found is not None and found.room == "dicom"


def is_store(folder: Path) -> bool:
    """Whether a folder is an image, or several, and none that holds files of images."""
    return any(one.folder is not None and one.folder(folder) for one in FORMATS)


def place_of(path: Path) -> tuple[Path, str]:
    """The file that holds an image, and the name of the image in it: ("a.lif", "Series1") of a.lif/Series1,
    an empty name of a path that is a file or a folder itself, or does not exist.
    """
    if not path.exists():
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, ""


def images_in(path: Path) -> list[Path]:
    """A path for each image of a file: the file's own for a single one, else paths below it.

    A file that cannot be opened counts as one: what is wrong with it is told when it is read.
    """
    if not path.is_dir() and not path.name.lower().endswith(_MANY):
        return [path]
    try:
        found = format_of(path)
        if found is None or not found.many:
            return [path]
        with explained(path):
            names = _names(found, path, *state_of(path))
    except (OSError, ReunetError):
        return [path]
    return [path / name for name in names] if len(names) > 1 else [path]


def stored_image(path: Path, head: bytes | None = None) -> StoredImage | None:
    """The image of one of these formats at a path, also below a file of several; None for other formats.

    head: as for `format_of`. Raises ImageReadError for several images without a name, one that is not there
    and a damaged file, BackendError without the format's package.
    """
    file, name = place_of(path)
    if head is None and not file.exists():
        return None
    with explained(path):
        if (found := format_of(file, head)) is not None:
            return _described(found, file, name, *state_of(file))
        if name:
            raise ImageReadError("the file does not hold several images", where=file, received=name)
        return None


def state_of(path: Path) -> tuple[object, ...]:
    """What changes when a file, or what lies in a folder itself, is written again."""
    with ExitStack() as stack:
        inside = [*stack.enter_context(os.scandir(path))] if path.is_dir() else []
    facts = [path.stat(), *(entry.stat() for entry in inside)]
    return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in facts)


@functools.lru_cache(maxsize=4096)
def _names(found: Format, path: Path, *_facts: object) -> tuple[str, ...]:
    return found.reader.names(path)


@functools.lru_cache(maxsize=16)
def _described(found: Format, path: Path, name: str, *facts: object) -> StoredImage:
    names = _names(found, path, *facts) if found.many else ("",)
    if name in names or (not name and len(names) == 1):
        return found.reader.describe(path, name or names[0])
    raise ImageReadError(
        f"the file has no image {name!r}" if name else f"the file holds {len(names)} images",
        where=path,
        expected="the name of one image",
        received=", ".join(names[:8]) + (" ..." if len(names) > 8 else ""),
        fix=f"give one of them, such as {path.name}/{names[0]}" if names else None,
    )


def sha256_image(path: Path) -> str:
    """SHA-256 of all that is stored of an image: of its file, of the files of a folder with their names; and
    of its own name in a file of several. Raises OSError.
    """
    file, name = place_of(path)
    if file.is_dir():
        inside = sorted(one for one in file.rglob("*") if one.is_file())
        told = [f"{one.relative_to(file).as_posix()} {sha256_file(one)}" for one in inside]
    else:
        told = [sha256_file(file)]
        if not name:
            return told[0]
    return hashlib.sha256("\n".join((name, *told)).encode()).hexdigest()
