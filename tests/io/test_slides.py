"""Whole slides: the image among what lies beside it, its levels and its micrometres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.io.slides import RNG, coarser, write_scn, write_svs

from reunet.errors import ImageReadError
from reunet.io.images import image_suffix, read_header, read_image
from reunet.io.lazy import open_lazily
from reunet.slices import all_of

IMAGE = RNG.integers(0, 255, (201, 322, 3), np.uint8)


def test_an_aperio_slide_is_its_finest_level(tmp_path: Path) -> None:
    write_svs(path := tmp_path / "a.svs", IMAGE, 0.25, factors=(2, 4))
    header = read_header(path)
    assert image_suffix(path) == ".svs"
    assert header.slide
    assert header.size == (201, 322)
    assert header.spacing == (0.25, 0.25)
    assert header.levels == ((201, 322), (101, 161), (51, 81))
    np.testing.assert_array_equal(read_image(path), IMAGE)


def test_every_level_is_read_in_parts(tmp_path: Path) -> None:
    write_svs(path := tmp_path / "a.svs", IMAGE, 0.25, factors=(2, 4))
    for level, factor in enumerate((1, 2, 4)):
        expected = coarser(IMAGE, factor)
        with open_lazily(path, rank=2, level=level) as image:
            assert image.header.size == expected.shape[:2]
            part = slice(3, 40), slice(7, 81)
            np.testing.assert_array_equal(image.read(part), expected[part])
            np.testing.assert_array_equal(image.read(all_of(image.header.size)), expected)
            assert image.header.spacing == pytest.approx((0.25 * factor, 0.25 * factor), rel=0.02)
    with pytest.raises(ImageReadError, match="no such level"), open_lazily(path, rank=2, level=3):
        pass


def test_a_slide_may_say_nothing_of_micrometres(tmp_path: Path) -> None:
    write_svs(tmp_path / "a.svs", IMAGE, None)
    assert read_header(tmp_path / "a.svs").spacing is None
    write_svs(tmp_path / "b.svs", IMAGE, 0.0)
    assert read_header(tmp_path / "b.svs").spacing is None


def test_a_leica_slide_is_its_one_region(tmp_path: Path) -> None:
    write_scn(path := tmp_path / "a.scn", [IMAGE[:40, :40], IMAGE], 0.5)
    assert read_header(path).spacing == pytest.approx((0.5, 0.5))
    np.testing.assert_array_equal(read_image(path), IMAGE)
    write_scn(path := tmp_path / "b.scn", [IMAGE[:40, :40], IMAGE, IMAGE[:100]], 0.5)
    with pytest.raises(ImageReadError, match="several regions"):
        read_header(path)


def test_a_generic_pyramid_has_levels_too(tmp_path: Path) -> None:
    resolution = {"resolution": (4e4, 4e4), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(IMAGE, subifds=1, tile=(64, 64), photometric="rgb", metadata=None, **resolution)
        half = coarser(IMAGE, 2)
        file.write(half, subfiletype=1, tile=(64, 64), photometric="rgb", metadata=None)
    header = read_header(tmp_path / "a.tif")
    assert not header.slide
    assert header.levels == ((201, 322), (101, 161))
    assert header.spacing == pytest.approx((0.25, 0.25))
    with open_lazily(tmp_path / "a.tif", rank=2, level=1) as image:
        np.testing.assert_array_equal(image.read(all_of(image.header.size)), half)


def test_a_slide_that_ends_early_is_told(tmp_path: Path) -> None:
    write_svs(path := tmp_path / "a.svs", IMAGE, 0.25)
    whole = path.read_bytes()
    for length in (12, 100, 2000, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageReadError):
            read_image(path)
