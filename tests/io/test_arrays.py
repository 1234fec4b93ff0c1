"""Zarr, HDF5 and .npy: what is announced is bounded before work starts; OME-Zarr is read as it is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.errors import ImageReadError, ReunetError, TooLargeError
from reunet.io.header import ImageHeader
from reunet.io.lazy import is_array, lazy_header, open_lazily

zarr = pytest.importorskip("zarr")
VAST = (10**6, 10**6)
PIXELS = np.random.default_rng(0).integers(0, 200, (50, 70), np.uint8)


def ome(
    folder: Path, *, name: str = "0", unit: str | None = "micrometer", also: dict[str, Any] | None = None
) -> Path:
    """An OME-Zarr image of PIXELS, 0.5 x 0.25 of the unit."""
    group = zarr.create_group(str(folder), zarr_format=2)
    group.create_array(name, shape=PIXELS.shape, chunks=(32, 32), dtype="u1")[:] = PIXELS
    steps = [{"type": "scale", "scale": [0.5, 0.25]}]
    axes = [{"name": axis, "type": "space"} | ({} if unit is None else {"unit": unit}) for axis in "yx"]
    facts = {"axes": axes, "datasets": [{"path": name, "coordinateTransformations": steps}]}
    group.attrs.update({"multiscales": [facts | (also or {})]})
    return folder


def read(path: Path) -> tuple[ImageHeader, np.ndarray]:
    with open_lazily(path, rank=2) as image:
        return image.header, image.read(tuple(slice(0, side) for side in image.header.size))[..., 0]


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_array_of_which_nothing_is_stored(tmp_path: Path, version: int) -> None:
    zarr.create_array(
        str(tmp_path / "a.zarr"), shape=VAST, chunks=(512, 512), dtype="u1", zarr_format=version, fill_value=0
    )
    with pytest.raises(TooLargeError, match="too small for all the pixels"):
        lazy_header(tmp_path / "a.zarr", rank=2)


@pytest.mark.parametrize("chunks", [None, (512, 512)])
def test_an_hdf5_dataset_of_which_nothing_is_stored(tmp_path: Path, chunks: tuple[int, int] | None) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE if chunks is None else h5py.h5d.ALLOC_TIME_INCR)
        if chunks is not None:
            made.set_chunk(chunks)
        h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(VAST), made)
    with pytest.raises(TooLargeError, match="too small for all the pixels"):
        lazy_header(tmp_path / "a.h5", rank=2)


def test_hdf5_groups_are_searched_so_far_and_no_further(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for levels, is_found in ((20, True), (300, False)):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            group = file
            for _ in range(levels):
                group = group.create_group("g")
            group["image"] = PIXELS
            group["loop"] = file  # a hard link to where it began
            group["soft"] = h5py.SoftLink("/nowhere")
            group["away"] = h5py.ExternalLink("/etc/passwd", "/a")
            group["again"] = group["image"]
        if is_found:
            np.testing.assert_array_equal(read(tmp_path / "a.h5")[1], PIXELS)
            continue
        with pytest.raises(ImageReadError, match="too deeply"):
            read(tmp_path / "a.h5")


def test_a_million_pieces_of_one_pixel_are_refused(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(1000, 1000), chunks=(1, 1), dtype="u1")
    with pytest.raises(TooLargeError, match="tiny pieces"):
        lazy_header(tmp_path / "a.zarr", rank=2)


BROKEN = {
    "chunks of nothing": {"chunks": [0, 0]},
    "negative chunks": {"chunks": [-1, 8]},
    "negative shape": {"shape": [-5, 8]},
    "empty": {"shape": [0, 8]},
    "empty, and long": {"shape": [2**31, 0], "fill_value": None},
    "unknown codec": {"compressor": {"id": "nosuch"}},
    "pickles": {"filters": [{"id": "pickle"}]},
    "objects": {"dtype": "|O"},
    "dates": {"dtype": "<M8[s]"},
    "beyond numbers": {"shape": [10**30, 8]},
    "chunks of another rank": {"chunks": [8]},
    "infinite fill": {"fill_value": "x"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_metadata_of_zarr_that_cannot_be(tmp_path: Path, name: str) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(64, 64), chunks=(8, 8), dtype="u1", zarr_format=2)
    file = tmp_path / "a.zarr" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | BROKEN[name]))
    with pytest.raises(ReunetError, match=r"a\.zarr"):
        read(tmp_path / "a.zarr")


def test_zarr_leads_to_no_other_folder(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "secret.zarr"), shape=(64, 64), chunks=(8, 8), dtype="u1")[:] = 1
    for place in ("../secret.zarr", str(tmp_path / "secret.zarr"), "nowhere"):
        path = ome(tmp_path / "a.zarr")
        facts = json.loads((path / ".zattrs").read_text())
        facts["multiscales"][0]["datasets"][0]["path"] = place
        (path / ".zattrs").write_text(json.dumps(facts))
        with pytest.raises(ImageReadError, match=r"a\.zarr"):
            read(path)
        shutil.rmtree(path)
    (tmp_path / "deep.zarr").mkdir()
    (tmp_path / "deep.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    (tmp_path / "deep.zarr" / ".zattrs").write_text("[" * 50_000 + "]" * 50_000)
    with pytest.raises(ImageReadError, match=r"deep\.zarr"):
        read(tmp_path / "deep.zarr")


SHAPES = {
    "huge": "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000), }",
    "beyond numbers": "{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775807, 9), }",
    "negative": "{'descr': '|u1', 'fortran_order': False, 'shape': (-10, 10), }",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (10, 10), }",
    "code": "{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (10, 10), }",
}


@pytest.mark.parametrize("name", SHAPES)
def test_npy_files_of_shapes_that_cannot_be(tmp_path: Path, name: str) -> None:
    header = SHAPES[name].encode() + b" " * 50 + b"\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (tmp_path / "a.npy").write_bytes(start + header + bytes(100))
    with pytest.raises(ImageReadError, match=r"a\.npy"):
        read(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("unit", "micrometres"),
    [
        ("micrometer", 1),
        ("nanometer", 1e-3),
        ("angstrom", 1e-4),
        ("millimeter", 1e3),
        ("µm", 1),
        ("metre", 1e6),
    ],
)
def test_units_of_ome_zarr(tmp_path: Path, unit: str, micrometres: float) -> None:
    header, _ = read(ome(tmp_path / "a.zarr", unit=unit))
    assert header.spacing == pytest.approx((0.5 * micrometres, 0.25 * micrometres))
    assert not header.doubts


def test_scales_of_array_and_image_are_multiplied(tmp_path: Path) -> None:
    whole = {"coordinateTransformations": [{"type": "scale", "scale": [10, 4]}]}
    assert read(ome(tmp_path / "a.zarr", also=whole))[0].spacing == pytest.approx((5, 1))


@pytest.mark.parametrize("unit", [None, "parsec"])
def test_a_scale_without_a_unit_is_a_doubt(tmp_path: Path, unit: str | None) -> None:
    header, _ = read(ome(tmp_path / "a.zarr", unit=unit))
    assert header.spacing is None
    assert "0.5 x 0.25" in header.doubts[0].other


def test_names_of_axes_that_disagree_are_an_error(tmp_path: Path) -> None:
    group = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=3)
    group.create_array("0", shape=(40, 50, 3), chunks=(9, 9, 3), dtype="u1", dimension_names=["y", "x", "c"])
    facts = {"axes": [{"name": name} for name in "zyx"], "datasets": [{"path": "0"}]}
    group.attrs.update({"ome": {"multiscales": [facts]}})
    with pytest.raises(ImageReadError, match="twice, differently"):
        lazy_header(tmp_path / "a.zarr", rank=2)
    assert lazy_header(tmp_path / "a.zarr" / "0", rank=2).channels == 3


def test_images_of_bioformats2raw_are_found(tmp_path: Path) -> None:
    root = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=2)
    root.attrs.update({"bioformats2raw.layout": 3})
    root.create_group("OME")
    ome(tmp_path / "a.zarr" / "0")
    np.testing.assert_array_equal(read(tmp_path / "a.zarr")[1], PIXELS)
    ome(tmp_path / "a.zarr" / "1")
    with pytest.raises(ImageReadError, match=r"images 0, 1[^0-9]*a\.zarr/0"):
        read(tmp_path / "a.zarr")
    assert is_array(tmp_path / "a.zarr" / "1")
    np.testing.assert_array_equal(read(tmp_path / "a.zarr" / "1")[1], PIXELS)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8"])
def test_byte_orders_and_codecs(tmp_path: Path, order: str, dtype: str) -> None:
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    values = PIXELS.astype(np.dtype(dtype).newbyteorder(order))
    for number, codec in enumerate((None, GzipCodec(), ZstdCodec(), BloscCodec())):
        path = tmp_path / f"{number}.zarr"
        zarr.create_array(str(path), data=values, chunks=(16, 16), compressors=codec)
        np.testing.assert_array_equal(read(path)[1], PIXELS)


@pytest.mark.parametrize("place", [4, 12])
def test_a_chunk_that_says_it_is_longer_is_refused_before_memory_is_asked_for(
    tmp_path: Path, place: int
) -> None:
    from zarr.codecs import BloscCodec

    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), data=PIXELS, chunks=(16, 16), compressors=BloscCodec())
    chunk = path / "c" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[place : place + 4] = b"\xff\xff\xff\x7f"
    chunk.write_bytes(content)
    with pytest.raises(ImageReadError, match="truncated or damaged"):
        read(path)


def test_bits_are_0_and_255_as_in_other_formats(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS > 100)
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[1], np.where(PIXELS > 100, 255, 0))
