"""NIfTI volumes: any orientation comes in one, masks go back where the volume lies."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reunet.io.header
from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.errors import ImageReadError, LabelError, TooLargeError
from reunet.io.images import image_suffix, read_header, read_image, without_suffix
from reunet.io.masks import encode_mask, read_mask, read_raw_mask, write_mask

LABELS = LabelMap(classes=default_classes([0, 3, 7]), ignore=11)


def affine_of(order: list[int], signs: list[int], sizes: list[float], tilt: float) -> np.ndarray:
    """Axis i of the file runs along world axis order[i]; `tilt` turns all by some radians."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign, size) in enumerate(zip(order, signs, sizes, strict=True)):
        affine[world, axis] = sign * size
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = (-30.0, 12.5, 7.0)
    return affine


def save(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None, unit: str = "mm") -> Path:
    image = nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return path


ORIENTED = {
    "order": st.permutations([0, 1, 2]),
    "signs": st.tuples(*[st.sampled_from([-1, 1])] * 3),
    "sizes": st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * 3),
    "tilt": st.floats(-0.5, 0.5),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**ORIENTED, suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_every_voxel_keeps_its_place_in_the_world(
    tmp_path: Path,
    order: list[int],
    signs: tuple[int, ...],
    sizes: tuple[float, ...],
    tilt: float,
    suffix: str,
) -> None:
    """The reference is the world position itself: the voxel of the array that lies there has the value."""
    voxels = np.random.default_rng(0).integers(0, 250, (4, 5, 6), np.uint8)
    affine = affine_of(order, list(signs), list(sizes), tilt)
    path = save(tmp_path / f"v{suffix}", voxels, affine)
    header, array = read_header(path), read_image(path)
    assert array.shape == (*header.size, 1)
    assert array.dtype == np.uint8
    assert header.affine is not None
    assert header.is_volume
    inverse = np.linalg.inv(header.affine)
    for index in np.ndindex(voxels.shape):
        z, y, x = np.rint(inverse @ affine @ (*index, 1))[:3].astype(int)
        assert array[z, y, x, 0] == voxels[index]
    towards = header.affine[:3, :3] / np.linalg.norm(header.affine[:3, :3], axis=0)
    assert towards[2, 0] > 0.8  # slices lead upwards
    assert towards[1, 1] < -0.8  # rows to the back
    assert towards[0, 2] < -0.8  # columns to the left
    expected = [sizes[order.index(world)] for world in (2, 1, 0)]
    np.testing.assert_allclose(header.spacing, expected, rtol=1e-4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**ORIENTED, suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_masks_are_written_where_the_volume_lies(
    tmp_path: Path,
    order: list[int],
    signs: tuple[int, ...],
    sizes: tuple[float, ...],
    tilt: float,
    suffix: str,
) -> None:
    voxels = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    path = save(tmp_path / f"v{suffix}", voxels, affine_of(order, list(signs), list(sizes), tilt))
    indices = (read_image(path)[..., 0] > 0).astype(np.uint8)
    write_mask(tmp_path / "m.nii.gz", indices, LABELS, like=path)
    image, mask = nib.load(path), nib.load(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), (voxels > 0) * 3)
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert mask.shape == image.shape
    assert mask.get_data_dtype() == np.uint8
    for field in ("sform_code", "qform_code", "xyzt_units"):
        assert mask.header[field] == image.header[field]
    np.testing.assert_allclose(mask.header.get_zooms(), image.header.get_zooms())
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", LABELS), indices)


