"""Predict on images that come in sections: the same masks as in one piece, published whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from reunet.errors import StorageError
from reunet.flows.predict import ways
from reunet.flows.predict.predict import predict
from reunet.inference.large import memory
from reunet.io.masks import read_raw_mask
from reunet.machine import resident_bytes

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (1300, 1100), np.uint8)


@pytest.fixture(scope="module")
def run(make_bright_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bright_run(tmp_path_factory.mktemp("run"), tile=(256, 256))


@pytest.fixture(autouse=True)
def _small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "MOST_AT_ONCE", 1000)
    monkeypatch.setattr(memory, "ACROSS", 2)


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".tmp-")]


def test_a_tiff_becomes_a_tiled_bigtiff(run: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, tile=(128, 128), compression="zlib")
    result = predict(run, tmp_path / "a.tif", output=tmp_path / "out", precision="f32", probabilities=True)
    assert not result.failures
    mask = tmp_path / "out" / "masks" / "a.tif"
    np.testing.assert_array_equal(read_raw_mask(mask), IMAGE >= 128)
    with tifffile.TiffFile(mask) as file:
        assert file.is_bigtiff
        assert file.pages[0].tile == (512, 512)
        assert file.pages[0].colormap is not None
    found = np.load(tmp_path / "out" / "probabilities" / "a.npy")
    np.testing.assert_allclose(found[..., 1], 1 / (1 + np.exp(-0.05 * (IMAGE - 127.5))), atol=1e-5)
    assert leftovers(tmp_path) == []
    again = predict(run, tmp_path / "a.tif", output=tmp_path / "out", probabilities=True, skip_existing=True)
    assert len(again.skipped) == 1


def test_an_image_that_is_seen_at_another_resolution(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = shutil.copytree(run, tmp_path / "coarse")
    plan = json.loads((coarse / "plan.json").read_text(encoding="utf-8"))
    (coarse / "plan.json").write_text(json.dumps(plan | {"spacing": [2.5, 1.6]}), encoding="utf-8")
    image = cv2.GaussianBlur(IMAGE, (0, 0), 9)
    image = ((image.astype(np.float32) - image.min()) / np.ptp(image) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(128, 128))
    predict(coarse, tmp_path / "a.tif", output=tmp_path / "sections", precision="f32")
    monkeypatch.setattr(ways, "MOST_AT_ONCE", 2**26)
    predict(coarse, tmp_path / "a.tif", output=tmp_path / "whole", precision="f32")
    sections = read_raw_mask(tmp_path / "sections" / "masks" / "a.tif")
    whole = read_raw_mask(tmp_path / "whole" / "masks" / "a.png")
    assert sections.shape == IMAGE.shape
    assert 0.1 < sections.mean() < 0.9
    assert np.mean(sections != whole) < 1e-3


@pytest.mark.parametrize("version", [2, 3])
def test_an_ome_zarr_becomes_one(run: Path, tmp_path: Path, version: int) -> None:
    zarr = pytest.importorskip("zarr")
    folder = tmp_path / "in"
    group = zarr.create_group(str(folder / "slide.ome.zarr"), zarr_format=version)
    array = group.create_array("0", shape=IMAGE.shape, chunks=(300, 256), dtype="u1")
    array[:] = IMAGE
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = [{"type": "scale", "scale": [0.5, 0.5]}]
    facts = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group.attrs.update({"multiscales": facts} if version == 2 else {"ome": {"multiscales": facts}})
    result = predict(run, folder, output=tmp_path / "out", precision="f32")
    assert not result.failures
    mask = zarr.open(str(tmp_path / "out" / "masks" / "slide.ome.zarr"), mode="r")
    np.testing.assert_array_equal(mask["0"][:], IMAGE >= 128)
    np.testing.assert_array_equal(mask["1"][:], (IMAGE >= 128)[::2, ::2])
    np.testing.assert_array_equal(mask["2"][:], (IMAGE >= 128)[::4, ::4])
    assert max(mask["2"].shape) <= 512
    told = mask.attrs["ome"] if version == 3 else mask.attrs
    facts = told["multiscales"][0]
    assert facts["datasets"][1]["coordinateTransformations"][0]["scale"] == [1.0, 1.0]
    assert told["image-label"]["properties"][1] == {"label-value": 1, "class": "bright"}
    assert leftovers(tmp_path) == []


def test_time_of_an_ome_zarr_becomes_pages(run: Path, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    frames = np.stack([IMAGE[:96, :128], IMAGE[96:192, :128]])
    group = zarr.create_group(str(tmp_path / "film.ome.zarr"), zarr_format=3)
    group.create_array("0", data=frames, chunks=(1, 64, 64))
    axes = [{"name": "t", "type": "time"}, *({"name": name, "type": "space"} for name in "yx")]
    group.attrs.update({"ome": {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}})
    result = predict(run, tmp_path / "film.ome.zarr", output=tmp_path / "out", precision="f32")
    assert not result.failures
    masks = tifffile.imread(tmp_path / "out" / "masks" / "film.tif")
    np.testing.assert_array_equal(masks > 0, frames >= 128)


@pytest.mark.parametrize("suffix", [".npy", ".h5"])
def test_arrays(run: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(file, IMAGE)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(file, "w") as store:
            store["image"] = IMAGE
    assert not predict(run, file, output=tmp_path / "out", precision="f32").failures
    np.testing.assert_array_equal(read_raw_mask(tmp_path / "out" / "masks" / "a.tif"), IMAGE >= 128)


def test_a_field_of_view_counts(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "fov").mkdir()
    inside = np.zeros(IMAGE.shape, np.uint8)
    inside[200:900, 300:] = 255
    tifffile.imwrite(tmp_path / "in" / "a.tif", IMAGE)
    tifffile.imwrite(tmp_path / "fov" / "a.tif", inside)
    predict(run, tmp_path / "in", output=tmp_path / "out", fov=tmp_path / "fov", precision="f32")
    found = read_raw_mask(tmp_path / "out" / "masks" / "a.tif")
    np.testing.assert_array_equal(found, (IMAGE >= 128) & (inside > 0))


def test_a_damaged_image_leaves_nothing_and_the_others_are_predicted(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", IMAGE, tile=(128, 128), compression="zlib")
    with open(tmp_path / "in" / "b.tif", "rb+") as file:
        file.truncate((tmp_path / "in" / "b.tif").stat().st_size // 2)
    with tifffile.TiffFile(tmp_path / "in" / "c.tif") as file:
        place, length = file.pages[0].dataoffsets[40], file.pages[0].databytecounts[40]
    with open(tmp_path / "in" / "c.tif", "rb+") as file:  # only a tile far from the first is damaged
        file.seek(place)
        file.write(bytes(length))
    result = predict(run, tmp_path / "in", output=tmp_path / "out", precision="f32")
    assert sorted(Path(name).name for name in result.failures) == ["b.tif", "c.tif"]
    assert "damaged" in result.failures[str(tmp_path / "in" / "c.tif")]
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["a.tif"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("moment", ["section", "publish"])
def test_a_full_disk_leaves_nothing_that_looks_whole(
    run: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, os.strerror(28))

    if moment == "section":
        monkeypatch.setattr("reunet.io.chunk_store.ChunkStore.write", full)
    else:
        monkeypatch.setattr("tifffile.TiffWriter.write", full)
    with pytest.raises(StorageError, match="No space left"):
        predict(run, tmp_path / "a.tif", output=tmp_path / "out", precision="f32")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_wrong_number_of_channels_is_named(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((300, 300, 2), np.uint8))
    result = predict(run, tmp_path / "a.npy", output=tmp_path / "out")
    assert "channel" in next(iter(result.failures.values()))


@pytest.mark.fault(
    "an image larger than the memory",
    "predicted in parts within the stated bytes, or an error with how many are needed",
)
def test_too_little_memory_is_named_and_enough_is_kept_to(run: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    result = predict(run, tmp_path / "a.tif", output=tmp_path / "out", max_memory=301_000_000)
    assert "--max-memory" in next(iter(result.failures.values()))
    enough = (resident_bytes() or 0) + 1_000_000_000  # the tests before this one left something in memory
    assert not predict(run, tmp_path / "a.tif", output=tmp_path / "out", max_memory=enough).failures
