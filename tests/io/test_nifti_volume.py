"""Voxels of NIfTI files are those that nibabel reads, whatever the type, order, scale, version or packing."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from reunet.contracts.labels import LabelMap, default_classes
from reunet.errors import ImageReadError, TooLargeError
from reunet.io import nifti_volume
from reunet.io.images import read_header, read_image
from reunet.io.lazy import lazy_header, open_lazily
from reunet.io.masks import read_raw_mask, write_mask

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def save(
    path: Path, voxels: np.ndarray, kind: type = nib.Nifti1Image, scale: tuple[float, float] = (1, 0)
) -> Path:
    """A volume whose axes lead to the left, back and up; compressed where the name says so."""
    header = kind.header_class(endianness=">" if voxels.dtype.byteorder == ">" else "<")
    header.set_data_dtype(voxels.dtype)
    header.set_xyzt_units("mm")
    image = kind(voxels, np.diag([-1.0, -1.0, 1.0, 1.0]), header)
    image.header.set_slope_inter(*scale)
    image.to_filename(path)
    return path


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("<>"),
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    scale=st.sampled_from([(1.0, 0.0), (0.0, 0.0), (2.5, -1000.0), (1 / 3, 0.1), (-1.0, 7.0), (np.nan, 0.0)]),
    axes=st.sampled_from(["LPS", "RAS", "PIL", "SAR"]),
    channels=st.sampled_from([(), (1,), (3,), (1, 2)]),
    packed=st.booleans(),
)  # fmt: skip
def test_every_type_order_and_scale(
    tmp_path: Path,
    dtype: str,
    order: str,
    kind: type,
    scale: tuple[float, float],
    axes: str,
    channels: tuple[int, ...],
    packed: bool,
) -> None:
    """nibabel writes the voxels, its arithmetic in 64 bits is the reference."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 120, (3, 4, 5, *channels)).astype(np.dtype(dtype).newbyteorder(order))
    header = kind.header_class(endianness=order)
    header.set_data_dtype(voxels.dtype)
    affine = inv_ornt_aff(axcodes2ornt(axes), (3, 4, 5))
    image = kind(voxels, affine, header)
    path = tmp_path / "a.nii"
    image.to_filename(path)
    stored = bytearray(path.read_bytes())
    place = (112, order + "f4") if kind is nib.Nifti1Image else (176, order + "f8")
    packed_scale = np.array(scale, place[1]).tobytes()
    stored[place[0] : place[0] + len(packed_scale)] = packed_scale
    path.write_bytes(gzip.compress(stored) if packed else stored)
    slope, inter = np.array(scale, place[1]).astype(np.float64)
    expected = voxels.astype(np.float64).reshape(3, 4, 5, -1)
    if slope and np.isfinite(slope):
        expected = expected * slope + inter
    to_array = nib.orientations.ornt_transform(nib.orientations.io_orientation(affine), axcodes2ornt("SPL"))
    turned = nib.orientations.apply_orientation(expected.astype(np.float32), to_array)
    found = read_image(path)
    np.testing.assert_array_equal(found.astype(np.float32), turned)
    part = (slice(0, 1), slice(1, 3), slice(0, 2))
    with open_lazily(path, rank=3) as lazy:
        np.testing.assert_array_equal(lazy.read(part).astype(np.float32), turned[part])
        assert lazy.header.channels == turned.shape[-1]


def test_compression_is_told_by_the_content_not_the_name(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 3, (3, 4, 5), np.uint8)
    plain = save(tmp_path / "plain.nii", voxels).read_bytes()
    labels = LabelMap(classes=default_classes([0, 1, 2]))
    for name, content in {"packed.nii": gzip.compress(plain), "plain.nii.gz": plain}.items():
        path = tmp_path / name
        path.write_bytes(content)
        expected = voxels.transpose(2, 1, 0)
        np.testing.assert_array_equal(read_image(path)[..., 0], expected)
        np.testing.assert_array_equal(read_raw_mask(path), expected)
        with open_lazily(path, rank=3) as lazy:
            np.testing.assert_array_equal(
                lazy.read((slice(1, 3), slice(0, 4), slice(2, 3)))[..., 0], expected[1:3, :, 2:3]
            )
        write_mask(tmp_path / "m.nii.gz", expected, labels, like=path)
        np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "m.nii.gz").dataobj), voxels)


