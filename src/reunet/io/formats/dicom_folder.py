"""Which folders are a DICOM series: told without the package that reads it, as every folder is looked at."""

import os
import re
from pathlib import Path

SUFFIXES = (".dcm", ".dicom", ".ima")

_HEAD = 2**16
_POSITION = re.compile(rb"\x20\x00\x32\x00|\x00\x20\x00\x32DS")
_FRAMES = re.compile(rb"\x28\x00\x08\x00|\x00\x28\x00\x08IS")
"""Tags of Image Position (Patient) and Number of Frames, in both orders of bytes."""

_ROLES = re.compile(r"(?i)(images?|imgs?|masks?|labels?|instances|segmentations?)(tr|ts|val)?$")
"""Folders of a dataset: what lies in them are images of their own."""


def is_series(folder: Path) -> bool:
    """Whether a folder holds nothing but slices that are placed in space, which are one volume then.

    The first and the last file by name are looked at. Pictures without a place, such as X-rays, and files of
    many frames are images of their own. False for what cannot be looked into, which its reader says.
    """
    if _ROLES.match(folder.name):
        return False
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if one.is_file() and not one.name.startswith("."))
        slices = [name for name in names if _may_be_dicom(name)]
        return len(slices) > 1 and all(_is_slice(folder / slices[at]) for at in (0, -1))
    except OSError:
        return False


def _may_be_dicom(name: str) -> bool:
    """By its suffix; many programs give none, or the number of the slice."""
    suffix = Path(name).suffix.lower()
    return suffix in SUFFIXES or (name.upper() != "DICOMDIR" and suffix.strip(".").isdigit() | (suffix == ""))


def _is_slice(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    return head[128:132] == b"DICM" and bool(_POSITION.search(head)) and not _FRAMES.search(head)


def slices_in(folder: Path) -> list[Path]:
    """The files of a series, by name."""
    return sorted(one for one in folder.iterdir() if one.is_file() and _may_be_dicom(one.name))
