"""Sizes, directions and places of NIfTI headers are those that ITK reads; what is stated twice is compared.

The expected values were read with SimpleITK 2.5.7 (ITK 5.4) from the same headers.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from reunet.errors import ImageReadError
from reunet.io.header import ImageHeader
from reunet.io.images import read_header

SIZES = (1.3, 2.0, 10.0)
NONE, MILD, GRAVE = "none", "mild", "grave"


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def write(
    path: Path,
    codes: tuple[int, int],
    *,
    sform: np.ndarray | None = None,
    at: tuple[float, ...] = (0, 0, 0),
    quaternion: tuple[float, ...] = (0, 0, 0),
    moved: tuple[float, ...] = (0, 0, 0),
    pixdim: tuple[float, ...] = SIZES,
    first: float = 1,
    units: int = 2,
    shape: tuple[int, ...] = (3, 4, 5),
) -> Path:
    """A header as given, and voxels. codes: of sform and qform. at, moved: their first voxels."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"], header["xyzt_units"] = b"n+1", 352, units
    header["sform_code"], header["qform_code"] = codes
    header["pixdim"][:4] = (first, *pixdim)
    for number, axis in enumerate("xyz"):
        header[f"srow_{axis}"] = (0, 0, 0, 0) if sform is None else (*sform[number], at[number])
        header[f"qoffset_{axis}"] = moved[number]
        header[f"quatern_{'bcd'[number]}"] = quaternion[number]
    path.write_bytes(header.binaryblock + bytes(4) + bytes(int(np.prod(shape))))
    return path


def stored_affine(header: ImageHeader, axes: str) -> np.ndarray:
    """The columns of the affine for the axes as they were stored, from those of the array, which lead SPL."""
    columns = []
    for axis in axes:
        array_axis = next(i for i, pair in enumerate(("SI", "PA", "LR")) if axis in pair)
        sign = 1 if axis in "SPL" else -1
        assert header.affine is not None
        columns.append(sign * header.affine[:3, array_axis])
    return np.stack(columns, axis=1)


def severity(header: ImageHeader) -> str:
    return GRAVE if any(one.grave for one in header.doubts) else MILD if header.doubts else NONE


def test_the_sform_of_a_scanner_goes_before_the_qform_which_goes_before_any_other(tmp_path: Path) -> None:
    sform = turn(0.3) @ np.diag(SIZES)
    for s in range(5):
        for q in range(5):
            path = write(
                tmp_path / "a.nii",
                (s, q),
                sform=sform,
                at=(5, 6, 7),
                quaternion=(0, 0, -np.sin(0.1)),
                moved=(1, 2, 3),
            )
            header = read_header(path)
            expected = np.diag([-1.0, -1.0, 1.0])
            if s == 1 or (s and not q):
                expected = turn(0.3)
            elif q:
                expected = turn(-0.2)
            found = stored_affine(header, "RAS" if s or q else "LPS")
            np.testing.assert_allclose(found, expected @ np.diag(SIZES), atol=1e-5)
            assert header.spacing == pytest.approx(SIZES[::-1])
            assert severity(header) == (MILD if bool(s) == bool(q) else NONE)


SHEAR = np.array([[1, 0.1, 0], [0, np.sqrt(0.99), 0], [0, 0, 1]]) @ np.diag(SIZES)
MIRRORED = {"codes": (2, 1), "sform": np.diag([-1.3, 2, 10]), "at": (9, 0, 0)}

