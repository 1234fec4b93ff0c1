"""Images that lie on a map: masks and outlines lie there too, and nothing is said where there are no data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.io.test_georeference import UTM, on_map, write
from tests.io.test_scene import cut

from reunet.contracts.results import Problem
from reunet.datasets.case_arrays import load_case
from reunet.datasets.scan import open_dataset
from reunet.errors import UsageError
from reunet.flows.check import check
from reunet.flows.predict import ways
from reunet.flows.predict.predict import predict
from reunet.io.georeference import map_tags
from reunet.io.images import read_header
from reunet.io.masks import read_raw_mask

RNG = np.random.default_rng(0)
SCENE = np.repeat(np.repeat(RNG.integers(0, 2, (12, 14), np.uint8) * 190 + 30, 10, 0), 10, 1)
"""(120, 140): squares of 10 pixels, dark or bright; some of the corner has no data."""


@pytest.fixture(scope="module")
def run(make_bright_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bright_run(tmp_path_factory.mktemp("run"), channels=4, tile=(64, 64))


@pytest.mark.parametrize("most", [2**26, 100], ids=["whole", "in sections"])
def test_a_mask_lies_where_its_image_does(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(ways, "MOST_AT_ONCE", most)
    image = np.stack([SCENE] * 4, axis=-1).astype(np.float32)
    image[:25, :33] = -9999
    write(tmp_path / "a.tif", image, place := on_map(), -9999)
    result = predict(run, tmp_path / "a.tif", output=tmp_path / "out", precision="f32")
    assert not result.failures
    expected = (SCENE > 127).astype(np.uint8)
    expected[:25, :33] = 255
    mask = tmp_path / "out" / "masks" / "a.tif"
    np.testing.assert_array_equal(read_raw_mask(mask), expected)
    header = read_header(mask)
    assert header.map == place
    assert header.nodata == 255
    told = json.loads((tmp_path / "out" / "geojson" / "a.geojson").read_text(encoding="utf-8"))
    assert told["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    areas = [np.array(one["geometry"]["coordinates"][0]) for one in told["features"]]
    points = np.concatenate(areas)
    assert points[:, 0].min() >= 500_000
    assert points[:, 0].max() <= 501_400
    assert points[:, 1].max() <= 5_800_000
    assert points[:, 1].min() >= 5_798_800


def test_the_pages_of_a_stack_stay_on_the_map(run: Path, tmp_path: Path) -> None:
    pages = np.stack([np.stack([SCENE] * 4, axis=-1)] * 2)
    pages[1, :9] = 0
    tags = map_tags(on_map(), 0)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", planarconfig="contig",
                     metadata={"axes": "TYXC"}, **tags)  # fmt: skip
    predict(run, tmp_path / "a.tif", output=tmp_path / "out", precision="f32")
    mask = tmp_path / "out" / "masks" / "a.tif"
    expected = np.stack([SCENE > 127] * 2).astype(np.uint8)
    expected[1, :9] = 255
    np.testing.assert_array_equal(tifffile.imread(mask), expected)
    assert (read_header(mask).map, read_header(mask).nodata) == (on_map(), 255)


def test_a_scene_in_tiles_is_predicted_as_one(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "MOST_AT_ONCE", 100)
    image = np.stack([SCENE] * 4, axis=-1)
    write(tmp_path / "whole" / "a.tif", image, on_map())
    tiles = cut(tmp_path / "scene", image)
    predict(run, tmp_path / "whole", output=tmp_path / "whole-out", precision="f32")
    result = predict(run, tmp_path / "scene", output=tmp_path / "out", precision="f32", scene=True)
    assert result.predicted == (tmp_path / "scene",)
    mask, whole = tmp_path / "out" / "masks" / "scene.tif", tmp_path / "whole-out" / "masks" / "a.tif"
    np.testing.assert_array_equal(read_raw_mask(mask), read_raw_mask(whole))
    assert read_header(mask).map == on_map()
    outlines = [
        (folder / "geojson" / name).read_text(encoding="utf-8")
        for folder, name in ((tmp_path / "out", "scene.geojson"), (tmp_path / "whole-out", "a.geojson"))
    ]
    assert outlines[0] == outlines[1]
    with pytest.raises(UsageError, match="files of a folder"):
        predict(run, tiles[0], output=tmp_path / "out", scene=True)


def dataset(folder: Path, keys: tuple[int, ...] = UTM, x: float = 500_000.0) -> Path:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = (SCENE > 127).astype(np.uint8)
    mask[:, -20:] = 99
    for number in range(2):
        image = SCENE + np.uint8(number)
        image[:5] = 255
        write(folder / "images" / f"{number}.tif", image, on_map(), 255)
        write(folder / "masks" / f"{number}.tif", mask, on_map(keys, x), 99)
    return folder


def errors(data: Path) -> list[Problem]:
    return [one for one in check(data).problems if one.severity == "error"]


def test_what_has_no_data_is_not_learned(tmp_path: Path) -> None:
    data = open_dataset(dataset(tmp_path / "data"))
    case = load_case(data.cases[0], data.labels)
    assert case.labels is not None
    assert (case.labels[:5] == 255).all()
    assert (case.labels[:, -20:] == 255).all()
    np.testing.assert_array_equal(case.labels[5:, :-20], SCENE[5:, :-20] > 127)
    assert case.image.max() < 255


def test_a_mask_on_another_map_is_an_error(tmp_path: Path) -> None:
    other = (*UTM[:-1], 3857)
    (problem, *_) = errors(dataset(tmp_path / "a", other))
    assert problem.code == "crs-mismatch"
    assert (problem.expected, problem.received) == ("EPSG:32633", "EPSG:3857")
    assert "gdalwarp" in problem.fix
    (problem, *_) = errors(dataset(tmp_path / "b", x=500_030.0))
    assert problem.code == "place-mismatch"
    assert "on the map" in problem.message
    assert not errors(dataset(tmp_path / "c"))
