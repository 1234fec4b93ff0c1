"""Olympus' OIB files: a compound document (olefile) with a TIFF per plane, and text about them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError
from reunet.io.formats.planes import Place, of_planes
from reunet.io.formats.stored import StoredImage
from reunet.io.tiff import described
from reunet.slices import Slices

Settings = dict[str, dict[str, str]]
"""Sections of a text, as of INI files."""


def names(path: Path) -> tuple[str, ...]:
    """It holds one image."""
    return ("",)


def describe(path: Path, name: str) -> StoredImage:
    """The image, by its main file; the number of planes by their names: s_C001Z012T003.tif."""
    with _opened(path) as (document, files):
        main = _settings(document, files[_main(files)])
        planes = _planes(files)
        first = _plane(path, document, next(iter(planes.values())))
        order = main["Axis Parameter Common"]["AxisOrder"][::-1]
        found = [axis for axis in order if axis not in "YX" and any(axis in dict(place) for place in planes)]
        sizes = {axis: 1 + max(dict(place)[axis] for place in planes) for axis in found}
        missing = int(np.prod([*sizes.values(), 1])) - len(planes)
        if missing:
            raise ImageReadError(
                f"{missing} planes are missing", where=path, received=f"{len(planes)} planes"
            )
        height, width = first.header.size
        reference = main.get("Reference Image Parameter", {})
        sides = [reference.get(f"{side}ConvertValue", 0) for side in ("Height", "Width")]
        known = reference.get("HeightUnit") == reference.get("WidthUnit") == "um"
        return of_planes(
            path,
            sizes | {"Y": height, "X": width},
            np.dtype(first.header.dtype),
            partial(_read, path),
            spacing=(float(sides[0]), float(sides[1])) if known else None,
            channel_names=_channels(main, sizes.get("C", 1)),
        )


def _read(path: Path, places: Sequence[Place], part: Slices) -> list[np.ndarray]:
    with _opened(path) as (document, files):
        planes = _planes(files)
        axes = {axis for place in planes for axis, _ in place}
        streams = [
            planes[frozenset((axis, at) for axis, at in place.items() if axis in axes)] for place in places
        ]
        read = []
        for stream in streams:
            content = BytesIO(document.openstream(stream).read())
            read.append(described(path, content, None).read(content, 0, part, numbers=True)[..., 0])
        return read


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """The document, and its streams by the names that OibInfo.txt gives them."""
    olefile = import_extra("olefile", "microscopy", path)
    with olefile.OleFileIO(path) as document:
        streams = {entry[-1]: "/".join(entry) for entry in document.listdir()}
        told = _settings(document, "OibInfo.txt")["OibSaveInfo"]
        files = {
            name: streams[key] for key, name in told.items() if key.startswith("Stream") and key in streams
        }
        if told.get("MainFileName") in told:
            files[MAIN] = files[told[told["MainFileName"]]]
        yield document, files


MAIN = ""
"""The name under which the main file is found."""


def _main(files: Mapping[str, str]) -> str:
    return MAIN if MAIN in files else next(name for name in files if name.lower().endswith(".oif"))


def _settings(document: Any, stream: str) -> Settings:
    """A text stream, in UTF-16 or UTF-8, by section and key; quotes are left out."""
    content: bytes = document.openstream(stream).read()
    text = content.decode("utf-16" if content[:2] == b"\xff\xfe" else "utf-8", "replace")
    found: Settings = {}
    section: dict[str, str] = {}
    for line in text.splitlines():
        if title := re.fullmatch(r"\s*\[(.*)\]\s*", line):
            section = found.setdefault(title[1], {})
        elif not line.startswith(";") and "=" in line:
            key, value = line.split("=", 1)
            section[key.strip()] = value.strip().strip('"')
    return found


def _planes(files: Mapping[str, str]) -> dict[frozenset[tuple[str, int]], str]:
    """The stream of each plane, by its place, from 0."""
    found = {}
    for name, stream in files.items():
        if told := re.fullmatch(r"s_((?:[A-Z]\d{3,})+)\.tif", name.replace("\\", "/").rpartition("/")[2]):
            axes = re.findall(r"([A-Z])(\d+)", told[1])
            found[frozenset((axis, int(number) - 1) for axis, number in axes)] = stream
    return found


def _plane(path: Path, document: Any, stream: str) -> Any:
    return described(path, BytesIO(document.openstream(stream).read()), None)


def _channels(main: Settings, count: int) -> list[str]:
    """The dyes, else what the microscope calls the channels."""
    told = [main.get(f"Channel {number} Parameters", {}) for number in range(1, count + 1)]
    return [
        one["DyeName"] if one.get("DyeName", "None") not in ("", "None") else one.get("CH Name", "")
        for one in told
    ]
