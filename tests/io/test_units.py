"""Sizes of pixels in PNG and TIFF as other programs read them, and scale bars as long as they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from reunet.contracts.labels import ClassInfo, LabelMap
from reunet.io.annotations.instances import write_instances
from reunet.io.images import read_header
from reunet.io.large_masks import LargeMask, write_tiled_tiff
from reunet.io.masks import write_mask
from reunet.io.raster import write_png
from reunet.io.scale_bar import round_length, with_scale_bar
from reunet.io.units import in_micrometres, lengths, micrometres

SPACING = (0.65, 0.325)
LABELS = LabelMap(
    classes=(
        ClassInfo(id=0, name="background", color=(0, 0, 0), foreground=False),
        ClassInfo(id=1, name="cell", color=(230, 25, 75), foreground=True),
    )
)


def test_tiff_states_the_size_of_its_pixels(tmp_path: Path) -> None:
    ids = np.zeros((40, 50), np.int32)
    write_instances(tmp_path / "ids.tif", ids, spacing=SPACING)
    write_mask(tmp_path / "stack.tif", np.zeros((3, 40, 50), np.uint8), LABELS, spacing=SPACING)
    large = LargeMask((40, 50), np.dtype(np.int32), lambda part: ids[part], SPACING)
    write_tiled_tiff(tmp_path / "large.tif", large)
    for name in ("ids", "stack", "large"):
        assert read_header(tmp_path / f"{name}.tif").spacing == pytest.approx(SPACING, rel=1e-6)
        with tifffile.TiffFile(tmp_path / f"{name}.tif") as file:
            pages = [(page.resolutionunit, page.resolution) for page in file.pages]
        assert all(unit == 3 for unit, _ in pages)
        assert pages[-1][1] == pytest.approx((1e4 / 0.325, 1e4 / 0.65), rel=1e-6)
    write_instances(tmp_path / "plain.tif", ids)
    assert read_header(tmp_path / "plain.tif").spacing is None


def test_png_states_the_size_of_its_pixels(tmp_path: Path) -> None:
    write_mask(tmp_path / "mask.png", np.zeros((40, 50), np.uint8), LABELS, spacing=SPACING)
    write_png(tmp_path / "picture.png", np.zeros((40, 50, 3), np.uint8), spacing=SPACING)
    for name in ("mask", "picture"):
        content = (tmp_path / f"{name}.png").read_bytes()
        chunk = content[content.index(b"pHYs") + 4 :][:9]
        per_metre = [int.from_bytes(chunk[i : i + 4], "big") for i in (0, 4)]
        assert [1e6 / value for value in per_metre] == pytest.approx([0.325, 0.65], rel=1e-6)
        assert chunk[8] == 1  # in metres


@pytest.mark.parametrize("side", [1e7, 1e-5], ids=["10 m of a satellite", "less than an atom"])
def test_png_leaves_out_what_it_cannot_hold(tmp_path: Path, side: float) -> None:
    write_png(tmp_path / "a.png", np.zeros((4, 5), np.uint8), spacing=(side, side))
    assert b"pHYs" not in (tmp_path / "a.png").read_bytes()


def test_names_and_lengths() -> None:
    known = ("µm", "μm", "\\u00b5m", "micron", "micrometre", "micrometer", "um")
    assert {micrometres(name) for name in known} == {1.0}
    assert [micrometres(name) for name in ("millimetre", "nm")] == pytest.approx([1000, 1e-3])
    assert {micrometres(name) for name in ("inch", None)} == {None}
    assert [lengths(size) for size in (0.05, 0.25, 20, 999.99, 1500, 2e6)] == [
        *("50 nm", "0.25 µm", "20 µm", "1 mm", "1.5 mm", "2 m"),
    ]
    assert lengths(0.65, 0.325) == "0.65 x 0.325 µm"
    assert in_micrometres((2, 0.5, 0.5)) == (2000, 500, 500)
    assert in_micrometres((2, 0.5)) == (2, 0.5)


@pytest.mark.parametrize("across", [1e-3, 17.0, 100.0, 4321.0, 3e6])
def test_scale_bar_is_as_long_as_it_says(across: float) -> None:
    picture = np.full((300, 400, 3), 120, np.uint8)
    drawn = with_scale_bar(picture, across)
    rows, columns = np.nonzero((drawn == 255).all(axis=-1))
    bar = columns[rows == rows.max()]
    told = round_length(0.22 * across)
    assert len(bar) == bar.max() - bar.min() + 1 == pytest.approx(told / across * 400, abs=0.51)
    assert 0.08 < told / across <= 0.22
    assert float(f"{told:.0e}") == pytest.approx(told)
    assert f"{told:.0e}"[0] in "125"
    assert np.array_equal(picture[:200], drawn[:200])


def test_pictures_without_a_size_have_no_bar() -> None:
    picture, tiny = np.full((300, 400, 3), 120, np.uint8), np.full((60, 400, 3), 120, np.uint8)
    assert with_scale_bar(picture, None) is picture
    assert with_scale_bar(tiny, 50.0) is tiny


def test_letters_of_a_bar_are_in_the_font() -> None:
    from reunet.io.lettering import plain_font

    unknown = plain_font(20).getmask("\uffff").getbbox()
    assert plain_font(20).getmask("µ").getbbox() != unknown
