"""Images that lie on a map: their place and what nothing is known of go from file to file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from reunet.errors import ImageReadError
from reunet.io.georeference import Georeference, map_tags
from reunet.io.header import ImageHeader, apart
from reunet.io.images import read_header, read_image, read_known
from reunet.io.lazy import open_lazily
from reunet.io.nodata import is_known
from reunet.slices import all_of

RNG = np.random.default_rng(0)
UTM = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
"""Keys of a projected map, whose coordinates are those of corners of pixels: UTM zone 33 North."""


def on_map(keys: tuple[int, ...] = UTM, x: float = 500_000.0, y: float = 5_800_000.0) -> Georeference:
    """Pixels of 10 x 10 metres."""
    tags = ((33550, (10.0, 10.0, 0.0)), (33922, (0.0, 0.0, 0.0, x, y, 0.0)), (34735, keys))
    return Georeference((10.0, 0.0, x, 0.0, -10.0, y), f"EPSG:{keys[-1]}", tags)


def write(path: Path, image: np.ndarray, place: Georeference | None, nodata: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"photometric": "minisblack", "tile": (16, 16)}
    image = image[..., 0] if image.shape[2:] == (1,) else image
    options |= {"planarconfig": "contig"} if image.ndim == 3 else {}
    tifffile.imwrite(path, image, metadata=None, **options, **map_tags(place, nodata))
    return path


@pytest.mark.parametrize("bands", [1, 4, 13, 224])
def test_images_of_any_number_of_bands_have_a_place(tmp_path: Path, bands: int) -> None:
    image = RNG.integers(0, 4000, (40, 50, bands), np.uint16)
    header = read_header(write(tmp_path / "a.tif", image, on_map()))
    assert header.channels == bands
    assert header.map is not None
    assert header.map.crs == "EPSG:32633"
    assert header.map.matrix == (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_800_000.0)
    assert header.map.urn == "urn:ogc:def:crs:EPSG::32633"
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), image)
    assert ImageHeader.from_json(header.as_json()).map == header.map


def test_so_many_channels_without_a_place_may_be_a_stack(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="224 channels"):
        read_header(write(tmp_path / "a.tif", np.zeros((40, 50, 224), np.uint8), None))


def test_coordinates_of_centres_lie_half_a_pixel_further(tmp_path: Path) -> None:
    centres = (*UTM[:8], 1025, 0, 1, 2, *UTM[12:])
    header = read_header(write(tmp_path / "a.tif", np.zeros((40, 50), np.uint8), on_map(centres)))
    assert header.map is not None
    assert header.map.matrix == (10.0, 0.0, 499_995.0, 0.0, -10.0, 5_800_005.0)


def test_a_map_that_is_turned(tmp_path: Path) -> None:
    matrix = (8.0, 6.0, 0.0, 500.0, 6.0, -8.0, 0.0, 900.0, *(0.0,) * 7, 1.0)
    turned = Georeference(None, "", ((34264, matrix), (34735, UTM)))
    header = read_header(write(tmp_path / "a.tif", np.zeros((40, 50), np.uint8), turned))
    assert header.map is not None
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [20.0, 30.0]])
    expected = [[500, 900], [508, 906], [506, 892], [840, 780]]
    np.testing.assert_allclose(header.map.place(points), expected)
    np.testing.assert_allclose(header.map.pixels(header.map.place(points)), points, atol=1e-9)


def test_keys_that_are_cut_off_say_nothing_of_the_map(tmp_path: Path) -> None:
    place = Georeference(None, "", ((34735, (1, 1, 0, 9, 3072, 0)),))
    header = read_header(write(tmp_path / "a.tif", np.zeros((40, 50), np.uint8), place))
    assert header.map is not None
    assert header.map.matrix is None
    assert header.map.crs == "unknown"


@pytest.mark.parametrize("nodata", [-9999.0, float("nan")])
def test_what_is_not_known_is_filled_with_what_is_usual(tmp_path: Path, nodata: float) -> None:
    image = RNG.normal(100, 1, (600, 40, 2)).astype(np.float32)
    known = np.ones((600, 40), bool)
    known[:50], image[:50] = False, nodata
    image[70, 3, 1] = nodata  # in one band only: measured in the other
    write(tmp_path / "a.tif", image, on_map(), nodata)
    read = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read[known][:, 0], image[known][:, 0])
    assert (np.abs(read - 100) < 10).all()
    np.testing.assert_array_equal(read_known(tmp_path / "a.tif"), known)
    with open_lazily(tmp_path / "a.tif", rank=2) as lazy:
        part = slice(40, 90), slice(0, 40)
        np.testing.assert_array_equal(lazy.read(part), read[part])
        assert lazy.known is not None
        np.testing.assert_array_equal(lazy.known(part), known[part])
        np.testing.assert_array_equal(lazy.read(all_of(lazy.header.size)), read)


def test_a_black_sample_of_a_coloured_pixel_is_a_measurement(tmp_path: Path) -> None:
    image = np.full((32, 32, 3), 90, np.uint8)
    image[:4], image[10, 10] = 0, (0, 50, 50)
    read = read_image(write(tmp_path / "a.tif", image, on_map(), 0))
    assert (read[:4] == 90).all()
    np.testing.assert_array_equal(read[4:], image[4:])


def test_an_image_without_any_data_stays_readable(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.full((32, 32), np.nan, np.float32), on_map(), float("nan"))
    assert (read_image(tmp_path / "a.tif") == 0).all()
    assert not is_known(np.full((2, 2, 1), 255, np.uint8), 255).any()
    assert is_known(np.ones((2, 2, 1), np.float32), -1.7e308).all()


def test_places_are_compared_in_pixels() -> None:
    image = ImageHeader((40, 50), 1, "uint8", map=on_map())
    assert apart(image, ImageHeader((40, 50), 1, "uint8", map=on_map(x=500_000.5))) is None
    assert apart(image, ImageHeader((40, 50), 1, "uint8")) is None
    moved = apart(image, ImageHeader((40, 50), 1, "uint8", map=on_map(x=500_020.0)))
    assert moved is not None
    assert moved[0] == "place"
    assert "2 pixels" in moved[2]
    other = on_map((*UTM[:-1], 3857))
    assert apart(image, ImageHeader((40, 50), 1, "uint8", map=other)) == ("crs", "EPSG:32633", "EPSG:3857")
    nameless = replace(on_map(), crs="unknown")
    assert apart(image, ImageHeader((40, 50), 1, "uint8", map=nameless)) is None