CASES: dict[str, tuple[dict[str, object], str, list[float], str]] = {
    # what is stated, the stored axes, their columns where they are parallel to those of the body, and how
    # doubtful that is
    "only pixdim": ({"codes": (0, 0)}, "LPS", [-1.3, -2, 10], MILD),
    "qform": ({"codes": (0, 1)}, "RAS", [1.3, 2, 10], NONE),
    "qform, left-handed": ({"codes": (0, 1), "first": -1}, "RAI", [1.3, 2, -10], NONE),
    "qform, any negative": ({"codes": (0, 1), "first": -0.5}, "RAI", [1.3, 2, -10], NONE),
    "qform, handedness 0": ({"codes": (0, 1), "first": 0}, "RAS", [1.3, 2, 10], NONE),
    "negative size": ({"codes": (0, 1), "pixdim": (-1.3, 2, 10)}, "LAS", [-1.3, 2, 10], GRAVE),
    "size 0": ({"codes": (0, 1), "pixdim": (0, 2, 10)}, "RAS", [1, 2, 10], NONE),
    "size nan": ({"codes": (0, 1), "pixdim": (np.nan, 2, 10)}, "RAS", [1, 2, 10], NONE),
    "size infinite": ({"codes": (0, 1), "pixdim": (np.inf, 2, 10)}, "RAS", [1, 2, 10], NONE),
    "sform": ({"codes": (1, 0), "sform": np.diag(SIZES)}, "RAS", [1.3, 2, 10], NONE),
    "sform, left-handed": ({"codes": (1, 0), "sform": np.diag([-1.3, 2, 10])}, "LAS", [-1.3, 2, 10], NONE),
    "sform without scale": ({"codes": (2, 0), "sform": np.eye(3)}, "RAS", [1.3, 2, 10], GRAVE),
    "unit pixdim": ({"codes": (1, 0), "sform": np.diag(SIZES), "pixdim": (1, 1, 1)}, "RAS", [1, 1, 1], GRAVE),
    "no pixdim": ({"codes": (1, 0), "sform": np.diag(SIZES), "pixdim": (0, 0, 0)}, "RAS", [1, 1, 1], GRAVE),
    "sform of code 7": ({"codes": (7, 0), "sform": np.diag(SIZES)}, "RAS", [1.3, 2, 10], NONE),
    "sform of code -1": ({"codes": (-1, 0), "sform": np.diag(SIZES)}, "LPS", [-1.3, -2, 10], MILD),
    "sheared sform, qform": ({"codes": (1, 1), "sform": SHEAR}, "RAS", [1.3, 2, 10], MILD),
    "flat sform, qform": ({"codes": (1, 1), "sform": np.diag([1, 0, 1])}, "RAS", [1.3, 2, 10], GRAVE),
    "sform of nan, qform": ({"codes": (1, 1), "sform": np.diag([1, np.nan, 1])}, "RAS", [1.3, 2, 10], GRAVE),
    "mirrored forms": (MIRRORED, "RAS", [1.3, 2, 10], GRAVE),
    "metres": ({"codes": (0, 1), "pixdim": (0.0013, 0.002, 0.01), "units": 1}, "RAS", [1.3, 2, 10], NONE),
    "micrometres": ({"codes": (0, 1), "pixdim": (1300, 2000, 10000), "units": 3}, "RAS", [1.3, 2, 10], NONE),
    "mm and seconds": ({"codes": (0, 1), "units": 10}, "RAS", [1.3, 2, 10], NONE),
    "unit unknown": ({"codes": (0, 1), "units": 0}, "RAS", [1.3, 2, 10], NONE),
    "no such unit": ({"codes": (0, 1), "units": 5}, "RAS", [1.3, 2, 10], NONE),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_one_header_states(tmp_path: Path, name: str) -> None:
    told, axes, columns, doubtful = CASES[name]
    header = read_header(write(tmp_path / "a.nii", **told))  # type: ignore[arg-type]
    np.testing.assert_allclose(stored_affine(header, axes), np.diag(columns), atol=1e-5)
    assert severity(header) == doubtful
    pixdim = np.array(told.get("pixdim", SIZES))
    stated = bool((np.isfinite(pixdim) & (pixdim != 0)).all())
    assert header.spacing == (pytest.approx(np.abs(columns[::-1])) if stated else None)


def test_both_values_are_named(tmp_path: Path) -> None:
    sform = np.diag([-1.0, -1.0, 1.0])
    quaternion = (0.0, 0.0, 1.0)
    path = write(tmp_path / "a.nii", (2, 1), sform=sform, quaternion=quaternion, pixdim=(1.3158, 1.3158, 10))
    header = read_header(path)
    assert header.spacing == pytest.approx((10, 1.3158, 1.3158))
    (doubt,) = header.doubts
    assert (doubt.used, doubt.other) == ("1.3158 x 1.3158 x 10 mm (pixdim)", "1 x 1 x 1 mm (sform)")


def test_what_agrees_but_for_rounding_is_no_doubt(tmp_path: Path) -> None:
    sform = np.diag(np.array(SIZES) * (1 + 2e-4))
    assert not read_header(write(tmp_path / "a.nii", (1, 1), sform=sform, at=(0.05, 0, 0))).doubts


def test_a_large_offset_is_no_reason_to_doubt_the_directions(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "a.nii", (1, 0), sform=np.diag(SIZES), at=(-755, 900, -1400)))
    assert (header.axes, header.doubts) == ("RAS", ())


@pytest.mark.parametrize("sform", [np.diag([1, 0, 1]), np.diag([1, np.nan, 1]), np.ones((3, 3))])
def test_an_sform_that_cannot_be_used_is_an_error_without_a_qform(tmp_path: Path, sform: np.ndarray) -> None:
    with pytest.raises(ImageReadError, match="orientation"):
        read_header(write(tmp_path / "a.nii", (1, 0), sform=sform))


def test_a_sheared_sform_alone_is_read_with_a_doubt(tmp_path: Path) -> None:
    """ITK refuses it."""
    header = read_header(write(tmp_path / "a.nii", (1, 0), sform=SHEAR))
    assert header.spacing == pytest.approx(SIZES[::-1])
    assert severity(header) == MILD
