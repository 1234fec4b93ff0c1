"""Leica's LIF files: many images, each with its own axes, read plane by plane (liffile)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError
from reunet.io.formats.planes import Place, distinct, of_planes
from reunet.io.formats.stored import StoredImage
from reunet.slices import Slices

SPECTRUM = "λΛ"
"""Axes of emitted and exciting wavelengths, which count as channels where there is no other axis of them."""

MOSAIC = "M"
"""The fields of a tile scan, each an image of its own."""


def names(path: Path) -> tuple[str, ...]:
    """Those of its images, of a tile scan with the number of the field."""
    with _images(path) as found:
        return distinct([name for name, _, _ in found])


def describe(path: Path, name: str) -> StoredImage:
    """One image."""
    with _images(path) as found:
        number = distinct([one for one, _, _ in found]).index(name)
        _, image, fixed = found[number]
        if image.memory_block.frames:
            raise ImageReadError("the pixels lie in other files", where=path, received=name)
        renamed = _renamed(image)
        sizes = {renamed[axis]: side for axis, side in image.sizes.items() if axis not in fixed}
        dtype = np.dtype(image.frames.dtype)
        return of_planes(
            path,
            sizes,
            dtype,
            partial(_read, path, number),
            spacing=_spacing(image, {new: old for old, new in renamed.items()}),
            channel_names=_channels(image, renamed),
        )


def _read(path: Path, number: int, places: Sequence[Place], part: Slices) -> list[np.ndarray]:
    with _images(path) as found:
        _, image, fixed = found[number]
        frames, renamed = image.frames, _renamed(image)
        order = [axis for axis in frames.dims if axis not in frames.frame_dims]
        at = [
            tuple((place | fixed)[axis if axis in fixed else renamed[axis]] for axis in order)
            for place in places
        ]
        return [np.array(frames[index] if order else frames[0])[part] for index in at]


@contextmanager
def _images(path: Path) -> Iterator[list[tuple[str, Any, Place]]]:
    """The name of each image, the image, and of a tile scan the field that is meant."""
    liffile = import_extra("liffile", "microscopy", path)
    with liffile.LifFile(path) as file:
        found: list[tuple[str, Any, Place]] = []
        for image in file.images:
            if image.is_flim:
                continue
            fields = image.sizes.get(MOSAIC, 0)
            found += [(f"{image.path}_{field}", image, {MOSAIC: field}) for field in range(fields)]
            found += [(image.path, image, {})] * (not fields)
        yield found


def _renamed(image: Any) -> dict[str, str]:
    """What the axes are called here: those of a plane Y and X, whichever were scanned."""
    down, across = [axis for axis in image.frames.frame_dims if axis != "S"]
    names = {axis: axis for axis in image.sizes} | {down: "Y", across: "X"}
    rest = [axis for axis in image.sizes if axis not in (down, across, "S")]
    if "Y" in rest:  # planes of a scan in depth, one behind the other
        names["Y"] = "Z"
    if "C" not in rest and len(found := [axis for axis in rest if axis in SPECTRUM]) == 1:
        names[found[0]] = "C"
    return names


def _spacing(image: Any, old: dict[str, str]) -> tuple[float, float] | None:
    """Micrometres; the file tells metres from the first pixel to the last."""
    lines = [image.coords.get(old[axis]) for axis in "YX"]
    if any(line is None or len(line) < 2 for line in lines):
        return None
    down, across = (1e6 * abs(float(line[1] - line[0])) for line in lines if line is not None)
    return down, across


def _channels(image: Any, renamed: dict[str, str]) -> list[str]:
    """The dyes of the channels, else their colours; of a spectrum the wavelengths."""
    for axis in SPECTRUM:
        if renamed.get(axis) == "C" and axis in image.coords:
            return [f"{1e9 * float(length):.0f} nm" for length in image.coords[axis]]
    told = []
    for channel in image.xml_element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription"):
        facts = {one.findtext("Key"): one.findtext("Value") for one in channel.findall("ChannelProperty")}
        told.append(facts.get("DyeName") or channel.attrib.get("LUTName", ""))
    return told
