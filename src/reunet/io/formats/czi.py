"""Zeiss' CZI files: scenes, mosaics, channels, time and depth, put together from their blocks."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.formats.czi_blocks import Block, read_block, read_directory
from reunet.io.formats.planes import Place, distinct, of_planes
from reunet.io.formats.stored import StoredImage
from reunet.io.header import check_filled
from reunet.slices import Slices, overlap, placed, seen_from, size_of, within

SCENE, TILE = "S", "M"
_ORDER = "VHIRBTZC"
"""Axes in the order in which their planes count."""

_IMAGE = "./Metadata/Information/Image"


class Scene(NamedTuple):
    """A region that was taken: its blocks, and the corner and size of all of them in the document."""

    blocks: list[Block]
    corner: tuple[int, ...]
    size: tuple[int, ...]


def names(path: Path) -> tuple[str, ...]:
    """Those of the scenes, with the well that they lie in."""
    with open(path, "rb") as file:
        blocks, facts = read_directory(path, file)
    numbers = _numbers(blocks)
    if len(numbers) == 1:
        return ("",)
    told = {}
    for scene in facts.findall(f"{_IMAGE}/Dimensions/S/Scenes/Scene"):
        parts = scene.findtext("ArrayName"), scene.get("Name")
        told[scene.get("Index")] = "-".join(dict.fromkeys(part for part in parts if part))
    return distinct([told.get(str(number)) or f"scene{number + 1}" for number in numbers])


def describe(path: Path, name: str) -> StoredImage:
    """One scene."""
    index = names(path).index(name)
    with open(path, "rb") as file:
        blocks, facts = read_directory(path, file)
    scene = _scene(path, blocks, _numbers(blocks)[index])
    axes = {axis for block in scene.blocks for axis in block.at} - {SCENE, TILE}
    if unknown := axes - set(_ORDER):
        raise ImageReadError("the axes of the CZI are not understood", where=path, received=sorted(unknown))
    first = {axis: min(block.at[axis] for block in scene.blocks) for axis in axes}
    sizes = {axis: 1 + max(b.at[axis] for b in scene.blocks) - first[axis] for axis in _ORDER if axis in axes}
    sizes = {axis: side for axis, side in sizes.items() if side > 1 or axis == "C"}
    samples = {min(3, block.samples) for block in scene.blocks}
    if len(samples) > 1:
        raise ImageReadError("some channels have colours, others have none", where=path)
    dtype = np.result_type(*{block.dtype for block in scene.blocks})
    announced = prod(sizes.values()) * prod(scene.size)
    check_filled(path, announced, dtype.itemsize, lambda _: path.stat().st_size)
    lengths = [facts.findtext(f"./Metadata/Scaling/Items/Distance[@Id='{axis}']/Value") for axis in "YX"]
    down, across = (1e6 * float(length or 0) for length in lengths)
    tallest, widest = (
        max(side) for side in zip(*(size_of(block.part) for block in scene.blocks), strict=True)
    )
    height, width = scene.size
    return of_planes(
        path,
        {**sizes, "Y": height, "X": width, **({"S": 3} if samples == {3} else {})},
        dtype,
        partial(_read, path, _Planes(scene, first, frozenset(sizes))),
        spacing=(down, across),
        channel_names=_channels(facts),
        piece=(tallest, widest),
    )


class _Planes:
    """The blocks of each plane of a scene, those that lie on top last."""

    def __init__(self, scene: Scene, first: Place, axes: frozenset[str]) -> None:
        self.corner, self.samples = scene.corner, min(3, scene.blocks[0].samples)
        self._axes = axes
        self._found: dict[frozenset[tuple[str, int]], list[Block]] = defaultdict(list)
        for block in sorted(scene.blocks, key=lambda one: one.at.get(TILE, 0)):
            self._found[self._key({axis: block.at[axis] - first[axis] for axis in first})].append(block)

    def _key(self, place: Place) -> frozenset[tuple[str, int]]:
        return frozenset((axis, at) for axis, at in place.items() if axis in self._axes)

    def at(self, place: Place) -> list[Block]:
        return self._found.get(self._key(place), [])


def _read(path: Path, planes: _Planes, places: Sequence[Place], part: Slices) -> list[np.ndarray]:
    """What no block covers is 0, as in a mosaic with gaps; a plane without any block is missing."""
    found = []
    with open(path, "rb") as file:
        for place in places:
            blocks = planes.at(place)
            if not blocks:
                raise ImageReadError("a plane of the CZI is missing", where=path, received=place)
            dtype = np.result_type(*{block.dtype for block in blocks})
            plane = np.zeros((*size_of(part), planes.samples), dtype)
            for block in blocks:
                here = seen_from(block.part, planes.corner)
                both = overlap(here, part)
                if min(size_of(both)) > 0:
                    plane[within(both, part)] = read_block(path, file, block)[within(both, here)]
            found.append(plane)
    return found


def _numbers(blocks: Sequence[Block]) -> list[int]:
    """Of the scenes."""
    return sorted({block.at.get(SCENE, 0) for block in blocks}) or [0]


def _scene(path: Path, blocks: Sequence[Block], number: int) -> Scene:
    chosen = [block for block in blocks if block.at.get(SCENE, 0) == number]
    if not chosen:
        raise ImageReadError("the CZI holds no image", where=path)
    corner = tuple(min(block.part[axis].start for block in chosen) for axis in range(2))
    end = tuple(max(block.part[axis].stop for block in chosen) for axis in range(2))
    size = size_of(placed(corner, [stop - start for start, stop in zip(corner, end, strict=True)]))
    return Scene(chosen, corner, size)


def _channels(facts: Element) -> list[str]:
    channels = facts.findall(f"{_IMAGE}/Dimensions/Channels/Channel")
    return [channel.get("Name") or channel.findtext("Fluor") or "" for channel in channels]