def test_a_mask_keeps_the_quaternion_and_drops_what_tells_of_the_patient(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 6, 2), np.int16), None)
    image.header.set_qform(affine_of([1, 0, 2], [1, -1, 1], [2.0, 1.0, 4.0], 0.2), code=1)
    image.header.set_sform(None, code=0)
    image.header.set_slope_inter(2.5, -1000)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nib.save(image, tmp_path / "v.nii.gz")
    array = read_image(tmp_path / "v.nii.gz")
    assert array.shape == (6, 4, 5, 2)
    np.testing.assert_array_equal(array, -1000)
    write_mask(tmp_path / "m.nii.gz", np.full((6, 4, 5), IGNORE, np.uint8), LABELS, tmp_path / "v.nii.gz")
    mask = nib.load(tmp_path / "m.nii.gz")
    assert (np.asarray(mask.dataobj) == 11).all()
    assert mask.shape == (4, 5, 6)
    np.testing.assert_allclose(mask.affine, nib.load(tmp_path / "v.nii.gz").affine)
    assert (mask.header["qform_code"], mask.header["sform_code"]) == (1, 0)
    assert not mask.header.extensions


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", ">i2", ">f4"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_sample_types_and_versions(tmp_path: Path, dtype: str, kind: type) -> None:
    voxels = np.random.default_rng(0).integers(0, 120, (4, 5, 6)).astype(dtype)
    header = kind.header_class(endianness="<" if dtype[0] != ">" else ">")
    header.set_data_dtype(voxels.dtype)
    nib.save(kind(voxels, np.diag([-1.0, -1.0, 1.0, 1.0]), header), tmp_path / "v.nii")
    array = read_image(tmp_path / "v.nii")
    np.testing.assert_array_equal(array[..., 0], voxels.transpose(2, 1, 0))
    assert array.dtype == (np.float32 if dtype[-2] == "f" else np.uint16 if dtype == "u2" else np.uint8)


def test_negative_intensities_and_scaling(tmp_path: Path) -> None:
    voxels = np.array([-1000, 0, 1500], np.int16).reshape(1, 1, 3)
    np.testing.assert_array_equal(read_image(save(tmp_path / "ct.nii", voxels))[:, 0, 0, 0], [-1000, 0, 1500])


@pytest.mark.parametrize(
    ("unit", "affine", "expected"),
    [
        ("mm", np.eye(4), (1.0, 1.0, 1.0)),
        ("unknown", np.eye(4), None),
        ("unknown", np.diag([-1.0, -1.0, 1.0, 1.0]), None),
        ("unknown", np.diag([2.0, 1.0, 1.0, 1.0]), (1.0, 1.0, 2.0)),
        ("micron", np.diag([500.0, 500.0, 2000.0, 1.0]), (2.0, 0.5, 0.5)),
        ("meter", np.diag([0.001, 0.001, 0.003, 1.0]), (3.0, 1.0, 1.0)),
    ],
)
def test_spacing_is_in_millimetres_where_it_is_stated(
    tmp_path: Path, unit: str, affine: np.ndarray, expected: tuple[float, ...] | None
) -> None:
    path = save(tmp_path / "v.nii", np.zeros((3, 4, 5), np.uint8), affine, unit)
    spacing = read_header(path).spacing
    assert (spacing is None) == (expected is None)
    if expected is not None:
        assert spacing == pytest.approx(expected)


def test_a_voxel_size_of_zero_is_no_spacing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), None)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "v.nii")
    content = bytearray((tmp_path / "v.nii").read_bytes())
    content[76 : 76 + 16] = struct.pack("<4f", 1, 0, 1, 1)
    (tmp_path / "v.nii").write_bytes(content)
    assert read_header(tmp_path / "v.nii").spacing is None
    assert read_image(tmp_path / "v.nii").shape == (5, 4, 3, 1)
    assert capfd.readouterr().err == ""


