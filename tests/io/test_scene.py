"""Tiles of a scene: the image that they make together, and tiles that make none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.io.test_georeference import UTM, on_map, write

from reunet.errors import ImageReadError
from reunet.io.images import read_header
from reunet.io.scene import open_scene
from reunet.slices import all_of

RNG = np.random.default_rng(0)
WHOLE = RNG.integers(1, 4000, (120, 140, 5), np.uint16)
CUTS = ((0, 64, 0, 80), (0, 70, 64, 140), (64, 120, 0, 64), (50, 120, 60, 140))
"""First and last row and column of tiles that overlap."""


def cut(folder: Path, image: np.ndarray = WHOLE, cuts: Sequence[tuple[int, ...]] = CUTS) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write(folder / f"{i}.tif", image[y0:y1, x0:x1], on_map(x=500_000 + 10 * x0, y=5_800_000 - 10 * y0))
        for i, (y0, y1, x0, x1) in enumerate(cuts)
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_tiles_are_read_as_the_image_they_were_cut_from(tmp_path: Path, order: int) -> None:
    whole = write(tmp_path / "whole.tif", WHOLE, on_map())
    with open_scene(cut(tmp_path / "tiles")[::order]) as scene:
        assert replace(scene.header, nodata=None) == replace(read_header(whole), levels=())
        for part in (all_of((120, 140)), (slice(60, 72), slice(50, 90)), (slice(119, 120), slice(0, 1))):
            np.testing.assert_array_equal(scene.read(part), WHOLE[part])
            assert scene.known is not None
            assert scene.known(part).all()


def test_nothing_is_known_between_tiles(tmp_path: Path) -> None:
    with open_scene(cut(tmp_path, cuts=CUTS[::3])) as scene:
        known = np.zeros((120, 140), bool)
        for y0, y1, x0, x1 in CUTS[::3]:
            known[y0:y1, x0:x1] = True
        assert scene.known is not None
        np.testing.assert_array_equal(scene.known(all_of(known.shape)), known)
        read = scene.read(all_of(known.shape))
        np.testing.assert_array_equal(read[known], WHOLE[known])
        assert (np.abs(read[~known] - 2000.0) < 200).all()


def test_what_has_no_data_does_not_cover_another_tile(tmp_path: Path) -> None:
    below, above = WHOLE[:64, :64], np.zeros_like(WHOLE[:64, :64])
    above[:, 32:] = 7
    tiles = [write(tmp_path / f"{i}.tif", one, on_map(), 0) for i, one in enumerate((below, above))]
    with open_scene(tiles) as scene:
        read = scene.read(all_of((64, 64)))
        np.testing.assert_array_equal(read[:, :32], below[:, :32])
        assert (read[:, 32:] == 7).all()


def test_tiles_that_make_no_scene_are_named(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tif", WHOLE, on_map())
    other = tmp_path / "b.tif"
    for keys, x, image, message in (
        ((*UTM[:-1], 3857), 500_000, WHOLE, "different maps"),
        (UTM, 500_005, WHOLE, "different grids"),
        (UTM, 500_000, WHOLE[..., :3], "differ in channels"),
        (UTM, 500_000, WHOLE.astype(np.float32), "differ in dtype"),
        (UTM, 1e9, WHOLE, "too far apart"),
        (UTM, 1e307, WHOLE, "different grids"),
    ):
        write(other, image, on_map(keys, x))
        with pytest.raises(ImageReadError, match=message), open_scene([first, other]):
            pass
    tifffile.imwrite(other, WHOLE, planarconfig="contig", photometric="minisblack")
    with pytest.raises(ImageReadError, match="does not say where on the map"), open_scene([first, other]):
        pass
