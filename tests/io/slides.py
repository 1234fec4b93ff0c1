"""Slides as scanners write them, made by hand: a pyramid in tiles, and what lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

RNG = np.random.default_rng(0)


def tissue(size: tuple[int, int], spots: list[tuple[int, int, int]]) -> np.ndarray:
    """Bare glass (height, width, 3) uint8 with round spots (row, column, radius) of stained tissue."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.full((*size, 3), 240, np.uint8)
    for row, column, radius in spots:
        inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        image[inside] = (150, 60, 140)
    return image


def coarser(image: np.ndarray, factor: int) -> np.ndarray:
    """Every so manieth pixel."""
    return np.ascontiguousarray(image[::factor, ::factor])


def write_svs(path: Path, image: np.ndarray, mpp: float | None, factors: tuple[int, ...] = (4,)) -> None:
    """A slide as Aperio writes it, without loss: levels, a thumbnail, the label of the glass and a macro."""
    told = "Aperio Image Library v11.2.1\r\n46000x32914 [0,100 46000x32814] (240x240) J2K/YUV16 Q=70"
    options: dict[str, Any] = {
        "tile": (64, 64),
        "photometric": "rgb",
        "metadata": None,
        "compression": "zlib",
    }
    with tifffile.TiffWriter(path) as file:
        mine = told + "|AppMag = 20" + ("" if mpp is None else f"|MPP = {mpp:.4f}|Left = 25.691574")
        file.write(image, description=mine, **options)
        strips = {"photometric": "rgb", "metadata": None, "description": told, "rowsperstrip": 16}
        file.write(image[:48, :32], **strips)
        for factor in factors:
            file.write(coarser(image, factor), description=told, **options)
        file.write(RNG.integers(0, 255, (40, 30, 3), np.uint8), subfiletype=1, **strips)
        file.write(RNG.integers(0, 255, (50, 90, 3), np.uint8), subfiletype=9, **strips)


def write_scn(path: Path, images: list[np.ndarray], micrometres: float) -> None:
    """A slide as Leica writes it: a view of all the glass first, then its regions."""
    pages = "".join(
        f'<image name="image_{number}"><pixels sizeX="{one.shape[1]}" sizeY="{one.shape[0]}">'
        f'<dimension sizeX="{one.shape[1]}" sizeY="{one.shape[0]}" r="0" ifd="{number}"/></pixels></image>'
        for number, one in enumerate(images)
    )
    xml = '<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection name="a">'
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for number, one in enumerate(images):
            file.write(
                one,
                tile=(64, 64),
                photometric="rgb",
                metadata=None,
                description=f"{xml}{pages}</collection></scn>" if number == 0 else None,
                resolution=(1e4 / micrometres, 1e4 / micrometres),
                resolutionunit="CENTIMETER",
            )