def test_four_axes_are_channels_and_two_are_one_slice(tmp_path: Path) -> None:
    voxels = np.arange(4 * 5 * 6 * 3, dtype=np.uint16).reshape(4, 5, 6, 3)
    path = save(tmp_path / "v.nii", voxels, np.diag([-1.0, -1.0, 1.0, 1.0]))
    header = read_header(path)
    assert (header.size, header.channels, header.axes) == ((6, 5, 4), 3, "LPSC")
    np.testing.assert_array_equal(read_image(path), voxels.transpose(2, 1, 0, 3))
    flat = save(tmp_path / "flat.nii", voxels[:, :, 0, 0], np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert read_image(flat).shape == (1, 5, 4, 1)
    assert read_header(save(tmp_path / "o.nii", voxels[..., :1])).channels == 1
    with pytest.raises(ImageReadError, match="more axes"):
        read_header(save(tmp_path / "film.nii", np.zeros((2, 2, 2, 2, 3), np.uint8)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kept", [0, 3, 100, 352, 600, -1])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, kept: int) -> None:
    voxels = np.random.default_rng(0).integers(0, 255, (20, 20, 20), np.uint8)
    path = save(tmp_path / f"v{suffix}", voxels)
    path.write_bytes(path.read_bytes()[:kept])
    if suffix == ".nii.gz" and kept == -1:
        pytest.skip("the last byte of gzip is not needed")
    with pytest.raises(ImageReadError, match=r"v\.nii"):
        read_image(path)


def test_other_files_under_the_name_of_a_volume(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_text("Dear diary")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(b"x" * 1000))
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b""))
    for name in ("a.nii", "b.nii.gz", "c.nii.gz", "none.nii"):
        with pytest.raises(ImageReadError, match=name):
            read_header(tmp_path / name)


def test_the_size_is_known_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header that announces more than there could be: 30,000 cubed in a file of some bytes."""
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    with pytest.raises(TooLargeError, match="30000 x 30000 x 30000"):
        read_image(tmp_path / "bomb.nii.gz")
    path = save(tmp_path / "v.nii", np.zeros((10, 10, 11), np.uint8))
    monkeypatch.setattr(reunet.io.header, "MAX_PIXELS", 1000)
    with pytest.raises(TooLargeError, match="1,100"):
        read_image(path)


def test_an_affine_that_flattens_space_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.uint8), None)
    image.header.set_sform(np.diag([1.0, 0.0, 1.0, 1.0]), code=1)
    nib.save(image, tmp_path / "flat.nii")
    with pytest.raises(ImageReadError, match="orientation"):
        read_header(tmp_path / "flat.nii")


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4"])
def test_masks_of_any_type_and_width_three(tmp_path: Path, dtype: str) -> None:
    """A volume three columns wide is no colour image."""
    values = np.random.default_rng(0).choice([0, 3, 7, 11], (3, 4, 5)).astype(dtype)
    path = save(tmp_path / "m.nii", values, np.diag([-1.0, -1.0, 1.0, 1.0]))
    expected = np.select([values == 3, values == 7, values == 11], [1, 2, IGNORE], 0).transpose(2, 1, 0)
    np.testing.assert_array_equal(read_mask(path, LABELS), expected)


def test_masks_that_are_none(tmp_path: Path) -> None:
    half = save(tmp_path / "half.nii", np.full((3, 4, 5), 0.5, np.float32))
    with pytest.raises(LabelError, match="whole numbers"):
        read_raw_mask(half)
    with pytest.raises(LabelError, match="one value per voxel"):
        read_raw_mask(save(tmp_path / "two.nii", np.zeros((3, 4, 5, 2), np.uint8)))
    stranger = save(tmp_path / "five.nii", np.full((3, 4, 5), 5, np.uint8))
    with pytest.raises(LabelError, match=r"5 \(60 pixels\)"):
        encode_mask(read_raw_mask(stranger), LABELS, stranger)


def test_names() -> None:
    assert image_suffix(Path("a.b/c.d.NII.GZ")) == ".nii.gz"
    assert without_suffix(Path("a.b/c.d.NII.GZ")) == Path("a.b/c.d")
    assert without_suffix(Path("x.nii")) == Path("x")
    assert image_suffix(Path("archive.gz")) == image_suffix(Path(".nii.gz")) == ""
