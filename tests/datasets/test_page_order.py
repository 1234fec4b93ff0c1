"""Stacks of times and depths: a page is the same in all files, in whatever order they store them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.corrections.rasters import write_labels
from reunet.datasets.cache import mapped
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import scan_dataset
from reunet.errors import ImageReadError
from reunet.io.formats.planes import Place, of_planes
from reunet.io.images import read_header, read_image
from reunet.io.masks import read_raw_mask
from reunet.slices import Slices, all_of

T, Z, SIDES = 2, 3, (8, 9)
PAGES = np.arange(T * Z, dtype=np.uint8).reshape(T, Z)


def stack(path: Path, axes: str, *, is_ome: bool = True, values: np.ndarray = PAGES) -> None:
    """Pages of one value, which counts time before depth; axes: as the file stores them, "" names none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.broadcast_to(values[..., None, None], (*values.shape, *SIDES))
    if axes == "ZTYX":
        pixels = pixels.swapaxes(0, 1)
    if not axes:
        pixels = pixels.reshape(-1, *SIDES)
    told: dict[str, Any] = {"metadata": {"axes": axes}} if axes else {"metadata": None}
    told |= {"ome": True} if is_ome and axes else {}
    tifffile.imwrite(path, np.ascontiguousarray(pixels), photometric="minisblack", **told)


def errors(root: Path, axes: str | None = None) -> list[Problem]:
    found = examine_dataset(root, DataOptions(axes=axes))[-1]
    return [one for one in found if one.severity == "error" and one.code != "too-few-cases"]


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX"])
@pytest.mark.parametrize("is_ome", [True, False])
def test_pages_count_time_before_depth(axes: str, is_ome: bool, tmp_path: Path) -> None:
    stack(tmp_path / "a.tif", axes, is_ome=is_ome)
    header = read_header(tmp_path / "a.tif")
    assert (header.axes, header.pages, header.stack) == (axes, T * Z, (("T", T), ("Z", Z)))
    assert [read_image(tmp_path / "a.tif", page=page).max() for page in range(T * Z)] == list(range(T * Z))


def test_files_of_microscopes_count_alike() -> None:
    def read(places: Sequence[Place], part: Slices) -> list[np.ndarray]:
        return [np.full(SIDES, PAGES[place["T"], place["Z"]]) for place in places]

    for order in ("TZYX", "ZTYX"):
        lengths = {"T": T, "Z": Z, "Y": SIDES[0], "X": SIDES[1]}
        image = of_planes(Path("a"), {axis: lengths[axis] for axis in order}, np.dtype(np.uint8), read)
        assert image.header.stack == (("T", T), ("Z", Z))
        assert [image.read(page, all_of(SIDES)).max() for page in range(T * Z)] == list(range(T * Z))


ORDERS = [("TZYX", "ZTYX"), ("ZTYX", "TZYX"), ("ZTYX", "ZTYX"), ("TZYX", "")]


@pytest.mark.parametrize(("image", "mask"), ORDERS)
def test_a_mask_lies_on_the_page_of_its_image(image: str, mask: str, tmp_path: Path) -> None:
    stack(tmp_path / "images" / "a.tif", image)
    stack(tmp_path / "masks" / "a.tif", mask)
    assert errors(tmp_path) == []
    scan = scan_dataset(tmp_path, DataOptions())
    for number, case in enumerate(scan.cases):
        arrays = scan.reader(case).arrays
        assert (mapped(arrays["image"]) == number).all()
        assert (mapped(arrays["mask"]) == number).all()


@pytest.mark.parametrize(
    ("axes", "values", "received"),
    [
        ("", PAGES, "6 pages in the mask"),  # in which order?
        ("TZYX", PAGES.reshape(Z, T), "6 pages (T 3, Z 2; axes TZYX) in the mask"),
    ],
)
def test_other_pages_are_refused(axes: str, values: np.ndarray, received: str, tmp_path: Path) -> None:
    stack(tmp_path / "images" / "a.tif", "ZTYX")
    stack(tmp_path / "masks" / "a.tif", axes, values=values)
    (problem,) = [one for one in errors(tmp_path) if one.code == "page-count"]
    assert "one order" in problem.message
    assert (problem.expected, problem.received) == ("6 pages (T 2, Z 3; axes ZTYX) as in the image", received)
    assert "axes and lengths of the image" in problem.fix


def test_axes_that_contradict_a_file_are_refused(tmp_path: Path) -> None:
    stack(tmp_path / "a.tif", "ZTYX")
    assert read_header(tmp_path / "a.tif", "ZTYX").stack == (("T", T), ("Z", Z))
    with pytest.raises(ImageReadError, match="time and depth in another order") as told:
        read_header(tmp_path / "a.tif", "TZYX")
    assert (told.value.expected, told.value.received) == ("ZTYX, as the file says", "TZYX")


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX"])
def test_a_corrected_page_keeps_its_place(axes: str, tmp_path: Path) -> None:
    path, labels = tmp_path / "a.tif", LabelMap(classes=default_classes(list(range(T * Z))))
    stack(path, axes)
    write_labels(path, np.full(SIDES, 5, np.uint8), labels, 1, None)
    assert read_header(path).stack == (("T", T), ("Z", Z))
    assert [read_raw_mask(path, page).max() for page in range(T * Z)] == [0, 5, 2, 3, 4, 5]
