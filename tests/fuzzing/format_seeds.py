"""Small files of microscopes and scanners."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..io.formats.dicom_files import volume, write_series
from ..io.formats.microscope_files import czi_facts, write_czi, write_lif, write_nd2, write_oib
from .mutations import pack
from .seeds import on_disk

STACK = np.arange(2 * 7 * 9 * 2, dtype=np.uint16).reshape(2, 7, 9, 2)
PLANE = STACK[0, ..., 0]


def czis() -> Iterator[bytes]:
    """A plane, channels and times packed in both ways, tiles of two scenes, a level of a pyramid."""
    facts = czi_facts(["DAPI", "GFP"])
    tiles = [({"C": c, "T": t}, (-4, 11), STACK[t, ..., c]) for t, c in np.ndindex(2, 2)]
    for compression in (0, 5, 6):
        yield on_disk(
            "a.czi", lambda to, kind=compression: write_czi(to, tiles, compression=kind, facts=facts)
        )
    scenes = [
        ({"S": 0, "M": 1}, (2, 5), PLANE),
        ({"S": 0, "M": 0}, (0, 0), PLANE),
        ({"S": 1}, (40, 0), PLANE),
    ]
    yield on_disk("a.czi", lambda to: write_czi(to, scenes, facts=czi_facts(["DAPI"], ["A/1", "A/2"])))
    yield on_disk("a.czi", lambda to: write_czi(to, [({"C": 0}, (0, 0), PLANE)], zoom=2))


def lifs() -> Iterator[bytes]:
    """One image; a series beside a volume; a mosaic."""
    yield on_disk("a.lif", lambda to: write_lif(to, {"one": ("YX", PLANE)}, ["Gray"]))
    both = {"series": ("TYXC", STACK), "deep": ("ZYX", STACK[..., 0])}
    yield on_disk("a.lif", lambda to: write_lif(to, both, ["Green", "Red"]))
    yield on_disk("a.lif", lambda to: write_lif(to, {"scan": ("MYX", STACK[..., 0])}, ["Gray"]))


def nd2s() -> Iterator[bytes]:
    """A frame, and two positions."""
    yield on_disk("a.nd2", lambda to: write_nd2(to, STACK[:1, ..., :1], ["DAPI"], [("T", 1)]))
    yield on_disk("a.nd2", lambda to: write_nd2(to, STACK, ["DAPI", "GFP"], [("P", 2)]))


def oibs() -> Iterator[bytes]:
    """A plane, and depths of two channels."""
    yield on_disk("a.oib", lambda to: write_oib(to, {"s_C001.tif": PLANE}, "XYC", ["DAPI"]))
    planes = {f"s_C00{c + 1}Z00{z + 1}.tif": STACK[z, ..., c] for z, c in np.ndindex(2, 2)}
    yield on_disk("a.oib", lambda to: write_oib(to, planes, "XYCZ", ["DAPI", "None"]))


def dicoms() -> Iterator[bytes]:
    """A series as a folder; a single slice, in colours, too."""
    deep = volume(3, 7, 9)
    with tempfile.TemporaryDirectory() as folder:
        files = write_series(Path(folder), deep)
        yield pack({file.name: file.read_bytes() for file in files})
        yield pack({"a.dcm": files[0].read_bytes()})
    with tempfile.TemporaryDirectory() as folder:
        grey = {"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": 0.5}
        yield pack({file.name: file.read_bytes() for file in write_series(Path(folder), deep[:2], **grey)})