def test_colours_are_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (3, 4, 5, 3), np.uint8)
    rgb = colours.view(np.dtype([(name, "u1") for name in "RGB"]))[..., 0]
    path = save(tmp_path / "a.nii.gz", rgb)
    assert (read_header(path).channels, read_header(path).dtype) == (3, "uint8")
    np.testing.assert_array_equal(read_image(path), colours.transpose(2, 1, 0, 3))
    with open_lazily(path, rank=3) as lazy:
        np.testing.assert_array_equal(
            lazy.read((slice(0, 5), slice(0, 4), slice(1, 2))), colours.transpose(2, 1, 0, 3)[:, :, 1:2]
        )
    for alpha in (255, 7):
        four = np.concatenate([colours, np.full((3, 4, 5, 1), alpha, np.uint8)], axis=-1)
        path = save(
            tmp_path / "b.nii", np.ascontiguousarray(four).view(np.dtype([(n, "u1") for n in "RGBA"]))[..., 0]
        )
        if alpha == 255:
            np.testing.assert_array_equal(read_image(path), colours.transpose(2, 1, 0, 3))
            continue
        with pytest.raises(ImageReadError, match="alpha"):
            read_image(path)


def test_complex_numbers_pairs_of_files_and_analyze_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="complex64"):
        read_header(save(tmp_path / "a.nii", np.zeros((3, 4, 5), np.complex64)))
    voxels = np.zeros((3, 4, 5), np.int16)
    nib.Nifti1Pair(voxels, np.eye(4)).to_filename(tmp_path / "pair.hdr")
    nib.AnalyzeImage(voxels, np.eye(4)).to_filename(tmp_path / "old.hdr")
    for name, told in {"pair": "pair of files", "old": "Analyze"}.items():
        with pytest.raises(ImageReadError, match=told):
            read_header(tmp_path / f"{name}.hdr")
    content = bytearray(save(tmp_path / "b.nii", voxels).read_bytes())
    content[40:42] = bytes(2)  # no axes
    (tmp_path / "b.nii").write_bytes(content)
    with pytest.raises(ImageReadError):
        read_header(tmp_path / "b.nii")


@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_announces_more_than_there_is_takes_no_memory(tmp_path: Path, packed: bool) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((700, 700, 800))
    header.set_data_dtype(np.float64)
    header["magic"], header["vox_offset"] = b"n+1", 352
    content = header.binaryblock + bytes(1000)
    path = tmp_path / "a.nii"
    path.write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    try:
        for read in (read_image, lambda path: lazy_header(path, rank=3)):
            with pytest.raises(ImageReadError, match="truncated"):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_is_unpacked_only_as_far_as_the_voxels_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small volume with 60 MB behind it."""
    voxels = np.random.default_rng(0).integers(0, 99, (3, 4, 5), np.uint8)
    plain = save(tmp_path / "a.nii", voxels).read_bytes()
    path = tmp_path / "bomb.nii.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(plain)
        for _ in range(60):
            file.write(bytes(2**20))
    tracemalloc.start()
    np.testing.assert_array_equal(read_image(path)[..., 0], voxels.transpose(2, 1, 0))
    with open_lazily(path, rank=3) as lazy:
        assert lazy.read((slice(0, 1),) * 3).shape == (1, 1, 1, 1)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    monkeypatch.setattr(nifti_volume.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(TooLargeError, match="no room"):
        lazy_header(path, rank=3)


def test_a_bit_that_flipped_in_a_compressed_file_is_found(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 255, (20, 20, 20), np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=r"a\.nii"):
        read_image(path)
    with pytest.raises(ImageReadError, match=r"a\.nii"):
        lazy_header(path, rank=3)
