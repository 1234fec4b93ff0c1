"""Every format gives the same part that reading it whole and cutting gives; damaged parts are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reunet.errors import ImageReadError
from reunet.io.images import read_image
from reunet.io.lazy import lazy_header, open_lazily

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (150, 170, 3), np.uint8)
GREY = RNG.integers(0, 60000, (150, 170), np.uint16)
BOXES = [
    (slice(0, 150), slice(0, 170)),
    (slice(40, 41), slice(169, 170)),
    (slice(13, 97), slice(30, 140)),
]


@pytest.mark.parametrize("image", [RGB, GREY, GREY > 30000, GREY.astype(np.float32)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (32, 48)},
        {"tile": (32, 48), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 7, "compression": "lzw"},
        {"byteorder": ">"},
        {"bigtiff": True, "tile": (64, 64)},
        {"planarconfig": "separate", "tile": (32, 32)},
        {"photometric": "miniswhite"},
    ],
    ids=str,
)
def test_tiff(tmp_path: Path, image: np.ndarray, options: dict[str, object]) -> None:
    options = dict(options)
    if (image.ndim == 2 and "planarconfig" in options) or (image.ndim == 3 and "photometric" in options):
        pytest.skip("not for this image")
    if image.dtype in (bool, np.float32):
        options.pop("predictor", None)
    stored = np.moveaxis(image, -1, 0) if "planarconfig" in options else image
    options.setdefault("photometric", "rgb" if image.ndim == 3 else "minisblack")
    writer = {name: options.pop(name) for name in ("byteorder", "bigtiff") if name in options}
    tifffile.imwrite(tmp_path / "a.tif", stored, **writer, **options)
    whole = read_image(tmp_path / "a.tif")
    with open_lazily(tmp_path / "a.tif", rank=2) as lazy:
        assert lazy.header.size == (150, 170)
        for box in BOXES:
            part = lazy.read(box)
            assert part.dtype == whole.dtype
            np.testing.assert_array_equal(part, whole[box])


def test_pages_of_a_stack(tmp_path: Path) -> None:
    stack = RNG.integers(0, 256, (3, 40, 50), np.uint8)
    for name, options in {"a.tif": {}, "b.tif": {"compression": "zlib", "tile": (16, 16)}}.items():
        tifffile.imwrite(tmp_path / name, stack, photometric="minisblack", **options)
        with open_lazily(tmp_path / name, rank=2, page=2, axes="ZYX") as lazy:
            np.testing.assert_array_equal(lazy.read((slice(5, 30), slice(9, 50)))[..., 0], stack[2, 5:30, 9:])


def test_npy_in_both_orders(tmp_path: Path) -> None:
    for number, array in enumerate([RGB, np.asfortranarray(RGB), GREY]):
        np.save(tmp_path / f"{number}.npy", array)
        with open_lazily(tmp_path / f"{number}.npy", rank=2) as lazy:
            for box in BOXES:
                np.testing.assert_array_equal(lazy.read(box), np.atleast_3d(array)[box])
    np.save(tmp_path / "volume.npy", RGB)
    with open_lazily(tmp_path / "volume.npy", rank=3) as lazy:
        np.testing.assert_array_equal(
            lazy.read((slice(3, 9), slice(0, 170), slice(1, 3)))[..., 0], RGB[3:9, :, 1:3]
        )


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("deep/image", data=RGB, chunks=(32, 32, 3), compression="gzip")
        file["number"] = 3
    with open_lazily(tmp_path / "a.h5", rank=2) as lazy:
        assert lazy.chunk == (32, 32)
        np.testing.assert_array_equal(lazy.read(BOXES[2]), RGB[BOXES[2]])
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["other"] = GREY
    with pytest.raises(ImageReadError, match="exactly one"), open_lazily(tmp_path / "a.h5", rank=2):
        pass


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr(tmp_path: Path, version: int) -> None:
    path = write_ome_zarr(tmp_path / "a.ome.zarr", version)
    assert lazy_header(path, rank=2).spacing == (0.5, 0.25)
    with open_lazily(path, rank=2) as lazy:
        assert (lazy.header.size, lazy.header.channels, lazy.chunk) == ((150, 170), 3, (64, 64))
        for box in BOXES:
            np.testing.assert_array_equal(lazy.read(box), RGB[box])


def write_ome_zarr(path: Path, version: int, fill_value: int | None = 0) -> Path:
    """RGB as (T, C, Z, Y, X)."""
    zarr = pytest.importorskip("zarr")
    group = zarr.create_group(str(path), zarr_format=version)
    data = np.moveaxis(RGB, -1, 0)[None, :, None]
    array = group.create_array(
        "0", shape=data.shape, chunks=(1, 1, 1, 64, 64), dtype="u1", fill_value=fill_value
    )
    array[:] = data
    micro = {"type": "space", "unit": "micrometer"}
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, **micro} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1, 0.5, 0.25]}]
    facts = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group.attrs.update(
        {"multiscales": facts} if version == 2 else {"ome": {"version": "0.5", "multiscales": facts}}
    )
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_missing_chunks_of_zarr_are_its_fill_value(tmp_path: Path, version: int) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", version, fill_value=9)
    chunks(path)[0].unlink()
    with open_lazily(path, rank=2) as lazy:
        found = lazy.read(BOXES[0])
    assert (found[:64, :64, 0] == 9).all()
    np.testing.assert_array_equal(found[64:], RGB[64:])


def chunks(path: Path) -> list[Path]:
    return sorted(
        p for p in (path / "0").rglob("*") if p.is_file() and p.name[0] != "." and p.suffix != ".json"
    )


def test_missing_chunks_without_a_fill_value_are_an_error(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", 2, fill_value=None)
    assert json.loads((path / "0" / ".zarray").read_text())["fill_value"] is None
    lazy_header(path, rank=2)
    chunks(path)[3].unlink()
    with pytest.raises(ImageReadError, match="missing"):
        lazy_header(path, rank=2)


@pytest.mark.parametrize("version", [2, 3])
def test_a_damaged_chunk_is_an_error(tmp_path: Path, version: int) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", version)
    chunk = chunks(path)[0]
    chunk.write_bytes(chunk.read_bytes()[:100])
    with open_lazily(path, rank=2) as lazy, pytest.raises(ImageReadError, match=r"a\.zarr"):
        lazy.read(BOXES[0])


@pytest.mark.parametrize(
    "options", [{"tile": (32, 32), "compression": "zlib"}, {"tile": (32, 32)}, {}], ids=str
)
def test_a_truncated_tiff_is_an_error(tmp_path: Path, options: dict[str, object]) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, RGB, **options)
    with open(file, "rb+") as handle:
        handle.truncate(file.stat().st_size * 2 // 3)
    with pytest.raises(ImageReadError, match=r"a\.tif"), open_lazily(file, rank=2) as lazy:
        lazy.read(BOXES[0])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("orientation", ["RAS", "PIL", "LSA"])
def test_nifti_in_any_orientation(tmp_path: Path, suffix: str, scaled: bool, orientation: str) -> None:
    import nibabel
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff

    voxels = RNG.integers(0, 999, (11, 12, 13), np.int16)
    affine = inv_ornt_aff(axcodes2ornt(orientation), voxels.shape) @ np.diag([1, 2, 3, 1])
    image = nibabel.Nifti1Image(voxels, affine)
    if scaled:
        image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / f"a{suffix}")
    whole = read_image(tmp_path / f"a{suffix}")
    with open_lazily(tmp_path / f"a{suffix}", rank=3) as lazy:
        assert lazy.header.size == whole.shape[:3]
        box = (slice(2, 9), slice(1, 5), slice(4, 11))
        np.testing.assert_array_equal(lazy.read(box), whole[box])


@pytest.mark.parametrize("name", ["a.npy", "a.h5", "a.zarr", "a.tif", "a.nii"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense" * 9])
def test_what_is_no_image_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageReadError, match=name):
        lazy_header(tmp_path / name, rank=3 if "nii" in name else 2)


def test_axes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 6, 7)))
    with pytest.raises(ImageReadError, match="--axes"):
        lazy_header(tmp_path / "a.npy", rank=2)
    np.save(tmp_path / "b.npy", np.zeros((2, 5, 6)))
    assert lazy_header(tmp_path / "b.npy", rank=2, axes="CYX").channels == 2
